"""Where there is no room: nothing crashes, reads go on, and writing goes on once there is room again."""

import logging
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import BrokerUnavailable
from interests.stores.lmdb import LmdbStore
from tests.support.entries import bits
from tests.support.records import entries_and_bad, fill, oracle
from tests.support.soak import Seen

ROOM_BYTES = 400 * 1024


def log_of(count: int) -> MemoryLog:
    log = MemoryLog(2)
    fill(log, random.Random(5), count, users=400)
    return log


def consumer_of(log: MemoryLog, store: LmdbStore, letters: MemoryDeadLetters | None = None) -> Consumer:
    clock = iter(range(10**9))
    return Consumer(
        MemorySource(log),
        store,
        letters or MemoryDeadLetters(),
        pace=Pace(50, 0.0, catch_up_records=50),
        clock_s=lambda: 10.0 * next(clock),
        sleep_s=lambda _: None,
    )


def turns(consumer: Consumer, number: int) -> None:
    left = iter([True] * number + [False])
    consumer.run(lambda: next(left))


@pytest.mark.promise("R6")
def test_a_full_map_stops_writes_alone_and_a_larger_one_goes_on_without_loss(tmp_path, seen: Seen, caplog):
    caplog.set_level("CRITICAL")
    log = log_of(1500)
    full = LmdbStore(tmp_path / "store", map_bytes=ROOM_BYTES)
    consumer = consumer_of(log, full)
    turns(consumer, 100)
    retries = consumer.metrics.registry.get_sample_value("plural_consumer_retries_total", {"what": "store"})
    read = sum(full.claim(log.partitions()).values())
    assert retries
    assert 0 < read < 1500
    assert full.get(["user-0", "user-1", "user-2"])
    full.close()
    larger = LmdbStore(tmp_path / "store")
    turns(consumer_of(log, larger), 100)
    assert bits(larger.get(oracle(log))) == bits(oracle(log))
    seen(absorbed_before_it_was_full=read, lost=0)
    larger.close()


def limited(path: Path) -> None:
    """In a process of its own: a store on a disk with little room, which is then given more."""
    log, store = log_of(1500), LmdbStore(path)
    consumer = consumer_of(log, store)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    turns(consumer, 100)
    read = sum(store.claim(log.partitions()).values())
    states = len(store.get(f"user-{number}" for number in range(400)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    start_s = time.monotonic()
    turns(consumer, 200)
    whole = bits(store.get(oracle(log))) == bits(oracle(log))
    sys.stdout.write(f"{read} {states} {whole} {time.monotonic() - start_s < 5.0}\n")


@pytest.mark.promise("R6")
def test_a_full_disk_stops_writes_alone_and_with_room_they_go_on_in_the_same_process(tmp_path, seen: Seen):
    command = [sys.executable, "-m", "tests.reliability.test_full", str(tmp_path / "store")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    read, states, whole, in_time = done.stdout.split()
    assert 0 < int(read) < 1500
    assert int(states) > 0
    assert (whole, in_time) == ("True", "True")
    seen(absorbed_before_it_was_full=int(read), lost=0)


@pytest.mark.promise("R6")
def test_full_dead_letters_hold_their_batch_back_and_nothing_else_is_done_until_there_is_room(
    tmp_path, seen: Seen, caplog
):
    class Full(MemoryDeadLetters):
        is_full = True
        refused = 0

        def write(self, letters) -> None:
            if self.is_full:
                self.refused += 1
                raise BrokerUnavailable("the dead-letter topic is full")
            super().write(letters)

    caplog.set_level("CRITICAL")
    log, store, letters = log_of(600), LmdbStore(tmp_path / "store"), Full()
    consumer = consumer_of(log, store, letters)
    turns(consumer, 60)
    held_at = sum(store.claim(log.partitions()).values())
    assert letters.refused > 1
    letters.is_full = False
    consumer = consumer_of(log, store, letters)
    turns(consumer, 100)
    assert bits(store.get(oracle(log))) == bits(oracle(log))
    bad = sum(len(partition) for partition in log.records) - _good(log)
    assert len({letter.record.offset for letter in letters.letters}) > 0
    assert len(letters.letters) == bad
    seen(held_at=held_at, refused=letters.refused, lost=0)
    store.close()


def _good(log: MemoryLog) -> int:
    entries, _ = entries_and_bad(record for partition in log.records for record in partition)
    return len(entries)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limited(Path(sys.argv[1]))
