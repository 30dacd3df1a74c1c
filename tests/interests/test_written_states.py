"""What a writer keeps of its own states saves reads, and never hides what somebody else wrote."""

from collections.abc import Iterable

import pytest

from interests.apply import apply
from interests.errors import Fenced, StoreUnavailable
from interests.events import LogEntry, LogPartition
from interests.state import InterestState
from interests.stores import open_store
from interests.stores.memory import MemoryStore
from interests.stores.written import WrittenStates
from tests.support.entries import LOG, bits, did, random_log, replayed

OTHER = LogPartition("another-log", 0)


class Counting(MemoryStore):
    """Counts the states that are read."""

    reads = 0

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        wanted = list(user_ids)
        self.reads += len(wanted)
        return super().get(wanted)


def write(store: MemoryStore, states: WrittenStates, entries: list[LogEntry], batch: int = 10) -> None:
    at = store.claim([LOG])[LOG]
    for start in range(at, len(entries), batch):
        part = entries[start : start + batch]
        apply(part, {LOG: part[-1].offset + 1}, states)


def test_a_user_written_before_costs_no_read_and_the_states_are_those_of_a_replay(store_url):
    for store in (Counting(), open_store(store_url)):
        entries = random_log(1, 300)
        write(store, WrittenStates(store), entries)
        assert bits(store.get(replayed(entries))) == bits(replayed(entries))
        if isinstance(store, Counting):
            assert store.reads == 2 * len(replayed(entries))  # once to begin with, once by this test
        store.close()


def test_what_another_writer_changed_is_refused_and_then_read_anew():
    store = MemoryStore()
    states = WrittenStates(store)
    write(store, states, [did("ada", 0)])
    store.handle().forget("ada")
    with pytest.raises(Fenced):
        apply([did("ada", 1)], {LOG: 2}, states)
    store.claim([LOG])
    apply([did("ada", 1, "after")], {LOG: 2}, states)
    assert [item for item, _ in store.get(["ada"])["ada"].memories] == ["after"]


def test_after_a_put_that_may_have_written_half_everything_is_read_anew():
    class Half(Counting):
        failing = False

        def put(self, states, next_offsets, silent=frozenset(), *rest) -> None:
            if self.failing:
                super().put(list(states)[:1], {}, silent)
                raise StoreUnavailable("half was written")
            super().put(states, next_offsets, silent, *rest)

    store = Half()
    states = WrittenStates(store)
    entries = random_log(2, 60, users=4)
    write(store, states, entries[:40], batch=40)
    store.failing = True
    with pytest.raises(StoreUnavailable):
        apply(entries[40:], {LOG: 60}, states)
    store.failing = False
    store.claim([LOG])
    apply(entries[40:], {LOG: 60}, states)
    assert bits(store.get(replayed(entries))) == bits(replayed(entries))


def test_what_is_kept_is_bounded_and_the_latest_stays():
    store = Counting()
    states = WrittenStates(store, entries_max=40)
    for number in range(50):
        store.claim([LOG])
        apply([did(f"user-{number}", number)], {LOG: number + 1}, states)
    store.reads = 0
    states.get(["user-49"])
    assert store.reads == 0
    states.get(["user-0"])
    assert store.reads == 1
    assert states._entries <= 40


def test_with_no_room_nothing_is_kept():
    store = Counting()
    states = WrittenStates(store, entries_max=0)
    write(store, states, [did("ada", 0), did("ada", 1)], batch=1)
    assert store.reads == 2
