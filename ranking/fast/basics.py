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


@lru_cache(maxsize=1)
def ready() -> None:
    """Compile what is here; for who knows that numba is installed."""
    compile_into(globals(), {"dot": ANY_ORDER})
    compile_into(globals(), dict.fromkeys(("kth", "_likely", "above", "nearest_of", "slot", "ascending"), EXACT))


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
    """The place-th largest, counted from 1. Moves the values about."""
    low, high, wanted = 0, len(values) - 1, place - 1
    while low < high:
        middle = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > middle:
                left += 1
            while values[right] < middle:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            break
    return values[wanted]


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
