"""The live catalogue through a real compacted topic: every server has what any of them was told."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from kafka import KafkaProducer
from plural.v1 import catalogue_pb2, recommendations_pb2

from tests.support import tiny_bundle
from tests.support.kafka_broker import Broker, create_topic
from tests.support.server import Client, follow, read, serving, until
from tests.support.tiny_bundle import item

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def over(kafka: Broker, items: str, directory: Path, **changes: Any) -> AsyncIterator[Client]:
    said = {"brokers": kafka.address, "topic": "interactions", "items_topic": items}
    async with serving(directory, **said, **changes) as client:
        yield client


@pytest.fixture
def items(kafka: Broker) -> str:
    name = f"items-{uuid.uuid4().hex[:8]}"
    create_topic(kafka, name, 2)
    return name


async def upsert(client: Client, item_id: str, **fields: Any) -> catalogue_pb2.UpsertItemsResponse:
    request = catalogue_pb2.UpsertItemsRequest(items=[catalogue_pb2.CatalogueItem(item_id=item_id, **fields)])
    answer: catalogue_pb2.UpsertItemsResponse = await client.catalogue.UpsertItems(request)
    return answer


async def shown(client: Client) -> list[str]:
    request = recommendations_pb2.RecommendRequest(user_id="ada", size=10)
    return [each.item_id for each in (await client.recommendations.Recommend(request)).slate.items]


async def test_what_one_server_is_told_counts_there_at_once_and_in_the_others_and_after_a_restart(
    tmp_path: Path, kafka: Broker, items: str
) -> None:
    async with over(kafka, items, tmp_path / "1") as one, over(kafka, items, tmp_path / "2") as other:
        gone = (await shown(one))[0]
        follower = follow(other, "ada", size=10)
        await read(follower)
        assert (await upsert(one, gone, available=False)).live == 1
        assert gone not in await shown(one)
        assert gone not in [each.item_id for each in (await read(follower)).slate.items]
        assert gone not in await shown(other)
        await upsert(other, gone, price=3.0)
        assert gone not in await shown(other), "what was said before still holds"
    async with over(kafka, items, tmp_path / "3") as later:
        assert gone not in await shown(later)


async def test_records_from_anywhere_count_bad_ones_are_passed_over_and_an_empty_one_takes_back(
    tmp_path: Path, kafka: Broker, items: str
) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.address, acks="all", linger_ms=0)
    gone = item(0, 0)

    def send(key: str, value: bytes | None) -> None:
        producer.send(items, key=key.encode(), value=value).get(timeout=10)

    async def is_shown(wanted: bool) -> bool:
        return (gone in await shown(client)) == wanted

    async with over(kafka, items, tmp_path) as client:
        assert await is_shown(True)
        send("another", catalogue_pb2.CatalogueItem(item_id=gone, available=False).SerializeToString())
        send(gone, b"\xff\xff nonsense")
        send(gone, catalogue_pb2.CatalogueItem(item_id=gone, available=False).SerializeToString())
        await until(lambda: is_shown(False))
        send(gone, None)
        await until(lambda: is_shown(True))
    producer.close()


async def test_without_the_topic_the_server_serves_and_says_that_nothing_can_be_told(
    tmp_path: Path, kafka: Broker
) -> None:
    async with over(kafka, f"none-{uuid.uuid4().hex[:8]}", tmp_path) as client:
        assert len(await shown(client)) == 10
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await upsert(client, item(0, 0), available=False)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_new_item_out_of_the_topic_is_served_everywhere_and_gone_once_its_record_is_empty(
    tmp_path: Path, kafka: Broker, items: str
) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.address, acks="all", linger_ms=0)
    new = catalogue_pb2.CatalogueItem(item_id="new", title="New")
    new.categories.names.append("topic-2")
    bundle = tiny_bundle.write(tmp_path / "bundles", cold_weights={"interest": 2.0})
    request = recommendations_pb2.RecommendRequest(user_id="ada", size=130, filters={"only_categories": ["topic-2"]})

    async def is_shown(client: Client, wanted: bool) -> bool:
        found = (await client.recommendations.Recommend(request)).slate.items
        return ("new" in [each.item_id for each in found]) == wanted

    async with (
        over(kafka, items, tmp_path / "1", bundle=bundle) as one,
        over(kafka, items, tmp_path / "2", bundle=bundle) as other,
    ):
        producer.send(items, key=b"new", value=new.SerializeToString()).get(timeout=10)
        for client in (one, other):
            await until(partial(is_shown, client, True))
        async with over(kafka, items, tmp_path / "3", bundle=bundle) as later:
            await until(partial(is_shown, later, True))
        producer.send(items, key=b"new", value=None).get(timeout=10)
        for client in (one, other):
            await until(partial(is_shown, client, False))
    producer.close()
