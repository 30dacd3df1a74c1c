"""One text over every source: what Source promises holds for memory, a file and Kafka."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from consumer.broker import Broker as BrokerOptions
from consumer.sources.base import Record, Source
from consumer.sources.file import FileSource
from consumer.sources.kafka import COMMIT_S, KafkaSource
from consumer.sources.memory import MemoryLog, MemorySource
from interests.events import LogPartition
from tests.support.kafka_broker import Broker, create_topic, producer
from tests.support.records import event

COUNT = 30
TURNS = 100


@dataclass
class World:
    """A log of COUNT records of three users, and readers of it."""

    open: Callable[[], Source]
    opened: list[Source]

    def source(self) -> Source:
        """A reader; closed after the test."""
        self.opened.append(self.open())
        return self.opened[-1]


@pytest.fixture(params=["memory", "file", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World({"memory": _memory, "file": _file, "kafka": _kafka}[request.param](request, tmp_path), [])
    yield made
    for source in made.opened:
        source.close()


def _memory(_: pytest.FixtureRequest, __: Path) -> Callable[[], Source]:
    log = MemoryLog(partitions=2)
    for number in range(COUNT):
        log.append(number % 2, b"ada", event("ada", f"item-{number}"), 1000 + number)
    return lambda: MemorySource(log)


def _file(_: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Source]:
    path = tmp_path / "history.csv"
    rows = [f"user-{number % 3},item-{number},{1_700_000_000 + number},like" for number in range(COUNT)]
    path.write_text("\n".join(["user_id,item_id,timestamp,action", *rows]))
    return lambda: FileSource(path)


def _kafka(request: pytest.FixtureRequest, _: Path) -> Callable[[], Source]:
    kafka: Broker = request.getfixturevalue("kafka")
    topic = f"contract-{uuid.uuid4().hex[:8]}"
    create_topic(kafka, topic, 2)
    writer = producer(kafka)
    for number in range(COUNT):
        writer.send(
            topic, key=b"ada", value=event("ada", f"item-{number}"), partition=number % 2, headers=[("h", b"1")]
        )
    writer.close()
    options = BrokerOptions((kafka.address,))
    return lambda: KafkaSource(options, topic, f"group-{topic}", session_timeout_s=6)


def assigned(source: Source) -> frozenset[LogPartition]:
    """Poll until partitions are assigned; nothing may come before a seek."""
    found: frozenset[LogPartition] = frozenset()
    for _ in range(TURNS):
        batch = source.poll(100, 0.2)
        assert not batch.records
        found |= batch.assigned
        if found:
            return found
    raise AssertionError("nothing was assigned")


def read(source: Source, count: int, at_once: int = 7) -> list[Record]:
    """So many records, or all that come."""
    found: list[Record] = []
    for _ in range(TURNS):
        batch = source.poll(at_once, 0.2)
        assert len(batch.records) <= at_once
        found.extend(batch.records)
        if len(found) >= count:
            break
    return found


def begin(source: Source) -> None:
    for partition in assigned(source):
        source.seek(partition, 0)


def test_a_partition_gives_nothing_before_it_is_sought(world):
    source = world.source()
    partitions = assigned(source)
    assert source.assignment() == partitions
    assert not source.poll(10, 0.2).records
    assert source.positions() == {}


def test_every_record_comes_once_in_offset_order_within_its_partition(world):
    source = world.source()
    begin(source)
    records = read(source, COUNT)
    assert len(records) == COUNT
    for partition in source.assignment():
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(len(offsets)))
    assert all(record.timestamp_ms > 0 for record in records)
    assert not source.poll(10, 0.1).records


def test_bounds_and_positions_say_how_much_is_left(world):
    source = world.source()
    begin(source)
    bounds = source.bounds(source.assignment())
    assert sum(found.end - found.begin for found in bounds.values()) == COUNT
    records = read(source, 10, at_once=5)
    assert sum(source.positions().values()) == len(records)


def test_seek_goes_back_and_forward(world):
    source = world.source()
    begin(source)
    read(source, COUNT)
    partition = min(source.assignment())
    source.seek(partition, 3)
    again = read(source, 1)
    assert (again[0].partition, again[0].offset) == (partition, 3)
    end = source.bounds([partition])[partition].end
    source.seek(partition, end - 1)
    assert [record.offset for record in read(source, 1)] == [end - 1]


def test_pause_stops_every_partition_until_it_is_sought_again(world):
    source = world.source()
    begin(source)
    read(source, 5, at_once=5)
    source.pause()
    assert not any(source.poll(10, 0.05).records for _ in range(5))
    for partition in source.assignment():
        source.seek(partition, 1)
    records = read(source, COUNT - len(source.assignment()))
    assert len(records) == COUNT - len(source.assignment())
    assert min(record.offset for record in records) == 1


def test_the_same_log_has_the_same_identity_for_every_reader(world):
    first = world.source()
    partitions = assigned(first)
    first.close()
    assert assigned(world.source()) == partitions


def test_commit_is_advice_and_may_be_given_at_any_time(world):
    source = world.source()
    begin(source)
    read(source, 5, at_once=5)
    source.commit(dict.fromkeys(source.assignment(), 5))
    source.close()
    later = world.source()
    begin(later)
    assert len(read(later, COUNT)) == COUNT


@pytest.mark.kafka
@pytest.mark.parametrize("closes", [False, True], ids=["while it reads on", "by closing"])
def test_kafka_is_told_how_far_a_group_is(kafka: Broker, closes: bool):
    topic = f"told-{uuid.uuid4().hex[:8]}"
    create_topic(kafka, topic, 1)
    source = KafkaSource(BrokerOptions((kafka.address,)), topic, f"group-{topic}", session_timeout_s=6)
    begin(source)
    (partition,) = source.assignment()
    for offset in range(1, 6):  # far more often than it will be told
        source.commit({partition: offset})
        source.poll(1, 0.01)
    if closes:
        source.close()
    else:
        source.poll(1, 2 * COMMIT_S)
        source.poll(1, 1.0)
    asking = KafkaConsumer(bootstrap_servers=kafka.address, group_id=f"group-{topic}", enable_auto_commit=False)
    assert asking.committed(TopicPartition(topic, 0)) == 5
    asking.close()
    source.close()


def test_closing_twice_does_no_harm(world):
    source = world.source()
    assigned(source)
    source.close()
    source.close()
