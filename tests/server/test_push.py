"""Following: who is pushed what, and when."""

import asyncio
from pathlib import Path

import grpc
import pytest
from plural.v1 import interests_pb2, recommendations_pb2

from server.parts import running
from tests.support.server import (
    SMALL_WINDOW,
    Client,
    connect,
    event,
    follow,
    is_quiet,
    read,
    record,
    serving,
    settings,
    until,
)
from tests.support.tiny_bundle import item


async def test_an_event_changes_its_users_slate_and_nobody_elses(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        ada, bob = follow(client, "ada", size=10), follow(client, "bob", size=10)
        before = (await read(ada)).slate
        await read(bob)
        await record(client, event("ada", item(4, 0), "PURCHASE"))
        after = (await read(ada)).slate
        asked = (
            await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id="ada", size=10))
        ).slate
        assert (before.state_version, after.state_version) == (0, 1)
        assert [each.item_id for each in before.items] != [each.item_id for each in after.items]
        assert after == asked
        assert await is_quiet(ada, bob)


async def test_impressions_wake_nobody_and_count_at_the_next_slate(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        ada, other = follow(client, "ada"), follow(client, "ada", size=5)
        await read(ada), await read(other)
        await record(client, event("ada", item(0, 0), "IMPRESSION"))
        assert await is_quiet(other)
        await record(client, event("ada", item(1, 0), "CLICK"))
        assert (await read(ada)).slate.state_version == 2


async def test_a_retry_of_an_event_pushes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, event("ada", item(0, 0), event_id="e1"))
        ada = follow(client, "ada")
        await read(ada)
        await record(client, event("ada", item(0, 0), event_id="e1"))
        assert await is_quiet(ada)


async def test_a_slow_reader_gets_the_newest_slate_and_not_each_one(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as port, connect(port) as client, connect(port, SMALL_WINDOW) as slow_client:
        slow, fast = follow(slow_client, "ada", size=120), follow(client, "ada", size=1)
        await read(slow), await read(fast)
        events = 150
        for number in range(events):
            await record(client, event("ada", item(number % 6, number % 20)))
        while (await read(fast)).slate.state_version < events:
            pass
        versions: list[int] = []
        while not versions or versions[-1] < events:
            versions.append((await read(slow)).slate.state_version)
    assert versions == sorted(versions)
    assert len(versions) < events / 2, "only what fitted into the transport's window was sent meanwhile"


async def test_pushes_keep_their_least_interval_and_the_last_change_is_not_lost(tmp_path: Path) -> None:
    async with serving(tmp_path, push_interval_ms_min=400.0) as client:
        ada = follow(client, "ada", size=5)
        await read(ada)
        loop = asyncio.get_running_loop()
        await record(client, event("ada", item(0, 0)))
        assert (await read(ada)).slate.state_version == 1
        first_s = loop.time()
        for number in range(1, 6):
            await record(client, event("ada", item(0, number)))
        assert (await read(ada)).slate.state_version == 6
        assert loop.time() - first_s > 0.3


async def test_followers_of_a_forgotten_user_get_a_fresh_slate(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, *(event("ada", item(3, number), "PURCHASE") for number in range(8)))
        ada, nobody = follow(client, "ada", diversity=0.0), follow(client, "nobody", diversity=0.0)
        before, cold = (await read(ada)).slate, (await read(nobody)).slate
        await client.interests.ForgetUser(interests_pb2.ForgetUserRequest(user_id="ada"))
        after = (await read(ada)).slate
    assert [each.item_id for each in after.items] == [each.item_id for each in cold.items]
    assert [each.item_id for each in after.items] != [each.item_id for each in before.items]


async def test_a_stream_too_many_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path, streams_max=3, streams_per_user_max=2) as client:
        held = [follow(client, user_id) for user_id in ("ada", "ada", "bob")]
        for stream in held:
            await read(stream)
        for user_id, told in (("ada", "3 streams of this server"), ("eve", "3 streams of this server")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read(follow(client, user_id))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert told in (caught.value.details() or "")
            assert "google.rpc.RetryInfo" in str(caught.value.trailing_metadata())
        held[2].cancel()
        await until(lambda: _opens(client, "eve"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read(follow(client, "ada"))
        assert "this user has 2 streams" in (caught.value.details() or "")


async def test_one_connection_may_not_take_all_streams(tmp_path: Path) -> None:
    # Channels of one target share a connection unless they differ in some option.
    one, two = (("plural.test", 1),), (("plural.test", 2),)
    async with (
        running(settings(tmp_path, streams_per_connection_max=2)) as port,
        connect(port, one) as greedy,
        connect(port, two) as other,
    ):
        held = [follow(greedy, user_id) for user_id in ("ada", "bob")]
        for stream in held:
            await read(stream)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read(follow(greedy, "eve"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "this connection has 2 streams" in (caught.value.details() or "")
        assert "google.rpc.RetryInfo" in str(caught.value.trailing_metadata())
        await read(follow(other, "eve"))
        held[0].cancel()
        await until(lambda: _opens(greedy, "eve"))


async def _opens(client: Client, user_id: str) -> bool:
    try:
        await read(stream := follow(client, user_id))
    except grpc.aio.AioRpcError:
        return False
    stream.cancel()
    return True


async def test_cancelled_streams_leave_nothing_behind(tmp_path: Path) -> None:
    async with serving(tmp_path, streams_per_user_max=1000) as client:
        before = len(asyncio.all_tasks())
        for _ in range(5):
            streams = [follow(client, f"user-{number % 7}") for number in range(40)]
            feed = client.recommendations.StreamRecommendations(
                recommendations_pb2.StreamRecommendationsRequest(user_id="ada", chunk_size=1)
            )
            for stream in (*streams, feed):
                await read(stream)
                stream.cancel()
        await until(lambda: len(asyncio.all_tasks()) <= before + 1)
        ada = follow(client, "ada")
        await read(ada)
        await record(client, event("ada", item(0, 0)))
        assert (await read(ada)).slate.state_version == 1
