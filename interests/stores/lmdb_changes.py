"""The change log in an LMDB database: a sequence number in eight bytes -> version, flags, moments, user id."""

import struct
from collections.abc import Iterable
from typing import Any

from interests.stores import record
from interests.stores.base import Change, Changes

_CHANGE = struct.Struct(">QB")
_WAKES, _HAS_MOMENTS = 1, 2


def newest(cursor: Any) -> int:
    """The sequence number of the latest change, 0 where there is none."""
    return _sequence(cursor.key()) if cursor.last() else 0


def append(cursor: Any, changes: Iterable[Change], changes_max: int) -> None:
    """Put changes behind the latest, and let go of the oldest beyond `changes_max`."""
    sequence = newest(cursor)
    for change in changes:
        sequence += 1
        cursor.put(sequence.to_bytes(8, "big"), _pack(change), append=True)
    alive = cursor.first()
    while alive and _sequence(cursor.key()) <= sequence - changes_max:
        alive = cursor.delete()


def read(cursor: Any, after: int, limit: int) -> Changes:
    """Up to `limit` changes behind the sequence number `after`; lost where they are no longer or not yet there."""
    last = newest(cursor)
    first = _sequence(cursor.key()) if cursor.first() else 1
    if not first - 1 <= after <= last:
        return Changes([], (last,), True)
    entries: list[Change] = []
    if cursor.set_range((after + 1).to_bytes(8, "big")):
        for data in cursor.iternext(keys=False):
            if len(entries) == limit:
                break
            entries.append(_unpack(data))
    return Changes(entries, (after + len(entries),), False)


def _pack(change: Change) -> bytes:
    told = record.pack_moments(change.moments)
    flags = _WAKES * change.wakes | _HAS_MOMENTS * bool(told)
    return _CHANGE.pack(change.version, flags) + told + change.user_id.encode()


def _unpack(data: bytes) -> Change:
    version, flags = _CHANGE.unpack_from(data)
    user_at = _CHANGE.size + (record.MOMENTS_BYTES if flags & _HAS_MOMENTS else 0)
    moments = record.unpack_moments(data[_CHANGE.size : user_at])
    return Change(data[user_at:].decode(), version, bool(flags & _WAKES), moments)


def _sequence(key: bytes) -> int:
    return int.from_bytes(key, "big")
