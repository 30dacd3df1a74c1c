"""Items without one interaction, among the neighbours of those that have some: what is asked for with an item asks for
what is like it.

    g[i, j]  = f_i . f_j                                                 f: content features, unit rows
    a        = argmin sum over warm pairs alike (w[i, j] - a g[i, j])^2  = sum w g / sum g^2
    w[i, j]  = a g[i, j]                                                 for each j without interactions

so the weights of cold items stand where item-item weights of equal likeness stand on average. Each item gives up at
most COLD_SLOTS of its weakest neighbours. Alignment of item-item weights to content, in closed form: Monteil et al.,
"MARec: metadata alignment for cold-start recommendation", RecSys 2024, arXiv 2404.13298; here with one scale.
"""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.links.neighbours import blocks

COLD_SLOTS = 8
ALIKE = 16  # content neighbours an item, to measure the alignment by
ALIGNMENT_ITEMS_MAX = 4_000
PRODUCTS_MAX = 150_000_000  # of two features met; the commonest features are left out where there would be more

Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


def with_cold(rows: Rows, weights: Floats, described: sparse.csr_array, counts: Longs) -> tuple[Rows, Floats]:
    """The neighbour lists (n, M), best first, then -1 padded, with cold items behind the others in those of warm ones.

    described (n, buckets): content features, unit rows; counts (n,): interactions of each item
    """
    said = np.diff(described.indptr) > 0
    warm, cold = np.flatnonzero((counts > 0) & said), np.flatnonzero((counts == 0) & said)
    slots = min(COLD_SLOTS, rows.shape[1])
    scale = alignment(rows, weights, described, warm)
    if not len(warm) or not len(cold) or not scale > 0:
        return rows, weights
    alike, likeness = most_alike(described, warm, cold, slots)
    given = np.where(alike >= 0, scale * likeness, 0.0).astype(np.float32)
    width = rows.shape[1]
    room = width - (alike >= 0).sum(axis=1)
    both_rows = np.concatenate([np.where(np.arange(width) < room[:, None], rows[warm], -1), alike], axis=1)
    both = np.where(both_rows >= 0, np.concatenate([weights[warm], given], axis=1), np.float32(0))
    order = np.argsort(both_rows < 0, axis=1, kind="stable")[:, :width]  # padding last, all else as it stands
    rows, weights = rows.copy(), weights.copy()
    rows[warm] = np.take_along_axis(both_rows, order, axis=1)
    weights[warm] = np.take_along_axis(both, order, axis=1)
    return rows, weights


def alignment(rows: Rows, weights: Floats, described: sparse.csr_array, warm: Longs) -> float:
    """What a likeness of 1 is worth as an item-item weight, between the items that are most alike; 0 where unknown."""
    if len(warm) < 2:
        return 0.0
    asked = warm[:: -(-len(warm) // ALIGNMENT_ITEMS_MAX)]
    alike, likeness = most_alike(described, asked, warm, ALIKE + 1)
    itself = alike == asked[:, None]
    likeness = np.where(itself | (alike < 0), 0.0, likeness)
    listed = sparse.csr_array(
        (weights[asked].ravel(), (np.repeat(np.arange(len(asked)), rows.shape[1]), np.maximum(rows[asked], 0).ravel())),
        shape=(len(asked), len(rows)),
    )
    found = listed[np.repeat(np.arange(len(asked)), alike.shape[1]), np.maximum(alike, 0).ravel()]
    worth = np.asarray(found).reshape(alike.shape)
    total = float(np.square(likeness).sum())
    return float((worth * likeness).sum()) / total if total > 0 else 0.0


def most_alike(described: sparse.csr_array, asked: Longs, among: Longs, count: int) -> tuple[Rows, Floats]:
    """Rows (a, count) of `among` most like each of `asked`, best first, -1 padded, and how alike (cosine).

    Equals go to different items by turns, so that of many that are described alike each has somebody to ask for it.
    """
    left, right = _affordable(described[asked], described[among])
    right_by_feature = sparse.csr_array(right.T)
    costs = left.astype(bool).astype(np.float64) @ np.diff(right_by_feature.indptr).astype(np.float64)
    rows, found = np.full((len(asked), count), -1, dtype=np.int32), np.zeros((len(asked), count), dtype=np.float32)
    for begin, end in blocks(costs):
        product = sparse.csr_array(left[begin:end] @ right_by_feature)
        for place in range(end - begin):
            part = slice(product.indptr[place], product.indptr[place + 1])
            columns, values = product.indices[part], product.data[part]
            turn = (columns + begin + place) % 7919
            best = (
                np.lexsort((turn, -values.round(4)))[:count] if len(values) <= 4 * count else _best(values, turn, count)
            )
            rows[begin + place, : len(best)], found[begin + place, : len(best)] = among[columns[best]], values[best]
    return rows, found


def _best(values: npt.NDArray[np.float64], turn: Rows, count: int) -> Longs:
    enough = np.partition(values, len(values) - count)[len(values) - count] - 1e-4
    near = np.flatnonzero(values >= enough)
    best: Longs = near[np.lexsort((turn[near], -values[near].round(4)))[:count]]
    return best


def _affordable(left: sparse.csr_array, right: sparse.csr_array) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Both without the features that so many items share that comparing by them costs too much and tells least."""
    width = left.shape[1]
    costs = np.bincount(left.indices, minlength=width).astype(np.float64) * np.bincount(right.indices, minlength=width)
    order = np.argsort(costs, kind="stable")
    kept = np.zeros(width, dtype=np.float64)
    kept[order[np.cumsum(costs[order]) <= PRODUCTS_MAX]] = 1.0
    chosen = sparse.diags_array(kept)
    out = []
    for part in (left, right):
        part = sparse.csr_array(part @ chosen)
        part.eliminate_zeros()
        out.append(part)
    return out[0], out[1]
