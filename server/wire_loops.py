"""The repeated parts of a slate's message as plain loops for numba: its items with their causes, and its mixes.

What server/wire.py writes without numba, byte for byte. Doubles come as their eight bytes, strings as the bundle's
tables of UTF-8.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]

# Field numbers and wire types of recommendations.proto and interests.proto, as in server/wire.py.
ITEM, POSITION, SCORE, SOURCE, INTEREST, TOPIC, CAUSE, PRICE, PROPENSITY = (
    0x32, 0x10, 0x19, 0x20, 0x28, 0x32, 0x3A, 0x41, 0x49,
)  # fmt: skip
STRING, ACTION, TIME, SECONDS, NANOS, SHARE = 0x0A, 0x10, 0x1A, 0x08, 0x10, 0x11
ROOM, ROOM_A_CAUSE = 96, 48  # bytes of an item or a cause beside its strings, at most


class WireLoops(NamedTuple):
    """Compiled `write_items` and `write_mix`."""

    items: Callable[..., Bytes]
    mix: Callable[..., Bytes]


@lru_cache(maxsize=1)
def wire_loops() -> WireLoops | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    compile_into(
        globals(), dict.fromkeys(("_number", "write_double", "_string", "_size", "_room", "_cause", "_told"), EXACT)
    )
    past = "i1 i1 q1 i1 i1 q1"
    return WireLoops(
        compiled(write_items, f"u1 q1 u1 q1 q1 u1 y1 q1 q1 q2 {past} b1 u1 q u1"),
        compiled(write_mix, "q f1 u1 q u1 q1"),
    )


def write_items(
    ids: Bytes,
    id_ends: Rows,
    names: Bytes,
    name_ends: Rows,
    rows: Rows,
    scores: Bytes,
    sources: npt.NDArray[np.int8],
    interests: Rows,
    topics: Rows,
    causes: Rows,
    item_rows: Numbers,
    item_actions: Numbers,
    item_times_ms: Rows,
    recent_rows: Numbers,
    recent_actions: Numbers,
    recent_times_ms: Rows,
    priced: npt.NDArray[np.bool_],
    prices: Bytes,
    explored: int,
    propensity: Bytes,
) -> Bytes:
    """The items (n,) of a slate, each as a field of it.

    ids, names: string tables of the bundle's items and topics, with their offsets; causes (n, c) rows, -1 padded
    item_*, recent_*: the profile's; priced (n,): which have a price; explored: the place that chance filled, or -1
    """
    room = _room(id_ends, name_ends, rows, topics, causes)
    out, item = np.empty(room, np.uint8), np.empty(room, np.uint8)
    end = 0
    for place in range(len(rows)):
        at = _string(item, 0, STRING, ids, id_ends, rows[place])
        at = _number(item, at, POSITION, place)
        at = write_double(item, at, SCORE, scores, place)
        at = _number(item, at, SOURCE, int(sources[place]))
        if interests[place] == 0:
            item[at], item[at + 1] = INTEREST, 0  # 0 is an interest
            at += 2
        elif interests[place] > 0:
            at = _number(item, at, INTEREST, interests[place])
        if topics[place] >= 0:
            at = _string(item, at, TOPIC, names, name_ends, topics[place])
        for cause in causes[place]:
            if cause >= 0:
                action, time_ms = _told(cause, item_rows, item_actions, item_times_ms)
                if time_ms < 0:
                    action, time_ms = _told(cause, recent_rows, recent_actions, recent_times_ms)
                at = _cause(item, at, ids, id_ends, cause, action, time_ms)
        if priced[place]:
            item[at] = PRICE
            item[at + 1 : at + 9] = prices[8 * place : 8 * place + 8]
            at += 9
        if place == explored:
            at = write_double(item, at, PROPENSITY, propensity, 0)
        end = _number(out, end, ITEM, at)
        out[end : end + at] = item[:at]
        end += at
    return out[:end]


def write_mix(tag: int, mix: npt.NDArray[np.float32], shares: Bytes, most: int, names: Bytes, name_ends: Rows) -> Bytes:
    """The topics of a mix (T,), largest first, `most` of them at most, as fields of that tag. shares: as doubles"""
    left = mix.copy()
    most = min(most, len(mix))
    chosen, count = np.empty(most, np.int64), 0
    room = 0
    while count < most:
        largest = int(left.argmax())
        if not left[largest] > 0:
            break
        left[largest] = 0.0
        chosen[count] = largest
        count += 1
        room += ROOM + _size(name_ends, largest)
    out, item = np.empty(room, np.uint8), np.empty(room, np.uint8)
    end = 0
    for topic in chosen[:count]:
        at = _string(item, 0, STRING, names, name_ends, topic)
        at = write_double(item, at, SHARE, shares, topic)
        end = _number(out, end, tag, at)
        out[end : end + at] = item[:at]
        end += at
    return out[:end]


def _room(id_ends: Rows, name_ends: Rows, rows: Rows, topics: Rows, causes: Rows) -> Any:
    """Bytes that items take at most."""
    room = 0
    for place in range(len(rows)):
        room += ROOM + _size(id_ends, rows[place]) + (_size(name_ends, topics[place]) if topics[place] >= 0 else 0)
        for cause in causes[place]:
            room += ROOM_A_CAUSE + _size(id_ends, cause) if cause >= 0 else 0
    return room


def _told(row: int, rows: Numbers, actions: Numbers, times_ms: Rows) -> Any:
    """The action and time of the latest entry of a row; a time of -1 where it has none."""
    for at in range(len(rows) - 1, -1, -1):
        if rows[at] == row:
            return np.int64(actions[at]), times_ms[at]
    return np.int64(0), np.int64(-1)


def _cause(out: Bytes, at: int, ids: Bytes, id_ends: Rows, row: int, action: int, time_ms: int) -> Any:
    body = np.empty(ROOM_A_CAUSE + _size(id_ends, row), np.uint8)
    time = np.empty(ROOM_A_CAUSE, np.uint8)
    time_size = _number(time, 0, SECONDS, time_ms // 1000)
    time_size = _number(time, time_size, NANOS, time_ms % 1000 * 1_000_000)
    end = _string(body, 0, STRING, ids, id_ends, row)
    end = _number(body, end, ACTION, action)
    body[end], body[end + 1] = TIME, time_size
    body[end + 2 : end + 2 + time_size] = time[:time_size]
    end += 2 + time_size
    at = _number(out, at, CAUSE, end)
    out[at : at + end] = body[:end]
    return at + end


def _size(ends: Rows, row: int) -> Any:
    return ends[row + 1] - ends[row]


def _string(out: Bytes, at: int, tag: int, table: Bytes, ends: Rows, row: int) -> Any:
    size = ends[row + 1] - ends[row]
    if size == 0:
        out[at], out[at + 1] = tag, 0
        return at + 2
    at = _number(out, at, tag, size)
    for place in range(size):
        out[at + place] = table[ends[row] + place]
    return at + size


def write_double(out: Bytes, at: int, tag: int, doubles: Bytes, place: int) -> Any:
    """0 is not written."""
    any_bit = False
    for byte in range(8):
        any_bit |= doubles[8 * place + byte] != 0
    if not any_bit:
        return at
    out[at] = tag
    out[at + 1 : at + 9] = doubles[8 * place : 8 * place + 8]
    return at + 9


def _number(out: Bytes, at: int, tag: int, value: int) -> Any:
    """A varint; 0 is not written."""
    if value == 0:
        return at
    out[at] = tag
    at += 1
    while value >= 128:
        out[at] = value & 127 | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1
