"""Items that nobody ever turned to, found by what the catalogue says of them.

They lie by topic, newest first. A user's topics are walked from the largest share of their mix until LOOKED_AT items
are on the table; those with the largest content signal are taken. So the cost is bounded however large the shelf is.
Whether an item is available may change under a running server, so only `allowed` says it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.content import content
from ranking.fast.finds import finds
from ranking.top import top

LOOKED_AT = 2048
TOPIC_MAX = 512  # of one topic, so that the largest does not fill the table

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Table(NamedTuple):
    """Rows of items and the content signal of each."""

    rows: Rows
    scores: npt.NDArray[np.float32]

    def find(self, count: int) -> Rows:
        """Up to `count` rows, in no order, that fit better than 0; of equals those that come first."""
        best = top(self.scores, count)
        return self.rows[best[self.scores[best] > 0]]


class ColdShelf:
    """What a bundle has of them; empty where it has no weights for them."""

    def __init__(self, bundle: Bundle, main_topic: npt.NDArray[np.int64]) -> None:
        """main_topic (n,): of each item, -1 where it has none."""
        arrays = bundle.arrays
        cold = np.flatnonzero(arrays.popularity == 0)
        known = (arrays.content_ids[cold] >= 0).any(axis=1) | (arrays.content_vectors[cold] != 0).any(axis=1)
        rows = cold[known] if bundle.manifest.cold_weights else cold[:0]
        # Topic -1 comes first and is walked last.
        order = np.lexsort((rows, -arrays.first_seen_ms[rows], main_topic[rows]))
        self._bundle = bundle
        self.rows: Rows = rows[order]
        sizes = np.bincount(main_topic[rows] + 1, minlength=bundle.manifest.topic_count + 1)
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes

    def table(self, profile: Profile, allowed: Mask) -> "Table":
        """What is looked at for this user: allowed rows and how well they fit the user's content."""
        if not len(self.rows) or profile.is_cold:
            return Table(self.rows[:0], np.zeros(0, dtype=np.float32))
        rows = self._walked(profile, allowed)
        return Table(rows, content(self._bundle, profile, rows))

    def _walked(self, profile: Profile, allowed: Mask) -> Rows:
        if len(self.rows) <= LOOKED_AT:
            return self.rows[allowed[self.rows]]
        if (fast := finds()) is not None:
            ends = (self.starts, self.ends)
            return fast.shelf(self.rows, *ends, profile.anchor, allowed, LOOKED_AT, TOPIC_MAX)
        topics = np.append(np.argsort(-profile.anchor, kind="stable") + 1, 0)
        sizes = np.minimum(self.ends[topics] - self.starts[topics], TOPIC_MAX)
        walked = int(np.searchsorted(np.cumsum(sizes), LOOKED_AT)) + 1
        topics, sizes = topics[:walked], sizes[:walked]
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows: Rows = self.rows[np.repeat(self.starts[topics], sizes) + offsets]
        return rows[allowed[rows]]
