"""The loop over a log in memory: what it promises when nothing fails, and when something does."""

import logging

import pytest

from consumer.backoff import Backoff
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.metrics import Metrics
from consumer.pace import Pace
from consumer.sources.base import Batch
from consumer.sources.memory import MemoryLog, MemorySource
from consumer.watchdog import SourceStuck, Watchdog
from interests.absorb import DEFAULT_RULE
from interests.errors import BrokerUnavailable, StoreUnavailable
from interests.events import Action, LogPartition
from interests.stores.memory import MemoryStore
from tests.support.entries import START_MS
from tests.support.records import event


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(partitions=2)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def like(log: MemoryLog, user_id: str = "ada", partition: int = 0, **fields) -> int:
    return log.append(partition, user_id.encode(), event(user_id, **fields), START_MS)


def consumer_of(source: MemorySource, store: MemoryStore, **parts) -> Consumer:
    clock = parts.pop("clock_s", Clock())
    letters = parts.pop("dead_letters", MemoryDeadLetters())
    pace = parts.pop("pace", Pace(batch_records=100, poll_s=0.0, look_s=10.0))
    return Consumer(source, store, letters, pace=pace, clock_s=clock, sleep_s=lambda _: None, **parts)


def run(consumer: Consumer, turns: int = 3) -> None:
    """So many turns, with time enough between them for whatever waits."""
    for _ in range(turns):
        left = iter((True, False))
        consumer.run(lambda left=left: next(left))
        if isinstance(consumer.clock_s, Clock):
            consumer.clock_s.now_s += 6.0


def count(store: MemoryStore, user_id: str = "ada") -> int:
    found = store.get([user_id])
    return found[user_id].interaction_count if found else 0


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"plural_consumer_{name}", labels)


def test_every_record_of_every_partition_is_absorbed_and_committed(log, store):
    like(log, "ada", 0)
    like(log, "bob", 1)
    source = MemorySource(log)
    run(consumer_of(source, store))
    assert (count(store, "ada"), count(store, "bob")) == (1, 1)
    assert source.committed == {LogPartition("memory", 0): 1, LogPartition("memory", 1): 1}


def test_a_second_consumer_goes_on_where_the_store_stands_and_not_where_the_broker_says(log, store):
    for _ in range(3):
        like(log)
    run(consumer_of(MemorySource(log), store))
    like(log)
    second = MemorySource(log)
    second.committed = {LogPartition("memory", 0): 0}
    metrics = Metrics()
    run(consumer_of(second, store.handle(), metrics=metrics))
    assert count(store) == 4
    assert value(metrics, "records_total") == 1


def test_a_store_that_is_away_is_waited_for_and_nothing_is_lost_or_counted_twice(log):
    class Away(MemoryStore):
        fails = 3

        def put(self, *args, **kwargs) -> None:
            if Away.fails:
                Away.fails -= 1
                raise StoreUnavailable("away")
            super().put(*args, **kwargs)

    store, metrics = Away(), Metrics()
    log.append(0, b"ada", b"\xff", START_MS)
    like(log)
    letters = MemoryDeadLetters()
    run(consumer_of(MemorySource(log), store, metrics=metrics, dead_letters=letters), turns=12)
    assert count(store) == 1
    assert value(metrics, "retries_total", what="store") == 3
    # The bad record came with each try, and is in the dead letters once.
    assert [letter.record.offset for letter in letters.letters] == [0]


def test_while_the_store_is_away_the_source_is_polled_on_and_gives_nothing(log, store):
    polls = []

    class Counting(MemorySource):
        def poll(self, records_max: int, timeout_s: float) -> Batch:
            batch = super().poll(records_max, timeout_s)
            polls.append(len(batch.records))
            return batch

    class Away(MemoryStore):
        def get(self, user_ids):
            raise StoreUnavailable("away")

    clock = Clock()
    consumer = consumer_of(Counting(log), Away(), clock_s=clock, backoff=Backoff(first_s=60, max_s=60))
    like(log)
    left = iter([True] * 10 + [False])
    consumer.run(lambda: next(left))
    assert polls == [0, 1] + [0] * 8


def test_a_batch_whose_dead_letters_cannot_be_written_is_not_absorbed_yet(log, store):
    class Refusing(MemoryDeadLetters):
        refusing = True

        def write(self, letters) -> None:
            if self.refusing:
                raise BrokerUnavailable("the dead-letter topic cannot be written")
            super().write(letters)

    letters = Refusing()
    like(log)
    log.append(0, b"ada", b"\xff", START_MS)
    consumer = consumer_of(MemorySource(log), store, dead_letters=letters)
    run(consumer, turns=5)
    assert count(store) == 0
    letters.refusing = False
    run(consumer, turns=5)
    assert count(store) == 1
    assert len(letters.letters) == 1


def test_a_writer_whose_partition_was_taken_over_drops_its_batch_and_changes_nothing(log, store):
    like(log)
    metrics = Metrics()
    former, owner = MemorySource(log), MemorySource(log)
    zombie = consumer_of(former, store.handle(), metrics=metrics)
    zombie.step()
    run(consumer_of(owner, store.handle()))
    like(log)
    before = store.get(["ada"])["ada"]
    run(zombie, turns=1)  # reads from where it began, and is fenced
    assert value(metrics, "fenced_total") == 1
    assert store.get(["ada"])["ada"] == before
    run(zombie)
    assert count(store) == 2


def test_a_store_that_lost_its_last_writes_is_noticed_without_a_new_event_and_the_log_is_read_again(log, store):
    for _ in range(3):
        like(log)
    consumer = consumer_of(MemorySource(log), store)
    run(consumer)
    store._shared.states.clear()
    store._shared.offsets.clear()
    run(consumer, turns=6)
    assert count(store) == 3


def test_a_partition_that_is_added_is_read_from_its_start(log, store):
    consumer = consumer_of(MemorySource(log), store)
    run(consumer)
    log.add_partition()
    like(log, "cleo", 2)
    run(consumer)
    assert count(store, "cleo") == 1


def test_a_topic_made_again_is_another_log_and_its_offsets_are_not_mixed_up(store):
    first, again = MemoryLog(incarnation="first"), MemoryLog(incarnation="again")
    for log, times in ((first, 3), (again, 2)):
        for _ in range(times):
            like(log)
        run(consumer_of(MemorySource(log), store.handle()))
    assert count(store) == 5


def test_a_log_cut_off_below_what_was_absorbed_is_held_and_said_and_stays_held_when_it_grows_again(log, store, caplog):
    for _ in range(5):
        like(log)
    run(consumer_of(MemorySource(log), store))
    del log.records[0][2:]
    metrics = Metrics()
    consumer = consumer_of(MemorySource(log), store.handle(), metrics=metrics)
    with caplog.at_level(logging.ERROR):
        run(consumer)
    assert "held" in caplog.text
    assert value(metrics, "partitions_held") == 1
    for _ in range(9):
        like(log)
    consumer.source.pause()
    consumer._start_over()
    run(consumer)
    assert count(store) == 5
    like(log, "bob", 1)
    run(consumer)
    assert count(store, "bob") == 1


def test_records_that_the_log_deleted_unread_are_counted_and_said(log, store, caplog):
    for _ in range(2):
        like(log)
    run(consumer_of(MemorySource(log), store))
    for _ in range(5):
        like(log)
    log.begins[0] = 4
    metrics = Metrics()
    with caplog.at_level(logging.ERROR):
        run(consumer_of(MemorySource(log), store.handle(), metrics=metrics))
    assert "retention" in caplog.text
    assert value(metrics, "lost_records_total") == 2
    assert count(store) == 2 + 3


def test_an_erasure_leaves_nothing_and_a_replay_of_the_log_does_not_bring_it_back(log, store):
    like(log, item_id="secret")
    log.append(0, b"ada", None, START_MS)
    run(consumer_of(MemorySource(log), store))
    replay = consumer_of(MemorySource(log), store.handle())
    replay.step()
    replay.source.seek(LogPartition("memory", 0), 0)
    run(replay)
    state = store.get(["ada"])["ada"]
    assert state.erased
    assert not state.memories
    assert not state.recent


def test_impressions_are_absorbed_and_wake_nobody(log, store):
    since = store.end_of_changes()
    like(log, action=Action.IMPRESSION)
    run(consumer_of(MemorySource(log), store))
    assert [change.wakes for change in store.changes(since).entries] == [False]


def test_no_user_id_and_no_raw_text_reaches_the_log(log, store, caplog):
    with caplog.at_level(logging.INFO):
        like(log, "grace-hopper")
        log.append(0, b"grace-hopper", b"\xffhush", START_MS)
        log.append(0, b"grace-hopper", event("alan-turing"), START_MS)
        run(consumer_of(MemorySource(log), store))
    said = "".join(str(record.__dict__) for record in caplog.records)
    assert "unparsable" in said
    assert not [word for word in ("grace", "turing", "hush") if word in said]


def test_lag_and_age_and_reasons_are_measured(log, store):
    metrics, clock = Metrics(), Clock()
    for _ in range(3):
        like(log)
    log.append(0, b"ada", b"\xff", START_MS)
    source = MemorySource(log)
    consumer = consumer_of(source, store, metrics=metrics, clock_s=clock, pace=Pace(2, 0.0, 1.0))
    run(consumer, turns=2)
    assert value(metrics, "lag_records", partition="0") == 2
    assert value(metrics, "lag_seconds") > 0
    run(consumer, turns=3)
    assert value(metrics, "lag_records", partition="0") == 0
    assert value(metrics, "lag_seconds") == 0
    assert value(metrics, "dead_letters_total", reason="unparsable") == 1
    assert value(metrics, "last_event_timestamp_seconds") == START_MS / 1000
    assert value(metrics, "absorbed_total") == 3
    assert value(metrics, "stage_seconds_count", stage="apply") == 2


def test_a_source_that_polls_empty_while_its_log_grows_ends_the_program(log, store):
    class Deaf(MemorySource):
        def poll(self, records_max: int, timeout_s: float) -> Batch:
            batch = super().poll(0, timeout_s)
            return Batch((), batch.assigned, batch.revoked)

    clock = Clock()
    consumer = consumer_of(Deaf(log), store, clock_s=clock, watchdog=Watchdog(patience_s=120))
    with pytest.raises(SourceStuck, match="partition 0"):
        for _ in range(100):
            like(log)
            run(consumer, turns=1)
    assert 120 <= clock.now_s <= 150


def test_a_user_of_more_logs_than_have_watermarks_is_not_counted_twice_when_the_first_log_comes_again(store):
    logs = [MemoryLog(incarnation=f"log-{number}") for number in range(DEFAULT_RULE.watermarks_max + 6)]
    for log in logs:
        like(log)
        run(consumer_of(MemorySource(log), store.handle()), turns=2)
    assert count(store) == len(logs)

    class FromTheStart(MemorySource):
        def seek(self, partition: LogPartition, offset: int) -> None:
            super().seek(partition, 0)

    like(logs[0])
    assert LogPartition("log-0", 0) not in store.get(["ada"])["ada"].watermarks
    run(consumer_of(FromTheStart(logs[0]), store.handle()))
    assert count(store) == len(logs) + 1
