"""What the dial does in this catalogue, measured on validation, and the default that costs next to nothing.

For each strength, the slates that would be served to the validation users at that strength, personal factor included:
how much NDCG@10 of relevance alone is kept, how far apart their items are, how close they come to the users' mixes.
The default is the largest strength at which NDCG_KEPT stays by

    kept(s) = 1 - sum over p in POWERS of a_p * s^p,   a_p >= 0, least squares over all strengths, weighed by kept

since the points of a few hundred users are each off by more than what is to be kept, and the best of noisy points
flatters. Low powers are for catalogues where each bit of breadth costs its part, high ones for those where much is free
and then nothing is; where little is kept is no place to be, and weighs little. Fewer than USERS_MIN users can make any
strength look free, so with these the default is at most CAREFUL, about what catalogues with enough users came to.

ranking/dial.py turns the curve into dials that mean the same in each catalogue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from interests.bundle import Bundle
from interests.manifest import DialPoint
from interests.profile import Profile
from ranking.dial import dial_of
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.target import target
from ranking.topics import calibration_kl, mix_of, mixes_of
from trainer.evaluation.evaluate import topic_mixes
from trainer.evaluation.metrics import intra_list_distance, ndcg
from trainer.parts import with_manifest
from trainer.states import Case

STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
NDCG_KEPT = 0.99
POWERS = (1.0, 2.0, 3.0, 5.0, 8.0)
WEIGHT_MIN = 0.05
SIZE = 10
DIAL_USERS = 1_000  # at most: a hundredth of NDCG is not seen in fewer
USERS_MIN, CAREFUL = 200, 0.1  # sixty users of a made-up log chose 0.53, and gave up a fifth of a first slate

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dial:
    """The default as a dial, and the curve (by rising strength)."""

    default: float
    curve: list[DialPoint]

    @property
    def manifest(self) -> dict[str, Any]:
        """As fields of the manifest."""
        return {"diversity_default": self.default, "dial_curve": self.curve}

    @property
    def report(self) -> list[dict[str, float]]:
        """The curve for a report."""
        return [point._asdict() for point in self.curve]


def choose_dial(
    bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile], tick: Callable[[], None] = lambda: None
) -> Dial:
    """Measure the curve on these cases and choose; `tick` is called once a strength."""
    unmeasured = with_manifest(bundle, {"dial_curve": []})
    curve: list[DialPoint] = []
    plain = 0.0
    for strength in STRENGTHS:
        gain, ild, kl = _measure(with_manifest(unmeasured, {"diversity_default": strength}), cases, seen)
        plain = gain if strength == 0.0 else plain
        share = gain / plain if plain > 0 else 1.0
        curve.append(DialPoint(strength=strength, ndcg_kept=share, ild=ild, kl=kl))
        tick()
    chosen = kept_until(curve)
    if len(cases) < USERS_MIN:
        chosen = min(chosen, CAREFUL)
    return Dial(dial_of(with_manifest(bundle, {"dial_curve": curve}), chosen), curve)


def kept_until(curve: Sequence[DialPoint]) -> float:
    """The largest strength, in hundredths, at which NDCG_KEPT stays by the fit above."""
    kept = np.array([point.ndcg_kept for point in curve])
    weights = np.clip(kept, WEIGHT_MIN, 1.0) ** 2
    coefficients, _ = nnls(_powers([point.strength for point in curve]) * weights[:, None], (1.0 - kept) * weights)
    at = np.arange(101) / 100.0
    return float(at[_powers(at) @ coefficients <= 1.0 - NDCG_KEPT + 1e-9].max(initial=0.0))


def _powers(strengths: npt.ArrayLike) -> Doubles:
    """Each strength to each of POWERS, (n, len(POWERS))."""
    raised: Doubles = np.asarray(strengths, dtype=np.float64)[:, None] ** np.array(POWERS)
    return raised


def _measure(bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile]) -> tuple[float, float, float]:
    """Mean NDCG, ILD and KL of the slates served at this bundle's default."""
    ranker, query = Ranker(bundle), Query(size=SIZE)
    gains, distances, divergences = [], [], []
    for one, case in zip(seen, cases, strict=True):
        rows = ranker.choose(one, query).chosen.rows
        mixes = mixes_of(bundle, rows)
        gains.append(ndcg(rows.tolist(), case.relevant, SIZE))
        distances.append(intra_list_distance(topic_mixes(bundle, rows.astype(np.int32))))
        if mixes.shares.sum() > 0:
            mix = mix_of(mixes, bundle.manifest.topic_count)
            divergences.append(calibration_kl(target(bundle, one).mix, mix))
    return _mean(gains), _mean(distances), _mean(divergences)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
