"""How many events a second one consumer takes from a real Kafka into a store, every one durable.

    python -m bench.consume [--json FILE] [--rounds N] [--events 1000000 --users 50000] [--rate 3000 --seconds 60]

catch-up   a backlog of --events of --users, read as fast as it goes, far enough behind that readers encode
encoded    the same, every batch encoded; of a tenth of the events, 20,000 at least
steady     events sent at --rate for --seconds, every one encoded as it comes

into LMDB (each batch synced to disk) and into Redis (append-only file, everysec). Per core: events over the CPU time
that the consumer's process took, all its threads; and the clock's rate beside it, which on a machine with few cores
shares them with the broker. The limit is a bare consumer that polls the same topic. The defaults are small; the claim
is of the figures in the first line.
"""

import argparse
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from plural.v1 import events_pb2

from bench.report import Row, against, arguments, finish
from bench.world import free_address, item, user, wait_until, world
from examples.kafka_broker import KafkaBroker
from examples.programs import running
from tests.support.redis_server import RedisServer

PARTITIONS = 4
ENCODED_EVENTS_MIN = 20_000  # fewer are over before there is anything to measure
STRIDE = 7919  # coprime to any number of users up to it: every user comes once before anyone comes again
ALWAYS = 10**9
LOOK_S = 0.5  # each look costs the consumer a millisecond or two


@dataclass(frozen=True)
class Took:
    """What one run took: events, seconds by the clock, seconds of CPU of the consumer's process."""

    events: int
    wall_s: float
    cpu_s: float

    @property
    def a_core(self) -> float:
        """Events a second of CPU."""
        return self.events / max(self.cpu_s, 1e-9)

    @property
    def a_second(self) -> float:
        """Events a second by the clock."""
        return self.events / self.wall_s


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__, more=_flags)
    shop = world()
    with tempfile.TemporaryDirectory(prefix="plural-bench-") as directory:
        broker = KafkaBroker(Path(directory) / "kafka").start()
        redis = RedisServer(Path(directory) / "redis")
        try:
            rows = _rounds(options, broker, redis, Path(directory), ["--bundle", shop.bundles])
        finally:
            redis.kill()
            broker.stop()
    conditions = (
        f"{options.events:,} events of {options.users:,} users; steady: {options.rate:,} events/s for "
        f"{options.seconds:g} s; one consumer process"
    )
    finish("Consumer against a bare poll of the same topic", rows, options.json, conditions)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=100_000, help="of the backlog")
    parser.add_argument("--users", type=int, default=5_000, help="whose events they are")
    parser.add_argument("--rate", type=int, default=1000, help="steady: events sent a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="steady: for how long")


def _rounds(
    options: argparse.Namespace, broker: KafkaBroker, redis: RedisServer, directory: Path, bundle: list[object]
) -> list[Row]:
    backlog, part = _topic(broker, "backlog"), _topic(broker, "part")
    _fill(broker.address, backlog, options.events, options.users)
    fewer = max(options.events // 10, ENCODED_EVENTS_MIN)
    _fill(broker.address, part, fewer, options.users)
    limits: list[float] = []
    caught: dict[str, list[Took]] = {}
    steady: dict[str, list[tuple[Took, int]]] = {}
    for number in range(options.rounds):
        limits.append(_poll(broker.address, backlog, options.events))
        for store in ("LMDB", "Redis"):
            for kind, topic, events, more in (
                ("catch-up, readers encode", backlog, options.events, ["--encode-behind", 0]),
                ("catch-up, every batch encoded", part, fewer, ["--encode-behind", ALWAYS]),
            ):
                with _store(store, redis, directory / f"{kind}-{number}") as url:
                    took = _catch_up(broker.address, topic, events, url, [*bundle, *more])
                    caught.setdefault(f"{kind}, {store}", []).append(took)
            live = _topic(broker, f"live-{store.lower()}-{number}")
            with _store(store, redis, directory / f"steady-{number}") as url:
                steady.setdefault(store, []).append(_steady(broker.address, live, options, url, bundle))
    rows = []
    for name, all_took in caught.items():
        rows.append(against(f"{name}, a core", "events/s", [took.a_core for took in all_took], limits))
        rows.append(against(f"{name}, by the clock", "events/s", [took.a_second for took in all_took], limits))
    for store, runs in steady.items():
        rows.append(against(f"steady, encoded, {store}, a core", "events/s", [t.a_core for t, _ in runs], limits))
        rows.append(Row(f"steady, {store}, waiting at the end", max(lag for _, lag in runs), "events"))
    return rows


def _topic(broker: KafkaBroker, name: str) -> str:
    broker.create_topic(name, PARTITIONS)
    broker.create_topic(f"{name}.dead-letters")
    return name


@contextmanager
def _store(kind: str, redis: RedisServer, path: Path) -> Iterator[str]:
    """An empty store's URL."""
    if kind == "LMDB":
        yield f"lmdb:{path}"
        return
    with redis.client() as client:
        client.flushall()
    yield redis.url


def _fill(address: str, topic: str, events: int, users: int) -> None:
    producer = KafkaProducer(bootstrap_servers=address, acks="all", linger_ms=20)
    for number in range(events):
        _send(producer, topic, number, users)
    producer.flush()
    producer.close()


def _send(producer: KafkaProducer, topic: str, number: int, users: int) -> None:
    event = events_pb2.Interaction(
        event_id=str(number),
        user_id=user(number * STRIDE % users),
        item_id=item(number * 31 % 10_000),
        action=events_pb2.ACTION_CLICK,
    )
    event.time.GetCurrentTime()
    producer.send(topic, key=event.user_id.encode(), value=event.SerializeToString())


def _poll(address: str, topic: str, events: int) -> float:
    """Events a second of CPU that a consumer takes which does nothing with them."""
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    count, cpu_s = 0, time.process_time()
    while count < events:
        count += sum(len(records) for records in consumer.poll(timeout_ms=1000, max_records=1000).values())
    rate = count / (time.process_time() - cpu_s)
    consumer.close()
    return rate


def _catch_up(address: str, topic: str, events: int, url: str, more: list[object]) -> Took:
    """From the first batch in the store to the last."""
    with _consumer(address, topic, url, more) as (pid, absorbed):
        wait_until(lambda: absorbed() > 0, timeout_s=120)
        first, wall_s, cpu_s = absorbed(), time.monotonic(), _cpu_s(pid)
        while absorbed() < events:
            time.sleep(LOOK_S)
        return Took(events - first, time.monotonic() - wall_s, _cpu_s(pid) - cpu_s)


def _steady(address: str, topic: str, options: argparse.Namespace, url: str, bundle: list[object]) -> tuple[Took, int]:
    """(what was absorbed while events were being sent, how many waited when the last one had been)."""
    producer = KafkaProducer(bootstrap_servers=address, acks=1, linger_ms=1)
    with _consumer(address, topic, url, [*bundle, "--encode-behind", ALWAYS]) as (pid, absorbed):
        _send(producer, topic, 0, options.users)
        wait_until(lambda: absorbed() > 0, timeout_s=120)
        first, start_s, cpu_s = absorbed(), time.monotonic(), _cpu_s(pid)
        count = int(options.rate * options.seconds)
        for number in range(1, count + 1):
            if (early_s := start_s + number / options.rate - time.monotonic()) > 0.002:
                time.sleep(early_s)
            _send(producer, topic, number, options.users)
        producer.flush()
        done = absorbed()
        took = Took(done - first, time.monotonic() - start_s, _cpu_s(pid) - cpu_s)
    producer.close()
    return took, count + 1 - done


@contextmanager
def _consumer(address: str, topic: str, url: str, more: list[object]) -> Iterator[tuple[int, Callable[[], int]]]:
    """(process id, what says how many events are in the store) of a consumer that runs for the block."""
    group, metrics = f"{topic} into {url}", free_address()
    command = ["-m", "consumer", "--brokers", address, "--topic", topic, "--dead-letter-topic", f"{topic}.dead-letters"]
    command += ["--group", group, "--store", url, "--metrics-port", metrics.rpartition(":")[2]]
    with running([*command, "--log-level", "WARNING", *more]) as process:
        yield process.pid, lambda: _absorbed(metrics)


def _absorbed(metrics: str) -> int:
    """By the consumer's own counter, which moves once a batch is in the store; 0 while it is starting."""
    try:
        with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    found = re.search(r"^plural_consumer_absorbed_total (\S+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def _cpu_s(pid: int) -> float:
    """User and system time of a process, all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
