"""Greedy MAP of a determinantal point process: relevance as length, similarity as angle.

    L_ij = w_i * w_j * cosine(i, j),   w = exp((1 - diversity) * z),   z = relevance by its mean and deviation

Each pick has the largest w_i^2 * residual_i, by an orthonormal basis of the picks (ranking/diversify/residual.py),
until nothing has a residual above epsilon: past the rank of the candidates the determinant is 0 whatever is added,
and what is left comes by relevance. Picks equal those of a Cholesky update up to there.
Chen, Zhang, Zhou, NeurIPS 2018; weights by z-score as in the package pyversity.
"""

import numpy as np

from ranking.diversify.inputs import Floats, ordered
from ranking.diversify.residual import EPSILON, Residual
from ranking.topics import Mixes


def dpp(relevance: Floats, vectors: Floats, mixes: Mixes, target: Floats, size: int, diversity: float) -> list[int]:
    """Choose the set of largest volume, in the order of the picks. O(size * n * dim). Does not look at topics."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    count = candidates.size
    if diversity == 0.0 or count == 0:
        return candidates.original(range(count))
    deviation = float(candidates.relevance.std()) + float(np.finfo(np.float32).eps)
    z = (candidates.relevance - candidates.relevance.mean()) / deviation
    squared_weights = np.exp(2.0 * (1.0 - diversity) * z)
    residual = Residual(candidates.vectors, count)
    taken = np.zeros(len(candidates.places), dtype=np.bool_)
    picks: list[int] = []
    while len(picks) < count:
        volume = squared_weights * residual.of
        volume[taken | (residual.of <= EPSILON)] = -np.inf
        pick = int(volume.argmax())
        if volume[pick] == -np.inf:
            picks.extend(np.flatnonzero(~taken)[: count - len(picks)].tolist())
            break
        picks.append(pick)
        taken[pick] = True
        residual.pick(pick)
    return candidates.original(picks)
