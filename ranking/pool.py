"""The part of the candidates out of which a slate is chosen: the most relevant, and the best of each topic owed.

A small interest has few items among the most relevant; without its own best ones no diversification could show it.
"""

import numpy as np
import numpy.typing as npt

from ranking.fast.signals import signals_compiled
from ranking.top import top
from ranking.topics import Mixes, main_topics

TOPIC_PLACES = 6
TOPIC_SHARE_MIN = 0.01  # of the mix that a slate is held to

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def pool(scores: Floats, rows: Rows, mixes: Mixes, mix: Floats, size: int) -> Rows:
    """Places of the candidates to choose from, ascending: the best `size`, and up to TOPIC_PLACES of each topic owed.

    scores, rows (c,): the candidates; mixes: of the whole catalogue; mix (T,): what the slate is held to
    """
    if len(scores) <= size:
        return np.arange(len(scores))
    if (fast := signals_compiled()) is not None:
        return fast.pool(scores, rows, *mixes, mix, size, TOPIC_PLACES, TOPIC_SHARE_MIN)
    kept = np.zeros(len(scores), dtype=np.bool_)
    kept[top(scores, size)] = True
    topics = main_topics(Mixes(mixes.topics[rows], mixes.shares[rows]))
    owed = np.append(mix >= TOPIC_SHARE_MIN, False)  # one topic more: -1, for none, falls on it
    left = np.flatnonzero(owed[topics])
    order = left[np.lexsort((-scores[left], topics[left]))]
    ordered = topics[order]
    kept[order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < TOPIC_PLACES]] = True
    return np.flatnonzero(kept)
