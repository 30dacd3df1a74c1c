"""A vector for an item from what the catalogue says of it, so that an item without interactions has a place too.

    features  hashed categories, title and text words, brand and price step; idf weighted, unit rows  (n, BUCKETS)
    content   = features A, a map learned from items with interactions; see trainer/content/adapter.py
    vector    = unit(confidence * learned + (1 - confidence) * content),  confidence = count / (count + TRUST_COUNT)

Hashing: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
"""

import math
import re
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.catalogue import Catalogue
from trainer.content.adapter import mapping, pairs_of

BUCKETS = 2048
TRUST_COUNT = 3.0
WORDS_AN_ITEM_MAX = 64
FEATURES_AN_ITEM_MAX = 24  # of those that are served: rare ones first
KINDS = (("category", 2.0), ("brand", 1.0), ("title", 1.0), ("text", 0.5), ("price", 0.5))

Floats = npt.NDArray[np.float32]


def features(catalogue: Catalogue) -> sparse.csr_array:
    """Hashed features (n, BUCKETS), unit rows; a row of zeros where the catalogue says nothing of the item."""
    known = dict(KINDS)
    cache: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    data: list[float] = []
    for row in range(len(catalogue)):
        for kind, word in _words(catalogue, row):
            token = f"{kind}:{word}"
            column = cache.get(token)
            if column is None:
                column = cache[token] = zlib.crc32(token.encode()) % BUCKETS
            rows.append(row)
            columns.append(column)
            data.append(known[kind])
    matrix = sparse.csr_array((data, (rows, columns)), shape=(len(catalogue), BUCKETS), dtype=np.float64)
    seen = np.bincount(matrix.indices, minlength=BUCKETS)
    matrix.data *= np.log1p(len(catalogue) / np.maximum(seen, 1))[matrix.indices]
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(matrix.indptr))
    return matrix


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


def content_vectors(
    described: sparse.csr_array,
    learned: Floats,
    counts: npt.NDArray[np.int64],
    beside: tuple[npt.NDArray[np.int32], Floats] | None = None,
    seed: int = 0,
) -> Floats:
    """What content alone says of every item (n, d), by a map fitted to items with interactions (see adapter.py).

    beside: neighbour lists, rows and weights; with them the map may be learned by contrast, else it is a regression
    """
    pairs = pairs_of(*beside, counts) if beside else None
    predicted: Floats = (described @ mapping(described, learned, counts, pairs, seed)).astype(np.float32)
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


def _words(catalogue: Catalogue, row: int) -> Iterator[tuple[str, str]]:
    for category in catalogue.categories[row]:
        yield "category", category.lower()
    if catalogue.brands[row]:
        yield "brand", catalogue.brands[row].lower()
    for kind, text in (("title", catalogue.titles[row]), ("text", catalogue.texts[row])):
        for word in dict.fromkeys(re.findall(r"\w+", text.lower())[:WORDS_AN_ITEM_MAX]):
            yield kind, word
    price = catalogue.price[row]
    if math.isfinite(price) and price > 0:
        yield "price", str(round(2 * math.log2(price)))
