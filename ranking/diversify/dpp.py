"""Greedy MAP of a determinantal point process: relevance as length, similarity as angle.

    L_ij = w_i * w_j * cosine(i, j),   w = exp((1 - diversity) * z),   z = relevance by its mean and deviation

Each pick has the largest w_i^2 * residual_i, by an orthonormal basis of the picks (ranking/diversify/residual.py),
until nothing has a residual above epsilon: past the rank of the candidates the determinant is 0 whatever is added,
and what is left comes by relevance. Picks equal those of a Cholesky update up to there.
Chen, Zhang, Zhou, NeurIPS 2018; weights by z-score as in the package pyversity.
"""

import numpy as np
import numpy.typing as npt

from ranking.diversify.inputs import Floats, Ordered, ordered
from ranking.diversify.kernels import greedy_kernels
from ranking.diversify.residual import EPSILON, Residual
from ranking.target import Target
from ranking.topics import Mixes

Places = npt.NDArray[np.int64]


def dpp(relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float) -> list[int]:
    """Choose the set of largest volume, in the order of the picks. At most O(size * n * dim). Looks at no topic."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    if diversity == 0.0 or candidates.size == 0:
        return candidates.original(range(candidates.size))
    return candidates.original(greedy_map(candidates, diversity))


def greedy_map(candidates: Ordered, diversity: float, compiled: bool = True) -> Places:
    """Places among ordered candidates in the order of the picks, compiled where that is possible."""
    count, fast = candidates.size, greedy_kernels() if compiled else None
    deviation = float(candidates.relevance.std()) + float(np.finfo(np.float32).eps)
    z = (candidates.relevance - candidates.relevance.mean()).astype(np.float64) / deviation
    weights = np.exp(2.0 * (1.0 - diversity) * z)
    if fast is None:
        return _by_numpy(weights, candidates.vectors, count)
    return fast.dpp(weights, candidates.vectors, candidates.squared.copy(), count)


def _by_numpy(weights: npt.NDArray[np.float64], vectors: Floats, count: int) -> Places:
    """What `kernels.dpp_picks` picks."""
    residual = Residual(vectors, count)
    taken = np.zeros(len(weights), dtype=np.bool_)
    picks: list[int] = []
    while len(picks) < count:
        volume = weights * residual.of
        volume[taken | (residual.of <= EPSILON)] = -np.inf
        pick = int(volume.argmax())
        if volume[pick] == -np.inf:
            picks.extend(np.flatnonzero(~taken)[: count - len(picks)].tolist())
            break
        picks.append(pick)
        taken[pick] = True
        residual.pick(pick)
    return np.array(picks, dtype=np.int64)
