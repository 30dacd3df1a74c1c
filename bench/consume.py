"""How many events a second one consumer takes from a real Kafka into a store, every one durable.

    python -m bench.consume [--json FILE] [--rounds N]

catch-up: a backlog of 100,000 events of 2,500 users, read as fast as it goes; once encoding each user's vectors as
states are written, and once leaving that to the readers. The limit is a bare consumer polling the same topic.
"""

import tempfile
import time
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from plural.v1 import events_pb2

from bench.report import against, arguments, finish
from bench.world import USERS, item, user, wait_until, world
from examples.kafka_broker import KafkaBroker
from examples.programs import running

EVENTS, PARTITIONS = 100_000, 4
TOPIC, DEAD_LETTERS = "interactions", "interactions.dead-letters"


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__)
    shop = world()
    with tempfile.TemporaryDirectory(prefix="plural-bench-") as directory:
        broker = KafkaBroker(Path(directory) / "kafka").start()
        try:
            broker.create_topic(TOPIC, PARTITIONS)
            broker.create_topic(DEAD_LETTERS)
            _fill(broker.address)
            plain, encoded, limits = [], [], []
            for number in range(options.rounds):
                limits.append(_poll(broker.address))
                stores = [f"lmdb:{directory}/{kind}-{number}" for kind in ("plain", "encoded")]
                plain.append(_consume(broker.address, stores[0], []))
                encoded.append(_consume(broker.address, stores[1], ["--bundle", shop.bundles]))
        finally:
            broker.stop()
    rows = [
        against("catch-up, readers encode, LMDB", "events/s", plain, limits),
        against("catch-up, every batch encoded, LMDB", "events/s", encoded, limits),
    ]
    conditions = f"{EVENTS:,} events of {USERS:,} users, one consumer process, batches of 1,000, LMDB with sync"
    finish("Consumer against a bare poll of the same topic", rows, options.json, conditions)


def _fill(address: str) -> None:
    producer = KafkaProducer(bootstrap_servers=address, acks="all", linger_ms=20)
    for number in range(EVENTS):
        event = events_pb2.Interaction(
            event_id=str(number),
            user_id=user(number * 7919 % USERS),
            item_id=item(number % 10_000),
            action=events_pb2.ACTION_CLICK,
        )
        event.time.GetCurrentTime()
        producer.send(TOPIC, key=event.user_id.encode(), value=event.SerializeToString())
    producer.flush()
    producer.close()


def _poll(address: str) -> float:
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)])
    count, started_s = 0, time.perf_counter()
    while count < EVENTS:
        count += sum(len(records) for records in consumer.poll(timeout_ms=1000, max_records=1000).values())
    rate = count / (time.perf_counter() - started_s)
    consumer.close()
    return rate


def _consume(address: str, url: str, more: list[object]) -> float:
    """Events a second between the first batch committed and the last; a commit follows the store's durable write."""
    command = ["-m", "consumer", "--brokers", address, "--group", url, "--store", url, "--log-level", "WARNING"]
    watch = KafkaConsumer(bootstrap_servers=address, group_id=url, enable_auto_commit=False)
    with running([*command, *more]):
        wait_until(lambda: _committed(watch) > 0)
        first, started_s = _committed(watch), time.perf_counter()
        wait_until(lambda: _committed(watch) >= EVENTS, timeout_s=300)
        rate = (EVENTS - first) / (time.perf_counter() - started_s)
    watch.close()
    return rate


def _committed(watch: KafkaConsumer) -> int:
    return sum(watch.committed(TopicPartition(TOPIC, partition)) or 0 for partition in range(PARTITIONS))


if __name__ == "__main__":
    main()
