"""Items that came after a bundle was made, placed into it by what the catalogue says of them alone.

    features = see interests/item_content.py
    vector   = unit(features content_map), as of an item of the bundle that nobody ever turned to; where that says
               nothing, the unit mean of its topics' vectors

A newcomer has no interactions, so popularity, factor, links and rates are 0 and it is found as such items are: near
the user's interests, by content, as fresh. One of which nothing is known, neither a category that is a topic nor a
word that leads anywhere, has no place. A bundle that was trained with encoded texts reads newcomers by their words, as
it reads items without a text. Pure: the same bundle and newcomers give the same bundle, whatever came first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.bundle_arrays import BundleArrays, string_table
from interests.item_content import BUCKETS, Told, bucket, features, strongest, words

CHUNK = 1000  # newcomers whose features are in memory at one time: 16 MB
_LENGTH_MIN = 1e-6
_PADDED = ("neighbour_rows", "transition_rows")
_EMPTY = (
    "item_factors", "neighbour_weights", "transition_weights", "popularity", "recent_popularity", "content_vectors",
    "repeat_rates", "visit_shares", "debut_popularity",
)  # fmt: skip

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is said of one; first_seen_ms None where nobody said when it appeared."""

    item_id: str
    told: Told
    is_available: bool = True
    first_seen_ms: int | None = None


def has_place(bundle: Bundle, told: Told, topic_of: dict[str, int]) -> bool:
    """True where something leads from what is said into this bundle. topic_of: topic by its name"""
    if any(name in topic_of for name in told.categories):
        return True
    by = bundle.arrays.content_map
    return len(by) > 0 and any(by[bucket(*word)].any() for word in words(told))


def with_newcomers(bundle: Bundle, newcomers: Sequence[Newcomer]) -> Bundle:
    """The same bundle with a row for each behind its own, in this order. All must have a place. O(items) copies.

    Its version stays: what it learned is the same.
    """
    if not newcomers:
        return bundle
    arrays, count = bundle.arrays, len(newcomers)
    added: dict[str, npt.NDArray[Any]] = {}
    for name, filled in (*((name, -1) for name in _PADDED), *((name, 0) for name in _EMPTY)):
        array = getattr(arrays, name)
        added[name] = np.full((count, *array.shape[1:]), filled, dtype=array.dtype)
    topic_of = {name: topic for topic, name in enumerate(bundle.topic_names)}
    width = arrays.item_topic_ids.shape[1]
    shares = [topics_of(one.told.categories, topic_of, width) for one in newcomers]
    added["item_topic_ids"] = np.array([ids for ids, _ in shares], dtype=np.int32).reshape(count, width)
    added["item_topic_shares"] = np.array([share for _, share in shares], dtype=np.float32).reshape(count, width)
    added["available"] = np.array([one.is_available for one in newcomers], dtype=np.bool_)
    # It is newer than all that was learned from, unless somebody says when it came.
    seen = [bundle.manifest.cutoff_ms if one.first_seen_ms is None else one.first_seen_ms for one in newcomers]
    added["first_seen_ms"] = np.array(seen, dtype=np.int64)
    placed = [_placed(bundle, newcomers[at : at + CHUNK]) for at in range(0, count, CHUNK)]
    for name, parts in zip(("item_vectors", "content_ids", "content_weights"), zip(*placed, strict=True), strict=True):
        added[name] = np.concatenate(parts)
    _by_topic(arrays, added)
    joined = {name: np.concatenate([getattr(arrays, name), rows]) for name, rows in added.items()}
    joined |= _strings(arrays, "item_ids", [one.item_id for one in newcomers])
    joined |= _strings(arrays, "item_titles", [one.told.title for one in newcomers])
    manifest = bundle.manifest.model_copy(update={"item_count": bundle.manifest.item_count + count})
    return replace(bundle, manifest=manifest, arrays=replace(arrays, **joined))


def topics_of(names: Sequence[str], topic_of: dict[str, int], width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Topics (width,), -1 padded, and equal shares of the categories that have one."""
    topics, shares = np.full(width, -1, dtype=np.int32), np.zeros(width, dtype=np.float32)
    known = list(dict.fromkeys(topic_of[name] for name in names if name in topic_of))[:width]
    topics[: len(known)], shares[: len(known)] = known, 1.0 / max(len(known), 1)
    return topics, shares


def _placed(bundle: Bundle, newcomers: Sequence[Newcomer]) -> tuple[Floats, npt.NDArray[np.int32], Floats]:
    """Vectors, zeros where the words lead nowhere, and the features that are served."""
    arrays, count = bundle.arrays, len(newcomers)
    width = arrays.content_ids.shape[1]
    if not len(arrays.content_map):
        nothing = np.full((count, width), -1, dtype=np.int32), np.zeros((count, width), dtype=np.float32)
        return np.zeros((count, bundle.manifest.dim), dtype=np.float32), *nothing
    found = features([one.told for one in newcomers], arrays.content_idf)
    return _unit(found @ arrays.content_map[:BUCKETS]), *strongest(found, width)


def _by_topic(arrays: BundleArrays, added: dict[str, npt.NDArray[Any]]) -> None:
    """Vectors that are zeros become the mean of their topics', and where they have none that of all topics."""
    lost = np.flatnonzero(~added["item_vectors"].any(axis=1))
    topics, shares = added["item_topic_ids"][lost], added["item_topic_shares"][lost]
    vectors = (
        np.einsum("nm,nmd->nd", shares, arrays.topic_vectors[topics]) if topics.size else added["item_vectors"][lost]
    )
    nowhere = np.linalg.norm(vectors, axis=1) < _LENGTH_MIN
    if nowhere.any():
        vectors[nowhere] = arrays.topic_shares @ arrays.topic_vectors + np.float32(_LENGTH_MIN)
    added["item_vectors"][lost] = _unit(vectors)


def _unit(rows: Floats) -> Floats:
    """Rows of length 1; those that are next to nothing become zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = np.where(lengths < _LENGTH_MIN, 0.0, rows / np.maximum(lengths, _LENGTH_MIN)).astype(np.float32)
    return scaled


def _strings(arrays: BundleArrays, table: str, added: list[str]) -> dict[str, npt.NDArray[Any]]:
    data, offsets = getattr(arrays, f"{table}_bytes"), getattr(arrays, f"{table}_offsets")
    more, ends = string_table(added)
    return {
        f"{table}_bytes": np.concatenate([data, more]),
        f"{table}_offsets": np.concatenate([offsets, offsets[-1] + ends[1:]]),
    }
