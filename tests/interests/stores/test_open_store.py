"""Stores by their URLs."""

from pathlib import Path

import pytest

from interests.errors import SettingsRejected
from interests.stores import open_store
from interests.stores.lmdb import LmdbStore
from interests.stores.memory import MemoryStore


def test_memory_is_a_new_store_each_time() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)


def test_lmdb_takes_a_path_and_a_map_size(tmp_path: Path) -> None:
    store = open_store(f"lmdb:{tmp_path / 'a' / 'b'}?map_gib=3")
    assert isinstance(store, LmdbStore)
    assert store.count() == 0
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data/interests",
        "memory:x",
        "lmdb:",
        "lmdb:?map_gib=3",
        "lmdb:data?map_gb=3",
        "redis:",
        "redis://",
        "postgres://host/db",
        "REDIS//host",
    ],
)
def test_what_is_no_store_is_refused_with_what_is_possible(url: str) -> None:
    with pytest.raises(SettingsRejected, match=r"lmdb:PATH.*redis://HOST"):
        open_store(url)


@pytest.mark.parametrize("url", ["lmdb:data?map_gib=0", "lmdb:data?map_gib=big", "redis://h/0?shards=5000"])
def test_a_number_out_of_range_is_refused_with_the_range(url: str) -> None:
    with pytest.raises(SettingsRejected, match=r"give 1 to \d+"):
        open_store(url)


@pytest.mark.parametrize(
    "url", ["redis://user:secret@host/0?shards=x", "redys://user:secret@host/0", "redis://:secret@host:port/0"]
)
def test_a_refusal_shows_no_password(url: str) -> None:
    with pytest.raises(SettingsRejected) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:port/0", "redis://127.0.0.1/0?socket_timeout=x", "redis://h/0?foo=1"]
)
def test_a_redis_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(SettingsRejected):
        open_store(url)
