"""The archive: each record of the log once, whatever dies, and what is erased stays erased."""

import logging
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from consumer.app import main
from consumer.archive import Archive
from consumer.archive_files import ArchiveDirectory, name_of, parse
from consumer.archive_merge import merge
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import SettingsRejected, StoreCorrupt
from interests.events import Action, LogEntry, LogPartition
from interests.history import read_interactions, to_interactions
from interests.stores import open_store
from interests.stores.memory import MemoryStore
from tests.support.archiving import log_of, read_all, run
from tests.support.consumers import until
from tests.support.entries import DAY_MS, START_MS, bits, did, erased_at
from tests.support.records import entries_and_bad, event, oracle

COUNT = 300
Place = tuple[str, int]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def archived(directory: Path) -> list[Place]:
    """The places of all rows in all files, as often as they stand there."""
    frames = [pl.read_parquet(file.path) for file in ArchiveDirectory(directory).files()]
    return sorted(row for frame in frames for row in frame.select("log", "log_offset").iter_rows())


def entries_of(log: MemoryLog) -> list[LogEntry]:
    entries, _ = entries_and_bad(record for partition in log.records for record in partition)
    return entries


def places(log: MemoryLog) -> list[Place]:
    return sorted((f"{e.partition.incarnation}/{e.partition.partition}", e.offset) for e in entries_of(log))


def keep(directory: Path, entries: list[LogEntry], begin: int = 0) -> None:
    """Archive these in one file a partition, whatever stands there before."""
    for partition in {entry.partition for entry in entries}:
        theirs = [entry for entry in entries if entry.partition == partition]
        archive = Archive(directory)
        archive.positions([partition])
        archive._buffers[partition].begin = archive._buffers[partition].end = begin
        archive.append(theirs, {partition: theirs[-1].offset + 1}, 0.0)
        archive.close()


def test_every_entry_of_the_log_is_archived_once_and_reads_back_as_it_was(directory):
    log = MemoryLog()
    sent = [
        did("ada", 0, "tea", Action.PURCHASE, time_ms=START_MS, value=3.0, event_id="e-1"),
        did("bob", 1, "007", Action.RATING, time_ms=START_MS + 5, value=1.0),
        did("ada", 2, "12.0", Action.IMPRESSION, time_ms=START_MS + 9),
    ]
    for entry in sent:
        did_ = entry.interaction
        fields = {"time_ms": did_.time_ms, "value": did_.value, "event_id": did_.event_id}
        fields |= {"slate_id": "s", "position": 4}
        log.append(0, did_.user_id.encode(), event(did_.user_id, did_.item_id, did_.action, **fields), START_MS)
    log.append(0, b"ada", b"\xff", START_MS)
    archive = Archive(directory)
    read_all(log, MemoryStore(), archive)
    archive.close()
    assert list(to_interactions(read_interactions(directory).frame)) == [entry.interaction for entry in sent]
    assert pl.read_parquet(directory)["slate_id"].to_list() == ["s"] * 3
    assert pl.read_parquet(directory)["position"].to_list() == [4] * 3


def test_a_rating_of_few_stars_is_not_taken_for_the_top_of_a_scale(directory):
    keep(directory, [did("ada", 0, action=Action.RATING, value=0.5)])
    assert read_interactions(directory).frame["value"].to_list() == [0.5]


def test_a_time_far_in_the_future_is_archived_as_absorbing_counts_it(directory):
    keep(directory, [did("ada", 0, time_ms=START_MS + 400 * DAY_MS), did("ada", 1, time_ms=None)])
    assert read_interactions(directory).frame["time_ms"].to_list() == [START_MS, START_MS + 1000]


def test_a_log_with_bad_records_retries_and_erasures_is_archived_without_gap_or_double(directory):
    log, store = log_of(1, COUNT), MemoryStore()
    archive = Archive(directory, roll_s=8.0)
    read_all(log, store, archive)
    archive.close()
    assert archived(directory) == places(log)
    assert len(ArchiveDirectory(directory).files()) > 4
    assert bits(store.get(oracle(log))) == bits(oracle(log))


@pytest.mark.parametrize("failpoint", ["in_archive:2", "after_archive:2", "before_put:9", "after_put:9"])
def test_killed_anywhere_the_archive_has_no_gap_and_no_double(directory, store_url, failpoint):
    assert run(directory, store_url, 2, COUNT, failpoint) == -9
    log, store = log_of(2, COUNT), open_store(store_url)
    archive = Archive(directory, roll_s=20.0)
    read_all(log, store, archive)
    archive.close()
    assert archived(directory) == places(log)
    assert bits(store.get(oracle(log))) == bits(oracle(log))
    store.close()


def test_an_archive_that_believed_the_store_would_have_a_gap(directory):
    class Believing(Archive):
        """A planted bug: reading goes on where the store stands, and what the buffers held is gone."""

        def positions(self, partitions):
            ends = store.claim(partitions)
            self._buffers |= {p: type(_buffer)(end, end) for p, end in ends.items()}
            return ends

    log, store, dying = log_of(3, COUNT), MemoryStore(), Archive(directory)
    read_all(log, store, dying)  # never closed: what it held is gone
    _buffer = next(iter(dying._buffers.values()))
    archive = Believing(directory)
    read_all(log_of(3, COUNT), store.handle(), archive)
    archive.close()
    assert archived(directory) != places(log)


def test_an_archive_begun_late_starts_with_the_log_s_first_record_and_moves_no_state(directory):
    log, store = log_of(4, COUNT), MemoryStore()
    read_all(log, store, Archive(directory / "lost"))
    before, since = bits(store.get(oracle(log))), store.end_of_changes()
    archive = Archive(directory / "kept")
    consumer = read_all(log, store.handle(), archive)
    archive.close()
    assert archived(directory / "kept") == places(log)
    assert bits(store.get(oracle(log))) == before
    assert store.changes(since).entries == []
    assert isinstance(consumer.dead_letters, MemoryDeadLetters)
    assert consumer.dead_letters.letters == []


def test_what_was_held_of_a_partition_that_went_to_another_reader_is_written(directory):
    log = log_of(5, COUNT)
    source, archive = MemorySource(log, [0, 1]), Archive(directory)
    consumer = Consumer(source, MemoryStore(), MemoryDeadLetters(), pace=Pace(50, 0.0), archive=archive)
    for _ in range(3):
        consumer.step()
    source.assign([1])
    consumer.step()
    archive.roll(0.0)
    archive._writer.shutdown()
    assert {parse(file.path).partition.partition for file in ArchiveDirectory(directory).files()} == {0}


def test_two_writers_of_one_partition_leave_each_record_read_once(directory):
    entries = [did("ada", offset, f"item-{offset}") for offset in range(30)]
    keep(directory, entries[:20])
    keep(directory, entries[10:], begin=10)
    history = read_interactions(directory)
    assert history.frame["item_id"].to_list() == [f"item-{n}" for n in range(30)]
    assert history.report.dropped == {"twice in the log": 10}


def test_what_an_erased_user_did_before_is_never_read_and_what_came_after_is(directory):
    other = LogPartition("another-log", 3)
    keep(directory, [did("ada", 0, "before"), did("bob", 1), erased_at("ada", 2), did("ada", 3, "after")])
    keep(directory, [did("ada", 0, "old log", partition=other), did("ada", 9, "other log, later", partition=other)])
    plain = directory / "history.csv"
    plain.write_text(f"user_id,item_id,timestamp,action\nada,old file,{START_MS},like\nbob,kept,{START_MS},like\n")
    history = read_interactions(directory)
    assert sorted(history.frame["item_id"]) == ["after", "kept", "other log, later", "tea"]
    assert history.report.dropped == {"erased user": 3, "erasure": 1}


def test_merging_takes_erased_users_out_of_the_files_and_leaves_the_erasure(directory):
    keep(directory, [did("ada", 0, "secret-one"), did("bob", 1)])
    keep(directory, [did("ada", 2, "secret-two"), erased_at("ada", 3), did("ada", 4, "after")], begin=2)
    before = read_interactions(directory).frame
    done = merge(directory, lambda _: None)
    assert (done.files_before, done.files_after, done.erased, done.doubles) == (2, 1, 2, 0)
    (file,) = ArchiveDirectory(directory).files()
    rows = pl.read_parquet(file.path)
    assert rows["item_id"].to_list() == ["tea", None, "after"]
    assert b"secret" not in file.path.read_bytes()
    assert read_interactions(directory).frame.equals(before)
    # An old copy that comes back from a backup brings nobody back.
    keep(directory, [did("ada", 0, "secret-one"), did("bob", 1)])
    assert read_interactions(directory).frame.equals(before)


def test_merging_keeps_every_row_and_where_the_archive_ends_and_a_second_run_changes_nothing(directory):
    log = log_of(6, COUNT)
    archive = Archive(directory, roll_s=20.0)
    read_all(log, MemoryStore(), archive)
    archive.close()
    before, ends = read_interactions(directory), ArchiveDirectory(directory).ends(log.partitions())
    merge(directory, lambda _: None)
    assert read_interactions(directory).frame.equals(before.frame)
    assert ArchiveDirectory(directory).ends(log.partitions()) == ends
    assert len(ArchiveDirectory(directory).files()) == 2
    names = {file.path: file.path.stat().st_ino for file in ArchiveDirectory(directory).files()}
    assert merge(directory, lambda _: None).erased == 0
    assert {file.path: file.path.stat().st_ino for file in ArchiveDirectory(directory).files()} == names


def test_a_merge_that_was_cut_short_is_read_once_and_mended_by_the_next(directory, tmp_path):
    entries = [did("ada", offset, f"item-{offset}") for offset in range(20)]
    keep(directory, entries[:10])
    keep(directory, entries[10:], begin=10)
    olds = {file.path: file.path.read_bytes() for file in ArchiveDirectory(directory).files()}
    merge(directory, lambda _: None)
    for path, content in olds.items():
        path.write_bytes(content)
    assert read_interactions(directory).report.rows_kept == 20
    assert merge(directory, lambda _: None).doubles == 20
    assert len(archived(directory)) == 20


def test_an_archive_whose_users_are_all_erased_still_says_where_it_ends(directory):
    keep(directory, [did("ada", 0), did("ada", 1)])
    keep(directory, [erased_at("ada", 5, LogPartition("later", 0))])
    merge(directory, lambda _: None)
    ends = ArchiveDirectory(directory).ends([LogPartition("test-log", 0)])
    assert ends == {LogPartition("test-log", 0): 2}
    keep(directory, [did("bob", 2)], begin=2)
    assert read_interactions(directory).frame["user_id"].to_list() == ["bob"]


def test_a_directory_that_cannot_be_written_stops_nothing_and_gets_everything_once_it_can(directory, tmp_path):
    log, store = log_of(7, COUNT), MemoryStore()
    archive = Archive(directory, roll_s=5.0)
    archive.positions(log.partitions())
    directory.rename(tmp_path / "away")
    read_all(log, store, archive)
    assert bits(store.get(oracle(log))) == bits(oracle(log))
    (tmp_path / "away").rename(directory)
    archive.close()
    assert archived(directory) == places(log)


def test_what_waits_for_a_full_disk_is_bounded_and_reading_waits_then(directory, tmp_path):
    log, store, now_s = log_of(8, COUNT), MemoryStore(), [0.0]
    archive = Archive(directory, roll_bytes=2000, roll_s=1.0)
    source = MemorySource(log)
    pace = Pace(10, 0.0, catch_up_records=10)
    consumer = Consumer(
        source, store, MemoryDeadLetters(), pace=pace, clock_s=lambda: now_s[0], sleep_s=lambda _: None, archive=archive
    )
    archive.positions(log.partitions())
    directory.rename(tmp_path / "away")

    def turns(number: int) -> None:
        for _ in range(number):
            left = iter((True, False))
            consumer.run(lambda left=left: next(left))
            now_s[0] += 6.0

    turns(200)
    read = sum(store.claim(log.partitions()).values())
    assert 0 < read < COUNT
    (tmp_path / "away").rename(directory)
    ends: Mapping[LogPartition, int] = {p: len(log.records[p.partition]) for p in log.partitions()}
    until(lambda: turns(5) or store.claim(log.partitions()) == ends, "all is read")
    archive.close()
    assert archived(directory) == places(log)
    assert bits(store.get(oracle(log))) == bits(oracle(log))


def test_half_written_files_of_killed_writers_are_no_part_of_it_and_old_ones_are_cleared(directory):
    directory.mkdir()
    young, old = directory / ".young.part", directory / ".old.part"
    for left in (young, old):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert ArchiveDirectory(directory).files() == []
    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize("incarnation", ["AbC-_123", "topic:a.b-c", "file:00/11", "ä.00001.parquet"])
def test_a_name_says_what_its_file_holds(incarnation):
    partition = LogPartition(incarnation, 12)
    found = parse(Path(name_of(partition, 5, 99)))
    assert found is not None
    assert (found.partition, found.begin, found.end) == (partition, 5, 99)
    assert parse(Path("history.parquet")) is None


def test_a_file_that_is_no_archive_s_stops_the_merge_with_its_name(directory):
    keep(directory, [did("ada", 0)])
    broken = directory / name_of(LogPartition("x", 0), 0, 5)
    broken.write_bytes(b"nonsense")
    with pytest.raises(StoreCorrupt, match=r"x\.00000"):
        merge(directory, lambda _: None)


def test_without_pyarrow_it_says_what_to_install(directory, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SettingsRejected, match=r"plural\[archive\]"):
        Archive(directory)


def test_a_directory_that_cannot_be_made_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsRejected, match="file/archive"):
        Archive(tmp_path / "file" / "archive")


def test_the_command_merges_and_says_what_it_did(directory, capsys, monkeypatch):
    monkeypatch.setattr("consumer.app.configure_logs", lambda *_: None)
    monkeypatch.setattr("consumer.app._stop_on_signals", lambda: None)
    keep(directory, [did("ada", 0), erased_at("ada", 1)])
    with pytest.raises(SystemExit) as ended:
        main(["--merge-archive", str(directory)])
    assert ended.value.code == 0
    assert "1 files became 1; rows of erased users taken out: 1" in capsys.readouterr().out


def test_random_orders_of_writers_and_merges_lose_nothing(directory):
    rng = random.Random(9)
    entries = [did(f"user-{n % 5}", n, f"item-{n}") for n in range(120)]
    written: set[int] = set()
    while len(written) < 120 or rng.random() < 0.7:
        begin = rng.randrange(max(written, default=-1) + 2) if written != set(range(120)) else rng.randrange(120)
        part = entries[min(begin, 119) : begin + rng.randint(1, 40)]
        keep(directory, part, begin=part[0].offset)
        written |= {entry.offset for entry in part}
        if rng.random() < 0.3:
            merge(directory, lambda _: None, file_bytes=rng.choice([1, 10_000, 10**9]))
    assert read_interactions(directory).frame["item_id"].to_list() == [f"item-{n}" for n in range(120)]


def test_a_long_file_that_reaches_over_several_later_ones_is_noticed(directory):
    entries = [did("ada", offset, f"item-{offset}") for offset in range(30)]
    keep(directory, entries)
    keep(directory, entries[5:10], begin=5)
    keep(directory, entries[20:25], begin=20)
    assert read_interactions(directory).report.dropped == {"twice in the log": 10}


def test_records_that_the_log_deleted_before_they_were_archived_are_counted_and_said(directory, caplog):
    log, store = log_of(10, 100), MemoryStore()
    read_all(log, store, Archive(directory / "lost"))
    log.begins[0] = 7
    archive = Archive(directory / "kept")
    with caplog.at_level(logging.ERROR):
        consumer = read_all(log, store.handle(), archive)
    archive.close()
    assert "before they were archived" in caplog.text
    assert consumer.metrics.registry.get_sample_value("plural_consumer_unarchived_total") == 7
    assert archived(directory / "kept") == [place for place in places(log) if place[0] != "memory/0" or place[1] >= 7]


def test_what_is_read_again_because_the_store_lost_it_is_archived_once(directory):
    log, store = log_of(11, 120), MemoryStore()
    archive = Archive(directory)
    consumer = read_all(log, store, archive)
    store._shared.states.clear()
    store._shared.offsets.clear()
    ends = {p: len(log.records[p.partition]) for p in log.partitions()}
    until(lambda: _turn(consumer) or store.claim(log.partitions()) == ends, "the log is read again")
    archive.close()
    assert archived(directory) == places(log)
    assert bits(store.get(oracle(log))) == bits(oracle(log))


def _turn(consumer: Consumer) -> None:
    left = iter([True] * 20 + [False])
    consumer.run(lambda: next(left))


def test_a_file_that_could_not_be_filled_leaves_nothing(directory):
    def half(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError("no space left")

    files = ArchiveDirectory(directory)
    with pytest.raises(OSError, match="no space"):
        files.write(LogPartition("x", 0), 0, 5, half)
    assert list(directory.iterdir()) == []
