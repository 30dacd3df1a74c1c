"""Items that go with an item, and items that come after it, from counts alone.

    neighbour[i, j]  = g_ij / (sqrt(g_ii g_jj) + shrinkage),        G = X'X, X the faded weights of users
    transition[i, j] = t_ij / ((c_i + shrinkage) * c_j^damping),    T = sum over gaps g of 2^(1-g) A_k' A_(k+g)

A_k is the k-th timestamp group of a user as one row, scaled so that a large basket weighs no more than a small one;
pairs inside a group never count, nor do pairs over GAP_DAYS_MAX. Only the strongest `count` of each item are kept, and
products are made a block of items at a time, so memory is bounded by the block.
ItemKNN: Sarwar et al., WWW 2001; shrinkage: Koren, KDD 2008.
"""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.absorb import MS_PER_DAY
from trainer.data import Events, strengths

NEIGHBOUR_SHRINKAGE = 1.0
TRANSITION_SHRINKAGE = 5.0
TRANSITION_DAMPING = 0.4
GAPS_MAX = 3
GAP_DAYS_MAX = 45.0
ITEMS_A_USER_MAX = 512  # as many as a state remembers; pairs grow with its square
ITEMS_A_GROUP_MAX = 64
BLOCK_PRODUCTS_MAX = 24_000_000  # entries of one product before duplicates are summed

Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


def neighbours(weights: sparse.csr_array, count: int) -> tuple[Rows, Floats]:
    """Rows (n, count) and weights (n, count) in [0, 1], best first, padded with -1 and 0.

    weights: (users, items) positive faded weights
    """
    x = _strongest(weights, ITEMS_A_USER_MAX)
    x.data = np.log1p(x.data)
    return _best(x, x, count, _Cosine(x))


def transitions(events: Events, count: int) -> tuple[Rows, Floats]:
    """The same for what comes after an item within the next few groups of its user.

    Order inside a group does not enter; the same events in another order of their groups' rows give the same answer.
    """
    groups = _group_rows(events)
    lefts, rights = [], []
    for gap in range(1, GAPS_MAX + 1):
        earlier, later = groups.pairs(gap)
        lefts.append(groups.matrix[earlier] * (2.0 ** (1 - gap)))
        rights.append(groups.matrix[later])
    left, right = sparse.csr_array(sparse.vstack(lefts)), sparse.csr_array(sparse.vstack(rights))
    rows, found = _best(left, right, count, _Lift(left, right))
    top = found.max(initial=0.0)
    return rows, found / top if top > 0 else found


class _Cosine:
    def __init__(self, x: sparse.csr_array) -> None:
        self._norms: Floats = np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).ravel()).astype(np.float32)

    def __call__(self, rows: Rows, columns: Rows, values: Floats) -> Floats:
        return (values / (self._norms[rows] * self._norms[columns] + NEIGHBOUR_SHRINKAGE)).astype(np.float32)


class _Lift:
    def __init__(self, left: sparse.csr_array, right: sparse.csr_array) -> None:
        self._from = np.asarray(left.sum(axis=0)).ravel() + TRANSITION_SHRINKAGE
        self._to: npt.NDArray[np.float64] = np.maximum(np.asarray(right.sum(axis=0)).ravel(), 1.0) ** TRANSITION_DAMPING

    def __call__(self, rows: Rows, columns: Rows, values: Floats) -> Floats:
        return (values / (self._from[rows] * self._to[columns])).astype(np.float32)


class _Groups:
    """Timestamp groups as rows of a matrix, with their users and times."""

    def __init__(self, matrix: sparse.csr_array, users: Rows, times_ms: npt.NDArray[np.int64]) -> None:
        self.matrix, self._users, self._times_ms = matrix, users, times_ms

    def pairs(self, gap: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows that lie `gap` groups apart in one user's history, and not too far in time."""
        left = np.arange(max(len(self._users) - gap, 0))
        near = self._times_ms[left + gap] - self._times_ms[left] <= GAP_DAYS_MAX * MS_PER_DAY
        left = left[(self._users[left] == self._users[left + gap]) & near]
        return left, left + gap


def _group_rows(events: Events) -> _Groups:
    _, first, row = np.unique(events.groups, return_index=True, return_inverse=True)
    shape = (len(first), events.item_count)
    matrix = sparse.csr_array((np.maximum(strengths(events), 0.0), (row, events.items)), shape=shape)
    matrix.sum_duplicates()
    matrix = _strongest(matrix.astype(np.float32), ITEMS_A_GROUP_MAX)
    matrix.data = np.minimum(matrix.data, 1.0)
    sizes = np.maximum(np.diff(matrix.indptr), 1)
    matrix.data /= np.repeat(np.sqrt(sizes), np.diff(matrix.indptr)).astype(np.float32)
    return _Groups(matrix, events.users[first], events.times_ms[first])


def _strongest(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """Each row's `count` largest entries; of equal ones those of lower columns."""
    sizes = np.diff(matrix.indptr)
    if not len(sizes) or sizes.max() <= count:
        return matrix.copy()
    row = np.repeat(np.arange(matrix.shape[0]), sizes)
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = np.sort(order[np.arange(len(row)) - matrix.indptr[row] < count])
    return sparse.csr_array((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)


def _best(left: sparse.csr_array, right: sparse.csr_array, count: int, scale: "_Cosine | _Lift") -> tuple[Rows, Floats]:
    """The best `count` columns of each row of left' right after scaling, the diagonal left out."""
    n = left.shape[1]
    rows, found = np.full((n, count), -1, dtype=np.int32), np.zeros((n, count), dtype=np.float32)
    by_item = sparse.csr_array(left.T)
    costs = np.cumsum(by_item.astype(bool).astype(np.float64) @ np.diff(right.indptr).astype(np.float64))
    begin = 0
    while begin < n:
        before = costs[begin - 1] if begin else 0.0
        end = max(int(np.searchsorted(costs, before + BLOCK_PRODUCTS_MAX)), begin + 1)
        _fill(sparse.csr_array(by_item[begin:end] @ right), begin, count, scale, rows, found)
        begin = end
    return rows, found


def _fill(
    product: sparse.csr_array, begin: int, count: int, scale: "_Cosine | _Lift", rows: Rows, found: Floats
) -> None:
    product.sort_indices()
    row = np.repeat(np.arange(product.shape[0], dtype=np.int32), np.diff(product.indptr)) + np.int32(begin)
    values = scale(row, product.indices, product.data).astype(np.float32)
    values[row == product.indices] = 0.0
    for place in range(product.shape[0]):
        part = slice(product.indptr[place], product.indptr[place + 1])
        mine, columns = values[part], product.indices[part]
        if len(mine) > 4 * count:
            # Everything down to the smallest that can enter, ties included, so that the cut does not choose by chance.
            enough = np.partition(mine, len(mine) - count)[len(mine) - count]
            mine, columns = mine[mine >= enough], columns[mine >= enough]
        best = np.argsort(-mine, kind="stable")[:count]
        best = best[mine[best] > 0]
        rows[begin + place, : len(best)], found[begin + place, : len(best)] = columns[best], mine[best]
