"""Reweighting by closeness to interests: the simplest way to give each of them a say, one pass and no greed.

    (1 - diversity) * r_i  +  diversity * w_i / max w,     w_i = sum over topics t of mix_t * softmax_i(cos(v_i, c_t))

r: relevance moved to [0, 1]; c_t: the unit mean of the candidates of topic t; the softmax runs over the candidates.
Nothing is subtracted for what is there already, so it lifts the user's topics and does not balance them.
"""

import numpy as np

from ranking.diversify.inputs import Floats, ordered, unit_scale
from ranking.target import Target
from ranking.topics import Mixes

TEMPERATURE = 0.1


def reweighted(
    relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float
) -> list[int]:
    """The largest reweighted relevance first. O(n * T * dim)."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    count = candidates.size
    wanted = np.maximum(target.mix, 0.0)
    if diversity == 0.0 or count == 0 or not wanted.any():
        return candidates.original(range(count))
    centres = _centres(candidates.vectors, candidates.mixes, len(wanted))
    closeness = np.exp((candidates.vectors @ centres.T - 1.0) / TEMPERATURE)
    said = (closeness / closeness.sum(axis=0)) @ wanted
    score = (1.0 - diversity) * unit_scale(candidates.relevance) + diversity * said / said.max()
    return candidates.original(np.argsort(-score, kind="stable")[:count])


def _centres(vectors: Floats, mixes: Mixes, topics: int) -> Floats:
    sums = np.zeros((topics, vectors.shape[1]), dtype=np.float64)
    for topic, share in zip(mixes.topics.T, mixes.shares.T, strict=True):
        known = topic >= 0
        np.add.at(sums, topic[known], vectors[known] * share[known, None])
    centres: Floats = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return centres
