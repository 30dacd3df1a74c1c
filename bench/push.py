"""From a Kafka event to the followed slate in the client's hands, against the broker's own produce ▶ poll.

    python -m bench.push [--json FILE] [--rounds N] [--seconds 15]

1,000 users, 100 of them followed; events evenly spaced at 100 and at 500 a second. The limit is a bare consumer that
polls the same bytes from the same broker at the same rate, in turn with it, while the consumer and the server stand
idle beside it. Producer, followers and bare consumer are processes of their own, the same for both sides. Latency is
from before the producer's send to after the client has the slate.
"""

import argparse
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import push_clients
from bench.push_clients import Client, Play, Seen
from bench.report import Row, against, arguments, finish, percentile
from bench.world import World, free_address, run, user, wait_for, world
from examples.kafka_broker import KafkaBroker
from examples.programs import running

USERS, FOLLOWED, PARTITIONS, SECONDS, WARM_UP_S, LATE_S = 1_000, 100, 4, 15.0, 8.0, 30.0
RATES = (100, 500)
TOPIC, DEAD_LETTERS, BARE = "interactions", "interactions.dead-letters", "bare"


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__, more=_flags)
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
            rows = _measure(broker, shop, store, options)
        finally:
            broker.stop()
    conditions = f"{USERS:,} users, {FOLLOWED} followed, {options.seconds:g} s a round, 10,000 items, LMDB with sync"
    finish("Kafka event to pushed slate, against produce to poll", rows, options.json, conditions)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each side of a round is measured")


def _measure(broker: KafkaBroker, shop: World, store: str, options: argparse.Namespace) -> list[Row]:
    listen, metrics = free_address(), free_address()
    both = ["--brokers", broker.address, "--store", store, "--bundle", shop.bundles, "--log-level", "WARNING"]
    serving = ["--listen", listen, "--metrics-port", metrics.rpartition(":")[2]]
    followed = [user(number) for number in range(0, USERS, USERS // FOLLOWED)]
    rows = []
    with running(["-m", "consumer", *both]), running(["-m", "server", *serving, *both]):
        wait_for(listen)
        with (
            push_clients.client(push_clients.produce, broker.address) as producer,
            push_clients.client(push_clients.follow, listen, followed) as followers,
            push_clients.client(push_clients.poll, broker.address, BARE, PARTITIONS) as poller,
        ):
            ours, bare = _Pushed(producer, followers, followed), _Polled(producer, poller, followed)
            for side in (ours, bare):
                side.play(RATES[0], WARM_UP_S)
            for rate in RATES:
                before = _totals(metrics)
                rounds = [
                    (ours.play(rate, options.seconds), bare.play(rate, options.seconds)) for _ in range(options.rounds)
                ]
                for share, name in ((0.5, "p50"), (0.99, "p99")):
                    pairs = [(percentile(pushed, share), percentile(polled, share)) for pushed, polled in rounds]
                    rows.append(against(f"kafka {name}, {rate} events/s", "ms", *zip(*pairs, strict=True)))
                rows += _stages(before, _totals(metrics))
    return rows


Totals = dict[tuple[str, str], float]


def _totals(metrics: str) -> Totals:
    """(sum or count, stage) of the server's own histogram of what the stages of its pushes took."""
    with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r'^plural_push_stage_seconds_(sum|count){stage="(\w+)"} (\S+)$', text, re.MULTILINE)
    return {(what, stage): float(value) for what, stage, value in found}


def _stages(before: Totals, after: Totals) -> list[Row]:
    """What each stage of a push took between two looks, in the mean."""
    since = {key: value - before.get(key, 0.0) for key, value in after.items()}
    stages = [stage for what, stage in since if what == "count"]
    return [
        Row(f"  stage {stage}, mean", since["sum", stage] / max(since["count", stage], 1.0) * 1000, "ms")
        for stage in stages
    ]


class _Pushed:
    """Our side. A slate answers as many events as its state's version grew by."""

    topic = TOPIC

    def __init__(self, producer: Client, reader: Client, followed: Sequence[str]) -> None:
        self._producer, self._reader = producer, reader
        self._sent: dict[str, list[float]] = {user_id: [] for user_id in followed}
        self._versions: dict[str, int] = {}
        self._latencies_ms: list[float] = []
        self._until(lambda: self._is_open(followed))

    def play(self, rate: int, seconds: float) -> list[float]:
        """The latencies (ms) of the followed users' events."""
        self._latencies_ms = []
        sent = self._producer.ask(Play(self.topic, rate, seconds, USERS))
        for user_id, at_s in sent:
            if user_id in self._sent:
                self._sent[user_id].append(at_s)
        self._until(lambda: not any(self._sent.values()))
        return self._latencies_ms

    def _is_open(self, followed: Sequence[str]) -> bool:
        return len(self._versions) == len(followed)

    def _answered(self, seen: Seen) -> int:
        before, self._versions[seen.user_id] = self._versions.get(seen.user_id), seen.number
        return 0 if before is None else seen.number - before

    def _until(self, is_done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + LATE_S
        while True:
            for seen in self._reader.ask():
                count = self._answered(seen)
                waiting = self._sent.get(seen.user_id, [])
                self._latencies_ms += [(seen.at_s - sent_s) * 1000 for sent_s in waiting[:count]]
                del waiting[:count]
            if is_done():
                return
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"topic {self.topic}: what was sent {LATE_S:g} s ago has not come")
            time.sleep(0.05)


class _Polled(_Pushed):
    """The bare side. A record answers itself."""

    topic = BARE

    def _is_open(self, followed: Sequence[str]) -> bool:
        return True

    def _answered(self, seen: Seen) -> int:
        return seen.number


if __name__ == "__main__":
    main()
