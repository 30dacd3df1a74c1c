"""The live catalogue: what was said of items since the bundle was made, laid over it.

    UpsertItems or the topic `items` ▶ durable ▶ take ▶ the served bundle's own arrays ▶ every slate from then on

What is said is kept by item id, so it outlives bundles: a new one is laid over as it is loaded. Items that a bundle
does not know are placed into it by server/newcomers.py, and `arrivals` tells when there is something to place. A slate
made before a change may still be served where the change only closed or priced items that are not in it; where
something was opened it is made again, for it might now hold that.
"""

import hashlib
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.bundle_arrays import BundleArrays
from interests.item_content import Told, words
from interests.newcomers import has_place, topics_of
from server.items import Item

LAID_MAX = 2  # bundles that may serve again: this one and the one before
REMEMBERED = 256  # changes that a slate made before them is held against; older slates are made again

_OWN = ("available", "item_topic_ids", "item_topic_shares")


class Changed(NamedTuple):
    """What a change did to slates: ids of items that left them or whose price moved, and whether others may enter."""

    touched: frozenset[str]
    opened: bool


class Standing(NamedTuple):
    """How items stand in what is served: how many count now, how many are being placed, ids of what has no place."""

    live: int
    arriving: int
    waiting: list[str]


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
        self._base: Bundle | None = None
        self._before: dict[int, _Before] = {}
        self._laid: list[tuple[Bundle, dict[int, _Before]]] = []
        self._topic_of: dict[str, int] = {}
        self._recent: deque[tuple[int, frozenset[str]]] = deque(maxlen=REMEMBERED)
        self._opened_at = self._forgotten_at = 0
        self.revision = 0
        self.arrivals = 0  # how often something was said of items that the bundle as it was made does not know
        self.fingerprint = 0
        self.prices: dict[str, float] = {}
        self.prices_by_row: npt.NDArray[np.float64] = np.zeros(0)
        """Of the bundle's rows, NaN for none; empty where no item has one."""

    def __len__(self) -> int:
        return len(self._items)

    def merged(self, said: Iterable[Item]) -> list[Item]:
        """These items with all that was said of each before."""
        return [self._items[item.item_id].then(item) if item.item_id in self._items else item for item in said]

    def items(self) -> list[Item]:
        """All of which something is said."""
        return list(self._items.values())

    def lay_over(self, bundle: Bundle, base: Bundle | None = None, placed: Sequence[Item] = ()) -> None:
        """Go on with another bundle, whose arrays must be its own (see `own_arrays`). All older slates are void.

        base: the bundle as it was made, where `placed`, items as they were then, stand behind its rows
        """
        self._bundle, self._base = bundle, base or bundle
        self._before = next((before for laid, before in self._laid if laid is self._base), {})
        others = [each for each in self._laid if each[0] is not self._base]
        self._laid = [*others, (self._base, self._before)][-LAID_MAX:]
        for row, told in self._before.items():  # it was served before, and what was said then may be taken back
            _restore(bundle.arrays, row, told)
        self._topic_of = {name: topic for topic, name in enumerate(bundle.topic_names)}
        self.fingerprint = 0
        self.prices_by_row = np.zeros(0)
        for item in placed:
            self.fingerprint ^= _digest((item.item_id, *_content(item)))
            if item.item_id not in self._items:  # taken back while it was being placed
                self._write(Item(item.item_id))
        for item in self._items.values():
            self._write(item)
        self._note(Changed(frozenset(), opened=True))

    def take(self, items: Iterable[Item]) -> Changed:
        """Let these items, whole, count from now on; one of which nothing is said any more is as the bundle has it."""
        touched: set[str] = set()
        opened = False
        for item in items:
            before = self._items.get(item.item_id, Item(item.item_id))
            was_said = item.item_id in self._items
            if item == Item(item.item_id):
                self._items.pop(item.item_id, None)
            else:
                self._items[item.item_id] = item
            comes_or_goes = False
            if self._is_new(item.item_id):
                comes_or_goes = was_said != (item.item_id in self._items)
                self.arrivals += comes_or_goes or _content(item) != _content(before)
            was_open = self._is_open(item.item_id)
            if (comes_or_goes or _live(item) != _live(before)) and self._write(item, before):
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

    def standing(self, items: Sequence[Item]) -> Standing:
        """What became of these."""
        unknown = [item for item in items if self._row(item.item_id) is None]
        waiting = [item.item_id for item in unknown if not self._has_place(item)]
        return Standing(len(items) - len(unknown), len(unknown) - len(waiting), waiting)

    def unknown_categories(self, items: Iterable[Item]) -> list[str]:
        """Names that no topic of the served bundle has."""
        names = dict.fromkeys(name for item in items for name in item.categories or ())
        return [name for name in names if name not in self._topic_of]

    def _has_place(self, item: Item) -> bool:
        return self._base is not None and has_place(self._base, told_of(item), self._topic_of)

    def _is_new(self, item_id: str) -> bool:
        return self._base is not None and item_id not in self._base.row_of

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
        told = self._told(arrays, row, item.item_id)
        arrays.available[row] = told.available if item.available is None else item.available
        topics, shares = self._topics(item.categories, told)
        arrays.item_topic_ids[row], arrays.item_topic_shares[row] = topics, shares
        if item.price is None:
            self.prices.pop(item.item_id, None)
        else:
            self.prices[item.item_id] = item.price
            if not len(self.prices_by_row):
                self.prices_by_row = np.full(len(arrays.available), np.nan)
        if len(self.prices_by_row):
            self.prices_by_row[row] = np.nan if item.price is None else item.price
        self.fingerprint ^= _hash(item) ^ (_hash(before) if before else 0)
        return True

    def _told(self, arrays: BundleArrays, row: int, item_id: str) -> _Before:
        """What holds of an item where nothing is said live: the bundle's word, and of a new one that it is gone."""
        if self._is_new(item_id):
            return _Before(item_id in self._items, *topics_of((), {}, arrays.item_topic_ids.shape[1]))
        if row not in self._before:
            topics, shares = arrays.item_topic_ids[row].copy(), arrays.item_topic_shares[row].copy()
            self._before[row] = _Before(bool(arrays.available[row]), topics, shares)
        return self._before[row]

    def _topics(
        self, names: tuple[str, ...] | None, told: _Before
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        if names is None:
            return told.topics, told.shares
        return topics_of(names, self._topic_of, len(told.topics))


def told_of(item: Item) -> Told:
    """What places an item that the bundle does not know."""
    return Told(
        item.categories or (),
        item.brand or "",
        item.title or "",
        item.description or "",
        math.nan if item.price is None else item.price,
    )


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


def _content(item: Item) -> tuple[object, ...]:
    """What places a new item; of the price its step alone."""
    told = told_of(item)
    return tuple(words(told)), item.categories, item.title, item.first_seen_ms


def _hash(item: Item) -> int:
    """Of what counts, 0 for nothing. Together they make a fingerprint by XOR."""
    return 0 if _live(item) == (None, None, None) else _digest((item.item_id, *_live(item)))


def _digest(said: tuple[object, ...]) -> int:
    """32 bits, the same in every process."""
    told = repr(said).encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=4).digest(), "big")
