"""How training grows: processor time and peak memory of `plural-train fit` with the events, and with the items.

At most linear in events: 2× and 4× the events against 2 and 4 times the cost of the smallest. Items go from --items to
ten times as many with the same events; the limit there is ten times the cost. Histories are generated: users with
two tastes each out of 40, item popularity by a power law, a few items at a time. Each fit is a process of its own.

    python -m bench.train_growth --events 250000 --items 10000
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from bench.report import Row, arguments, finish

EVENTS_A_USER = 60
TASTES = 40
BASKET = 3
START_S, YEAR_S = 1_600_000_000, 365 * 86_400


def main() -> None:
    """Fit at each size and print the table."""
    asked = arguments(__doc__, rounds=1, more=_flags)
    sizes = [(asked.events * factor, asked.items) for factor in (1, 2, 4)] + [(asked.events, 10 * asked.items)]
    costs = []
    for events, items in sizes:
        with tempfile.TemporaryDirectory() as directory:
            history = _history(Path(directory), events, items)
            fits = [_fit(history, Path(directory) / f"{n}", asked.profile) for n in range(asked.rounds)]
            costs.append((statistics.median(fit[0] for fit in fits), max(fit[1] for fit in fits)))
        print(f"{events:,} events, {items:,} items: {costs[-1][0]:.0f} s of a core, {costs[-1][1]:,.0f} MB")
    rows = []
    for (events, items), (seconds, memory_mb), factor in zip(sizes, costs, (1, 2, 4, 10), strict=True):
        for unit, value, base in (("CPU s", seconds, costs[0][0]), ("MB", memory_mb, costs[0][1])):
            rows.append(Row(f"{events:,} events, {items:,} items", value, unit, base * factor, value / base / factor))
    finish("Training grows at most linearly with events and items", rows, asked.json, f"profile {asked.profile}")


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=250_000, help="events of the smallest history")
    parser.add_argument("--items", type=int, default=10_000, help="items of the smaller catalogue")
    parser.add_argument("--profile", default="full", help="of plural-train fit")


def _history(directory: Path, events: int, items: int) -> Path:
    rng = np.random.default_rng(0)
    users = max(events // EVENTS_A_USER, 1)
    user = rng.integers(users, size=events)
    tastes = rng.integers(TASTES, size=(users, 2))
    taste = tastes[user, (rng.random(events) < 0.3).astype(int)]
    within = (items // TASTES * rng.random(events) ** 2).astype(np.int64)
    moment = rng.integers(EVENTS_A_USER // BASKET, size=events)
    second = START_S + moment * (YEAR_S // (EVENTS_A_USER // BASKET)) + user % 86_400
    frame = pl.DataFrame({"user_id": user, "item_id": within * TASTES + taste, "timestamp": second})
    path = directory / "interactions.parquet"
    frame.with_columns(pl.col("user_id", "item_id").cast(pl.String)).write_parquet(path)
    return path


def _fit(history: Path, out: Path, profile: str) -> tuple[float, float]:
    """CPU seconds and peak MB of one fit."""
    command = [sys.executable, "-m", "trainer", "fit", "--interactions", str(history), "--out", str(out)]
    process = subprocess.Popen([*command, "--profile", profile], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"plural-train fit ended with {process.returncode} on {history}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


if __name__ == "__main__":
    main()
