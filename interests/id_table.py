"""From the bytes of an item id to its row without a string in between: open addressing over a bundle's table of ids."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]

FNV_START, FNV_PRIME = -3750763034362895579, 1099511628211  # FNV-1a of 64 bits, Fowler, Noll, Vo


@lru_cache(maxsize=1)
def ready() -> bool:
    """Compile what is here; False where numba is not installed."""
    if numba() is None:
        return False
    compile_into(globals(), dict.fromkeys(("_slot", "row_of"), EXACT))
    compiled(filled, "u1 q1")
    return True


def filled(ids: Bytes, ends: Longs) -> Slots:
    """The table (a power of two,) of these ids, rows or -1; at most half of it is taken."""
    size = 16
    while size < 2 * (len(ends) - 1):
        size *= 2
    slots = np.full(size, -1, np.int32)
    for row in range(len(ends) - 1):
        slot = _slot(ids, ends[row], ends[row + 1], size)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = row
    return slots


def row_of(slots: Slots, ids: Bytes, ends: Longs, data: Bytes, start: int, end: int) -> Any:
    """The row of the id that stands in `data` from start to end, or -1."""
    slot = _slot(data, start, end, len(slots))
    while slots[slot] >= 0:
        row = slots[slot]
        begin = ends[row]
        if ends[row + 1] - begin == end - start:
            same = 0
            while start + same < end and ids[begin + same] == data[start + same]:
                same += 1
            if start + same == end:
                return row
        slot = (slot + 1) & (len(slots) - 1)
    return np.int32(-1)


def _slot(data: Bytes, start: int, end: int, size: int) -> Any:
    mixed = np.int64(FNV_START)
    for at in range(start, end):
        mixed = (mixed ^ np.int64(data[at])) * np.int64(FNV_PRIME)
    return (mixed ^ (mixed >> 32)) & (size - 1)
