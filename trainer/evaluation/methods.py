"""Other ways to choose a set, each at its own best strength, beside the one that serves.

A strength is chosen as the default of the dial is (weights/dials.py): the largest that keeps NDCG on validation by the
same fit. It is the method's own, as its papers have it: no curve turns it, and nobody gets more or less of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from interests.bundle import Bundle
from interests.manifest import DialPoint
from interests.profile import Profile
from ranking.diversify import METHODS
from ranking.query import Query
from ranking.recommend import Ranker
from trainer.evaluation.evaluate import Sheet, served_as
from trainer.evaluation.metrics import ndcg
from trainer.parts import with_manifest
from trainer.states import Case
from trainer.weights.dials import SIZE, kept_until

COMPARED = {"mmr": "MMR", "msd": "MSD", "dpp": "DPP", "ssd": "SSD", "steck": "Steck", "reweighted": "reweighted"}
STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
TICKS = len(COMPARED) * len(STRENGTHS)


def choose_strengths(
    bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile], tick: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """By method, the largest strength that keeps almost all NDCG of these cases; ticks TICKS times."""
    plain = _as_published(bundle)
    found: dict[str, float] = {}
    for method in COMPARED:
        ranker, gains = Ranker(plain, METHODS[method]), []
        for strength in STRENGTHS:
            gains.append(_gain(ranker, cases, seen, strength))
            tick()
        curve = [
            DialPoint(strength, gain / gains[0] if gains[0] > 0 else 1.0, 0.0, 0.0)
            for strength, gain in zip(STRENGTHS, gains, strict=True)
        ]
        found[method] = min(kept_until(curve), STRENGTHS[-1])
    return found


def by_methods(sheet: Sheet, strengths: Mapping[str, float], tick: Callable[[], None]) -> None:
    """A row for each method at its strength."""
    as_published = replace(sheet, bundle=_as_published(sheet.bundle))
    for method, strength in strengths.items():
        served_as(as_published, f"served by {COMPARED[method]}", tick, dial=strength, method=METHODS[method])


def _as_published(bundle: Bundle) -> Bundle:
    return with_manifest(bundle, {"dial_curve": []})


def _gain(ranker: Ranker, cases: Sequence[Case], seen: Sequence[Profile], strength: float) -> float:
    query = Query(size=SIZE, diversity=strength)
    slates = (ranker.choose(one, query).chosen.rows.tolist() for one in seen)
    return float(np.mean([ndcg(rows, case.relevant, SIZE) for rows, case in zip(slates, cases, strict=True)]))
