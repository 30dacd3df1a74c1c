"""The whole path over a real Kafka: a producer that knows the .proto alone, and clients that follow."""

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.test_push import absorb, history, topics
from tests.support.consumers import ConsumerProcess
from tests.support.kafka_broker import Broker, producer
from tests.support.server import connect, event, follow, is_quiet, read, shared_bundle
from tests.support.server_program import flags, program
from tests.support.tiny_bundle import item

pytestmark = pytest.mark.kafka


async def test_an_event_in_a_new_topic_changes_that_users_followed_slate_and_nobody_elses(
    kafka: Broker, topic: str, tmp_path: Path
) -> None:
    absorb(tmp_path, history(tmp_path / "history.jsonl"))
    store = f"lmdb:{tmp_path / 'store'}?map_gib=1"
    plain = [*flags(tmp_path), "--brokers", kafka.address, "--topic", topic]
    without_log = [flag for place, flag in enumerate(plain) if "--log" not in (flag, plain[place - 1])]
    consumer = ConsumerProcess(kafka, topic, store, tmp_path / "consumer.out", "--bundle", str(shared_bundle()))
    try:
        async with program(without_log) as (_, port), connect(port) as client:
            ada, bob = follow(client, "ada", size=12), follow(client, "bob", size=12)
            before, _ = (await read(ada)).slate, (await read(bob)).slate
            writer = await asyncio.to_thread(producer, kafka)
            sent = event("ada", item(4, 3), "PURCHASE")
            writer.send(topic, key=b"ada", value=sent.SerializeToString())
            await asyncio.to_thread(writer.flush)
            after = (await read(ada)).slate
            assert after.state_version == before.state_version + 1
            assert topics(after)["topic-4"] > topics(before)["topic-4"]
            assert await is_quiet(bob)
            writer.close()
    finally:
        consumer.kill()
