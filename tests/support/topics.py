"""What a topic holds, read whole and plainly, as the reference to compare consumers with."""

from collections.abc import Mapping, Sequence

from kafka import KafkaConsumer, TopicPartition

from consumer.sources.base import Record
from interests.events import LogPartition
from interests.state import InterestState
from tests.support.entries import replayed
from tests.support.kafka_broker import Broker
from tests.support.records import entries_and_bad


def topic_id(broker: Broker, topic: str) -> str:
    """The topic's identity."""
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        return str(admin.describe_topics([topic])[0]["topic_id"])
    finally:
        admin.close()


def partitions_of(broker: Broker, topic: str, count: int = 2) -> list[LogPartition]:
    """The partitions of a topic by their lasting names."""
    identity = topic_id(broker, topic)
    return [LogPartition(identity, number) for number in range(count)]


def read_topic(broker: Broker, topic: str) -> list[Record]:
    """Every record of a topic, from its start to its present end, each partition in order."""
    identity = topic_id(broker, topic)
    reader = KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        tps = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic))]
        ends = reader.end_offsets(tps)
        reader.assign(tps)
        reader.seek_to_beginning(*tps)
        found: list[Record] = []
        while any(reader.position(tp) < ends[tp] for tp in tps):
            for raws in reader.poll(timeout_ms=200).values():
                for raw in raws:
                    where = LogPartition(identity, raw.partition)
                    headers = tuple((name, data or b"") for name, data in raw.headers)
                    found.append(Record(where, raw.offset, raw.timestamp, raw.key, raw.value, headers))
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        reader.close()


def expected_states(broker: Broker, topic: str) -> dict[str, InterestState]:
    """The states that the topic leaves behind, replayed one entry at a time in memory."""
    entries, _ = entries_and_bad(read_topic(broker, topic))
    return replayed(entries)


def headers_of(record: Record) -> Mapping[str, bytes]:
    """A record's headers by name; the last of one name counts."""
    return dict(record.headers)


def dead_letters(broker: Broker, topic: str) -> Sequence[Record]:
    """The dead letters of a topic."""
    return read_topic(broker, f"{topic}.dead-letters")
