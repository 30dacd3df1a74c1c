"""The arrays of a bundle: what is known of the items, and what must hold of it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from interests.errors import BundleRejected
from interests.item_content import BUCKETS
from interests.manifest import Manifest

CONTENT_FEATURES_MAX = 1 << 20  # a profile of content is as long as the largest id of a feature

StringTable = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class BundleArrays:
    """What is known of the items; n items, T topics, row i of each array is item i.

    item_vectors (n, dim) float32          unit rows, the space that interests live in
    item_factors (n, factor_dim) float32   the matrix factorisation's items
    item_topic_ids (n, m) int32            topics of an item, -1 where it has fewer than m
    item_topic_shares (n, m) float32       their shares; a row sums to 1, or to 0 without topics
    neighbour_rows (n, M) int32            items that go with this one, best first, -1 padded
    neighbour_weights (n, M) float32       how strongly; below 0 where one speaks against the other
    transition_rows, transition_weights    the same for items that come after this one
    popularity (n,) float32                long-term share of interactions on a log scale, in [0, 1]
    recent_popularity (n,) float32         the same over the last weeks before the cut-off
    first_seen_ms (n,) int64               when the item first appeared, 0 where unknown
    available (n,) bool                    False: in no slate
    topic_vectors (T, dim) float32         unit rows, mean of a topic's items
    topic_shares (T,) float32              each topic's share of recent interactions, sums to 1
    item_ids, item_titles, topic_names     string tables: (bytes uint8, offsets int64 of length count + 1)
    content_ids (n, c) int32               features of what the catalogue says of the item, -1 padded; c 0: none known
    content_weights (n, c) float32         how strongly, >= 0
    content_vectors (n, d) float32         encoded texts; d 0: none. With content_weights unit rows, or zeros
    repeat_rates (n,) float32              how likely who had the item is to turn to it again, in [0, 1]
    visit_shares (n,) float32              mean share of the item in the timestamp groups it is in, in [0, 1]
    debut_popularity (n,) float32          as recent_popularity, of first acts of a user with the item alone
    content_idf (b,) float32               how much each bucket of hashed features tells; b 0: unknown
    content_map (b + d, dim) float32       from features to item space: a place for an item that is new

    OPTIONAL ones may be missing in a directory written before they were known.
    """

    item_vectors: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]
    item_topic_ids: npt.NDArray[np.int32]
    item_topic_shares: npt.NDArray[np.float32]
    neighbour_rows: npt.NDArray[np.int32]
    neighbour_weights: npt.NDArray[np.float32]
    transition_rows: npt.NDArray[np.int32]
    transition_weights: npt.NDArray[np.float32]
    popularity: npt.NDArray[np.float32]
    recent_popularity: npt.NDArray[np.float32]
    first_seen_ms: npt.NDArray[np.int64]
    available: npt.NDArray[np.bool_]
    topic_vectors: npt.NDArray[np.float32]
    topic_shares: npt.NDArray[np.float32]
    item_ids_bytes: npt.NDArray[np.uint8]
    item_ids_offsets: npt.NDArray[np.int64]
    item_titles_bytes: npt.NDArray[np.uint8]
    item_titles_offsets: npt.NDArray[np.int64]
    topic_names_bytes: npt.NDArray[np.uint8]
    topic_names_offsets: npt.NDArray[np.int64]
    content_ids: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int32))
    content_weights: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    content_vectors: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    repeat_rates: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    visit_shares: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    debut_popularity: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    content_idf: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    content_map: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

    def __post_init__(self) -> None:
        # Row by row in memory, as they lie on disk: compiled readers take no other layout.
        for each in fields(self):
            if not getattr(self, each.name).flags.c_contiguous:
                object.__setattr__(self, each.name, np.ascontiguousarray(getattr(self, each.name)))
        # Without content every item has a row of no features, so that readers need not ask.
        if self.content_ids.shape == (0, 0):
            n = len(self.item_vectors)
            object.__setattr__(self, "content_ids", np.zeros((n, 0), dtype=np.int32))
            object.__setattr__(self, "content_weights", np.zeros((n, 0), dtype=np.float32))
        if self.content_vectors.shape == (0, 0):
            object.__setattr__(self, "content_vectors", np.zeros((len(self.item_vectors), 0), dtype=np.float32))
        if self.content_map.shape == (0, 0):
            object.__setattr__(self, "content_map", np.zeros((0, self.item_vectors.shape[1]), dtype=np.float32))
        for name in PER_ITEM:
            if getattr(self, name).shape == (0,):
                object.__setattr__(self, name, np.zeros(len(self.item_vectors), dtype=np.float32))


HALVED = ("item_vectors", "item_factors", "content_vectors")  # may lie on disk as float16
PER_ITEM = ("repeat_rates", "visit_shares", "debut_popularity")  # zeros where they are missing
OPTIONAL = ("content_ids", "content_weights", "content_vectors", "content_idf", "content_map", *PER_ITEM)


def check_arrays(path: Path, manifest: Manifest, arrays: BundleArrays) -> None:
    """Raise BundleRejected where shapes, types, ranges or finiteness are not as BundleArrays promises."""
    n, topics = manifest.item_count, manifest.topic_count
    for name in ("item_topic_ids", "neighbour_rows", "transition_rows", "content_ids"):
        if getattr(arrays, name).ndim != 2:
            raise BundleRejected(f"{path / name}.npy: has {getattr(arrays, name).ndim} dimensions, expected 2")
    m, width, steps = arrays.item_topic_ids.shape[-1], arrays.neighbour_rows.shape[-1], arrays.transition_rows.shape[-1]
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "item_vectors": ((n, manifest.dim), "f4"),
        "item_factors": ((n, manifest.factor_dim), "f4"),
        "item_topic_ids": ((n, m), "i4"),
        "item_topic_shares": ((n, m), "f4"),
        "neighbour_rows": ((n, width), "i4"),
        "neighbour_weights": ((n, width), "f4"),
        "transition_rows": ((n, steps), "i4"),
        "transition_weights": ((n, steps), "f4"),
        "popularity": ((n,), "f4"),
        "recent_popularity": ((n,), "f4"),
        "first_seen_ms": ((n,), "i8"),
        "available": ((n,), "b1"),
        "topic_vectors": ((topics, manifest.dim), "f4"),
        "topic_shares": ((topics,), "f4"),
        "repeat_rates": ((n,), "f4"),
        "visit_shares": ((n,), "f4"),
        "debut_popularity": ((n,), "f4"),
        "content_ids": ((n, arrays.content_ids.shape[-1]), "i4"),
        "content_weights": ((n, arrays.content_ids.shape[-1]), "f4"),
        "content_vectors": ((n, arrays.content_vectors.shape[-1]), "f4"),
        **_content_shapes(manifest, arrays),
    }
    for name, (shape, kind) in shapes.items():
        array = getattr(arrays, name)
        if array.shape != shape or array.dtype != np.dtype(kind):
            raise BundleRejected(f"{path / name}.npy: is {array.dtype} {array.shape}, expected {kind} {shape}")
        if kind == "f4" and not np.isfinite(array).all():
            raise BundleRejected(f"{path / name}.npy: holds NaN or infinity")
    for name, limit in (
        ("item_topic_ids", topics),
        ("neighbour_rows", n),
        ("transition_rows", n),
        ("content_ids", CONTENT_FEATURES_MAX),
    ):
        array = getattr(arrays, name)
        if array.size and (array.min() < -1 or array.max() >= limit):
            raise BundleRejected(f"{path / name}.npy: points outside 0 to {limit - 1}")
    for name in ("neighbour_rows", "transition_rows"):
        array = getattr(arrays, name)
        if ((array[:, :-1] < 0) & (array[:, 1:] >= 0)).any():  # readers stop at the first -1
            raise BundleRejected(f"{path / name}.npy: holds a link behind the padding of its row")
    norms = np.linalg.norm(arrays.item_vectors, axis=1)
    if np.abs(norms - 1.0).max() > 1e-3:
        raise BundleRejected(f"{path / 'item_vectors.npy'}: row {int(np.abs(norms - 1.0).argmax())} has not length 1")
    for table, count in (("item_ids", n), ("item_titles", n), ("topic_names", topics)):
        _check_strings(path / table, getattr(arrays, f"{table}_bytes"), getattr(arrays, f"{table}_offsets"), count)
    if len(set(string_list(arrays.item_ids_bytes, arrays.item_ids_offsets))) != n:
        raise BundleRejected(f"{path / 'item_ids_bytes.npy'}: names an item twice")


def _content_shapes(manifest: Manifest, arrays: BundleArrays) -> dict[str, tuple[tuple[int, ...], str]]:
    if not len(arrays.content_idf):
        return {"content_idf": ((0,), "f4"), "content_map": ((0, manifest.dim), "f4")}
    features = BUCKETS + arrays.content_vectors.shape[-1]
    return {"content_idf": ((BUCKETS,), "f4"), "content_map": ((features, manifest.dim), "f4")}


def _check_strings(table: Path, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], count: int) -> None:
    if data.dtype != np.uint8 or offsets.dtype != np.int64 or data.ndim != 1 or offsets.shape != (count + 1,):
        raise BundleRejected(f"{table}_offsets.npy: is not a string table of {count} entries")
    if offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise BundleRejected(f"{table}_offsets.npy: offsets do not fit the bytes")
    try:
        string_list(data, offsets)
    except UnicodeDecodeError:
        raise BundleRejected(f"{table}_bytes.npy: is not UTF-8") from None


def string_table(strings: Sequence[str]) -> StringTable:
    """Strings as one array of bytes and one of offsets, so that they can be memory-mapped."""
    encoded = [string.encode() for string in strings]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


def string_list(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> list[str]:
    """What `string_table` was given."""
    whole, ends = data.tobytes(), offsets.tolist()
    return [whole[start:end].decode() for start, end in itertools.pairwise(ends)]
