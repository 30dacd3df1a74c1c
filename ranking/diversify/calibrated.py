"""The calibrated set, then in order of relevance: the default.

The set is chosen greedily, each pick adding most to

    (1 - d) * mean relevance  +  d * (1 - KL(target || mix) / log 100)  +  d * NOVELTY * mean log residual / log 1/eps

relevance is moved to [0, 1] over the candidates; the mix counts places not yet filled as empty, which makes the gain
of every pick fall as the set grows (monotone and submodular), so greedy is within 1 - 1/e of the best calibration.
The residual (ranking/diversify/residual.py) is what earlier picks cannot express of a vector: the determinantal term
costs a near-duplicate much and everything else little. At last the set is sorted by relevance: the set keeps the
breadth, the order keeps the relevance. Steck, "Calibrated recommendations", RecSys 2018.
"""

import math

import numpy as np
import numpy.typing as npt

from ranking.diversify.inputs import Floats, ordered, unit_scale
from ranking.diversify.residual import EPSILON, Residual
from ranking.topics import SMOOTHING, Mixes

NOVELTY = 0.25  # of the whole of closeness: a near-duplicate never outweighs a missing topic
KL_MAX = -math.log(SMOOTHING)


def calibrated(
    relevance: Floats, vectors: Floats, mixes: Mixes, target: Floats, size: int, diversity: float
) -> list[int]:
    """Choose for relevance and closeness to the target, order by relevance. O(size * n * (dim + topics an item))."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    count = candidates.size
    if diversity == 0.0 or count in (0, len(candidates.places)):
        return candidates.original(range(count))
    worth = (1.0 - diversity) * unit_scale(candidates.relevance)
    closeness = _Closeness(candidates.mixes, target, count)
    residual = Residual(candidates.vectors, count)
    nothing_known = residual.of <= EPSILON  # an empty vector duplicates nothing
    residual.of[nothing_known] = 1.0
    taken = np.zeros(len(candidates.places), dtype=np.bool_)
    for _ in range(count):
        novelty = np.log(np.maximum(residual.of, EPSILON)) * (NOVELTY / -math.log(EPSILON))
        score = worth + diversity * (closeness.gains() * (count / KL_MAX) + novelty)
        score[taken] = -np.inf  # after blending: infinity times a dial of 0 is no number
        pick = int(score.argmax())
        taken[pick] = True
        closeness.pick(pick)
        if not nothing_known[pick]:
            residual.pick(pick)
    return candidates.original(taken)


class _Closeness:
    """Minus KL(target || mix) of a growing set, and what each candidate would add to it."""

    def __init__(self, mixes: Mixes, target: Floats, count: int) -> None:
        # One topic more, with no share in the target: it takes padding and gains nothing.
        self._topics = np.where(mixes.topics >= 0, mixes.topics, len(target))
        self._adds: Floats = mixes.shares * np.float32((1.0 - SMOOTHING) / count)
        target = np.append(np.maximum(target, 0.0), np.float32(0.0)).astype(np.float32)
        self._wanted: Floats = target[self._topics]
        self._held: Floats = np.where(target > 0, SMOOTHING * target, 1.0).astype(np.float32)

    def gains(self) -> npt.NDArray[np.float32]:
        """By how much each candidate would bring the mix closer (n,), in nats."""
        gains: Floats = np.einsum("nm,nm->n", self._wanted, np.log1p(self._adds / self._held[self._topics]))
        return gains

    def pick(self, place: int) -> None:
        np.add.at(self._held, self._topics[place], self._adds[place])
