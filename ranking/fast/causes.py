"""What brought each item of a slate (ranking/reasons.py), all its items at once."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba
from ranking.fast import basics, finds, links, mixes

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


@lru_cache(maxsize=1)
def causes() -> Callable[..., Rows] | None:
    """`brought`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    basics.ready(), finds.finds(), links.links(), mixes.mix_kernels()
    compile_into(globals(), dict.fromkeys(("_of_source", "_serves"), EXACT))
    asked = "q1 f1 i2 f2"
    made: Callable[..., Rows] = compiled(brought, f"q1 y1 q1 i1 i1 f2 f1 f2 {asked} {asked} q")
    return made


def brought(
    rows: Rows, sources: npt.NDArray[np.int8], interests: Rows, item_rows: Numbers, recent_rows: Numbers,
    told: Floats, told_shares: Floats, vectors: Floats,
    first_rows: Rows, first_asks: Floats, first_links: Numbers, first_weights: Floats,
    second_rows: Rows, second_asks: Floats, second_links: Numbers, second_weights: Floats, most: int,
) -> Rows:  # fmt: skip
    """For each row the rows that brought it, (n, most), strongest first, -1 padded.

    interests (n,): what each serves, -1 for none; told (k, dim): vectors of told interests, with their shares;
    first_*, second_*: what asked for transitions and neighbours, and these links
    """
    best = np.full((len(rows), most), -1, np.int64)
    for place in range(len(rows)):
        row = rows[place]
        if sources[place] == finds.REPEAT and (np.any(item_rows == row) or np.any(recent_rows == row)):
            best[place, 0] = row
    places = _of_source(sources, finds.NEIGHBOUR, rows)
    if len(places):
        first = (first_rows, first_asks, first_links, first_weights)
        second = (second_rows, second_asks, second_links, second_weights)
        best[places] = links.linked(rows[places], *first, *second, len(vectors), most)
    places = _of_source(sources, finds.INTEREST, rows)
    if len(places):
        serves = _serves(vectors, item_rows, told, told_shares)
        best[places] = mixes.alike(vectors, rows[places], interests[places], item_rows, serves, most)
    return best


def _of_source(sources: npt.NDArray[np.int8], source: int, rows: Rows) -> Rows:
    places, found = np.empty(len(rows), np.int64), 0
    for place in range(len(rows)):
        places[found] = place
        found += sources[place] == source and rows[place] >= 0
    return places[:found]


def _serves(vectors: Floats, rows: Numbers, told: Floats, told_shares: Floats) -> Rows:
    """The told interest nearest to each of these rows, by its place among them by share; -1 where there is none."""
    order = np.argsort(-told_shares, kind="mergesort")
    serves = np.empty(len(rows), np.int64)
    for at in range(len(rows)):
        serves[at] = basics.nearest_of(vectors, rows[at], told, order)
    return serves
