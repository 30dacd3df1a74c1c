"""Sliding spectrum decomposition: each pick weighs its relevance against what earlier picks leave of its vector.

    (1 - diversity) * z_i + diversity * sqrt(residual_i),   z = relevance by its mean and deviation

The residual (ranking/diversify/residual.py) is of the vector with a constant 1 behind it, so that an empty one still
has a length. The window is the whole slate. Huang, Wang, Peng, Wang, KDD 2021, in the stabilised form of their
equation 12.
"""

import numpy as np

from ranking.diversify.inputs import Floats, ordered, standard_scale
from ranking.diversify.residual import Residual
from ranking.target import Target
from ranking.topics import Mixes


def ssd(relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float) -> list[int]:
    """The most relevant, then the least expressed by what is there, in the order of the picks. O(size * n * dim)."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    count = candidates.size
    if diversity == 0.0 or count == 0:
        return candidates.original(range(count))
    worth = np.float32(1.0 - diversity) * standard_scale(candidates.relevance)
    ones = np.ones((len(candidates.vectors), 1), dtype=np.float32)
    residual = Residual(np.hstack([candidates.vectors, ones]), count)
    taken = np.zeros(len(candidates.places), dtype=np.bool_)
    picks = [0]
    while len(picks) < count:
        taken[picks[-1]] = True
        residual.pick(picks[-1])
        score = worth + np.float32(diversity) * np.sqrt(residual.of)
        score[taken] = -np.inf
        picks.append(int(score.argmax()))
    return candidates.original(picks)
