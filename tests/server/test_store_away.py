"""A store that goes away: what is at hand is served, the rest is told to come back, and pushes go on by themselves."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from plural.v1 import interests_pb2, recommendations_pb2

from tests.support.redis_server import RedisServer
from tests.support.server import Client, event, is_quiet, read, record, refused_for_now, serving, until
from tests.support.tiny_bundle import item

pytestmark = pytest.mark.redis


def ask(client: Client, user_id: str, size: int = 20) -> Any:
    return client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id=user_id, size=size))


async def test_while_the_store_is_away_known_users_are_served_and_others_told_to_come_back(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    try:
        async with serving(tmp_path, store=redis.url) as client:
            await record(client, event("ada", item(1, 1)), event("bob", item(2, 2)))
            await until(lambda: _version_is(client, "ada", 1))
            before = (await ask(client, "ada")).slate
            stream = client.recommendations.Follow(recommendations_pb2.FollowRequest(user_id="ada"))
            unmoved = client.recommendations.Follow(recommendations_pb2.FollowRequest(user_id="eve"))
            await read(stream), await read(unmoved)
            redis.kill()
            assert (await ask(client, "ada")).slate == before
            assert len((await ask(client, "ada", size=3)).slate.items) == 3
            assert await refused_for_now(ask(client, "bob"))
            known = interests_pb2.RecordInteractionsRequest(interactions=[event("ada", item(3, 3), event_id="e1")])
            assert await refused_for_now(client.interests.RecordInteractions(known))
            redis.start()
            await until(lambda: _version_is(client, "bob", 1))
            await client.interests.RecordInteractions(known)
            found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
            assert found.interaction_count == 2
            assert (await read(stream)).slate.state_version in (2, 3)  # the retry is a log entry too
            assert await is_quiet(unmoved), "who did not move is pushed nothing, though the change log was away"
    finally:
        redis.kill()


async def test_two_servers_on_one_store_push_to_each_others_followers(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    try:
        async with (
            serving(tmp_path / "one", store=redis.url) as one,
            serving(tmp_path / "two", store=redis.url) as two,
        ):
            stream = two.recommendations.Follow(recommendations_pb2.FollowRequest(user_id="ada"))
            assert (await read(stream)).slate.state_version == 0
            await record(one, event("ada", item(1, 1)))
            assert (await read(stream)).slate.state_version == 1
            await record(two, event("ada", item(1, 2)))
            await record(one, event("ada", item(1, 3)))
            while (await read(stream)).slate.state_version < 3:
                pass
    finally:
        redis.kill()


async def _version_is(client: Client, user_id: str, version: int) -> bool:
    try:
        return bool((await ask(client, user_id)).slate.state_version == version)
    except grpc.aio.AioRpcError:
        return False
