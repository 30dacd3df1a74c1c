"""Calibration as first published: relevance as it is, against the distance of the slate alone from the mix.

    (1 - diversity) * sum of r_i  -  diversity * KL(mix || the slate's mix, smoothed)

r: relevance moved to [0, 1]; the slate's mix is of what was picked so far, and is not sorted afterwards. With
`with_memory` the slate is held to what earlier slates owe: the mix that would bring all that was shown, this slate
included, nearest to the target (Target.owed). References to measure against.
Steck, "Calibrated recommendations", RecSys 2018.
"""

import numpy as np
import numpy.typing as npt

from ranking.diversify.inputs import Floats, Ordered, ordered, unit_scale
from ranking.target import Target
from ranking.topics import SMOOTHING, Mixes


def steck(relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float) -> list[int]:
    """Greedy by relevance less the slate's distance, in the order of the picks. O(size * n * T)."""
    return _greedy(ordered(relevance, vectors, mixes, target, size, diversity), target.mix, diversity)


def with_memory(
    relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float
) -> list[int]:
    """The same, the mix being what earlier slates owe."""
    return _greedy(ordered(relevance, vectors, mixes, target, size, diversity), target.owed(size), diversity)


def _greedy(candidates: Ordered, mix: Floats, diversity: float) -> list[int]:
    count = candidates.size
    if diversity == 0.0 or count == 0:
        return candidates.original(range(count))
    worth = (1.0 - diversity) * unit_scale(candidates.relevance).astype(np.float64)
    wanted = np.maximum(mix, 0.0).astype(np.float64)
    adds = _dense(candidates.mixes, len(wanted))
    held = np.zeros(len(wanted))
    taken = np.zeros(len(worth), dtype=np.bool_)
    picks: list[int] = []
    for _ in range(count):
        after = held + adds
        held_mix = after / np.maximum(after.sum(axis=1, keepdims=True), 1e-12)
        score = worth + diversity * (np.log((1 - SMOOTHING) * held_mix + SMOOTHING * wanted + 1e-12) @ wanted)
        score[taken] = -np.inf
        pick = int(score.argmax())
        picks.append(pick)
        taken[pick] = True
        held += adds[pick]
    return candidates.original(picks)


def _dense(mixes: Mixes, topics: int) -> npt.NDArray[np.float64]:
    dense = np.zeros((len(mixes.topics), topics + 1))
    rows = np.arange(len(mixes.topics))
    for topic, share in zip(mixes.topics.T, mixes.shares.T, strict=True):
        dense[rows, topic] += share  # padding, -1, falls into the last
    return dense[:, :topics]
