"""The stores that the contract is held against, each with as many handles as a test asks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from interests.stores.base import InterestStore
from interests.stores.following import FollowingLmdb, FollowingStore
from interests.stores.generations import FilePointer, RedisPointer, directory_of
from interests.stores.lmdb import LmdbStore
from interests.stores.memory import MemoryStore
from interests.stores.redis import RedisStore
from interests.stores.redis_client import RedisClient
from tests.support.redis_server import RedisServer, shared_url


@dataclass(frozen=True)
class Backend:
    """One empty store.

    open: another handle on it
    durable: it outlives its handles
    atomic: a refused put has written nothing at all, not even in another shard
    """

    open: Callable[..., InterestStore]
    durable: bool
    atomic: bool


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url, server = shared_url(tmp_path_factory.mktemp("redis"))
    yield url
    if server:
        server.kill()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("cluster"), cluster=True)
    yield server
    server.kill()


@pytest.fixture(
    params=[
        "memory",
        "lmdb",
        "lmdb, following",
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("redis of one shard", marks=pytest.mark.redis),
        pytest.param("redis, following", marks=pytest.mark.redis),
        pytest.param("redis cluster", marks=pytest.mark.redis),
    ]
)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    opened: list[InterestStore] = []

    def keep(store: InterestStore) -> InterestStore:
        opened.append(store)
        return store

    yield _backend(request, tmp_path, keep)
    for store in opened:
        store.close()


@pytest.fixture
def store(backend: Backend) -> InterestStore:
    return backend.open()


def _backend(request: pytest.FixtureRequest, tmp_path: Path, keep: Callable[[InterestStore], InterestStore]) -> Backend:
    if request.param == "memory":
        first: list[MemoryStore] = []

        def open_memory(**options: Any) -> InterestStore:
            handle = first[0].handle() if first else MemoryStore(**options)
            first.append(handle)
            return keep(handle)

        return Backend(open_memory, durable=False, atomic=True)
    if request.param == "lmdb":
        return Backend(lambda **options: keep(LmdbStore(tmp_path / "states", **options)), durable=True, atomic=True)
    if request.param == "lmdb, following":
        return Backend(lambda **options: keep(_following_lmdb(tmp_path, options)), durable=True, atomic=True)
    if request.param == "redis cluster":
        server: RedisServer = request.getfixturevalue("cluster")
        with server.client() as client:
            client.flushall()
        return Backend(lambda **options: keep(RedisStore(server.url, **options)), durable=True, atomic=False)
    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    if request.param == "redis, following":
        return Backend(lambda **options: keep(_following_redis(url, options)), durable=True, atomic=False)
    shards = 1 if request.param == "redis of one shard" else None
    return Backend(lambda **options: keep(RedisStore(url, shards=shards, **options)), durable=True, atomic=shards == 1)


def _following_lmdb(root: Path, options: dict[str, Any]) -> InterestStore:
    def place(name: str) -> Path:
        return directory_of(root / "states", name)

    is_reader = bool(options.get("read_only"))
    return FollowingLmdb(
        FilePointer(root / "states"), lambda name: LmdbStore(place(name), **options), place, read_only=is_reader
    )


def _following_redis(url: str, options: dict[str, Any]) -> InterestStore:
    pointer, is_reader = RedisPointer(RedisClient(url, None)), bool(options.get("read_only"))
    return FollowingStore(pointer, lambda name: RedisStore(url, generation=name, **options), read_only=is_reader)
