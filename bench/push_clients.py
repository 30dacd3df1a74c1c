"""The clients of bench/push.py, each in a process of its own, as they are in a shop: who produces events, who follows
slates, and who polls the topic with nothing behind it.

They stamp what they see with a clock that all processes of the host share; the benchmark matches the stamps afterwards,
so that no client pays for the bookkeeping of another.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import grpc
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from plural.v1 import events_pb2, recommendations_pb2, recommendations_pb2_grpc

from bench.world import item, user

_spawn = multiprocessing.get_context("spawn")


class Play(NamedTuple):
    """An order to a producer: evenly spaced events, round the users."""

    topic: str
    rate: int
    seconds: float
    users: int


class Seen(NamedTuple):
    """What a reader saw. number: of the record (always 1), or the version of the slate's state; at_s: shared clock"""

    user_id: str
    number: int
    at_s: float


class Client:
    """The benchmark's end of one process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, what: Any = None) -> Any:
        """Send an order and wait for its answer."""
        self._connection.send(what)
        return self._connection.recv()


@contextmanager
def client(work: Callable[..., None], *arguments: Any) -> Iterator[Client]:
    """`work` in a process of its own; ends with the block."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield Client(ours)
    finally:
        process.terminate()
        process.join()


def produce(orders: Connection, brokers: str) -> None:
    """For each Play, sends its events; answers with (user id, when) of each, from before the send."""
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all", linger_ms=0)
    while True:
        topic, rate, seconds, users = orders.recv()
        sent: list[tuple[str, float]] = []
        started_s = time.perf_counter()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, started_s + number / rate - time.perf_counter()))
            user_id = user(number % users)
            event = events_pb2.Interaction(user_id=user_id, item_id=item(number % 997), action=events_pb2.ACTION_CLICK)
            event.time.GetCurrentTime()
            value = event.SerializeToString()
            sent.append((user_id, time.perf_counter()))
            producer.send(topic, key=user_id.encode(), value=value)
        producer.flush()
        orders.send(sent)


def follow(orders: Connection, address: str, user_ids: Sequence[str]) -> None:
    """One Follow stream a user; answers each order with what was Seen since the last."""
    seen: list[Seen] = []
    stub = recommendations_pb2_grpc.RecommendationServiceStub(grpc.insecure_channel(address))

    def read(user_id: str) -> None:
        for response in stub.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=20)):
            at_s = time.perf_counter()
            seen.append(Seen(user_id, response.slate.state_version, at_s))

    for user_id in user_ids:
        threading.Thread(target=read, args=(user_id,), daemon=True).start()
    _answer(orders, seen)


def poll(orders: Connection, brokers: str, topic: str, partitions: int) -> None:
    """A bare consumer of all partitions; answers each order with what was Seen since the last."""
    seen: list[Seen] = []
    consumer = KafkaConsumer(
        bootstrap_servers=brokers, enable_auto_commit=False, auto_offset_reset="latest", fetch_min_bytes=1
    )
    consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])

    def read() -> None:
        while True:
            for records in consumer.poll(timeout_ms=200).values():
                at_s = time.perf_counter()
                seen.extend(Seen(record.key.decode(), 1, at_s) for record in records)

    threading.Thread(target=read, daemon=True).start()
    _answer(orders, seen)


def _answer(orders: Connection, seen: list[Seen]) -> None:
    while True:
        orders.recv()
        count = len(seen)
        orders.send(seen[:count])
        del seen[:count]
