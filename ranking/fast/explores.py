"""Chance in the last place (ranking/explore.py), for the compiled way."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into
from ranking.fast import aims, finds

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@lru_cache(maxsize=1)
def ready() -> None:
    """Compile what is here; for who knows that numba is installed."""
    aims.aims(), finds.finds()
    compile_into(globals(), dict.fromkeys(("drawn", "with_drawn"), EXACT))


def drawn(
    chance: float, first: float, second: float, mix: Floats, lately: Floats, new_share: float, rows: Rows,
    allowed: Mask, of_topic: Rows, starts: Rows,
) -> Any:  # fmt: skip
    """The row that chance draws, -1 for none, which is most often, and how likely it was.

    first, second: in [0, 1); lately (T,): shares of the catalogue; rows: of the slate; of_topic, starts (T + 1,): rows
    by topic, the most popular first
    """
    if first >= chance or not np.any(mix != 0.0):
        return np.int64(-1), 0.0
    topics, count = np.empty(len(mix), np.int64), 0
    for topic in range(len(mix)):
        topics[count] = topic
        count += mix[topic] < np.float32(new_share) and lately[topic] > 0
    if count == 0:
        return np.int64(-1), 0.0
    topic = topics[int(second * count)]
    for place in range(starts[topic], starts[topic + 1]):
        row = of_topic[place]
        if allowed[row] and not np.any(rows == row):
            return row, chance / count
    return np.int64(-1), 0.0


def with_drawn(row: int, rows: Rows, scores: Floats, sources: Any, serves: Rows, topics: Any, shares: Floats) -> Any:
    """The same slate with that row in the last place, for the last whose topic the slate has twice."""
    count = len(rows)
    main = np.empty(count, np.int64)
    for place in range(count):
        main[place] = aims.main_topic(topics, shares, rows[place])
    given_up = count - 1
    for place in range(count - 1, -1, -1):
        if np.sum(main == main[place]) > 1:
            given_up = place
            break
    last = scores[count - 1]
    for place in range(given_up, count - 1):
        rows[place], scores[place] = rows[place + 1], scores[place + 1]
        sources[place], serves[place] = sources[place + 1], serves[place + 1]
    rows[count - 1], scores[count - 1] = row, last
    sources[count - 1], serves[count - 1] = finds.POPULAR, -1
