"""What a user had, out of faded sums by item and action (interests/items.py), as a plain loop for numba."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


@lru_cache(maxsize=1)
def had_loop() -> Callable[..., tuple[Rows, Floats, Rows, Longs, Rows]] | None:
    """`had`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    compile_into(globals(), {"_places": EXACT})
    found: Callable[..., tuple[Rows, Floats, Rows, Longs, Rows]] = compiled(had, "i1 i1 d1 q1 q")
    return found


def had(rows: Rows, actions: Rows, faded: Doubles, times_ms: Longs, dislike: int) -> Any:
    """What `items_had` makes of faded sums (n,) by row, -1 for an unknown item, and action."""
    place_of, count = _places(rows)
    disliked_ms = np.full(count, -1, np.int64)
    for at in range(len(rows)):
        if rows[at] >= 0 and actions[at] == dislike:
            disliked_ms[place_of[at]] = times_ms[at]
    entry = np.full(count, -1, np.int64)  # in the order of what counts, so that equals stay in it
    found, sums, most = np.empty(count, np.int32), np.zeros(count, np.float64), np.empty(count, np.float64)
    done, latest_ms, kept = np.empty(count, np.int32), np.empty(count, np.int64), 0
    for at in range(len(rows)):
        if rows[at] < 0 or (actions[at] != dislike and times_ms[at] <= disliked_ms[place_of[at]]):
            continue
        to = entry[place_of[at]]
        if to < 0:
            to = entry[place_of[at]] = kept
            found[to], most[to] = rows[at], -np.inf
            kept += 1
        sums[to] += faded[at]
        if faded[at] > most[to]:
            most[to], done[to], latest_ms[to] = faded[at], actions[at], times_ms[at]
    weights = sums[:kept].astype(np.float32)
    blocked = found[:kept][weights < 0]
    positive = np.flatnonzero(weights > 0)
    order = positive[np.argsort(-weights[positive], kind="mergesort")]
    return found[order], weights[order], done[order], latest_ms[order], blocked


def _places(rows: Rows) -> Any:
    """For each known row the number of its item among all, and how many items there are."""
    size = 16
    while size < 2 * len(rows):
        size *= 2
    slots, numbers, count = np.full(size, -1, np.int32), np.full(size, -1, np.int64), 0
    place_of = np.full(len(rows), -1, np.int64)
    for at in range(len(rows)):
        if rows[at] < 0:
            continue
        slot = (np.int64(rows[at]) * 2654435761) & (size - 1)
        while slots[slot] >= 0 and slots[slot] != rows[at]:
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot], numbers[slot] = rows[at], count
            count += 1
        place_of[at] = numbers[slot]
    return place_of, count
