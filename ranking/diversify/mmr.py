"""Maximal marginal relevance: each pick weighs its relevance against its nearest earlier pick.

    (1 - diversity) * relevance_i - diversity * max over picks j of max(cosine(i, j), 0)

Relevance is taken as it is. Carbonell, Goldstein, SIGIR 1998; their lambda is 1 - diversity.
"""

import numpy as np

from ranking.diversify.inputs import Floats, ordered
from ranking.target import Target
from ranking.topics import Mixes


def mmr(relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float) -> list[int]:
    """Choose by marginal relevance, in the order of the picks. O(size * n * dim). Does not look at topics."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    count = candidates.size
    if diversity == 0.0 or count == 0:
        return candidates.original(range(count))
    worth = np.float32(1.0 - diversity) * candidates.relevance
    nearest = np.zeros(len(candidates.places), dtype=np.float32)
    taken = np.zeros(len(candidates.places), dtype=np.bool_)
    picks: list[int] = []
    for _ in range(count):
        score = worth - np.float32(diversity) * nearest
        score[taken] = -np.inf  # after blending: infinity times a dial of 0 is no number
        pick = int(score.argmax())
        picks.append(pick)
        taken[pick] = True
        np.maximum(nearest, np.minimum(candidates.vectors @ candidates.vectors[pick], 1.0), out=nearest)
    return candidates.original(picks)
