"""One user's bytes in a durable store: the version in 8 big-endian bytes, then the state's stored form.

The version stands in front so that a writer can be fenced without parsing a state, by a Lua script too.
"""

import struct

from interests.errors import StoreCorrupt
from interests.state import InterestState, from_bytes, to_bytes
from interests.stores.base import Moments, Record

VERSION_BYTES = 8
_MOMENTS = struct.Struct(">ddd")
MOMENTS_BYTES = _MOMENTS.size


def pack(state: InterestState) -> bytes:
    """The bytes to store."""
    return version_bytes(state.version) + to_bytes(state)


def unpack(data: bytes) -> InterestState:
    """The state stored. Raises StoreCorrupt where the bytes are not one."""
    return state_of(record_of(data))


def record_of(data: bytes) -> Record:
    """The record that these bytes are."""
    return Record(version(data), data[VERSION_BYTES:])


def state_of(record: Record) -> InterestState:
    """The state stored. Raises StoreCorrupt where the bytes are not one of that version."""
    state = from_bytes(record.data)
    if state.version != record.version:
        raise StoreCorrupt(
            f"a stored state of {len(record.data)} bytes says version {state.version}, not {record.version}"
        )
    return state


def version(data: bytes | None) -> int:
    """The version stored, 0 where nothing is."""
    return int.from_bytes(data[:VERSION_BYTES], "big") if data else 0


def version_bytes(number: int) -> bytes:
    """A version as it stands in front of a state."""
    return number.to_bytes(VERSION_BYTES, "big")


def pack_moments(moments: Moments | None) -> bytes:
    """Moments as they stand in a change log, empty for none."""
    return _MOMENTS.pack(*moments) if moments else b""


def unpack_moments(data: bytes | None) -> Moments | None:
    """What `pack_moments` was given."""
    return Moments(*_MOMENTS.unpack(data)) if data else None
