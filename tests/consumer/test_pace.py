"""How much the consumer takes at once: what is there while nothing waits, more the more there is to make up."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from consumer.broker import Broker as BrokerOptions
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.metrics import Metrics
from consumer.pace import Pace
from consumer.sources.base import Batch
from consumer.sources.kafka import KafkaSource
from consumer.sources.memory import MemoryLog, MemorySource
from interests.bundle import load
from interests.encoder import Encoder
from interests.state import InterestState
from interests.stores.memory import MemoryStore
from tests.support import tiny_bundle
from tests.support.entries import START_MS
from tests.support.kafka_broker import producer
from tests.support.records import event


class Noting(MemorySource):
    """Notes how many records each poll asked for and gave."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.asked: list[int] = []
        self.given: list[int] = []

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        batch = super().poll(records_max, timeout_s)
        self.asked.append(records_max)
        self.given.append(len(batch.records))
        return batch


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    return Encoder(load(tiny_bundle.write(tmp_path / "bundles")))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


def add(log: MemoryLog, count: int, users: int = 5) -> None:
    for number in range(count):
        user = f"user-{number % users}"
        log.append(0, user.encode(), event(user, tiny_bundle.item(number % 2, 1)), START_MS)


def consumer_of(source: MemorySource, store: MemoryStore, **parts) -> Consumer:
    pace = parts.pop("pace", Pace(10, 0.0, catch_up_records=40, encode_behind=60))
    return Consumer(source, store, MemoryDeadLetters(), pace=pace, sleep_s=lambda _: None, **parts)


def run(consumer: Consumer, turns: int) -> None:
    left = iter([True] * turns + [False])
    consumer.run(lambda: next(left))


def test_batches_grow_while_many_records_wait_and_shrink_when_few_do(log):
    source = Noting(log)
    consumer = consumer_of(source, MemoryStore())
    add(log, 100)
    run(consumer, 8)
    add(log, 3)
    run(consumer, 2)
    assert source.asked == [10, 10, 40, 10, 10, 10, 10, 10, 10, 10]
    assert source.given == [0, 10, 40, 10, 10, 10, 10, 10, 3, 0]


def test_a_user_s_events_in_one_batch_are_encoded_and_written_once(log, encoder):
    encoded: list[int] = []

    class Counting(Encoder):
        def encode(self, states: Sequence[InterestState]) -> list[InterestState]:
            encoded.append(len(states))
            return encoder.encode(states)

    metrics = Metrics()
    add(log, 10, users=3)
    run(consumer_of(Noting(log), MemoryStore(), encoder=Counting.__new__(Counting), metrics=metrics), 3)
    assert encoded == [3]
    assert metrics.registry.get_sample_value("plural_consumer_states_written_total") == 3


def test_far_behind_states_are_left_to_their_readers_and_near_the_end_they_are_encoded(log, encoder):
    store, metrics = MemoryStore(), Metrics()
    consumer = consumer_of(Noting(log), store, encoder=encoder, metrics=metrics)
    add(log, 120)
    run(consumer, 3)  # claims, then 10 and 40 of 120: more than 60 wait
    assert [state.vectors for state in store.get(f"user-{n}" for n in range(5)).values()] == [None] * 5
    left = metrics.registry.get_sample_value("plural_consumer_left_to_readers_total")
    assert left == 10  # five users in each of two batches
    run(consumer, 3)
    assert all(state.vectors is not None for state in store.get(f"user-{n}" for n in range(5)).values())


@pytest.mark.kafka
def test_kafka_says_how_much_waits(kafka, topic):
    writer = producer(kafka)
    for _ in range(50):
        writer.send(topic, key=b"ada", value=event("ada"), partition=0)
    writer.close()
    source = KafkaSource(BrokerOptions((kafka.address,)), topic, f"group-{topic}")
    try:
        seen, deadline_s = 0, time.monotonic() + 30
        while not seen and time.monotonic() < deadline_s:
            batch = source.poll(10, 0.2)
            for partition in batch.assigned:
                source.seek(partition, 0)
            seen += len(batch.records)
        assert seen == 10
        assert source.waiting() == 40
    finally:
        source.close()
