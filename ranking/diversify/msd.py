"""Max-sum of distances: each pick weighs its relevance against its distance from all earlier ones together.

    (1 - diversity) * relevance_i + diversity * sum over picks j of (1 - cosine(i, j))

Relevance is taken as it is, so the sum outweighs it as a slate grows. Borodin, Lee, Ye, PODS 2012; Gollapudi, Sharma,
WWW 2009.
"""

import numpy as np

from ranking.diversify.inputs import Floats, ordered
from ranking.target import Target
from ranking.topics import Mixes


def msd(relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float) -> list[int]:
    """The most relevant, then the farthest from what is there, in the order of the picks. O(size * n * dim)."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    count = candidates.size
    if diversity == 0.0 or count == 0:
        return candidates.original(range(count))
    worth = np.float32(1.0 - diversity) * candidates.relevance
    distance = np.zeros(len(candidates.places), dtype=np.float32)
    taken = np.zeros(len(candidates.places), dtype=np.bool_)
    picks = [0]
    while len(picks) < count:
        taken[picks[-1]] = True
        distance += np.float32(1.0) - np.clip(candidates.vectors @ candidates.vectors[picks[-1]], -1.0, 1.0)
        score = worth + np.float32(diversity) * distance
        score[taken] = -np.inf
        picks.append(int(score.argmax()))
    return candidates.original(picks)
