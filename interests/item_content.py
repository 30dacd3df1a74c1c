"""What the catalogue says of one item as numbers: the same at the trainer and, for an item that is new, at the server.

    features  hashed categories, title and text words, brand and price step; idf weighted, a unit row  (BUCKETS,)

idf[b] = log(1 + items / items that have a feature in bucket b), counted by the trainer and carried by the bundle.
Hashing: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
"""

import math
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BUCKETS = 2048
WORDS_AN_ITEM_MAX = 64
FEATURES_AN_ITEM_MAX = 24  # of those that are served: rare ones first
KINDS = {"category": 2.0, "brand": 1.0, "title": 1.0, "text": 0.5, "price": 0.5}

Floats = npt.NDArray[np.float32]


class Told(NamedTuple):
    """What the catalogue says of one item; price NaN where it is unknown."""

    categories: Sequence[str] = ()
    brand: str = ""
    title: str = ""
    text: str = ""
    price: float = math.nan


def words(told: Told) -> Iterator[tuple[str, str]]:
    """(kind, word) of all that is said, words of a text once each."""
    for category in told.categories:
        yield "category", category.lower()
    if told.brand:
        yield "brand", told.brand.lower()
    for kind, text in (("title", told.title), ("text", told.text)):
        for word in dict.fromkeys(re.findall(r"\w+", text.lower())[:WORDS_AN_ITEM_MAX]):
            yield kind, word
    if math.isfinite(told.price) and told.price > 0:
        yield "price", str(round(2 * math.log2(told.price)))


def bucket(kind: str, word: str) -> int:
    """Where a word is counted; the same in every process."""
    return zlib.crc32(f"{kind}:{word}".encode()) % BUCKETS


def idf(items_by_bucket: npt.NDArray[np.int64], item_count: int) -> npt.NDArray[np.float64]:
    """How much a bucket tells (BUCKETS,). items_by_bucket: of how many items it has a feature."""
    weights: npt.NDArray[np.float64] = np.log1p(item_count / np.maximum(items_by_bucket, 1))
    return weights


def features(told: Sequence[Told], weights: npt.NDArray[np.floating]) -> Floats:
    """Unit rows (t, BUCKETS), zeros where nothing is said. weights: `idf` of the catalogue"""
    found = np.zeros((len(told), BUCKETS))
    for row, one in enumerate(told):
        for kind, word in words(one):
            found[row, bucket(kind, word)] += KINDS[kind]
    found *= weights
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return found.astype(np.float32)


def strongest(found: Floats, width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """The `width` strongest features of each row as (ids (t, width), weights (t, width)), -1 and 0 padded.

    The weights of a row are as long as all of its features were; of equal ones the lower bucket comes first.
    """
    if not width:
        return np.zeros((len(found), 0), dtype=np.int32), np.zeros((len(found), 0), dtype=np.float32)
    ids = np.argsort(-found, axis=1, kind="stable")[:, :width].astype(np.int32)
    kept = np.take_along_axis(found, ids, axis=1)
    ids[kept <= 0] = -1
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    kept *= lengths / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-12)
    return ids, kept.astype(np.float32)
