"""Walks over links between items: where a past leads (ranking/pull.py), what led to an item (ranking/reasons.py)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import ANY_ORDER, EXACT, FINITE, compile_into, compiled, numba
from ranking.fast import basics

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class Links(NamedTuple):
    """Compiled functions of this module."""

    recent_weights: Callable[..., Floats]
    spread_both: Callable[..., tuple[Floats, Floats, Rows]]
    spread_sparse: Callable[..., tuple[Floats, Floats, Rows, npt.NDArray[np.int32]]]
    linked: Callable[..., Rows]


@lru_cache(maxsize=1)
def links() -> Links | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    basics.ready()
    compile_into(
        globals(),
        {"_merged": EXACT, "_most": FINITE, "_spread": EXACT, "_largest": FINITE, "_give": ANY_ORDER},
    )
    compile_into(globals(), dict.fromkeys(("_seat", "place_of", "_reach", "_over_largest"), EXACT))
    asked = "q1 f1 i2 f2"
    return Links(
        compiled(recent_weights, "i1 q1 i1 i1 q f1 d d"),
        compiled(spread_both, f"{asked} {asked} q"),
        compiled(spread_sparse, f"{asked} {asked}"),
        compiled(linked, f"q1 {asked} {asked} q q"),
    )


def recent_weights(
    rows: npt.NDArray[np.int32],
    times_ms: Rows,
    actions: npt.NDArray[np.int32],
    blocked: npt.NDArray[np.int32],
    last_event_ms: int,
    strengths: Floats,
    half_life_ms: float,
    half_life: float,
) -> Floats:
    """How loudly each recent interaction asks (r,). Events of one moment stand at their mean place."""
    count = len(rows)
    weights = np.zeros(count, np.float32)
    order = np.argsort(times_ms, kind="mergesort")
    newest = count - 1
    while newest > 0 and times_ms[order[newest - 1]] == times_ms[order[count - 1]]:
        newest -= 1
    last = (newest + count - 1) / 2.0
    start = 0
    while start < count:
        end = start + 1
        while end < count and times_ms[order[end]] == times_ms[order[start]]:
            end += 1
        back = last - (start + end - 1) / 2.0
        age_ms = max(last_event_ms - times_ms[order[start]], 0)
        faded = np.float32(2.0 ** (-age_ms / half_life_ms - back / half_life))
        for place in range(start, end):
            at = order[place]
            weights[at] = faded * strengths[actions[at]]
        start = end
    for row in blocked:  # bought, then disliked: it asks for nothing
        for at in range(count):
            if rows[at] == row:
                weights[at] = 0.0
    return weights


def spread_both(
    first_rows: Rows,
    first_asks: Floats,
    first_links: npt.NDArray[np.int32],
    first_weights: Floats,
    second_rows: Rows,
    second_asks: Floats,
    second_links: npt.NDArray[np.int32],
    second_weights: Floats,
    count: int,
) -> tuple[Floats, Floats, Rows]:
    """What each asking row gives to each of `count` items, over the largest sum, by both kinds of link; and the rows
    that get anything, ascending."""
    first = _spread(first_rows, first_asks, first_links, first_weights, count)
    second = _spread(second_rows, second_asks, second_links, second_weights, count)
    reached, found = np.empty(count, np.int64), 0
    for row in range(count):
        reached[found] = row  # written in any case: quicker than a branch
        found += (first[row] != 0.0) | (second[row] != 0.0)
    return first, second, reached[:found].copy()


def spread_sparse(
    first_rows: Rows,
    first_asks: Floats,
    first_links: npt.NDArray[np.int32],
    first_weights: Floats,
    second_rows: Rows,
    second_asks: Floats,
    second_links: npt.NDArray[np.int32],
    second_weights: Floats,
) -> Any:
    """The same of the rows that get anything alone, ascending; at last slots by hash that `place_of` finds a row with.

    Sums lie in a table of their own, so that the work is that of the links and not of the catalogue.
    """
    first, first_given = _merged(first_rows, first_asks)
    second, second_given = _merged(second_rows, second_asks)
    most = len(first) * first_links.shape[1] + len(second) * second_links.shape[1]
    size = 16
    while size < 2 * most:
        size *= 2
    slots, rows, sums = np.full(size, -1, np.int32), np.empty(most, np.int64), np.zeros((2, most), np.float64)
    count = _reach(first, first_given, first_links, first_weights, slots, rows, sums[0], 0)
    count = _reach(second, second_given, second_links, second_weights, slots, rows, sums[1], count)
    order = basics.ascending(rows[:count])
    place_of_entry = np.empty(count, np.int32)
    for place in range(count):
        place_of_entry[order[place]] = place
    for slot in range(size):
        if slots[slot] >= 0:
            slots[slot] = place_of_entry[slots[slot]]
    return _over_largest(sums[0], order), _over_largest(sums[1], order), rows[order], slots


def place_of(slots: npt.NDArray[np.int32], rows: Rows, row: int) -> Any:
    """Where a row stands among those reached, -1 where it was not."""
    return slots[_seat(slots, rows, row)]


def _seat(slots: npt.NDArray[np.int32], rows: Rows, row: int) -> Any:
    """The slot of a row, a free one where it is not among these."""
    slot = basics.slot(row, len(slots))
    while slots[slot] >= 0 and rows[slots[slot]] != row:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


def linked(
    rows: Rows,
    first_rows: Rows,
    first_asks: Floats,
    first_links: npt.NDArray[np.int32],
    first_weights: Floats,
    second_rows: Rows,
    second_asks: Floats,
    second_links: npt.NDArray[np.int32],
    second_weights: Floats,
    item_count: int,
    most: int,
) -> Rows:
    """For each of these rows the asking rows that gave it most, (n, most), best first, -1 padded; equals by row."""
    place_of = np.full(item_count, -1, np.int16)
    for place in range(len(rows)):
        place_of[rows[place]] = place
    first, first_given = _merged(first_rows, first_asks)
    second, second_given = _merged(second_rows, second_asks)
    causes = np.unique(np.concatenate((first, second)))
    given = np.zeros((len(rows), len(causes)), np.float64)
    # Either kind counts by its own largest; where one kind alone asks, nothing is to be compared.
    largest = (np.float32(1.0), np.float32(1.0))
    if len(first) and len(second):
        of_first = _largest(first, first_given, first_links, first_weights)
        largest = (of_first, _largest(second, second_given, second_links, second_weights))
    _give(given, causes, place_of, first, first_given, first_links, first_weights, largest[0])
    _give(given, causes, place_of, second, second_given, second_links, second_weights, largest[1])
    best = np.full((len(rows), most), -1, np.int64)
    for place in range(len(rows)):
        for rank in range(most):
            strongest, at = 0.0, -1
            for cause in range(len(causes)):
                if given[place, cause] > strongest:
                    strongest, at = given[place, cause], cause
            if at < 0:
                break
            best[place, rank] = causes[at]
            given[place, at] = 0.0
    return best


def _reach(
    asking: Rows,
    asked: Floats,
    links: npt.NDArray[np.int32],
    weights: Floats,
    slots: npt.NDArray[np.int32],
    rows: Rows,
    sums: Doubles,
    count: int,
) -> Any:
    """Add what asking rows give to the sums of those they reach; `count` of these are known, and how many then."""
    for at in range(len(asking)):
        row, ask = asking[at], np.float32(asked[at])
        for column in range(links.shape[1]):
            reached = links[row, column]
            if reached < 0:
                break  # what is left is padding
            slot = _seat(slots, rows, reached)
            if slots[slot] < 0:
                slots[slot], rows[count] = count, reached
                count += 1
            sums[slots[slot]] += np.float64(weights[row, column] * ask)
    return count


def _over_largest(sums: Doubles, order: Rows) -> Floats:
    spread = np.empty(len(order), np.float32)
    for place in range(len(order)):
        spread[place] = sums[order[place]]
    largest = _most(spread)
    return spread / largest if largest > 0.0 else spread


def _spread(rows: Rows, asks: Floats, links: npt.NDArray[np.int32], weights: Floats, count: int) -> Any:
    if len(rows) == 0:
        return np.zeros(count, np.float32)
    total = np.zeros(count, np.float64)
    asking, asked = _merged(rows, asks)
    for at in range(len(asking)):
        row, ask = asking[at], np.float32(asked[at])
        for column in range(links.shape[1]):
            reached = links[row, column]
            if reached < 0:
                break  # what is left is padding
            total[reached] += np.float64(weights[row, column] * ask)
    spread = total.astype(np.float32)
    largest = _most(spread)
    return spread / largest if largest > 0.0 else spread


def _merged(rows: Rows, asks: Floats) -> Any:
    """Each row once, ascending, with all that it asks; what asks for nothing is left out of neither."""
    once = np.unique(rows)
    sums = np.zeros(len(once), np.float64)
    for at in range(len(rows)):
        sums[np.searchsorted(once, rows[at])] += asks[at]
    return once, sums.astype(np.float32)


def _most(values: Floats) -> Any:
    """The largest of finite numbers, or 0."""
    most = np.float32(0.0)
    for value in values:
        most = max(most, value)
    return most


def _give(
    given: Doubles,
    causes: Rows,
    place_of: npt.NDArray[np.int16],
    asking: Rows,
    asked: Floats,
    links: npt.NDArray[np.int32],
    weights: Floats,
    largest: np.float32,
) -> None:
    for at in range(len(asking)):
        row = asking[at]
        cause = np.searchsorted(causes, row)
        for column in range(links.shape[1]):
            reached = links[row, column]
            if reached < 0:
                break
            if place_of[reached] >= 0:
                given[place_of[reached], cause] += np.float64(weights[row, column] * asked[at] / largest)


def _largest(asking: Rows, asked: Floats, links: npt.NDArray[np.int32], weights: Floats) -> Any:
    largest = np.float32(0.0)
    for at in range(len(asking)):
        for column in range(links.shape[1]):
            if links[asking[at], column] < 0:
                break
            largest = max(largest, weights[asking[at], column] * asked[at])
    return largest if largest > 0.0 else np.float32(1.0)
