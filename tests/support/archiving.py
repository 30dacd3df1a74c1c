"""A consumer with an archive over a log in memory, as a program that can be killed.

python -m tests.support.archiving DIRECTORY STORE_URL SEED COUNT
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from consumer.archive import Archive
from consumer.archive_files import ArchiveDirectory
from consumer.archive_merge import merge
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.base import Record
from consumer.sources.memory import MemoryLog, MemorySource
from interests.stores import open_store
from interests.stores.base import InterestStore
from tests.support.records import entries_and_bad, fill

ROOT = Path(__file__).parents[2]
BATCH = 17


def log_of(seed: int, count: int) -> MemoryLog:
    """The same log whenever it is asked for."""
    log = MemoryLog(partitions=2)
    fill(log, random.Random(seed), count)
    return log


def read_all(log: MemoryLog, store: InterestStore, archive: Archive) -> Consumer:
    """Consume and archive until the log's end; a file is rolled each few batches. The archive stays open."""
    clock = iter(range(10**9))
    consumer = Consumer(
        MemorySource(log),
        store,
        MemoryDeadLetters(),
        pace=Pace(BATCH, poll_s=0.0, catch_up_records=BATCH),
        clock_s=lambda: float(next(clock)),
        sleep_s=lambda _: None,
        archive=archive,
    )
    ends = {p: len(log.records[p.partition]) for p in log.partitions()}
    consumer.run(lambda: consumer.source.positions() != ends)
    return consumer


def archived_places(directory: Path) -> list[tuple[str, int]]:
    """The places of all rows in an archive's files, in order, each as often as it stands there after a merge."""
    merge(directory, lambda _: None)
    frames = [pl.read_parquet(file.path) for file in ArchiveDirectory(directory).files()]
    return sorted(row for frame in frames for row in frame.select("log", "log_offset").iter_rows())


def places_of(records: Iterable[Record]) -> list[tuple[str, int]]:
    """Where the entries among these records stand that an archive must hold: not those of users erased later."""
    entries, _ = entries_and_bad(records)
    erased = {(e.user_id, e.partition): e.offset for e in entries if e.interaction is None}
    return sorted(
        (f"{e.partition.incarnation}/{e.partition.partition}", e.offset)
        for e in entries
        if e.interaction is None or e.offset >= erased.get((e.user_id, e.partition), 0)
    )


def run(directory: Path, url: str, seed: int, count: int, failpoint: str = "") -> int:
    """The same in a process of its own; returns its exit code, -9 where the failpoint killed it."""
    command = [sys.executable, "-m", "tests.support.archiving", str(directory), url, str(seed), str(count)]
    environment = {**os.environ, "PLURAL_FAILPOINT": failpoint}
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode


if __name__ == "__main__":
    kept = Archive(Path(sys.argv[1]), roll_s=20.0)
    read_all(log_of(int(sys.argv[3]), int(sys.argv[4])), open_store(sys.argv[2]), kept)
    kept.close()
