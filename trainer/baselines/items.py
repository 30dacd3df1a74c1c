"""Item–item baselines: a score is what a past's items say of every other, by one dense matrix.

    EASE         B = I - P / diag(P), P = (X'X + ridge I)^-1, diagonal 0        Steck, WWW 2019
    ItemKNN      G_ij / (sqrt(G_ii G_jj) + shrinkage), G = X'X, the `count` most alike of each item
    transitions  sum over pairs of one past at most WINDOW events apart of DECAY^(times apart), both directions,
                 over (row sum + 20)^.6 (column sum + 20)^.5

Dense is items × items, so only the `cap` most popular items take part and every other scores 0. A query fades by
decay^rank, rank counting the distinct times since.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data import Events
from trainer.evaluation.moments import Past
from trainer.links.ease import ease

ITEMS_A_USER_MAX = 1_000  # of one user's distinct items, the latest: pairs grow with the square
WINDOW, DECAY = 20, 0.9
BLOCK_ROWS = 1_000

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class ItemItem:
    """A dense matrix over the capped catalogue, and how fast a query fades."""

    def __init__(self, columns: Rows, weights: Floats, decay: float, item_count: int) -> None:
        """columns (c,): rows of the items that take part; weights (c, c): what the first says of the second."""
        self._columns, self._weights, self._decay = columns, weights, decay
        self._column_of = np.full(item_count, -1, dtype=np.int64)
        self._column_of[columns] = np.arange(len(columns))

    def scores(self, pasts: Sequence[Past]) -> Floats:
        """Scores (u, n), 0 for items that take no part."""
        owner = np.repeat(np.arange(len(pasts)), [len(one.items) for one in pasts])
        items = np.concatenate([one.items for one in pasts])
        faded = self._decay ** np.concatenate([one.ranks for one in pasts]).astype(np.float64)
        column = self._column_of[items]
        known = column >= 0
        query = np.zeros((len(pasts), len(self._columns)), dtype=np.float32)
        np.maximum.at(query, (owner[known], column[known]), faded[known].astype(np.float32))
        found = np.zeros((len(pasts), len(self._column_of)), dtype=np.float32)
        found[:, self._columns] = sparse.csr_array(query) @ self._weights
        return found


class Pairs:
    """What item–item baselines count in one set of events, once for all of them."""

    def __init__(self, events: Events, cap: int) -> None:
        """cap: how many of the most popular items take part."""
        counts = np.bincount(events.items, minlength=events.item_count)
        most = np.argsort(-counts, kind="stable")[:cap]
        self.columns: Rows = np.sort(most[counts[most] > 0])
        column_of = np.full(events.item_count, -1, dtype=np.int64)
        column_of[self.columns] = np.arange(len(self.columns))
        column = column_of[events.items]
        self._events = events.where(column >= 0)
        self._column: Rows = column[column >= 0]

    @cached_property
    def gram(self) -> Floats:
        """How many users had both (c, c)."""
        users, columns = self._latest()
        ones = np.ones(len(users), dtype=np.float32)
        x = sparse.csr_array((ones, (users, columns)), shape=(self._events.user_count, len(self.columns)))
        flipped, found = sparse.csr_array(x.T), np.empty((len(self.columns),) * 2, dtype=np.float32)
        for begin in range(0, len(found), BLOCK_ROWS):
            found[begin : begin + BLOCK_ROWS] = (flipped[begin : begin + BLOCK_ROWS] @ x).toarray()
        return found

    def ease(self, ridge: float) -> Floats:
        """EASE's weights (c, c). O(c^3)."""
        return ease(self.gram.astype(np.float64), ridge)

    def cosine(self, shrinkage: float, count: int) -> Floats:
        """ItemKNN's weights (c, c): of each item the `count` most alike."""
        lengths = np.sqrt(self.gram.diagonal())
        alike: Floats = (self.gram / (lengths[:, None] * lengths[None] + np.float32(shrinkage))).astype(np.float32)
        np.fill_diagonal(alike, 0.0)
        if count < len(alike):
            for row in alike:
                row[row < np.partition(row, len(row) - count)[len(row) - count]] = 0.0
        return np.ascontiguousarray(alike.T)

    @cached_property
    def transitions(self) -> Floats:
        """The weights (c, c) of what was had near each other."""
        size, total = len(self.columns), sparse.csr_array((len(self.columns),) * 2, dtype=np.float32)
        _, moment = np.unique(self._events.groups, return_inverse=True)
        for gap in range(1, min(WINDOW, len(moment) - 1) + 1):
            left = np.flatnonzero(self._events.users[:-gap] == self._events.users[gap:])
            right = left + gap
            near = (DECAY ** (moment[right] - moment[left])).astype(np.float32)
            pairs = sparse.csr_array((near, (self._column[left], self._column[right])), shape=(size, size))
            total = sparse.csr_array(total + pairs)
        found: Floats = (total + total.T).toarray()
        np.fill_diagonal(found, 0.0)
        sums = found.sum(axis=0) + 20.0
        found /= sums[:, None] ** 0.6
        found /= sums[None] ** 0.5
        return found

    def _latest(self) -> tuple[Rows, Rows]:
        """Distinct (user, column) pairs, of each user the latest."""
        size = len(self.columns)
        keys = self._events.users.astype(np.int64) * size + self._column
        keys, newest = np.unique(keys[::-1], return_index=True)
        users, columns = keys // size, keys % size
        order = np.lexsort((newest, users))
        users, columns = users[order], columns[order]
        place = np.arange(len(users)) - np.searchsorted(users, users)
        kept = place < ITEMS_A_USER_MAX
        return users[kept], columns[kept]
