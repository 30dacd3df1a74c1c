"""RecordInteractions into a real topic."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from kafka import KafkaConsumer, TopicPartition
from plural.v1 import events_pb2, interests_pb2

from tests.support.kafka_broker import Broker
from tests.support.server import Client, event, record, refused_for_now, serving

READ_S = 20.0
WARM_UP = "warm-up"


@contextmanager
def reading(kafka: Broker, topic: str) -> Iterator[Any]:
    """A consumer of the whole topic."""
    consumer = KafkaConsumer(bootstrap_servers=kafka.address, enable_auto_commit=False)
    deadline_s = time.monotonic() + READ_S
    while not (numbers := consumer.partitions_for_topic(topic)):  # None until the broker has told of the topic
        assert time.monotonic() < deadline_s, "the topic is not there"
        time.sleep(0.05)
    partitions = [TopicPartition(topic, number) for number in numbers]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    yield consumer
    consumer.close()


def take(consumer: Any, wanted: int) -> list[Any]:
    """The first `wanted` records, those of the warm-up apart."""
    records: list[Any] = []
    deadline_s = time.monotonic() + READ_S
    while len(records) < wanted and time.monotonic() < deadline_s:
        for batch in consumer.poll(timeout_ms=200).values():
            records += [one for one in batch if one.key != WARM_UP.encode()]
    assert len(records) == wanted
    return records


async def warm_up(client: Client) -> None:
    """Record until it is taken: a broker that has just started may need longer for its first answer than a call
    waits, and the call is then refused for now, as it should be.
    """
    deadline_s = time.monotonic() + READ_S
    while await refused_for_now(record(client, event(WARM_UP, "t0-00"))):
        assert time.monotonic() < deadline_s, "the broker does not get ready"


@pytest.mark.kafka
async def test_interactions_and_erasures_go_to_their_users_partition_in_order(
    tmp_path: Path, kafka: Broker, topic: str
) -> None:
    sent = [event("ada", f"t0-{n:02d}", event_id=f"e{n}", slate_id="s", position=n) for n in range(20)]
    async with serving(tmp_path, brokers=kafka.address, topic=topic) as client:
        await warm_up(client)
        answer = await record(client, *sent, event("bob", "t1-01"))
        forgotten = await client.interests.ForgetUser(interests_pb2.ForgetUserRequest(user_id="ada"))
    assert answer.recorded == 21 and not answer.absorbed and not forgotten.erased
    with reading(kafka, topic) as consumer:
        records = await asyncio.to_thread(take, consumer, 22)
    ada = [one for one in records if one.key == b"ada"]
    assert [events_pb2.Interaction.FromString(one.value) for one in ada[:-1]] == sent
    assert ada[-1].value is None
    assert len({one.partition for one in ada}) == 1


async def test_a_broker_that_is_away_is_unavailable_within_seconds_and_reads_go_on(tmp_path: Path) -> None:
    async with serving(tmp_path, brokers="127.0.0.1:1") as client:
        started_s = time.monotonic()
        calls = [_record_call(client) for _ in range(20)]
        assert all(await asyncio.gather(*map(refused_for_now, calls)))
        assert time.monotonic() - started_s < 15
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
    assert found.state_version == 0


@pytest.mark.kafka
async def test_a_topic_that_is_not_there_is_unavailable_and_not_made(tmp_path: Path, kafka: Broker) -> None:
    async with serving(tmp_path, brokers=kafka.address, topic="no-such-topic") as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _record_call(client)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "no-such-topic" in (caught.value.details() or "")


def _record_call(client: Client) -> Any:
    request = interests_pb2.RecordInteractionsRequest(interactions=[event("ada", "t0-00")])
    return client.interests.RecordInteractions(request)
