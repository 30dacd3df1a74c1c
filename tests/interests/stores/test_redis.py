"""What the Redis store promises beyond the contract: servers that die, hang, forget, fill up or are misconfigured."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from interests.apply import apply
from interests.errors import Fenced, SettingsRejected, StoreError, StoreUnavailable
from interests.state import InterestState
from interests.stores import open_store, redis_client
from interests.stores.redis import RedisStore
from tests.support import absorbing
from tests.support.entries import LOG, bits, did, random_log, replayed, users_of
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


def shorten_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "ANSWER_TIMEOUT_S", 0.3)


def test_a_server_killed_and_restarted_goes_on_with_nothing_lost_or_doubled(server: RedisServer) -> None:
    entries = random_log(seed=21, length=200)
    store = open_store(server.url)
    store.claim([LOG])
    apply(entries[:100], {LOG: 100}, store)
    server.kill()
    with pytest.raises(StoreUnavailable):
        store.get(["user-1"])
    with pytest.raises(StoreUnavailable):
        apply(entries[100:150], {LOG: 150}, store)
    server.start()
    absorbing.absorb_log(store, seed=21, length=200)
    assert bits(store.get(users_of(entries))) == bits(replayed(entries))
    store.close()


def test_a_writer_killed_between_puts_goes_on_where_it_was(server: RedisServer) -> None:
    for failpoint in ("before_put:2", "after_put:2"):
        assert absorbing.run(server.url, 11, 200, failpoint) == -9
    store = open_store(server.url)
    absorbing.absorb_log(store, seed=11, length=200)
    assert bits(store.get(users_of(random_log(11, 200)))) == bits(replayed(random_log(11, 200)))
    store.close()


def test_acknowledged_writes_that_the_server_lost_are_noticed_and_read_again(
    server: RedisServer, tmp_path: Path
) -> None:
    entries = random_log(seed=22, length=120)
    store = open_store(server.url)
    store.claim([LOG])
    for end in range(20, 101, 20):
        apply(entries[end - 20 : end], {LOG: end}, store)
    reader = open_store(server.url, read_only=True)
    seen = reader.end_of_changes()
    server.kill()
    [log] = (tmp_path / "redis").glob("appendonlydir/*.incr.aof")
    log.write_bytes(log.read_bytes()[: log.stat().st_size * 6 // 10])
    server.start()
    with pytest.raises(Fenced, match="claim again"):
        store.put([], {LOG: 110})
    stands = store.claim([LOG])[LOG]
    assert 0 < stands < 100
    assert reader.changes(seen).lost
    apply(entries[stands:], {LOG: 120}, store)
    assert store.claim([LOG]) == {LOG: 120}
    assert bits(store.get(users_of(entries))) == bits(replayed(entries))


def test_a_put_whose_outcome_is_unknown_must_be_claimed_again(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_timeouts(monkeypatch)
    entries = random_log(seed=23, length=60)
    store = open_store(server.url)
    store.claim([LOG])
    apply(entries[:30], {LOG: 30}, store)
    states = list(store.get(users_of(entries)).values())
    server.pause()
    with pytest.raises(StoreUnavailable):
        store.put(states, {LOG: 60})
    server.resume()
    with pytest.raises(Fenced, match="not claimed"):
        store.put(states, {LOG: 60})
    at = store.claim([LOG])[LOG]
    assert at in (30, 60)  # the server may have done it all the same
    store.close()


def test_a_hung_server_is_unavailable_and_not_waited_for(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_timeouts(monkeypatch)
    store = open_store(server.url)
    start = store.end_of_changes()
    server.pause()
    for call in (
        lambda: store.get(["ada"]),
        lambda: store.claim([LOG]),
        lambda: store.changes(start, wait_s=1.0),
        lambda: store.forget("ada"),
        lambda: store.count(),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    server.resume()
    assert store.get(["ada"]) == {}
    store.close()


def test_a_server_that_forgot_the_script_is_told_it_again(server: RedisServer) -> None:
    store = open_store(server.url)
    store.claim([LOG])
    store.put([InterestState("ada", version=1)], {LOG: 1})
    with server.client() as client:
        client.script_flush()
    store.put([InterestState("bob", version=1)], {LOG: 2})
    assert store.claim([LOG]) == {LOG: 2}
    assert store.count() == 2
    store.close()


def test_a_full_server_refuses_writes_keeps_reading_and_takes_them_once_there_is_room(server: RedisServer) -> None:
    store = open_store(server.url)
    store.claim([LOG])
    apply([did("ada", 0)], {LOG: 1}, store)
    with server.client() as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            apply([did("ada", 1), did("bob", 2)], {LOG: 3}, store)
        assert store.get(["ada", "bob"])["ada"].interaction_count == 1
        client.config_set("maxmemory", "0")
    assert store.claim([LOG]) == {LOG: 1}
    apply([did("ada", 1), did("bob", 2)], {LOG: 3}, store)
    assert bits(store.get(["ada", "bob"])) == bits(replayed([did("ada", 0), did("ada", 1), did("bob", 2)]))
    store.close()


def test_shards_that_went_ahead_of_a_refused_put_absorb_nothing_twice(server: RedisServer) -> None:
    """Some shards have written when another one refuses: what follows must be as if it had been one step."""
    entries = random_log(seed=24, length=100)
    store, rival = open_store(server.url), open_store(server.url)
    store.claim([LOG])
    rival.claim([LOG])
    apply(entries[:40], {LOG: 40}, store)
    offsets = [key for key in _keys(server) if key.endswith(b":offsets")]
    with server.client() as client:
        client.hset(offsets[3], "0:test-log", 20)  # one shard lags, as after a loss
    with pytest.raises(Fenced):
        apply(entries[40:70], {LOG: 70}, store)
    assert store.claim([LOG]) == {LOG: 20}
    applied = apply(entries[20:], {LOG: 100}, store)
    assert applied.skipped > 20
    assert store.claim([LOG]) == {LOG: 100}
    assert bits(store.get(users_of(entries))) == bits(replayed(entries))
    store.close()


def test_the_number_of_shards_cannot_be_changed_by_mistake(server: RedisServer) -> None:
    open_store(f"{server.url}?shards=4").close()
    with pytest.raises(SettingsRejected, match="4 shards, not 8"):
        open_store(f"{server.url}?shards=8")
    store = open_store(server.url)
    assert len(store.end_of_changes()) == 4
    store.close()


def test_a_store_of_a_newer_layout_is_refused(server: RedisServer) -> None:
    open_store(server.url).close()
    with server.client() as client:
        client.hset("plural:meta", "format", 99)
    with pytest.raises(StoreError, match="layout 99"):
        open_store(server.url)


def test_a_read_only_handle_refuses_to_write(server: RedisServer) -> None:
    reader = open_store(server.url, read_only=True)
    for call in (lambda: reader.claim([LOG]), lambda: reader.put([], {}), lambda: reader.forget("ada")):
        with pytest.raises(StoreError, match="read-only"):
            call()
    reader.close()


def test_nothing_of_a_forgotten_user_is_left_in_any_key(server: RedisServer) -> None:
    store = open_store(server.url)
    store.claim([LOG])
    apply([did("ada", 0, "a-very-private-item")], {LOG: 1}, store)
    store.forget("ada")
    with server.client() as client:
        assert not any(b"a-very-private-item" in (client.dump(key) or b"") for key in _keys(server))
    store.close()


def test_a_server_without_an_append_only_file_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(tmp_path / "volatile", appendonly=False)
    with caplog.at_level(logging.WARNING):
        open_store(server.url).close()
    server.kill()
    assert "append-only" in caplog.text


def test_a_server_that_evicts_is_warned_of(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    with caplog.at_level(logging.WARNING):
        open_store(server.url).close()
    assert "noeviction" in caplog.text


def test_a_durable_server_is_not_warned_of(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_store(server.url).close()
    assert caplog.text == ""


def test_a_server_too_old_is_refused() -> None:
    with pytest.raises(SettingsRejected, match=r"Redis 5\.0\.7"):
        redis_client.check_server("redis://host", {"redis_version": "5.0.7", "aof_enabled": 1})


def test_a_wrong_password_is_refused_without_being_shown(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("requirepass", "right")
    with pytest.raises(SettingsRejected) as caught:
        open_store(f"redis://:secret-wrong@127.0.0.1:{server.port}/0")
    assert "secret-wrong" not in str(caught.value)
    open_store(f"redis://:right@127.0.0.1:{server.port}/0").close()


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
        RedisStore("redis://127.0.0.1:1/0")


def _keys(server: RedisServer) -> list[bytes]:
    with server.client() as client:
        return sorted(client.scan_iter())
