"""Finding candidates (ranking/retrieve.py, ranking/nearby.py, ranking/cold_shelf.py) without a step of numpy each."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba
from ranking.fast import basics

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.int8]

NOTHING, INTEREST, NEIGHBOUR, POPULAR, FRESH, REPEAT = 0, 1, 2, 3, 4, 5
"""Numbers of Source (ranking/slate.py), which a compiled function cannot read."""

BY_STRENGTH = (REPEAT, NEIGHBOUR, INTEREST, INTEREST, FRESH, POPULAR)
"""What has several reasons has the first of these."""

ZERO = np.float32(0.0)


class Finds(NamedTuple):
    """Compiled functions of this module."""

    pulled: Callable[..., Rows]
    shelf: Callable[..., Rows]
    gathered: Callable[..., tuple[Rows, Marks]]


@lru_cache(maxsize=1)
def finds() -> Finds | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    basics.ready()
    steps = (
        "_mark", "_mark_all", "_is_marked", "_mark_first", "_mark_popular", "_mark_missing", "_marked",
    )  # fmt: skip
    compile_into(globals(), dict.fromkeys(steps, EXACT))
    return Finds(
        compiled(pulled, "q1 f1 f1 b1 q"),
        compiled(shelf, "q1 q1 q1 f1 b1 q q"),
        compiled(gathered, "b1 q q f1 f1 q q1 q1 q1 q1 f1 q1 q q1 f1 q q1 q1 i1 q"),
    )


def pulled(reached: Rows, first: Floats, second: Floats, allowed: Mask, count: int) -> Rows:
    """The `count` allowed rows that both pulls together pull most, of those pulled at all."""
    both = np.zeros(len(first), np.float32)
    rows, open_rows = np.empty(len(reached), np.int64), 0
    for row in reached:
        both[row] = first[row] + second[row]
        rows[open_rows] = row
        open_rows += allowed[row]
    return basics.above(both, rows[:open_rows], count, np.float32(0.0))


def shelf(rows: Rows, starts: Rows, ends: Rows, anchor: Floats, allowed: Mask, looked_at: int, topic_max: int) -> Rows:
    """Allowed rows of the shelf's topics, from the largest of the user's, until `looked_at` lie on the table."""
    order = np.argsort(-anchor, kind="mergesort")
    table, found, looked = np.empty(looked_at + topic_max, np.int64), 0, 0
    for step in range(len(order) + 1):
        topic = order[step] + 1 if step < len(order) else 0
        size = min(ends[topic] - starts[topic], topic_max)
        for place in range(starts[topic], starts[topic] + size):
            table[found] = rows[place]
            found += allowed[rows[place]]
        looked += size
        if looked >= looked_at:
            break
    return table[:found].copy()


def gathered(
    allowed: Mask,
    open_rows: int,
    count: int,
    anchor: Floats,
    catalogue: Floats,
    popular_count: int,
    popular_by_topic: Rows,
    topic_starts: Rows,
    topic_ends: Rows,
    popular: Rows,
    popularity: Floats,
    fresh: Rows,
    fresh_count: int,
    cold: Rows,
    cold_scores: Floats,
    cold_count: int,
    near: Rows,
    pulled: Rows,
    item_rows: npt.NDArray[np.int32],
    repeat_count: int,
) -> Any:
    """Rows of the candidates, ascending, and how each was found; see ranking/retrieve.py."""
    most = len(near) + len(pulled) + 4 * popular_count + len(catalogue) + fresh_count + cold_count + repeat_count
    # A bit for each row that is there: in a large catalogue too these are few bytes.
    marks = (np.zeros(len(allowed) // 8 + 1, np.uint8), np.empty(most + 2 * count, np.int64))
    sources, ends = np.empty(most + 2 * count, np.int8), np.empty(6, np.int64)
    # Strongest reason first: what is there already keeps its own.
    ends[0] = _mark_first(marks, 0, allowed, item_rows, repeat_count)
    ends[1] = _mark_all(marks, ends[0], pulled)
    ends[2] = _mark_all(marks, ends[1], near)
    ends[3] = _mark_all(marks, ends[2], cold[basics.above(cold_scores, np.arange(len(cold)), cold_count, ZERO)])
    ends[4] = _mark_first(marks, ends[3], allowed, fresh, fresh_count)
    topics = (popular_by_topic, topic_starts, topic_ends)
    ends[5] = _mark_popular(marks, ends[4], allowed, anchor, catalogue, popular_count, *topics)
    begin = 0
    for part in range(6):
        sources[begin : ends[part]] = BY_STRENGTH[part]
        begin = ends[part]
    found = ends[5]
    missing = min(count, open_rows) - found
    if missing > 0:
        found = _mark_missing(marks, sources, found, allowed, missing, popular, popularity, cold, cold_scores)
    return _marked(marks, sources, found, item_rows)


def _mark(marks: Any, found: int, row: int) -> Any:
    """Put a row behind the `found` ones, where it is not among them; how many there are then. marks: bits, rows"""
    bits, rows = marks
    bit = np.uint8(1 << (row & 7))
    rows[found] = row  # written in any case: quicker than a branch
    found += (bits[row >> 3] & bit) == 0
    bits[row >> 3] |= bit
    return found


def _mark_all(marks: Any, found: int, more: Rows) -> Any:
    for row in more:
        found = _mark(marks, found, row)
    return found


def _is_marked(marks: Any, row: int) -> Any:
    return (marks[0][row >> 3] >> (row & 7)) & 1 != 0


def _marked(marks: Any, sources: Marks, found: int, item_rows: npt.NDArray[np.int32]) -> Any:
    """The rows, ascending, and their sources: of those had, that they may come again, however they were found."""
    order = basics.ascending(marks[1][:found])
    rows, of_rows, kept = np.empty(found, np.int64), np.empty(found, np.int8), 0
    for place in order:
        rows[kept], of_rows[kept] = marks[1][place], sources[place]
        kept += of_rows[kept] != NOTHING
    rows, of_rows = rows[:kept].copy(), of_rows[:kept].copy()
    for row in item_rows:
        if _is_marked(marks, row):
            place = np.searchsorted(rows, row)
            if place < kept and rows[place] == row:
                of_rows[place] = REPEAT
    return rows, of_rows


def _mark_popular(
    marks: Any,
    found: int,
    allowed: Mask,
    anchor: Floats,
    catalogue: Floats,
    count: int,
    popular_by_topic: Rows,
    starts: Rows,
    ends: Rows,
) -> Any:
    known = anchor.sum() > 0
    for topic in range(len(catalogue)):
        if known:
            room = int(np.rint(np.float32(0.5) * (anchor[topic] + catalogue[topic]) * np.float32(count)))
        else:
            room = int(np.rint(catalogue[topic] * np.float32(4 * count)))
        head = min(starts[topic] + 2 * room + HEAD_SPARE, ends[topic])
        for place in range(starts[topic], head):
            if room <= 0:
                break
            if allowed[popular_by_topic[place]]:
                found = _mark(marks, found, popular_by_topic[place])
                room -= 1
    return found


HEAD_SPARE = 8  # as in ranking/retrieve.py


def _mark_missing(
    marks: Any,
    sources: Marks,
    found: int,
    allowed: Mask,
    missing: int,
    popular: Rows,
    popularity: Floats,
    cold: Rows,
    cold_scores: Floats,
) -> Any:
    """What is most popular fills the count; of what nobody turned to, what fits the user and not what comes first."""
    unknown, places, unknown_count = np.empty(missing, np.int64), np.empty(missing, np.int64), 0
    for row in popular:
        if missing == 0:
            break
        if allowed[row] and not _is_marked(marks, row):
            if popularity[row] == 0:
                unknown[unknown_count], places[unknown_count] = row, found
                unknown_count += 1
            sources[found] = POPULAR
            found = _mark(marks, found, row)
            missing -= 1
    order = np.argsort(unknown[:unknown_count])
    unknown, places = unknown[order], places[order]
    come = 0
    fits = np.zeros(len(unknown), np.bool_)
    for at in basics.above(cold_scores, np.arange(len(cold)), len(unknown), ZERO):
        row = cold[at]
        place = np.searchsorted(unknown, row)
        if place < len(unknown) and unknown[place] == row:
            fits[place] = True
            sources[places[place]] = INTEREST
        elif not _is_marked(marks, row):
            come += 1
            sources[found] = INTEREST
            found = _mark(marks, found, row)
    for place in range(len(unknown)):  # as many leave
        if come > 0 and not fits[place]:
            sources[places[place]] = NOTHING
            come -= 1
    return found


def _mark_first(marks: Any, found: int, allowed: Mask, rows: Any, count: int) -> Any:
    """Mark the first `count` allowed ones of these rows."""
    marked = 0
    for row in rows:
        if marked == count:
            break
        if allowed[row]:
            found = _mark(marks, found, row)
            marked += 1
    return found
