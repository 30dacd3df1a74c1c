"""Weights of signals by how much a user had: fitted apart for a short past and a long one, kept where that wins.

The edge is the median of items had. What counts is NDCG@10 of weights fitted on the other half of the users, so bands
pay for learning from fewer; what they add must be more than its standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.score import SIGNALS
from trainer.weights.fusion import WORTH, crossed, fit_near_top, named
from trainer.weights.questions import Question

USERS_MIN = 100  # a band, to learn from

Weights = dict[str, float]


@dataclass(frozen=True)
class Bands:
    """few, many: weights of users with at most `items_max` items and of all others; empty where one set does as well.

    report: NDCG@10 with and without bands; empty where users were too few to tell
    """

    items_max: int
    few: Weights
    many: Weights
    report: dict[str, float]


def by_activity(questions: Sequence[Question], items_had: npt.NDArray[np.integer], whole: Weights) -> Bands:
    """Whether the weights of users should differ.

    items_had (u,); whole: weights of all users, whose signals are tried
    """
    items_max = int(np.median(items_had)) if len(items_had) else 0
    is_few = items_had <= items_max
    parts = [[one for one, mine in zip(questions, is_few == few, strict=True) if mine] for few in (True, False)]
    places = [SIGNALS.index(name) for name in whole]
    if len(places) < 2 or min(len(part) for part in parts) < USERS_MIN:
        return Bands(items_max, {}, {}, {})
    whole_of = crossed(questions, places)
    own_of: dict[Question, float] = {}
    for part in parts:
        own_of |= crossed(part, places)
    added = np.array([own_of[one] - gain for one, gain in whole_of.items()])
    together = float(np.mean(list(whole_of.values())))
    report = {"items_max": float(items_max), "ndcg@10_together": together}
    report["ndcg@10_by_band"] = together + float(added.mean())
    if added.mean() <= max(WORTH * together, float(added.std()) / len(added) ** 0.5):
        return Bands(items_max, {}, {}, report)
    few, many = (named(fit_near_top(part, places)) for part in parts)
    return Bands(items_max, few, many, report)
