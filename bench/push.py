"""From a Kafka event to the followed slate in the client's hands, against the broker's own produce ▶ poll.

    python -m bench.push [--json FILE] [--rounds N]

1,000 users, 100 of them followed; events evenly spaced at 100 and at 500 a second. The limit is a bare consumer that
polls the same bytes from the same broker at the same rate, in turn with it. Latency is from before the producer's
send to after the client has the slate.
"""

import re
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from plural.v1 import events_pb2, recommendations_pb2, recommendations_pb2_grpc

from bench.report import Row, against, arguments, finish, percentile
from bench.world import World, free_address, item, run, user, wait_for, wait_until, world
from examples.kafka_broker import KafkaBroker
from examples.programs import running

USERS, FOLLOWED, PARTITIONS, SECONDS, WARM_UP_S = 1_000, 100, 4, 15.0, 8.0
RATES = (100, 500)
TOPIC, DEAD_LETTERS, BARE = "interactions", "interactions.dead-letters", "bare"


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__)
    shop = world()
    with tempfile.TemporaryDirectory(prefix="plural-bench-") as directory:
        store = f"lmdb:{directory}/interests"
        run("-m", "consumer", "--from-file", shop.interactions, "--store", store, "--bundle", shop.bundles,
            "--log-level", "WARNING")  # fmt: skip
        broker = KafkaBroker(Path(directory) / "kafka").start()
        try:
            for topic in (TOPIC, BARE):
                broker.create_topic(topic, PARTITIONS)
            broker.create_topic(DEAD_LETTERS)
            rows = _measure(broker, shop, store, options.rounds)
        finally:
            broker.stop()
    conditions = f"{USERS:,} users, {FOLLOWED} followed, {SECONDS:.0f} s a round, 10,000 items, LMDB with sync"
    finish("Kafka event to pushed slate, against produce to poll", rows, options.json, conditions)


def _measure(broker: KafkaBroker, shop: World, store: str, rounds: int) -> list[Row]:
    listen = free_address()
    both = ["--brokers", broker.address, "--store", store, "--bundle", shop.bundles, "--log-level", "WARNING"]
    metrics = free_address()
    serving = ["--listen", listen, "--metrics-port", metrics.rpartition(":")[2]]
    consume, serve = ["-m", "consumer", *both], ["-m", "server", *serving, *both]
    rows = []
    with running(consume), running(serve):
        wait_for(listen)
        producer = KafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=0)
        with _Followers(listen) as followers, _Poller(broker.address) as poller:
            sides: list[tuple[str, _Side]] = [(TOPIC, followers), (BARE, poller)]
            for topic, side in sides:
                _play(producer, topic, side, RATES[0], WARM_UP_S)
            for rate in RATES:
                found: dict[str, list[list[float]]] = defaultdict(list)
                for _ in range(rounds):
                    for topic, side in sides:
                        found[topic].append(_play(producer, topic, side, rate, SECONDS))
                for share, name in ((0.5, "p50"), (0.99, "p99")):
                    ours, bare = ([percentile(ms, share) for ms in found[topic]] for topic in (TOPIC, BARE))
                    rows.append(against(f"kafka {name}, {rate} events/s", "ms", ours, bare))
        producer.close()
        rows += _stages(metrics)
    return rows


def _stages(metrics: str) -> list[Row]:
    """What each stage of a push took, in the mean over all that were measured, by the server's own histogram."""
    with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r'^plural_push_stage_seconds_(sum|count){stage="(\w+)"} (\S+)$', text, re.MULTILINE)
    totals = {(what, stage): float(value) for what, stage, value in found}
    stages = [stage for what, stage in totals if what == "count"]
    return [
        Row(f"  stage {stage}, mean of both rates", totals["sum", stage] / max(totals["count", stage], 1) * 1000, "ms")
        for stage in stages
    ]


def _play(producer: KafkaProducer, topic: str, side: "_Side", rate: int, seconds: float) -> list[float]:
    """Send evenly spaced events, round the users; the latencies (ms) of those that the side waits for."""
    side.begin()
    started_s = time.perf_counter()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, started_s + number / rate - time.perf_counter()))
        user_id = user(number % USERS)
        event = events_pb2.Interaction(user_id=user_id, item_id=item(number % 997), action=events_pb2.ACTION_CLICK)
        event.time.GetCurrentTime()
        value = event.SerializeToString()
        side.sent(user_id, time.perf_counter())
        producer.send(topic, key=user_id.encode(), value=value)
    wait_until(side.is_done, timeout_s=30)
    return side.latencies_ms


@dataclass
class _Side:
    """Who waits for events: notes when each of a followed user was sent, and takes the oldest when one arrives."""

    latencies_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[float]] = defaultdict(list)
        self._followed = {user(number) for number in range(0, USERS, USERS // FOLLOWED)}

    def begin(self) -> None:
        self.latencies_ms = []

    def sent(self, user_id: str, at_s: float) -> None:
        if user_id in self._followed:
            with self._lock:
                self._waiting[user_id].append(at_s)

    def arrived(self, user_id: str, count: int, at_s: float) -> None:
        with self._lock:
            waiting = self._waiting[user_id]
            self.latencies_ms += [(at_s - sent_s) * 1000 for sent_s in waiting[:count]]
            del waiting[:count]

    def is_done(self) -> bool:
        with self._lock:
            return not any(self._waiting.values())


class _Followers(_Side):
    """One Follow stream a followed user. A slate answers as many events as its state version grew by."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._channel = grpc.insecure_channel(address)
        self._streams: list[grpc.Call] = []
        self._versions: dict[str, int] = {}

    def __enter__(self) -> "_Followers":
        stub = recommendations_pb2_grpc.RecommendationServiceStub(self._channel)
        for user_id in sorted(self._followed):
            stream = stub.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=20))
            self._streams.append(stream)
            threading.Thread(target=self._read, args=(user_id, stream), daemon=True).start()
        wait_until(lambda: len(self._versions) == FOLLOWED)
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.cancel()
        self._channel.close()

    def _read(self, user_id: str, stream: grpc.Call) -> None:
        try:
            for response in stream:  # type: ignore[attr-defined]
                at_s, version = time.perf_counter(), response.slate.state_version
                if user_id in self._versions:
                    self.arrived(user_id, version - self._versions[user_id], at_s)
                self._versions[user_id] = version
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                raise


class _Poller(_Side):
    """A bare consumer of all partitions, in one thread."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._running = threading.Event()
        self._consumer = KafkaConsumer(
            bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="latest", fetch_min_bytes=1
        )
        self._consumer.assign([TopicPartition(BARE, partition) for partition in range(PARTITIONS)])
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "_Poller":
        self._running.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.clear()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        deliver: Callable[[str, int, float], None] = self.arrived
        while self._running.is_set():
            for records in self._consumer.poll(timeout_ms=200).values():
                at_s = time.perf_counter()
                for record in records:
                    deliver(record.key.decode(), 1, at_s)


if __name__ == "__main__":
    main()
