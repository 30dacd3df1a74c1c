"""What loops over rows share: products, the largest of many. Other modules call these as `basics.dot(...)`."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.compiled import ANY_ORDER, EXACT, compile_into

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SAMPLE = 512  # values that a threshold is guessed from
DIGIT_BITS = 11  # of a row, sorted at once
DIGITS = 1 << DIGIT_BITS

_STEPS = ("_keys", "kth", "falling", "_likely", "above", "nearest_of", "slot", "ascending")


@lru_cache(maxsize=1)
def ready() -> None:
    """Compile what is here; for who knows that numba is installed."""
    compile_into(globals(), {"dot": ANY_ORDER})
    compile_into(globals(), dict.fromkeys(_STEPS, EXACT))


def dot(rows: Floats, row: int, other: Floats) -> Any:
    """The product of one row (n, dim) with a vector (dim,)."""
    total = np.float32(0.0)
    for dim in range(len(other)):
        total += rows[row, dim] * other[dim]
    return total


def nearest_of(rows: Floats, row: int, others: Floats, order: Rows) -> Any:
    """The place in `order` of the vector among `others` (k, dim) that a row is nearest to; -1 where there is none."""
    nearest, most = -1, np.float32(-np.inf)
    for place in range(len(order)):
        likeness = dot(rows, row, others[order[place]])
        if likeness > most:
            nearest, most = place, likeness
    return nearest


def kth(values: Floats, place: int) -> Any:
    """The place-th largest of finite numbers, counted from 1.

    Halves the range that it can lie in until one number is left: counting takes all lanes and no branch that depends
    on the data, so this is several times faster than moving values about.
    """
    keys = _keys(values)
    low, high = np.int64(keys.min()), np.int64(keys.max())
    while low < high:
        middle = np.int32((low + high + 1) >> 1)
        found: Any = 0
        for at in range(len(keys)):
            found += keys[at] >= middle
        if found >= place:
            low = np.int64(middle)
        else:
            high = np.int64(middle) - 1
    found_key = np.empty(1, np.int32)
    found_key[0] = low ^ ((low >> 31) & 0x7FFFFFFF)
    return found_key.view(np.float32)[0]


def _keys(values: Floats) -> Any:
    """Whole numbers (n,) int32 in the order of these; a zero is a zero, with either sign."""
    bits = (values + np.float32(0.0)).view(np.int32)
    keys = np.empty(len(bits), np.int32)
    for at in range(len(bits)):
        keys[at] = bits[at] ^ ((bits[at] >> 31) & 0x7FFFFFFF)
    return keys


def falling(values: Floats) -> Rows:
    """Places by falling value, of finite numbers; equals by place. A digit at a time, the lowest first."""
    count = len(values)
    keys, digits = np.empty(count, np.int64), np.zeros((4, 257), np.int64)
    for at, key in enumerate(_keys(values)):
        keys[at] = 0x7FFFFFFF - key  # from 0, and rising as the value falls
        for turn in range(4):
            digits[turn, (keys[at] >> 8 * turn & 255) + 1] += 1
    order, turned = np.arange(count), np.empty(count, np.int64)
    for turn in range(4):
        ends = digits[turn]
        for digit in range(256):
            ends[digit + 1] += ends[digit]
        for place in order:
            bucket = keys[place] >> 8 * turn & 255
            turned[ends[bucket]] = place
            ends[bucket] += 1
        order, turned = turned, order
    return order


def _likely(values: Floats, rows: Rows, count: int) -> Rows:
    """Those of the rows that a sample's threshold leaves, at least `count`, in their order; the largest are among them.
    Where it left too few, or there are not many, all."""
    stride = len(rows) // SAMPLE
    if stride < 2:
        return rows
    sample, place = np.empty(len(rows) // stride, np.float32), 2 * count // stride + 8
    for at in range(len(sample)):
        sample[at] = values[rows[at * stride]]
    if place > len(sample) // 2:
        return rows
    threshold = kth(sample, place)
    likely, found = np.empty(len(rows), np.int64), 0
    for row in rows:
        likely[found] = row  # written in any case: quicker than a branch
        found += values[row] >= threshold
    return likely[:found] if found >= count else rows


def above(values: Floats, rows: Rows, count: int, floor: np.float32) -> Rows:
    """Of these rows the `count` with the largest values above the floor (-inf: whatever they are), equals by place."""
    kept, found = np.empty(min(count, len(rows)), np.int64), 0
    if len(kept) == 0:
        return kept
    if len(kept) == len(rows):
        for row in rows:
            if values[row] > floor or floor == -np.inf:
                kept[found] = row
                found += 1
        return kept[:found]
    rows = _likely(values, rows, count)
    sample = np.empty(len(rows), np.float32)
    for at in range(len(rows)):
        sample[at] = values[rows[at]]
    edge = kth(sample, count)
    for row in rows:
        if values[row] > edge and values[row] > floor:
            kept[found] = row
            found += 1
    ties = count - int(np.sum(sample > edge))
    if edge > floor or floor == -np.inf:
        for row in rows:
            if ties == 0:
                break
            if values[row] == edge:
                kept[found] = row
                found += 1
                ties -= 1
    return kept[:found]


def slot(row: int, size: int) -> Any:
    """Where a row is looked for first in a table of `size` slots, a power of two."""
    return int((np.int64(row) * 2654435761 >> 8) & (size - 1))


def ascending(rows: Rows) -> Rows:
    """The order (n,) in which these rows, from 0, rise: digit by digit, the lowest first."""
    order, turned = np.arange(len(rows)), np.empty(len(rows), np.int64)
    most, shift = np.int64(0), 0
    for row in rows:
        most = max(most, row)
    while most >> shift > 0:
        ends = np.zeros(DIGITS + 1, np.int64)
        for row in rows:
            ends[(row >> shift & (DIGITS - 1)) + 1] += 1
        for digit in range(DIGITS):
            ends[digit + 1] += ends[digit]
        for at in order:
            digit = rows[at] >> shift & (DIGITS - 1)
            turned[ends[digit]] = at
            ends[digit] += 1
        order, turned = turned, order
        shift += DIGIT_BITS
    return order
