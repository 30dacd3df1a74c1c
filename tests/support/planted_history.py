"""A small shop with planted tastes, as the two files that `plural-train` reads.

Each user buys from two of the topics, 70% from the first; inside a topic a few items are far more popular. One item of
each topic, `t<k>-new`, stands in the catalogue and was never bought.
"""

from pathlib import Path

import numpy as np
import polars as pl

TOPICS, ITEMS_A_TOPIC = 4, 15
START_S, DAY_S = 1_600_000_000, 86_400


def write(directory: Path, users: int = 90, seed: int = 0) -> tuple[Path, Path]:
    """Write interactions.csv and items.csv; returns their paths."""
    rng = np.random.default_rng(seed)
    rows = [row for user in range(users) for row in _user(f"u{user:03d}", rng)]
    interactions, items = directory / "interactions.csv", directory / "items.csv"
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_csv(interactions)
    catalogue = [
        (f"t{topic}-{name}", f"Thing {name} of kind {topic}", f"topic {topic}", f"maker {topic % 2}")
        for topic in range(TOPICS)
        for name in (*(f"{number:02d}" for number in range(ITEMS_A_TOPIC)), "new")
    ]
    pl.DataFrame(catalogue, schema=["item_id", "title", "categories", "brand"], orient="row").write_csv(items)
    return interactions, items


def topic_of(item_id: str) -> int:
    """The planted topic of an item."""
    return int(item_id[1])


def _user(user_id: str, rng: np.random.Generator) -> list[tuple[str, str, int]]:
    first, second = rng.choice(TOPICS, 2, replace=False)
    time_s, rows = START_S + int(rng.integers(30 * DAY_S)), []
    for _ in range(int(rng.integers(5, 9))):
        time_s += int(rng.integers(DAY_S, 6 * DAY_S))
        for _ in range(int(rng.integers(1, 4))):
            topic = first if rng.random() < 0.7 else second
            rows.append((user_id, f"t{topic}-{int(ITEMS_A_TOPIC * rng.random() ** 2):02d}", time_s))
    return rows
