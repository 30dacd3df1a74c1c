"""Items that go with an item, and items that stand near it in time.

    neighbour   EASE's weights among the most popular items; ItemKNN's for all others, on the same scale
    transition  nearness in both directions over (row sum + 20)^.6 (column sum + 20)^.5

Of each item the strongest `count` are kept; a neighbour's weight may be below 0, where having one item speaks against
the other. `LinkRule` says how fast nearness and queries fade; trainer/links/link_choice.py chooses it on validation.
ItemKNN: Sarwar et al., WWW 2001; shrinkage: Koren, KDD 2008.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data import Events
from trainer.links.ease import CAP, capped, ease, gram
from trainer.links.nearness import near_rows

COSINE_SHRINKAGE = 1.0
ITEMS_A_USER_MAX = 512  # of one user, the strongest: pairs grow with its square
BLOCK_PRODUCTS_MAX = 24_000_000  # entries of one product before duplicates are summed
ROW_POWER, COLUMN_POWER, NEAR_SHRINKAGE = 0.6, 0.5, 20.0

Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LinkRule:
    """How items are linked, and how a user's past asks for what it is linked to.

    ridge, lasting, decay: of EASE, see trainer/links/ease.py
    near_decay, within: of transitions, see trainer/links/nearness.py
    neighbour_half_life, transition_half_life: places after which an event asks half as loudly
    neighbour_had: the part of the neighbours' query that is everything had, whenever
    """

    ridge: float = 200.0
    lasting: float = 0.05
    decay: float = 0.9
    near_decay: float = 0.9
    within: float = 1.0
    neighbour_half_life: float = 7.0
    transition_half_life: float = 3.0
    neighbour_had: float = 0.0


def neighbours(
    events: Events,
    weights: sparse.csr_array,
    rule: LinkRule,
    count: int,
    cap: int = CAP,
    wanted: npt.NDArray[np.bool_] | None = None,
) -> tuple[Rows, Floats]:
    """Rows (n, count) and weights (n, count), strongest first, padded with -1 and 0.

    events: positive ones; weights (users, n): faded weights, for the items beyond the cap
    wanted (n,): which of those beyond the cap are asked for, the others come out empty; None means all
    """
    among = capped(events, cap)
    rows, found = np.full((events.item_count, count), -1, dtype=np.int32), np.zeros((events.item_count, count), "f4")
    counts = np.bincount(events.items, minlength=events.item_count)
    beyond = np.flatnonzero((among.column_of < 0) & (counts > 0) & (True if wanted is None else wanted))
    if len(beyond):
        rows[beyond], found[beyond] = cosines(weights, count, beyond)
    if len(among.items):
        strongest = _strongest_of(ease(gram(events, among, rule.lasting, rule.decay), rule.ridge), count)
        if len(beyond):
            found[beyond] *= _scale(strongest[1], found[beyond])
        width = strongest[0].shape[1]
        rows[among.items, :width] = np.where(strongest[0] >= 0, among.items[strongest[0]], -1)
        found[among.items, :width] = strongest[1]
    return rows, found


def transitions(events: Events, rule: LinkRule, count: int) -> tuple[Rows, Floats]:
    """The same for what stands near an item in the histories of users; weights in [0, 1]."""
    rows, found = near_rows(events, rule.near_decay, rule.within, ROW_POWER, COLUMN_POWER, NEAR_SHRINKAGE, count)
    top = found.max(initial=0.0)
    return rows, found / top if top > 0 else found


def blocks(costs: npt.NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """From where to where rows are multiplied at once: as many as cost BLOCK_PRODUCTS_MAX together, one at least.

    costs (r,): entries of each row's product before duplicates are summed
    """
    total, begin = np.cumsum(costs), 0
    while begin < len(total):
        before = total[begin - 1] if begin else 0.0
        end = max(int(np.searchsorted(total, before + BLOCK_PRODUCTS_MAX)), begin + 1)
        yield begin, end
        begin = end


def cosines(weights: sparse.csr_array, count: int, of: npt.NDArray[np.int64]) -> tuple[Rows, Floats]:
    """Shrunk cosines of users' log weights: rows and weights (len(of), count) of the items `of`, best first."""
    x = _strongest(weights, ITEMS_A_USER_MAX)
    x.data = np.log1p(x.data)
    norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).ravel()).astype(np.float32)
    by_item = sparse.csr_array(sparse.csr_array(x.T)[of])
    costs = by_item.astype(bool).astype(np.float64) @ np.diff(x.indptr).astype(np.float64)
    rows, found = np.full((len(of), count), -1, dtype=np.int32), np.zeros((len(of), count), dtype=np.float32)
    for begin, end in blocks(costs):
        product = sparse.csr_array(by_item[begin:end] @ x)
        product.sort_indices()
        for place in range(begin, end):
            part = slice(product.indptr[place - begin], product.indptr[place - begin + 1])
            columns = product.indices[part]
            mine = (product.data[part] / (norms[of[place]] * norms[columns] + COSINE_SHRINKAGE)).astype(np.float32)
            mine[columns == of[place]] = 0.0
            best = _best(mine, count)
            best = best[mine[best] > 0]
            rows[place, : len(best)], found[place, : len(best)] = columns[best], mine[best]
    return rows, found


def _strongest_of(links: Floats, count: int) -> tuple[Rows, Floats]:
    """The `count` entries of each row that say most, for or against, strongest first; 0 says nothing."""
    width = min(count, max(len(links) - 1, 0))
    rows, found = np.full((len(links), width), -1, dtype=np.int32), np.zeros((len(links), width), dtype=np.float32)
    for place, row in enumerate(links):
        best = _best(np.abs(row), width)
        best = best[row[best] != 0]
        rows[place, : len(best)], found[place, : len(best)] = best, row[best]
    return rows, found


def _best(values: Floats, count: int) -> npt.NDArray[np.int64]:
    """Places of the `count` largest, largest first, equals by place. Sorts what can enter alone."""
    if len(values) <= 2 * count or not count:
        return np.argsort(-values, kind="stable")[:count]
    near = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return near[np.argsort(-values[near], kind="stable")[:count]]


def _scale(ours: Floats, theirs: Floats) -> np.float32:
    """What brings the strongest link of a typical row of `theirs` to that of `ours`."""
    tops = [float(np.median(part.max(axis=1))) if part.size else 0.0 for part in (ours, theirs)]
    return np.float32(tops[0] / tops[1]) if tops[0] > 0 and tops[1] > 0 else np.float32(1.0)


def _strongest(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """Each row's `count` largest entries; of equal ones those of lower columns."""
    sizes = np.diff(matrix.indptr)
    if not len(sizes) or sizes.max() <= count:
        return matrix.copy()
    row = np.repeat(np.arange(matrix.shape[0]), sizes)
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = np.sort(order[np.arange(len(row)) - matrix.indptr[row] < count])
    return sparse.csr_array((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)
