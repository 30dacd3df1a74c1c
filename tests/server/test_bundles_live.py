"""Bundles that change under a running server: only good ones take over, nobody notices but by the answers."""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from plural.v1 import admin_pb2, recommendations_pb2

from interests import bundle as bundles
from interests.state import InterestState
from ranking.query import Query
from server.bundles import build
from server.states import fresh_view
from tests.support import tiny_bundle
from tests.support.server import Client, event, follow, read, record, serving, until
from tests.support.tiny_bundle import item

SEED = 20_261_124
SWAPS = 60
ASKED = recommendations_pb2.RecommendRequest(user_id="nobody", size=10)


class Directory(NamedTuple):
    """A directory of bundles: good versions, and one that is damaged."""

    path: Path
    good: list[str]
    bad: str


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    path = tmp_path / "bundles"
    good = [tiny_bundle.write(path, seed=seed).name for seed in (0, 5, 9)]
    shutil.copytree(path / good[1], path / "damaged")
    vectors = path / "damaged" / "item_vectors.npy"
    data = bytearray(vectors.read_bytes())
    data[len(data) // 2] ^= 0x10
    vectors.chmod(0o644)
    vectors.write_bytes(data)
    bundles.set_current(path, good[0])
    return Directory(path, good, "damaged")


@asynccontextmanager
async def administered(tmp_path: Path, directory: Directory, **changes: Any) -> AsyncIterator[tuple[Client, Any]]:
    async with serving(tmp_path, bundle=directory.path, admin=True, **changes) as client:
        yield client, client.admin


async def version(client: Client) -> str:
    return (await client.recommendations.Recommend(ASKED)).slate.bundle_version


def current(directory: Directory) -> str:
    return (directory.path / bundles.CURRENT).read_text().strip()


async def test_whoever_names_another_bundle_in_the_directory_is_followed(tmp_path: Path, directory: Directory) -> None:
    async with administered(tmp_path, directory) as (client, _):
        assert await version(client) == directory.good[0]
        bundles.set_current(directory.path, directory.good[1])

        async def follows() -> bool:
            return await version(client) == directory.good[1]

        await until(follows)


async def test_a_damaged_bundle_is_refused_with_its_reason_and_the_one_before_serves_on(
    tmp_path: Path, directory: Directory
) -> None:
    async with administered(tmp_path, directory) as (client, admin):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=directory.bad))
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "item_vectors.npy" in (caught.value.details() or "")
        assert (await version(client), current(directory)) == (directory.good[0], directory.good[0])
        for name in ("..", "none", ".draft-x", "a/b", "CURRENT"):
            with pytest.raises(grpc.aio.AioRpcError, match="is not a bundle in the server's directory"):
                await admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=name))
        bundles.set_current(directory.path, directory.bad)
        await asyncio.sleep(1.2)
        assert await version(client) == directory.good[0]


async def test_going_back_is_at_once_and_known_to_all_who_watch(tmp_path: Path, directory: Directory) -> None:
    async with administered(tmp_path, directory) as (client, admin):
        with pytest.raises(grpc.aio.AioRpcError, match="no bundle was served before"):
            await admin.RollbackBundle(admin_pb2.RollbackBundleRequest())
        answer = await admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=directory.good[1]))
        assert (answer.bundle_version, answer.previous_version) == (directory.good[1], directory.good[0])
        assert (await version(client), current(directory)) == (directory.good[1], directory.good[1])
        shutil.rmtree(directory.path / directory.good[0])
        answer = await admin.RollbackBundle(admin_pb2.RollbackBundleRequest(), timeout=1.0)
        assert (answer.bundle_version, answer.previous_version) == (directory.good[0], directory.good[1])
        assert (await version(client), current(directory)) == (directory.good[0], directory.good[0])


async def test_followers_are_pushed_a_slate_of_the_new_bundle(tmp_path: Path, directory: Directory) -> None:
    async with administered(tmp_path, directory) as (client, admin):
        await record(client, event("ada", item(2, 2)))
        ada = follow(client, "ada", size=5)
        assert (await read(ada)).slate.bundle_version == directory.good[0]
        await admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=directory.good[1]))
        pushed = (await read(ada)).slate
        assert (pushed.bundle_version, pushed.state_version) == (directory.good[1], 1)
        await record(client, event("ada", item(3, 2)))
        assert (await read(ada)).slate.state_version == 2


async def test_nobody_administers_a_server_that_does_not_offer_it(tmp_path: Path, directory: Directory) -> None:
    async with serving(tmp_path, bundle=directory.path) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.admin.ReloadBundle(admin_pb2.ReloadBundleRequest())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_sixty_swaps_under_load_fail_no_call_and_mix_no_slate(tmp_path: Path, directory: Directory) -> None:
    rng = random.Random(SEED)
    expected = {name: _slate_of(directory.path / name) for name in directory.good}
    async with administered(tmp_path, directory, cache_mib=0) as (client, admin):
        stop, seen = asyncio.Event(), dict.fromkeys(directory.good, 0)

        async def call() -> None:
            while not stop.is_set():
                slate = (await client.recommendations.Recommend(ASKED, timeout=10)).slate
                assert [each.item_id for each in slate.items] == expected[slate.bundle_version], f"seed {SEED}"
                seen[slate.bundle_version] += 1

        calls = [asyncio.ensure_future(call()) for _ in range(4)]
        serves, slowest_s = directory.good[0], 0.0
        for number in range(SWAPS):
            if number % 5 == 4:
                with pytest.raises(grpc.aio.AioRpcError):
                    await admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=directory.bad))
                assert await version(client) == serves, f"seed {SEED}"
                continue
            wanted = rng.choice([name for name in directory.good if name != serves])
            answer = await admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=wanted))
            assert (answer.bundle_version, answer.previous_version) == (wanted, serves)
            if number % 10 == 0:
                begun_s = time.monotonic()
                await admin.RollbackBundle(admin_pb2.RollbackBundleRequest())
                slowest_s = max(slowest_s, time.monotonic() - begun_s)
                wanted = serves
            assert await version(client) == wanted, f"seed {SEED}"
            serves = wanted
        stop.set()
        await asyncio.gather(*calls)
    assert all(seen.values()), seen
    assert slowest_s < 1.0


def _slate_of(path: Path) -> list[str]:
    serving = build(path, "cpu")
    view = fresh_view(InterestState("nobody"), serving)
    return [each.item_id for each in serving.ranker.recommend(view.profile, Query(size=10)).items]
