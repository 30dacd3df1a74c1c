"""What a million users take: bytes a state in LMDB on disk and in Redis in memory, and how fast states are written.

    python -m bench.states [--json FILE] [--states 1000000] [--stores lmdb,redis]

States are made by absorbing random events, as many a user as shops see (a few for most, hundreds for some), and are
stored with and without the encoder's vectors of --interests directions of --dim. Redis keeps no append-only file here:
its memory is what is measured.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from bench.report import Row, arguments, finish
from interests.absorb import absorb
from interests.events import Action, Interaction, LogEntry, LogPartition
from interests.state import InterestState, InterestVectors, to_bytes
from interests.stores import open_store
from interests.stores.base import InterestStore
from tests.support.redis_server import RedisServer

LOG = LogPartition("bench", 0)
START_MS, MINUTE_MS = 1_760_000_000_000, 60_000
BATCH, TEMPLATES = 1000, 2000
EVENTS_A_USER_MEDIAN, EVENTS_A_USER_SIGMA, EVENTS_A_USER_MAX = 12, 1.2, 2000  # log-normal
ACTIONS = (Action.IMPRESSION,) * 6 + (Action.VIEW,) * 4 + (Action.CLICK,) * 3 + (Action.CART, Action.PURCHASE)


def main() -> None:
    """Write the states into each store and report."""
    options = arguments(__doc__, rounds=1, more=_flags)
    templates = list(_templates(options))
    plain = sum(len(to_bytes(replace(state, vectors=None))) for state in templates) / len(templates)
    encoded = sum(len(to_bytes(state)) for state in templates) / len(templates)
    events = sum(state.version for state in templates) / len(templates)
    rows = [
        Row("stored form, without vectors", plain, "bytes"),
        Row("stored form, with vectors", encoded, "bytes"),
        Row("events absorbed, mean a user", events, "events"),
    ]
    with tempfile.TemporaryDirectory(prefix="plural-bench-") as directory:
        if "lmdb" in options.stores:
            rows += _lmdb(Path(directory) / "lmdb", templates, options.states)
        if "redis" in options.stores:
            rows += _redis(Path(directory) / "redis", templates, options.states)
    conditions = f"{options.states:,} states, {options.interests} interests of {options.dim} dimensions"
    finish("What states take", rows, options.json, conditions)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--states", type=int, default=50_000, help="how many users")
    parser.add_argument("--stores", default="lmdb,redis", help="which stores, with commas between")
    parser.add_argument("--interests", type=int, default=4, help="directions a user")
    parser.add_argument("--dim", type=int, default=64, help="of each direction, and of the factor")


def _templates(options: argparse.Namespace) -> Iterator[InterestState]:
    """States of users whose ids are filled in later; a sample is enough, because sizes are all that counts."""
    rng, vectors_rng = random.Random(7), np.random.default_rng(7)
    for number in range(min(TEMPLATES, options.states)):
        user_id = _user(number)
        count = min(int(rng.lognormvariate(np.log(EVENTS_A_USER_MEDIAN), EVENTS_A_USER_SIGMA)) + 1, EVENTS_A_USER_MAX)
        entries = []
        for offset in range(count):
            at_ms = START_MS + offset * MINUTE_MS
            item_id = f"item-{int(rng.paretovariate(0.8)) % 100_000:05d}"
            did = Interaction(user_id, item_id, rng.choice(ACTIONS), at_ms, event_id=str(rng.random()))
            entries.append(LogEntry(LOG, offset, at_ms, user_id, did))
        vectors = InterestVectors(
            "0" * 16,
            vectors_rng.standard_normal((options.interests, options.dim)).astype(np.float32),
            np.full(options.interests, 1 / options.interests, np.float32),
            vectors_rng.standard_normal(options.dim).astype(np.float32),
        )
        yield replace(absorb(InterestState(user_id), entries), vectors=vectors)


def _user(number: int) -> str:
    return f"user-{number:08d}"


def _write(store: InterestStore, templates: list[InterestState], count: int) -> float:
    """Write so many states; returns states a second, making them included."""
    store.claim([LOG])
    start_s = said_s = time.monotonic()
    made = (replace(templates[number % len(templates)], user_id=_user(number)) for number in range(count))
    written = 0
    while batch := list(islice(made, BATCH)):
        written += len(batch)
        store.put(batch, {LOG: written})
        if time.monotonic() - said_s > 5:
            said_s = time.monotonic()
            print(f"{written:,} of {count:,} states, {written / (said_s - start_s):,.0f} states/s", flush=True)
    return count / (time.monotonic() - start_s)


def _lmdb(path: Path, templates: list[InterestState], count: int) -> list[Row]:
    store = open_store(f"lmdb:{path}")
    rate = _write(store, templates, count)
    store.close()
    used = sum(file.stat().st_blocks * 512 for file in path.rglob("*"))
    # Random reads of a store that was just opened, as a restarted server makes them.
    reader, rng, start_s = open_store(f"lmdb:{path}", read_only=True), random.Random(1), time.monotonic()
    for _ in range(2000):
        reader.get([_user(rng.randrange(count))])
    read_us = (time.monotonic() - start_s) / 2000 * 1e6
    reader.close()
    shutil.rmtree(path)
    return [
        Row("LMDB, disk a state", used / count, "bytes"),
        Row("LMDB, written", rate, "states/s"),
        Row("LMDB, one state read and parsed", read_us, "us"),
    ]


def _redis(path: Path, templates: list[InterestState], count: int) -> list[Row]:
    server = RedisServer(path, appendonly=False)
    try:
        with server.client() as client:
            before = client.info("memory")["used_memory"]
            store = open_store(server.url)
            rate = _write(store, templates, count)
            store.close()
            memory = client.info("memory")
            states = (memory["used_memory"] - before) / count
            resident = memory["used_memory_rss"] / count
    finally:
        server.kill()
    return [
        Row("Redis, memory a state", states, "bytes"),
        Row("Redis, resident a state", resident, "bytes"),
        Row("Redis, written", rate, "states/s"),
    ]


if __name__ == "__main__":
    main()
