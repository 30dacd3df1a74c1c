"""A stored state (protos/plural/v1/storage.proto) read into a profile's parts as one compiled call, no object an entry.

What is not as this program writes it, or has no vectors of the bundle, is left to who reads it with all words
(interests/state.py): nothing here raises.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests import assembled, id_table
from interests.assembled import FIXED, Fixed, Parts, Table
from interests.bundle import Bundle
from interests.compiled import EXACT, compile_into, compiled, numba, read_only
from interests.state import FORMAT

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
LAYOUT, VERSION, LAST_EVENT, MEMORIES, RECENT, EXPOSURE, VECTORS = 1, 3, 5, 6, 7, 8, 11
BROKEN = 1 << 40
ACTION_MIN, ACTION_MAX, IMPRESSION = 1, 8, 1  # of interests/events.py


class Names(NamedTuple):
    """A bundle's item ids as its string table, their slots (interests/id_table.py), and its version's bytes."""

    ids: Bytes
    ends: Longs
    slots: npt.NDArray[np.int32]
    version: Bytes


NAMES = "u1 q1 i1 u1"


class Read(NamedTuple):
    """fine: False where the rest says nothing. interests (K, dim), shares (K,), factor: as stored."""

    fine: bool
    version: int
    last_event_ms: int
    interests: Floats
    shares: Floats
    factor: Floats
    parts: Parts


@lru_cache(maxsize=1)
def reader() -> Callable[..., Read] | None:
    """`read`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    id_table.ready(), assembled.assembler()
    steps = ("_varint", "_span", "_count", "_table", "_varints", "_copied", "_vectors", "_nothing", "_empty")
    compile_into(globals(), dict.fromkeys(steps, EXACT))
    made: Callable[..., Read] = compiled(read, "u1", (Names, NAMES), (Fixed, FIXED))
    return made


def names_of(bundle: Bundle) -> Names:
    """What reading needs of a bundle to find its rows. Where numba is installed."""
    id_table.ready()
    ids = read_only(bundle.arrays.item_ids_bytes), read_only(bundle.arrays.item_ids_offsets)
    version = np.frombuffer(bundle.version.encode(), dtype=np.uint8)
    return Names(*ids, read_only(id_table.filled(*ids)), version)


def read(data: Bytes, names: Names, fixed: Fixed) -> Read:
    """What a stored state says, by a bundle's rows."""
    version: Any = np.int64(0)
    last_event_ms: Any = np.int64(0)
    layout: Any = np.int64(0)
    at = 0
    spans = np.zeros((12, 2), np.int64)
    while 0 <= at < len(data):
        tag, at = _varint(data, at, len(data))
        number, wire = tag >> 3, tag & 7
        start, end = _span(data, at, len(data), wire)
        at = end
        if end < 0:
            break
        if wire == VARINT:
            value, _ = _varint(data, start, end)
            layout = value if number == LAYOUT else layout
            version = value if number == VERSION else version
            last_event_ms = value if number == LAST_EVENT else last_event_ms
        elif wire == BYTES and (MEMORIES <= number <= EXPOSURE or number == VECTORS):
            if spans[number, 1] != 0:
                at = -1  # in two parts: not as this program writes it
            spans[number] = start, end
    if at != len(data) or layout != FORMAT:
        return _nothing(fixed)
    vectors_fine, interests, shares, factor = _vectors(data, spans[VECTORS, 0], spans[VECTORS, 1], names.version)
    memories_fine, memories = _table(data, spans[MEMORIES, 0], spans[MEMORIES, 1], names, 3, 4, True)
    recent_fine, recent = _table(data, spans[RECENT, 0], spans[RECENT, 1], names, 0, 3, True)
    shown_fine, shown = _table(data, spans[EXPOSURE, 0], spans[EXPOSURE, 1], names, 3, 4, False)
    fits = vectors_fine and interests.shape[1] == fixed.vectors.shape[1]
    if not (fits and memories_fine and recent_fine and shown_fine):
        return _nothing(fixed)
    parts = assembled.assemble(fixed, last_event_ms, memories, recent, shown, len(interests) == 1)
    return Read(True, version, last_event_ms, interests, shares, factor, parts)


def _table(data: Bytes, start: int, end: int, names: Names, weights_in: int, times_in: int, has_actions: bool) -> Any:
    """Whether these are columns of one length, and they. weights_in: field of the weights, 0 for none; times_in"""
    count = _count(data, start, end)
    if count < 0:
        return False, _empty()
    rows, actions = np.empty(count, np.int32), np.full(count, IMPRESSION, np.int32)
    weights, times_ms, numbers = np.empty(count, np.float64), np.empty(count, np.int64), np.empty(count, np.int64)
    known, acted, weighed, timed, at = 0, 0, 0, 0, start
    fine = True
    while at < end:
        tag, at = _varint(data, at, end)
        begin, at = _span(data, at, end, tag & 7)
        field = tag >> 3
        if field == 1:
            rows[known] = id_table.row_of(names.slots, names.ids, names.ends, data, begin, at)
            known += 1
        elif tag & 7 != BYTES:
            fine = False
        elif field == 2:
            acted += _varints(data, begin, at, numbers, acted)
        elif field == times_in:
            timed += _varints(data, begin, at, times_ms, timed)
        elif field == weights_in and (at - begin) % 8 == 0 and weighed + (at - begin) // 8 <= count:
            part = _copied(data, begin, at).view(np.float64)
            weights[weighed : weighed + len(part)] = part
            weighed += len(part)
        else:
            fine = False
    fine &= timed == count and acted == (count if has_actions else 0) and weighed == (count if weights_in else 0)
    if fine and has_actions:
        for place in range(count):
            fine &= ACTION_MIN <= numbers[place] <= ACTION_MAX
            actions[place] = numbers[place]
    return fine, Table(rows, actions, weights, times_ms)


def _vectors(data: Bytes, start: int, end: int, version: Bytes) -> Any:
    """Whether these are vectors of the bundle of that version, and interests (K, dim), shares (K,), factor."""
    fine, count, at = end > start, np.int64(0), start
    named = False
    flat, shares, factor = np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.float32)
    while at < end:
        tag, at = _varint(data, at, end)
        begin, at = _span(data, at, end, tag & 7)
        if at < 0:
            return False, flat.reshape(0, 0), shares, factor
        field, size = tag >> 3, at - begin
        if field == 2:
            count, _ = _varint(data, begin, at)
        elif field == 1:
            named = size == len(version) and bool(np.all(data[begin:at] == version))
        elif tag & 7 != BYTES or size % 4:
            fine = False
        elif field == 3:
            flat = _copied(data, begin, at).view(np.float32)
        elif field == 4:
            shares = _copied(data, begin, at).view(np.float32)
        elif field == 5:
            factor = _copied(data, begin, at).view(np.float32)
    if not fine or not named or count <= 0 or len(shares) != count or len(flat) % count:
        return False, flat[:0].reshape(0, 0), shares, factor
    return True, flat.reshape(count, len(flat) // count), shares, factor


def _count(data: Bytes, start: int, end: int) -> Any:
    """How many ids a table holds, -1 where it is none."""
    count, at = 0, start
    while at < end:
        tag, at = _varint(data, at, end)
        _, at = _span(data, at, end, tag & 7)
        if at < 0:
            return -1
        if tag >> 3 == 1:
            if tag & 7 != BYTES:
                return -1
            count += 1
    return count


def _varints(data: Bytes, start: int, end: int, out: Longs, place: int) -> Any:
    """Write packed numbers from `place` on; how many. More than there is room for is another length, as is a broken
    one: neither is as long as the ids are."""
    at, found = start, 0
    while 0 <= at < end:
        value, at = _varint(data, at, end)
        if place + found < len(out):
            out[place + found] = value
        found += 1
    return found if at >= 0 else -BROKEN


def _varint(data: Bytes, at: int, end: int) -> Any:
    """A number and where it ends, -1 where it does not."""
    value, shift = np.int64(0), 0
    while 0 <= at < end and shift < 70:
        byte = np.int64(data[at])
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
    return value, -1


def _span(data: Bytes, at: int, end: int, wire: int) -> Any:
    """Where a field's value starts and ends, -1 where it does not."""
    if at < 0:
        return at, -1
    if wire == VARINT:
        _, after = _varint(data, at, end)
        return at, after
    size = np.int64(8) if wire == FIXED64 else np.int64(4)
    if wire == BYTES:
        size, at = _varint(data, at, end)
    elif wire != FIXED64 and wire != FIXED32:
        return at, -1
    return at, at + size if at >= 0 and 0 <= size <= end - at else -1


def _copied(data: Bytes, start: int, end: int) -> Bytes:
    """The same bytes where numbers may be read from."""
    copied = np.empty(end - start, np.uint8)
    copied[:] = data[start:end]
    return copied


def _nothing(fixed: Fixed) -> Read:
    floats = np.empty(0, np.float32)
    parts = assembled.assemble(fixed, 0, _empty(), _empty(), _empty(), False)
    return Read(False, 0, 0, floats.reshape(0, 0), floats, floats, parts)


def _empty() -> Table:
    return Table(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.int64))
