"""The rows nearest to some vectors (ranking/nearby.py): one walk over the catalogue for all of them."""

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
Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int16]

SAMPLE_STRIDE = 16
BLOCK = 256  # rows that are multiplied by every query before the next are read
SLACK = 1.001  # for what rounding to floats adds to half a step
ROOM, ROOM_MIN = 4, 1024  # of what a query asks for, beyond which its threshold is taken for misleading
ANYTHING = np.float32(-np.inf)
CODE_MAX, WORD_MAX, SUM_MAX = 127, 32_767, 2**31 - 1
USUAL_DIM = 64  # the trainer's default: loops whose length the compiler knows take two thirds of the time


class Asked(NamedTuple):
    """Queries (k, dim) in whole steps: words, how long a step is (k,), by how much a product with codes may be off
    (k,), and what is looked for (k,): a product that may reach the threshold."""

    words: Words
    steps: Floats
    halves: Floats
    thresholds: Floats


@lru_cache(maxsize=1)
def near() -> Callable[..., tuple[Rows, Rows]] | None:
    """`nearest`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    basics.ready()
    steps = ("_asked", "_times", "_times_usual", "_products", "_threshold", "_close", "_best")
    compile_into(globals(), dict.fromkeys(steps, EXACT))
    made: Callable[..., tuple[Rows, Rows]] = compiled(nearest, "f2 q1 f2 y2 f1 b2 q1 q1")
    return made


def nearest(
    queries: Floats, counts: Rows, vectors: Floats, codes: Codes, steps: Floats, allowed: Mask, whose: Rows,
    open_rows: Rows,
) -> tuple[Rows, Rows]:  # fmt: skip
    """For each query (k, dim) the rows of its counts[k] allowed vectors with the largest products, in no order; exact,
    of equals the first rows. One query's after the other's, each to its end (k,).

    codes (n, dim), steps (n,): each vector in whole steps, a quarter of its bytes, so that the walk leaves the caches
    to others. A product in whole steps is off by at most half of one a dimension on either side: what could still be
    among the nearest is multiplied out, and that is little more than what is asked for.
    allowed (u, n), open_rows (u,): what users may see, and how much that is; whose (k,): whose each query is
    """
    wanted, asked = np.minimum(counts, open_rows[whose]), _asked(queries)
    for query in range(len(queries)):
        asked.thresholds[query] = _threshold(asked, query, codes, steps, allowed[whose[query]], wanted[query])
    room = min(ROOM * wanted.max() + ROOM_MIN, len(vectors)) + BLOCK if len(queries) else BLOCK
    rows, highest, found = _close(asked, codes, steps, room)
    near, ends, end = np.empty(wanted.sum(), np.int64), np.empty(len(queries), np.int64), 0
    for query in range(len(queries)):
        mine = (queries[query], vectors, steps, asked.halves[query], allowed[whose[query]], wanted[query])
        close = (rows[query, : found[query]], highest[query, : found[query]])
        fine, best = _best(*mine, asked.thresholds[query], *close)
        if not fine or found[query] + BLOCK > room:
            # The sample misled: everything is looked at.
            alone = _asked(queries[query : query + 1])
            alone.thresholds[0] = ANYTHING
            every_row, every_highest, _ = _close(alone, codes, steps, len(vectors) + BLOCK)
            _, best = _best(*mine, ANYTHING, every_row[0, : len(vectors)], every_highest[0, : len(vectors)])
        near[end : end + len(best)] = best
        end += len(best)
        ends[query] = end
    return near[:end], ends


def _asked(queries: Floats) -> Asked:
    """Queries in whole steps, as many to the largest as sums of products have room for."""
    count, dim = queries.shape
    words, steps, halves = np.empty((count, dim), np.int16), np.empty(count, np.float32), np.empty(count, np.float32)
    most = min(WORD_MAX, SUM_MAX // ((CODE_MAX + 1) * max(dim, 1)))
    for query in range(count):
        total, largest = np.float32(0.0), np.float32(1e-30)
        for at in range(dim):
            total += abs(queries[query, at])
            largest = max(largest, abs(queries[query, at]))
        steps[query] = largest / np.float32(most)
        for at in range(dim):
            words[query, at] = np.int16(np.rint(queries[query, at] / steps[query]))
        halves[query] = np.float32(0.5 * SLACK) * (total + steps[query] * np.float32(CODE_MAX * dim))
    return Asked(words, steps, halves, np.empty(count, np.float32))


def _times(codes: Codes, row: int, words: Words) -> Any:
    total = np.int32(0)
    for at in range(len(words)):
        # The casts keep all of it in 32 bits, of which a register takes twice as many.
        total = np.int32(total + np.int32(np.int32(codes[row, at]) * np.int32(words[at])))
    return np.float32(total)


def _times_usual(codes: Codes, row: int, words: Words) -> Any:
    total = np.int32(0)
    for at in range(USUAL_DIM):
        total = np.int32(total + np.int32(np.int32(codes[row, at]) * np.int32(words[at])))
    return np.float32(total)


def _products(codes: Codes, words: Words, products: Floats) -> None:
    """Of each row of these codes with the words of a query, in steps of both."""
    if len(words) == USUAL_DIM:
        for row in range(len(codes)):
            products[row] = _times_usual(codes, row, words)
    else:
        for row in range(len(codes)):
            products[row] = _times(codes, row, words)


def _threshold(asked: Asked, query: int, codes: Codes, steps: Floats, allowed: Mask, count: int) -> Any:
    """What the least of the nearest likely reaches, by a sample of the rows."""
    sample, sampled = np.empty(len(codes) // SAMPLE_STRIDE + 1, np.float32), 0
    step, half, words = asked.steps[query], asked.halves[query], asked.words[query]
    for row in range(0, len(codes), SAMPLE_STRIDE):
        sample[sampled] = (_times(codes, row, words) * step - half) * steps[row]
        sampled += allowed[row]
    place = 2 * count // SAMPLE_STRIDE + 8
    return basics.kth(sample[:sampled], place) if place <= sampled else ANYTHING


def _close(asked: Asked, codes: Codes, steps: Floats, room: int) -> Any:
    """For each query the rows whose products may reach its threshold, the most that these can be, and how many they
    are; more than room - BLOCK where there were too many."""
    count = len(asked.words)
    rows, highest = np.empty((count, room), np.int32), np.empty((count, room), np.float32)
    found, products = np.zeros(count, np.int64), np.empty(BLOCK, np.float32)
    for start in range(0, len(codes), BLOCK):
        block, of_rows = codes[start : start + BLOCK], steps[start : start + BLOCK]
        for query in range(count):
            if found[query] + BLOCK > room:
                continue
            step, half, threshold = asked.steps[query], asked.halves[query], asked.thresholds[query]
            _products(block, asked.words[query], products)
            for at in range(len(block)):
                products[at] = (products[at] * step + half) * of_rows[at]
            my_rows, my_highest, kept = rows[query, found[query] :], highest[query, found[query] :], 0
            for at in range(len(block)):
                if products[at] >= threshold:
                    my_rows[kept], my_highest[kept] = start + at, products[at]
                    kept += 1
            found[query] += kept
    return rows, highest, found


def _best(
    query: Floats, vectors: Floats, steps: Floats, half: np.float32, allowed: Mask, count: int, threshold: np.float32,
    close: Any, highest: Any,
) -> tuple[bool, Rows]:  # fmt: skip
    """Whether enough of the close rows reach the threshold for certain, and the best of those allowed."""
    rows, products, found = np.empty(len(close), np.int64), np.empty(len(close), np.float32), 0
    lowest, certain = np.empty(len(close), np.float32), 0
    for at in range(len(close)):
        row = np.int64(close[at])
        rows[found], products[found] = row, highest[at]
        lowest[found] = highest[at] - 2 * half * steps[row]
        certain += allowed[row] and lowest[found] >= threshold
        found += allowed[row]
    if certain < count:
        return False, rows[:0]
    if not 0 < count < found:
        return True, rows[:count]
    edge, kept = basics.kth(lowest[:found], count), 0
    for at in range(found):
        rows[kept] = rows[at]
        kept += products[at] >= edge
    for at in range(kept):
        products[at] = basics.dot(vectors, rows[at], query)
    best = basics.above(products[:kept], np.arange(kept), count, ANYTHING)
    return True, rows[best]
