"""The synthetic shop that the benchmarks run on: 10,000 items in 100 topics, 2,500 users, learned once by the trainer.

Everything lies under data/bench and is made on first use.
"""

import contextlib
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import grpc
import polars as pl

DIRECTORY = Path("data/bench")
ITEMS, TOPICS, USERS, EVENTS_A_USER = 10_000, 100, 2_500, 80
START_MS, DAY_MS = 1_760_000_000_000, 86_400_000
SEED = 7


class World(NamedTuple):
    """Where the shop's history and bundle are."""

    interactions: Path
    items: Path
    bundles: Path


def world() -> World:
    """Make what is missing of the shop; trains for a minute or two the first time."""
    made = World(DIRECTORY / "interactions.parquet", DIRECTORY / "items.parquet", DIRECTORY / "bundles")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    if not made.items.is_file():
        _interactions().write_parquet(made.interactions)
        _items().write_parquet(made.items)
    if not (made.bundles / "CURRENT").is_file():
        command = ["-m", "trainer", "fit", "--interactions", made.interactions, "--items", made.items]
        run(*command, "--out", made.bundles, "--profile", "demo")
    return made


def user(number: int) -> str:
    """The id of one user."""
    return f"user-{number:05d}"


def item(number: int) -> str:
    """The id of one item; its topic is number % TOPICS."""
    return f"item-{number:05d}"


def _interactions() -> pl.DataFrame:
    """Each user goes about a few topics; within a topic few items are popular."""
    rng = random.Random(SEED)
    rows = []
    for number in range(USERS):
        topics = rng.sample(range(TOPICS), 4)
        for step in range(EVENTS_A_USER):
            topic = rng.choices(topics, weights=(8, 4, 2, 1))[0]
            rank = min(int(rng.paretovariate(0.8)) - 1, ITEMS // TOPICS - 1)
            time_ms = START_MS + step * DAY_MS + rng.randrange(DAY_MS)
            rows.append((user(number), item(rank * TOPICS + topic), time_ms, "click"))
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "action"], orient="row")


def _items() -> pl.DataFrame:
    numbers = range(ITEMS)
    titles = [f"Item {number}" for number in numbers]
    categories = [f"Topic {number % TOPICS}" for number in numbers]
    return pl.DataFrame({"item_id": [item(n) for n in numbers], "title": titles, "categories": categories})


def run(*arguments: object) -> None:
    """Run Python to its end; raises where it fails."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


def free_address() -> str:
    """A loopback address that nobody listens on, below the ports that outgoing connections take."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return f"127.0.0.1:{port}"


def wait_for(address: str, timeout_s: float = 300.0) -> None:
    """Return once a gRPC server answers there; a first start compiles for a minute or two."""
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=timeout_s)


def wait_until(condition: object, timeout_s: float = 60.0) -> None:
    """Return once `condition()` holds; raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError("the system did not get ready in time")
        time.sleep(0.05)
