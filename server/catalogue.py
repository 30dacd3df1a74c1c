"""The live catalogue: what was said of items since the bundle was made, laid over it.

    UpsertItems or the topic `items` ▶ durable ▶ take ▶ the served bundle's own arrays ▶ every slate from then on

What is said is kept by item id, so it outlives bundles: a new one is laid over as it is loaded, and an item that no
bundle knows waits for one that does. A slate made before a change may still be served where the change only closed or
priced items that are not in it; where something was opened it is made again, for it might now hold that.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.bundle_arrays import BundleArrays
from server.items import Item

LAID_MAX = 2  # bundles that may serve again: this one and the one before
REMEMBERED = 256  # changes that a slate made before them is held against; older slates are made again

_OWN = ("available", "item_topic_ids", "item_topic_shares")


class Changed(NamedTuple):
    """What a change did to slates: ids of items that left them or whose price moved, and whether others may enter."""

    touched: frozenset[str]
    opened: bool


class _Before(NamedTuple):
    """What the bundle itself says of one item."""

    available: bool
    topics: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]


class Catalogue:
    """What was said of items, and the bundle that it is laid over now. Used from the event loop alone."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._bundle: Bundle | None = None
        self._before: dict[int, _Before] = {}
        self._laid: list[tuple[Bundle, dict[int, _Before]]] = []
        self._topic_of: dict[str, int] = {}
        self._recent: deque[tuple[int, frozenset[str]]] = deque(maxlen=REMEMBERED)
        self._opened_at = self._forgotten_at = 0
        self.revision = 0
        self.fingerprint = 0
        self.prices: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._items)

    def merged(self, said: Iterable[Item]) -> list[Item]:
        """These items with all that was said of each before."""
        return [self._items[item.item_id].then(item) if item.item_id in self._items else item for item in said]

    def lay_over(self, bundle: Bundle) -> None:
        """Go on with another bundle, whose arrays must be its own (see `own_arrays`). All older slates are void."""
        self._bundle = bundle
        self._before = next((before for laid, before in self._laid if laid is bundle), {})
        self._laid = [*(each for each in self._laid if each[0] is not bundle), (bundle, self._before)][-LAID_MAX:]
        for row, told in self._before.items():  # it was served before, and what was said then may be taken back
            _restore(bundle.arrays, row, told)
        self._topic_of = {name: topic for topic, name in enumerate(bundle.topic_names)}
        self.fingerprint = 0
        for item in self._items.values():
            self._write(item)
        self._note(Changed(frozenset(), opened=True))

    def take(self, items: Iterable[Item]) -> Changed:
        """Let these items, whole, count from now on; one of which nothing is said any more is as the bundle has it."""
        touched: set[str] = set()
        opened = False
        for item in items:
            before = self._items.get(item.item_id, Item(item.item_id))
            if item == Item(item.item_id):
                self._items.pop(item.item_id, None)
            else:
                self._items[item.item_id] = item
            was_open = self._is_open(item.item_id)
            if _live(item) != _live(before) and self._write(item, before):
                touched.add(item.item_id)
                opened |= item.categories != before.categories or self._is_open(item.item_id) > was_open
        changed = Changed(frozenset(touched), opened)
        if touched:
            self._note(changed)
        return changed

    def holds(self, item_ids: Iterable[str], revision: int) -> bool:
        """True where a slate of these items, made at that revision, is still right."""
        if revision == self.revision:
            return True
        if revision < max(self._opened_at, self._forgotten_at):
            return False
        return all(touched.isdisjoint(item_ids) for at, touched in self._recent if at > revision)

    def waiting(self, items: Iterable[Item]) -> list[str]:
        """Ids of those that the served bundle does not know."""
        return [item.item_id for item in items if self._row(item.item_id) is None]

    def unknown_categories(self, items: Iterable[Item]) -> list[str]:
        """Names that no topic of the served bundle has."""
        names = dict.fromkeys(name for item in items for name in item.categories or ())
        return [name for name in names if name not in self._topic_of]

    def _row(self, item_id: str) -> int | None:
        return self._bundle.row_of.get(item_id) if self._bundle else None

    def _is_open(self, item_id: str) -> bool:
        row = self._row(item_id)
        return row is not None and self._bundle is not None and bool(self._bundle.arrays.available[row])

    def _note(self, changed: Changed) -> None:
        self.revision += 1
        if changed.opened:
            self._opened_at = self.revision
            self._recent.clear()
            return
        if len(self._recent) == REMEMBERED:
            self._forgotten_at = self._recent[0][0]
        self._recent.append((self.revision, changed.touched))

    def _write(self, item: Item, before: Item | None = None) -> bool:
        """Put what is said of one item into the bundle's arrays; False where the bundle does not know it."""
        row = self._row(item.item_id)
        if row is None or self._bundle is None:
            return False
        arrays = self._bundle.arrays
        if row not in self._before:
            topics, shares = arrays.item_topic_ids[row].copy(), arrays.item_topic_shares[row].copy()
            self._before[row] = _Before(bool(arrays.available[row]), topics, shares)
        told = self._before[row]
        arrays.available[row] = told.available if item.available is None else item.available
        topics, shares = self._topics(item.categories, told)
        arrays.item_topic_ids[row], arrays.item_topic_shares[row] = topics, shares
        if item.price is None:
            self.prices.pop(item.item_id, None)
        else:
            self.prices[item.item_id] = item.price
        self.fingerprint ^= _hash(item) ^ (_hash(before) if before else 0)
        return True

    def _topics(
        self, names: tuple[str, ...] | None, told: _Before
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        if names is None:
            return told.topics, told.shares
        topics, shares = np.full_like(told.topics, -1), np.zeros_like(told.shares)
        known = list(dict.fromkeys(self._topic_of[name] for name in names if name in self._topic_of))[: len(topics)]
        topics[: len(known)], shares[: len(known)] = known, 1.0 / max(len(known), 1)
        return topics, shares


def _restore(arrays: BundleArrays, row: int, told: _Before) -> None:
    arrays.available[row] = told.available
    arrays.item_topic_ids[row], arrays.item_topic_shares[row] = told.topics, told.shares


def own_arrays(bundle: Bundle) -> Bundle:
    """The same bundle, with arrays of its own where the catalogue writes.

    Memory-mapped ones are mapped copy-on-write: what is not written stays shared with the other workers.
    """
    arrays: Mapping[str, npt.NDArray[Any]] = {
        field.name: getattr(bundle.arrays, field.name) for field in fields(BundleArrays)
    }
    own = {name: _own(array) if name in _OWN else np.asarray(array) for name, array in arrays.items()}
    return replace(bundle, arrays=replace(bundle.arrays, **own))


def _own(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    mapped = array if isinstance(array, np.memmap) else array.base
    if isinstance(mapped, np.memmap) and mapped.filename and mapped.shape == array.shape and array.size:
        order: Literal["C", "F"] = "F" if array.flags.fnc else "C"
        own = np.memmap(mapped.filename, array.dtype, "c", mapped.offset, array.shape, order)
        return np.asarray(own)
    return array.copy()


def _live(item: Item) -> tuple[object, ...]:
    """What counts in slates."""
    return item.available, item.price, item.categories


def _hash(item: Item) -> int:
    """32 bits of what counts, 0 for nothing; the same in every process. Together they make a fingerprint by XOR."""
    if _live(item) == (None, None, None):
        return 0
    told = repr((item.item_id, *_live(item))).encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=4).digest(), "big")
