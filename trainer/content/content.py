"""A vector for an item from what the catalogue says of it, so that an item without interactions has a place too.

features  see interests/item_content.py, which reads an item that comes later in the same way  (n, BUCKETS)
content   = features A, a map learned from items with interactions; see trainer/content/adapter.py
vector    = unit(confidence * learned + (1 - confidence) * content),  confidence = count / (count + TRUST_COUNT)
"""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.item_content import BUCKETS, FEATURES_AN_ITEM_MAX, KINDS, Told, bucket, idf, words
from trainer.catalogue import Catalogue
from trainer.content.adapter import mapping, pairs_of

TRUST_COUNT = 3.0

Floats = npt.NDArray[np.float32]


def features(catalogue: Catalogue) -> sparse.csr_array:
    """Hashed features (n, BUCKETS), unit rows; a row of zeros where the catalogue says nothing of the item."""
    cache: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    data: list[float] = []
    for row in range(len(catalogue)):
        for word in words(_told(catalogue, row)):
            column = cache.get(word)
            if column is None:
                column = cache[word] = bucket(*word)
            rows.append(row)
            columns.append(column)
            data.append(KINDS[word[0]])
    matrix = sparse.csr_array((data, (rows, columns)), shape=(len(catalogue), BUCKETS), dtype=np.float64)
    matrix.data *= content_idf(matrix)[matrix.indices]
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(matrix.indptr))
    return matrix


def content_idf(described: sparse.csr_array) -> npt.NDArray[np.float64]:
    """How much each bucket of hashed features (n, BUCKETS or more) tells (BUCKETS,)."""
    hashed = described.indices[described.indices < BUCKETS]
    return idf(np.bincount(hashed, minlength=BUCKETS), described.shape[0])


def content_table(described: sparse.csr_array) -> tuple[npt.NDArray[np.int32], Floats]:
    """The strongest FEATURES_AN_ITEM_MAX hashed features of each item as (ids (n, c), weights (n, c)), -1 and 0 padded.

    Weights of a row are as long as all of its hashed features were; c is what the fullest row needs.
    """
    hashed = sparse.csr_array(described[:, :BUCKETS])
    sizes = np.diff(hashed.indptr)
    row = np.repeat(np.arange(hashed.shape[0]), sizes)
    order = np.lexsort((hashed.indices, -hashed.data, row))
    place = np.arange(len(row)) - hashed.indptr[row]
    kept = place < FEATURES_AN_ITEM_MAX
    width = int(min(sizes.max(initial=0), FEATURES_AN_ITEM_MAX))
    ids = np.full((hashed.shape[0], width), -1, dtype=np.int32)
    weights = np.zeros((hashed.shape[0], width), dtype=np.float32)
    ids[row[kept], place[kept]] = hashed.indices[order][kept]
    weights[row[kept], place[kept]] = hashed.data[order][kept]
    lengths = np.sqrt(np.bincount(row, weights=np.square(hashed.data), minlength=hashed.shape[0]))
    return ids, unit(weights) * lengths[:, None].astype(np.float32)


def content_vectors(described: sparse.csr_array, learned: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """What content alone says of every item (n, d), by a `content_map` that is a regression."""
    return mapped(described, content_map(described, learned, counts))


def content_map(
    described: sparse.csr_array,
    learned: Floats,
    counts: npt.NDArray[np.int64],
    beside: tuple[npt.NDArray[np.int32], Floats] | None = None,
    seed: int = 0,
) -> Floats:
    """A (features, d), fitted to items with interactions (see adapter.py).

    beside: neighbour lists, rows and weights; with them the map may be learned by contrast, else it is a regression
    """
    pairs = pairs_of(*beside, counts) if beside else None
    return mapping(described, learned, counts, pairs, seed)


def mapped(described: sparse.csr_array, by: Floats) -> Floats:
    """Features (n, features) in item space (n, d)."""
    predicted: Floats = (described @ by).astype(np.float32)
    return predicted


def blend(learned: Floats, content: Floats, counts: npt.NDArray[np.int64], seed: int) -> Floats:
    """Unit rows (n, d): learned where there is evidence, content where there is none.

    An item with neither gets a direction of its own by `seed`, so that it is near nothing rather than near everything.
    """
    confidence = (counts / (counts + TRUST_COUNT)).astype(np.float32)[:, None]
    mixed = confidence * unit(learned) + (1.0 - confidence) * unit(content)
    empty = np.linalg.norm(mixed, axis=1) < 1e-6
    mixed[empty] = np.random.default_rng(seed).normal(size=(int(empty.sum()), mixed.shape[1]))
    return unit(mixed)


def unit(rows: Floats) -> Floats:
    """Rows of length 1; zeros stay zeros."""
    scaled: Floats = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return scaled


def _told(catalogue: Catalogue, row: int) -> Told:
    return Told(
        catalogue.categories[row],
        catalogue.brands[row],
        catalogue.titles[row],
        catalogue.texts[row],
        float(catalogue.price[row]),
    )
