"""What every interest store promises: one text over all of them."""

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from interests.apply import apply
from interests.errors import Fenced, StoreError
from interests.events import Action, LogEntry, LogPartition
from interests.state import InterestState, InterestVectors, from_bytes, to_bytes
from interests.stores import open_store
from interests.stores.base import Change, Changes, InterestStore, Moments
from interests.stores.redis import RedisStore
from tests.contract.conftest import Backend
from tests.support.entries import LOG, bits, did, erased_at, random_log, replayed
from tests.support.redis_server import RedisServer

OTHER = LogPartition("test-log", 1)
WAIT_S = 10.0  # a deadline for liveness, far above what any store needs

ODD_IDS = [
    "ada",
    " ",
    "line\nbreak",
    "nul\x00inside",
    "{plural:03}:state:x",
    "a/b:c|d*?[e]",
    "Ünïcödé 世界 🫖",
    "x" * 256,
    "🫖" * 64,
]


def state(user_id: str, version: int = 1, stored_version: int = 0) -> InterestState:
    return InterestState(user_id, version=version, watermarks={LOG: version - 1}, stored_version=stored_version)


def everything(store: InterestStore, entries: Sequence[LogEntry]) -> dict[str, bytes]:
    return bits(store.get({entry.user_id for entry in entries}))


def read_all(store: InterestStore, since: tuple[int, ...]) -> list[Change]:
    found = store.changes(since)
    assert not found.lost
    return found.entries


def test_a_store_is_what_the_protocol_says(store: InterestStore) -> None:
    assert isinstance(store, InterestStore)


def test_a_user_never_seen_is_absent(store: InterestStore) -> None:
    assert store.get(["nobody", ""]) == {}
    assert store.get([]) == {}
    assert store.count() == 0


def test_what_is_put_is_read_back_whole(store: InterestStore) -> None:
    entries = [did("ada", offset, f"item-{offset}", action) for offset, action in enumerate(Action) if offset < 6]
    vectors = InterestVectors("b1", np.eye(2, 4, dtype=np.float32), np.array([0.5, 0.5], "f4"), np.ones(3, "f4"))
    made = replace(replayed(entries)["ada"], vectors=vectors)
    store.claim([LOG])
    store.put([made], {LOG: 6})
    read = store.get(["ada"])["ada"]
    assert to_bytes(read) == to_bytes(made)
    assert read.stored_version == made.version


def test_any_id_that_an_event_may_carry_is_a_users_own(store: InterestStore) -> None:
    store.claim([LOG])
    store.put([state(user_id, place + 1) for place, user_id in enumerate(ODD_IDS)], {LOG: 1})
    found = store.get(ODD_IDS)
    assert {user_id: found[user_id].version for user_id in ODD_IDS} == {u: p + 1 for p, u in enumerate(ODD_IDS)}
    assert store.count() == len(ODD_IDS)


def test_versions_are_told_without_the_states(store: InterestStore) -> None:
    store.claim([LOG])
    store.put([state(user_id, place + 1) for place, user_id in enumerate(ODD_IDS)], {LOG: 1})
    store.forget("ada")
    found = store.versions([*ODD_IDS, "nobody", "", "x" * 600])
    assert found == {user_id: store.get([user_id])[user_id].version for user_id in ODD_IDS}
    assert found["ada"] == 2
    assert store.versions([]) == {}
    stored = store.records([*ODD_IDS, "nobody", "", "x" * 600])
    assert {user_id: one.version for user_id, one in stored.items()} == found
    assert {user_id: from_bytes(one.data) for user_id, one in stored.items()} == store.get(ODD_IDS)


def test_the_change_log_tells_when_each_change_passed_its_stages(store: InterestStore) -> None:
    store.claim([LOG])
    start = store.end_of_changes()
    moments = Moments(1_700_000_000.125, 1_700_000_001.25, 1_700_000_002.5)
    store.put([state("ada"), state("bob")], {LOG: 1}, frozenset({"ada"}), {"ada": moments})
    told = {change.user_id: change for change in read_all(store, start)}
    assert told == {"ada": Change("ada", 1, False, moments), "bob": Change("bob", 1, True, None)}


def test_one_put_takes_500_states(store: InterestStore) -> None:
    store.claim([LOG])
    start = store.end_of_changes()
    store.put([state(f"user-{number}") for number in range(500)], {LOG: 500})
    assert len(store.get([f"user-{number}" for number in range(500)])) == 500
    assert {change.user_id for change in read_all(store, start)} == {f"user-{number}" for number in range(500)}
    assert store.count() == 500


def test_a_partition_stands_where_the_last_put_left_it(backend: Backend) -> None:
    store = backend.open()
    assert store.claim([LOG, OTHER]) == {LOG: 0, OTHER: 0}
    store.put([state("ada")], {LOG: 7})
    store.put([], {LOG: 9, OTHER: 3})
    assert backend.open().claim([LOG, OTHER, LogPartition("test-log-recreated", 0)]) == {
        LOG: 9,
        OTHER: 3,
        LogPartition("test-log-recreated", 0): 0,
    }


def test_a_put_without_states_tells_nobody_anything(store: InterestStore) -> None:
    store.claim([LOG])
    start = store.end_of_changes()
    store.put([], {LOG: 5})
    assert store.changes(start) == Changes([], start, False)


def test_offsets_never_go_back(store: InterestStore) -> None:
    store.claim([LOG])
    store.put([], {LOG: 9})
    store.put([], {LOG: 4})
    assert store.claim([LOG]) == {LOG: 9}


def test_a_partition_that_was_not_claimed_is_refused(store: InterestStore) -> None:
    store.claim([OTHER])
    with pytest.raises(Fenced, match="claim"):
        store.put([state("ada")], {LOG: 1})
    assert store.get(["ada"]) == {}


def test_a_writer_that_slept_while_another_moved_its_partition_is_fenced(backend: Backend) -> None:
    zombie, owner = backend.open(), backend.open()
    zombie.claim([LOG])
    owner.claim([LOG])
    owner.put([state("ada", 2)], {LOG: 2})
    with pytest.raises(Fenced):
        zombie.put([state("bob")], {LOG: 1})
    assert owner.get(["ada", "bob"]).keys() == {"ada"}
    assert owner.claim([LOG]) == {LOG: 2}
    with pytest.raises(Fenced):
        zombie.put([state("bob")], {LOG: 3})
    assert zombie.claim([LOG]) == {LOG: 2}
    zombie.put([state("bob")], {LOG: 3})
    assert owner.get(["bob"])["bob"].version == 1


def test_a_state_read_before_another_moved_it_is_refused(backend: Backend) -> None:
    live, backfill = backend.open(), backend.open()
    live.claim([LOG])
    backfill.claim([OTHER])
    live.put([state("ada", 1)], {LOG: 1})
    read = backfill.get(["ada"])["ada"]
    live.put([state("ada", 2, stored_version=1)], {LOG: 2})
    with pytest.raises(Fenced):
        backfill.put([replace(read, version=5)], {OTHER: 1})
    assert live.get(["ada"])["ada"].version == 2
    backfill.claim([OTHER])
    backfill.put([replace(backfill.get(["ada"])["ada"], version=5)], {OTHER: 1})
    assert live.get(["ada"])["ada"].version == 5


def test_a_state_made_for_a_new_user_is_refused_where_another_made_it_first(backend: Backend) -> None:
    first, second = backend.open(), backend.open()
    first.claim([LOG])
    second.claim([OTHER])
    first.put([state("ada", 1)], {LOG: 1})
    with pytest.raises(Fenced):
        second.put([state("ada", 1)], {OTHER: 1})


def test_a_refused_put_writes_nothing(backend: Backend) -> None:
    store = backend.open()
    store.claim([LOG])
    store.put([state("ada", 1)], {LOG: 1})
    start = store.end_of_changes()
    with pytest.raises(Fenced):
        store.put([*(state(f"user-{n}") for n in range(20)), state("ada", 2, stored_version=7)], {LOG: 2})
    assert store.get(["ada"])["ada"].version == 1
    if backend.atomic:
        assert store.get([f"user-{n}" for n in range(20)]) == {}
        assert store.changes(start) == Changes([], start, False)
    # Several shards may have gone ahead, but the partition has not, and so its log is read again from there.
    assert store.claim([LOG]) == {LOG: 1}


def test_one_put_takes_one_state_a_user(store: InterestStore) -> None:
    store.claim([LOG])
    with pytest.raises(ValueError, match="one state a user"):
        store.put([state("ada", 1), state("ada", 2)], {LOG: 2})
    assert store.get(["ada"]) == {}


def test_a_users_changes_come_in_the_order_they_were_written(store: InterestStore) -> None:
    store.claim([LOG])
    start = store.end_of_changes()
    for version in range(1, 30):
        store.put([state("ada", version, version - 1), state("bob", version, version - 1)], {LOG: version})
    changes = read_all(store, start)
    assert len(changes) == 58
    for user_id in ("ada", "bob"):
        assert [change.version for change in changes if change.user_id == user_id] == list(range(1, 30))


def test_changes_are_read_in_portions_without_a_gap_or_a_repeat(store: InterestStore) -> None:
    store.claim([LOG])
    cursor = store.end_of_changes()
    store.put([state(f"user-{n}") for n in range(25)], {LOG: 25})
    seen = []
    while (found := store.changes(cursor, limit=4)).entries:
        assert len(found.entries) <= 4
        assert not found.lost
        seen += [change.user_id for change in found.entries]
        cursor = found.cursor
    assert sorted(seen) == sorted(f"user-{n}" for n in range(25))
    assert cursor == store.end_of_changes()


def test_who_was_only_shown_something_does_not_wake(store: InterestStore) -> None:
    store.claim([LOG])
    start = store.end_of_changes()
    apply([did("ada", 0, action=Action.IMPRESSION), did("bob", 1)], {LOG: 2}, store)
    assert {change.user_id: change.wakes for change in read_all(store, start)} == {"ada": False, "bob": True}


def test_a_reader_behind_what_was_trimmed_is_told_that_it_lost_changes(backend: Backend) -> None:
    store = backend.open(changes_max=16)
    store.claim([LOG])
    start = store.end_of_changes()
    for version in range(1, 40):
        store.put([state("ada", version, version - 1)], {LOG: version})
    behind = store.changes(start)
    assert behind == Changes([], store.end_of_changes(), True)
    assert store.changes(behind.cursor) == Changes([], behind.cursor, False)


def test_a_reader_that_is_not_behind_the_trimmed_log_loses_nothing(backend: Backend) -> None:
    store = backend.open(changes_max=16)
    store.claim([LOG])
    for version in range(1, 40):
        before = store.end_of_changes()
        store.put([state("ada", version, version - 1)], {LOG: version})
        assert read_all(store, before) == [Change("ada", version, True)]


def test_a_reader_ahead_of_a_store_that_lost_its_latest_changes_is_told(store: InterestStore) -> None:
    store.claim([LOG])
    store.put([state("ada")], {LOG: 1})
    end = store.end_of_changes()
    ahead = tuple(place + (5 << 64) for place in end)
    assert store.changes(ahead, wait_s=WAIT_S) == Changes([], end, True)


def test_waiting_ends_when_another_handle_writes(backend: Backend) -> None:
    reader, writer = backend.open(), backend.open()
    writer.claim([LOG])
    start = reader.end_of_changes()
    found: list[Changes] = []
    waiting = threading.Thread(target=lambda: found.append(reader.changes(start, wait_s=WAIT_S)))
    waiting.start()
    writer.put([], {LOG: 1})  # moves nobody, and so wakes nobody
    writer.put([state("ada")], {LOG: 2})
    waiting.join(WAIT_S / 2)
    assert [changes.entries for changes in found] == [[Change("ada", 1, True)]]


def test_waiting_ends_with_nothing_where_nothing_comes(store: InterestStore) -> None:
    start = store.end_of_changes()
    assert store.changes(start, wait_s=0.05) == Changes([], start, False)


def test_forgetting_leaves_a_tombstone_and_tells_followers(store: InterestStore) -> None:
    store.claim([LOG])
    apply([did("ada", 0), did("ada", 1, "coffee")], {LOG: 2}, store)
    start = store.end_of_changes()
    store.forget("ada")
    tombstone = store.get(["ada"])["ada"]
    assert tombstone == InterestState("ada", version=3, watermarks={LOG: 1}, erased=True)
    assert read_all(store, start) == [Change("ada", 3, True)]
    assert store.count() == 1


def test_forgetting_someone_never_seen_leaves_no_trace(store: InterestStore) -> None:
    start = store.end_of_changes()
    store.forget("nobody")
    assert store.get(["nobody"]) == {}
    assert store.changes(start) == Changes([], start, False)
    assert store.count() == 0


def test_a_replay_from_the_start_does_not_bring_a_forgotten_user_back(store: InterestStore) -> None:
    entries = [did("ada", 0), did("bob", 1), did("ada", 2, "coffee")]
    store.claim([LOG])
    apply(entries, {LOG: 3}, store)
    store.forget("ada")
    tombstone = store.get(["ada"])["ada"]
    assert apply(entries, {LOG: 3}, store).skipped == 3
    assert store.get(["ada"])["ada"] == tombstone


def test_a_forgotten_user_who_comes_back_starts_anew(store: InterestStore) -> None:
    store.claim([LOG])
    apply([did("ada", 0)], {LOG: 1}, store)
    store.forget("ada")
    apply([did("ada", 1, "coffee")], {LOG: 2}, store)
    back = store.get(["ada"])["ada"]
    assert not back.erased
    assert {item_id for item_id, _ in back.memories} == {"coffee"}
    assert back.interaction_count == 1


def test_a_writer_that_read_a_user_before_they_were_forgotten_is_refused(backend: Backend) -> None:
    writer, front = backend.open(), backend.open()
    writer.claim([LOG])
    apply([did("ada", 0)], {LOG: 1}, writer)
    read = writer.get(["ada"])["ada"]
    front.forget("ada")
    with pytest.raises(Fenced):
        writer.put([replace(read, version=read.version + 1)], {LOG: 2})
    assert front.get(["ada"])["ada"].erased


def test_forgetting_twice_is_harmless(store: InterestStore) -> None:
    store.claim([LOG])
    apply([did("ada", 0)], {LOG: 1}, store)
    store.forget("ada")
    store.forget("ada")
    assert store.get(["ada"])["ada"].erased
    assert store.count() == 1


def test_what_was_put_outlives_the_handle(backend: Backend) -> None:
    if not backend.durable:
        pytest.skip("memory goes with its process")
    entries = random_log(seed=3, length=200)
    store = backend.open()
    store.claim([LOG])
    start = store.end_of_changes()
    apply(entries, {LOG: 200}, store)
    changes = read_all(store, start)
    store.close()
    again = backend.open()
    assert everything(again, entries) == bits(replayed(entries))
    assert again.claim([LOG]) == {LOG: 200}
    assert read_all(again, start) == changes


def test_a_closed_store_says_so(backend: Backend) -> None:
    store = backend.open()
    store.close()
    store.close()
    for call in (
        lambda: store.get(["ada"]),
        lambda: store.claim([LOG]),
        lambda: store.put([], {}),
        lambda: store.forget("ada"),
        lambda: store.end_of_changes(),
        lambda: store.count(),
    ):
        with pytest.raises(StoreError, match="closed"):
            call()


def test_closing_one_handle_leaves_the_others_open(backend: Backend) -> None:
    one, other = backend.open(), backend.open()
    one.claim([LOG])
    one.put([state("ada")], {LOG: 1})
    one.close()
    assert other.get(["ada"]).keys() == {"ada"}


def test_readers_see_whole_states_while_a_writer_writes(backend: Backend) -> None:
    writer = backend.open()
    writer.claim([LOG])
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        reader = backend.open()
        newest = {"ada": 0, "bob": 0}
        while not done.wait(0.001):
            for user_id, found in reader.get(["ada", "bob"]).items():
                if found.version < newest[user_id] or len(found.recent) != min(found.version, 64):
                    problems.append(f"{user_id} at {found.version} after {newest[user_id]}")
                newest[user_id] = found.version

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for offset in range(100):
        apply([did("ada", 2 * offset), did("bob", 2 * offset + 1)], {LOG: 2 * offset + 2}, writer)
    done.set()
    for reader in readers:
        reader.join(WAIT_S)
    assert problems == []


def _problems_at_once(write: Callable[[LogPartition], None], partitions: Iterable[LogPartition]) -> list[BaseException]:
    """What `write` raised, run in a thread a partition."""
    problems: list[BaseException] = []

    def attempt(partition: LogPartition) -> None:
        try:
            write(partition)
        except BaseException as error:
            problems.append(error)

    writers = [threading.Thread(target=attempt, args=(partition,)) for partition in partitions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(WAIT_S)
    return problems


def test_writers_of_different_partitions_do_not_disturb_each_other(backend: Backend) -> None:
    logs = {partition: _log_of(partition) for partition in (LOG, OTHER)}

    def write(partition: LogPartition) -> None:
        store = backend.open()
        at = store.claim([partition])[partition]
        for entry in logs[partition][at:]:
            apply([entry], {partition: entry.offset + 1}, store)

    assert _problems_at_once(write, logs) == []
    for entries in logs.values():
        assert everything(backend.open(), entries) == bits(replayed(entries))


def test_one_handle_may_be_used_from_several_threads(store: InterestStore) -> None:
    logs = {partition: _log_of(partition) for partition in (LOG, OTHER)}
    store.claim(logs)

    def write(partition: LogPartition) -> None:
        for entry in logs[partition]:
            apply([entry], {partition: entry.offset + 1}, store)

    assert _problems_at_once(write, logs) == []
    for entries in logs.values():
        assert everything(store, entries) == bits(replayed(entries))


@pytest.mark.parametrize("seed", range(3))
def test_writers_that_take_over_from_each_other_at_any_time_lose_and_double_nothing(
    backend: Backend, seed: int
) -> None:
    """Three writers of one partition take turns at random; each may be a zombie that claimed long ago."""
    rng = random.Random(seed)
    entries = random_log(seed, length=150)
    observer, *writers = [backend.open() for _ in range(4)]
    at = [writer.claim([LOG])[LOG] for writer in writers]
    while observer.claim([LOG])[LOG] < len(entries):
        turn = rng.randrange(3)
        batch = entries[at[turn] : at[turn] + rng.randint(1, 20)]
        try:
            apply(batch, {LOG: at[turn] + len(batch)}, writers[turn])
            at[turn] += len(batch)
        except Fenced:
            at[turn] = writers[turn].claim([LOG])[LOG]
    assert everything(writers[0], entries) == bits(replayed(entries)), f"seed {seed}"


def test_an_erasure_in_the_log_erases_and_a_replay_keeps_it_so(store: InterestStore) -> None:
    entries = [did("ada", 0), erased_at("ada", 1)]
    store.claim([LOG])
    apply(entries, {LOG: 2}, store)
    tombstone = store.get(["ada"])["ada"]
    assert tombstone.erased
    assert not tombstone.memories
    apply(entries, {LOG: 2}, store)
    assert store.get(["ada"])["ada"] == tombstone


@pytest.mark.redis
def test_a_cluster_is_opened_by_its_url(cluster: RedisServer) -> None:
    store = open_store(cluster.url)
    assert isinstance(store, RedisStore)
    assert store.claim([LOG]).keys() == {LOG}
    store.close()


def _log_of(partition: LogPartition) -> list[LogEntry]:
    entries = random_log(seed=partition.partition, length=60, partition=partition)
    names = {entry.user_id: f"{entry.user_id} of {partition.partition}" for entry in entries}
    return [
        entry._replace(
            user_id=names[entry.user_id],
            interaction=entry.interaction and entry.interaction._replace(user_id=names[entry.user_id]),
        )
        for entry in entries
    ]
