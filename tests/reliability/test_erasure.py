"""Who was erased stays erased: in the states, in the archive, in the logs, whatever is read again."""

import logging
from pathlib import Path

import pytest

from consumer.archive import Archive
from consumer.archive_merge import merge
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import HistoryRejected
from interests.history import read_interactions
from interests.state import to_bytes
from interests.stores import open_store
from interests.stores.base import InterestStore
from interests.stores.memory import MemoryStore
from tests.support.entries import START_MS
from tests.support.records import event
from tests.support.soak import Seen

ADA, SECRET = "ada-lovelace", "secret-item"


def log_with_an_erasure() -> MemoryLog:
    log = MemoryLog(1)
    for number in range(40):
        log.append(0, ADA.encode(), event(ADA, f"{SECRET}-{number % 7}"), START_MS + number)
        log.append(0, b"bob", event("bob", "tea"), START_MS + number)
        if number % 9 == 0:
            log.append(0, ADA.encode(), b"\xff" + SECRET.encode(), START_MS + number)
    log.append(0, ADA.encode(), None, START_MS + 100)
    return log


def consumed(log: MemoryLog, store: InterestStore, directory: Path, from_the_start: bool = False) -> Consumer:
    archive = Archive(directory)
    source = MemorySource(log)
    consumer = Consumer(source, store, MemoryDeadLetters(), pace=Pace(7, 0.0), sleep_s=lambda _: None, archive=archive)
    consumer.step()
    if from_the_start:  # as a reader does that trusts the broker's offset instead of the store's
        for partition in log.partitions():
            consumer._absorbed_up_to[partition] = 0
            source.seek(partition, 0)
    ends = {p: len(log.records[p.partition]) for p in log.partitions()}
    consumer.run(lambda: source.positions() != ends)
    archive.close()
    return consumer


@pytest.mark.promise("R19")
def test_after_an_erasure_and_a_replay_from_the_start_nothing_of_the_user_is_left(
    store_url, tmp_path, seen: Seen, caplog
):
    log, directory = log_with_an_erasure(), tmp_path / "archive"
    with caplog.at_level(logging.INFO):
        store = open_store(store_url)
        consumed(log, store, directory)
        consumed(log, store, directory, from_the_start=True)
    state = store.get([ADA])[ADA]
    assert state.erased
    assert SECRET.encode() not in to_bytes(state)
    assert store.get(["bob"])["bob"].interaction_count == 40
    history = read_interactions(directory)
    assert set(history.frame["user_id"]) == {"bob"}
    taken_out = merge(directory, lambda _: None).erased
    assert not [path for path in directory.iterdir() if SECRET.encode() in path.read_bytes()]
    said = "".join(str(record.__dict__) for record in caplog.records)
    assert ADA not in said
    assert SECRET not in said
    seen(replays=1, traces=0, archive_rows_taken_out=taken_out)
    store.close()


def test_an_archive_of_erased_users_alone_says_so(tmp_path):
    log = MemoryLog(1)
    log.append(0, ADA.encode(), event(ADA, SECRET), START_MS)
    log.append(0, ADA.encode(), None, START_MS + 1)
    consumed(log, MemoryStore(), tmp_path / "archive")
    with pytest.raises(HistoryRejected, match="1 erased user, 1 erasure"):
        read_interactions(tmp_path / "archive")


def test_what_an_erased_user_does_later_counts_in_the_states_and_in_the_archive(tmp_path):
    log, store = log_with_an_erasure(), MemoryStore()
    log.append(0, ADA.encode(), event(ADA, "fresh"), START_MS + 200)
    consumed(log, store, tmp_path / "archive")
    assert [item for item, _ in store.get([ADA])[ADA].memories] == ["fresh"]
    frame = read_interactions(tmp_path / "archive").frame
    assert [item for user, item in frame.select("user_id", "item_id").iter_rows() if user == ADA] == ["fresh"]
