"""The embedded log and its recorder: nothing lost, nothing counted twice, nothing half-recorded."""

import asyncio
import errno
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from plural.v1 import interests_pb2

from interests.errors import Fenced, SettingsRejected, StoreCorrupt, StoreUnavailable
from interests.events import Action, LogPartition
from interests.history import read_interactions, to_interactions
from interests.state import InterestState
from interests.stores.base import NO_MOMENTS, Moments
from interests.stores.memory import MemoryStore
from server.errors import LimitReached
from server.event_log import EventLog, erasure_row, interaction_row
from tests.support.recording import NOW_MS, act, recorder
from tests.support.server import WAIT_S, Client, connect, event, record, serving
from tests.support.server_program import flags, program


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Refusing(MemoryStore):
    """A real store in memory whose next puts are refused with the errors in `refusals`."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Exception] = []
        self.claims_refused = 0

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        super().put(states, next_offsets, silent, moments)

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        if self.claims_refused:
            self.claims_refused -= 1
            raise StoreUnavailable("away")
        return super().claim(partitions)


def count(store: MemoryStore, user_id: str) -> int:
    state = store.get([user_id]).get(user_id)
    return state.interaction_count if state else 0


async def test_what_is_recorded_is_in_the_log_in_the_trainers_columns(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(
            client,
            event("ada", "t0-00", "RATING", value=4.5, event_id="e1"),
            event("bob", "t1-01", "IMPRESSION", slate_id="s1", position=0),
            event("eve", "t1-02", "PURCHASE", value=3),
        )
    found = read_interactions(tmp_path / "interactions.jsonl")
    taken = list(to_interactions(found.frame))
    assert [(one.user_id, one.item_id, one.action, one.value, one.event_id) for one in taken] == [
        ("ada", "t0-00", Action.RATING, 4.5, "e1"),
        ("bob", "t1-01", Action.IMPRESSION, None, ""),
        ("eve", "t1-02", Action.PURCHASE, 3.0, ""),
    ]
    assert found.report.rows_kept == 3 and not found.report.dropped
    row = rows_of(tmp_path / "interactions.jsonl")[1]
    assert (row["slate_id"], row["position"]) == ("s1", 0)


async def test_a_missing_or_future_time_is_the_servers_and_another_is_kept(tmp_path: Path) -> None:
    store = MemoryStore()
    writing = recorder(tmp_path / "log", store)
    await writing.record([act("ada", "a"), act("ada", "b", time_ms=NOW_MS + 10**9), act("ada", "c", time_ms=1000)])
    await writing.close()
    assert [row["timestamp"] for row in rows_of(tmp_path / "log")] == [NOW_MS, NOW_MS, 1000]
    assert [recent.time_ms for recent in store.get(["ada"])["ada"].recent] == [NOW_MS, NOW_MS, 1000]


async def test_calls_at_one_time_share_one_group_and_keep_each_users_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        before = len(rows_of(tmp_path / "interactions.jsonl"))
        await asyncio.gather(
            *(record(client, *(event(f"user-{n}", f"t0-{i:02d}") for i in range(4))) for n in range(50))
        )
    rows = rows_of(tmp_path / "interactions.jsonl")[before:]
    assert len(rows) == 200
    for number in range(50):
        theirs = [row["item_id"] for row in rows if row["user_id"] == f"user-{number}"]
        assert theirs == [f"t0-{i:02d}" for i in range(4)]


@pytest.mark.parametrize("failpoint", ["before_put", "in_transaction", "after_put"])
async def test_a_crash_at_any_point_loses_nothing_and_counts_nothing_twice(tmp_path: Path, failpoint: str) -> None:
    sent = [event("ada", f"t0-{number:02d}", event_id=f"e{number}") for number in range(4)]
    async with program(flags(tmp_path), PLURAL_FAILPOINT=f"{failpoint}:3") as (process, port), connect(port) as client:
        for one in sent[:2]:
            await record(client, one)
        with pytest.raises(grpc.aio.AioRpcError):
            await record(client, sent[2])
        assert await asyncio.wait_for(process.wait(), WAIT_S) == -signal.SIGKILL
    with (tmp_path / "log.jsonl").open("ab") as torn:
        torn.write(b'{"user_id": "ada", "item_id": "t0-1')
    async with program(flags(tmp_path)) as (_, port), connect(port) as client:
        after_crash = await _count(client, "ada")
        for one in sent:
            await record(client, one)
        assert (after_crash, await _count(client, "ada")) == (3, 4)


async def _count(client: Client, user_id: str) -> int:
    found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id=user_id))
    return int(found.interaction_count)


async def test_a_log_is_absorbed_again_into_an_empty_store_to_the_same_state(tmp_path: Path) -> None:
    first, second = MemoryStore(), MemoryStore()
    writing = recorder(tmp_path / "log", first)
    for number in range(30):
        await writing.record([act("ada", f"i{number % 7}"), act("bob", "b", time_ms=NOW_MS + number)])
    await writing.forget("bob")
    await writing.record([act("bob", "later")])
    await writing.close()
    await recorder(tmp_path / "log", second).close()
    assert first.get(["ada"]) == second.get(["ada"])
    assert count(second, "bob") == 1


async def test_another_log_counts_anew_and_a_moved_log_is_the_same(tmp_path: Path) -> None:
    store = MemoryStore()
    for name in ("one", "two"):
        writing = recorder(tmp_path / name, store)
        await writing.record([act("ada", "a", time_ms=NOW_MS)])
        await writing.close()
    assert count(store, "ada") == 2
    (tmp_path / "one").rename(tmp_path / "moved")
    await recorder(tmp_path / "moved", store).close()
    assert count(store, "ada") == 2


async def test_a_log_that_was_cut_is_refused_at_the_start(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "log"
    writing = recorder(path, store)
    await writing.record([act("ada", "a"), act("ada", "b")])
    await writing.close()
    os.truncate(path, len(path.read_bytes().splitlines(keepends=True)[0]))
    with pytest.raises(SettingsRejected, match="was cut or replaced"):
        recorder(path, store)


async def test_a_log_row_that_was_changed_is_named_by_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writing = recorder(path, MemoryStore())
    await writing.record([act("ada", "a"), act("ada", "b")])
    await writing.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{]\n")
    with pytest.raises(StoreCorrupt, match=f"byte {len(lines[0])}"):
        recorder(path, MemoryStore())


async def test_a_group_that_the_store_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    store, path = Refusing(), tmp_path / "log"
    writing = recorder(path, store)
    await writing.record([act("ada", "a")])
    store.refusals = [StoreUnavailable("the map is full")]
    with pytest.raises(StoreUnavailable, match="the map is full"):
        await writing.record([act("ada", "b")])
    assert [row["item_id"] for row in rows_of(path)] == ["a"]
    await writing.record([act("ada", "c")])
    await writing.close()
    assert [row["item_id"] for row in rows_of(path)] == ["a", "c"]
    assert count(store, "ada") == 2


async def test_a_group_whose_fate_is_unknown_stays_in_the_log_and_counts_once_the_store_is_back(tmp_path: Path) -> None:
    store, path = Refusing(), tmp_path / "log"
    writing = recorder(path, store)
    store.refusals, store.claims_refused = [StoreUnavailable("gone")], 1
    with pytest.raises(StoreUnavailable, match="only with its event_id"):
        await writing.record([act("ada", "a", event_id="e1")])
    for _ in range(300):  # the thread catches up by itself
        if count(store, "ada"):
            break
        await asyncio.sleep(0.02)
    await writing.record([act("ada", "a", event_id="e1")])
    await writing.close()
    assert count(store, "ada") == 1


async def test_a_user_moved_by_another_writer_is_read_again(tmp_path: Path) -> None:
    store = Refusing()
    writing = recorder(tmp_path / "log", store)
    store.refusals = [Fenced("moved"), Fenced("moved")]
    await writing.record([act("ada", "a")])
    await writing.close()
    assert count(store, "ada") == 1


async def test_more_calls_than_may_wait_are_refused_and_not_queued(tmp_path: Path) -> None:
    store = MemoryStore()
    writing = recorder(tmp_path / "log", store, rows_pending_max=3)
    first = asyncio.ensure_future(writing.record([act("ada", "a")] * 3))
    await asyncio.sleep(0)
    with pytest.raises(LimitReached, match="3 interactions wait"):
        await writing.record([act("ada", "b")])
    await first
    await writing.record([act("ada", "c")])
    await writing.close()
    assert count(store, "ada") == 4


def test_a_full_disk_takes_nothing_and_writes_go_on_once_there_is_room(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    log.append([interaction_row(act("ada", "a", time_ms=NOW_MS))])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.end + 50, hard))
        with pytest.raises(StoreUnavailable, match="the log cannot be written"):
            log.append([interaction_row(act("ada", "b" * 200, time_ms=NOW_MS))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [row["item_id"] for row in rows_of(tmp_path / "log")] == ["a"]
    log.append([interaction_row(act("ada", "c", time_ms=NOW_MS))])
    assert [row["item_id"] for row in rows_of(tmp_path / "log")] == ["a", "c"]
    log.close()


async def test_what_the_disk_does_not_sync_is_neither_in_the_log_nor_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, path = MemoryStore(), tmp_path / "log"
    writing = recorder(path, store)
    await writing.record([act("ada", "a")])
    with monkeypatch.context() as patched:
        patched.setattr("server.event_log.os.fsync", _failing_once(os.fsync))
        with pytest.raises(StoreUnavailable, match="the log cannot be written"):
            await writing.record([act("ada", "b")])
    assert [row["item_id"] for row in rows_of(path)] == ["a"] and count(store, "ada") == 1
    await writing.record([act("ada", "c")])
    await writing.close()
    assert [row["item_id"] for row in rows_of(path)] == ["a", "c"] and count(store, "ada") == 2


def _failing_once(fsync: Callable[[int], None]) -> Callable[[int], None]:
    failures = [OSError(errno.EIO, "Input/output error")]

    def sync(file: int) -> None:
        if failures:
            raise failures.pop()
        fsync(file)

    return sync


async def test_the_store_is_written_once_the_log_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    class Noting(MemoryStore):
        def put(self, *arguments: Any) -> None:
            happened.append("written")
            super().put(*arguments)

    def slow_sync(file: int) -> None:
        time.sleep(0.2)
        happened.append("durable")

    writing = recorder(tmp_path / "log", Noting())
    monkeypatch.setattr("server.event_log.os.fsync", slow_sync)
    await writing.record([act("ada", "a")])
    await writing.close()
    assert happened == ["durable", "written"]


def test_an_erased_users_rows_are_overwritten_and_nobody_elses(tmp_path: Path) -> None:
    # A name that cannot be in the log's identity, which is 32 random hexadecimal digits.
    path = tmp_path / "log"
    log = EventLog(path)
    rows = [interaction_row(act(user_id, "a", time_ms=NOW_MS)) for user_id in ("olga", "bob", "olga", 'a"d\\a')]
    log.append(rows)
    identity, size = log.identity, log.end
    (offset,) = log.append([erasure_row("olga", NOW_MS)])
    assert log.blank("olga", offset) == 2
    assert log.blank('a"d\\a', offset) == 1
    log.close()
    text = path.read_text()
    assert text[:size].count("olga") == 0 and [len(row) for row in text.splitlines()]
    assert [row.get("user_id") for row in rows_of(path)] == [None, "bob", None, None, "olga"]
    assert EventLog(path).identity == identity


async def test_a_forgotten_user_is_in_no_training_data(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, event("ada", "t0-00"), event("bob", "t0-01"))
        await client.interests.ForgetUser(interests_pb2.ForgetUserRequest(user_id="ada"))
        await record(client, event("ada", "t0-02"))
    found = read_interactions(tmp_path / "interactions.jsonl")
    assert [(one.user_id, one.item_id) for one in to_interactions(found.frame)] == [("bob", "t0-01"), ("ada", "t0-02")]
    assert found.report.rows_read == 4 and sum(found.report.dropped.values()) == 2
