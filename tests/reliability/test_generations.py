"""A history absorbed anew beside what is being served: the old generation until the switch, the new one after it."""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from consumer.app import main
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import SettingsRejected
from interests.stores import make_current, open_store
from interests.stores.base import InterestStore
from tests.support.entries import bits
from tests.support.records import fill, oracle
from tests.support.redis_server import RedisServer
from tests.support.soak import Seen, at_length

EVENTS = at_length(2000, 1_000_000)
USERS = at_length(50, 20_000)


@pytest.fixture(params=["lmdb", pytest.param("redis", marks=pytest.mark.redis)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "lmdb":
        yield f"lmdb:{tmp_path / 'interests'}"
        return
    server = RedisServer(tmp_path / "redis")
    yield server.url
    server.kill()


def log_of(seed: int, count: int) -> MemoryLog:
    log = MemoryLog(2)
    fill(log, random.Random(seed), count, users=USERS)
    return log


def absorb(log: MemoryLog, store: InterestStore) -> None:
    consumer = Consumer(MemorySource(log), store, MemoryDeadLetters(), pace=Pace(1000, 0.0), sleep_s=lambda _: None)
    ends = {p: len(log.records[p.partition]) for p in log.partitions()}
    consumer.run(lambda: consumer.source.positions() != ends)


@pytest.mark.promise("R17")
def test_a_generation_is_filled_while_another_is_read_and_read_after_the_switch(url, seen: Seen, caplog):
    caplog.set_level("CRITICAL")
    old, new = log_of(1, 200), log_of(2, EVENTS)
    first = open_store(url)
    absorb(old, first)
    before = bits(first.get(oracle(old)))
    serving = open_store(f"{url}?generation=current", read_only=True)
    stop, reads, wrong = threading.Event(), [0], []

    def read() -> None:
        while not stop.is_set():
            reads[0] += 1
            if bits(serving.get(before)) != before:
                wrong.append(reads[0])

    reader = threading.Thread(target=read)
    reader.start()
    filling = open_store(f"{url}?generation=two")
    try:
        absorb(new, filling)
    finally:
        stop.set()
        reader.join()
    assert reads[0] > 0
    assert not wrong
    make_current(url, "two")
    assert bits(serving.get(before)) == before, "a reader keeps the generation it opened"
    after = open_store(f"{url}?generation=current", read_only=True)
    expected = oracle(new)
    assert bits(after.get(expected)) == bits(expected)
    assert after.count() == len(expected)
    assert bits(first.get(before)) == before
    seen(events=EVENTS, reads_meanwhile=reads[0], mismatches=0)
    for store in (first, serving, filling, after):
        store.close()


def test_without_a_switch_current_is_the_first_generation(url):
    absorb(log_of(1, 50), first := open_store(url))
    current = open_store(f"{url}?generation=current")
    assert current.count() == first.count() > 0
    first.close()
    current.close()


def test_an_empty_generation_is_not_made_current(url):
    with pytest.raises(SettingsRejected, match="no state"):
        make_current(url, "typo")


@pytest.mark.parametrize("name", ["current", "", "a/b", "..", "x" * 65])
def test_a_generation_needs_a_plain_name(tmp_path, name):
    with pytest.raises(SettingsRejected, match="generation"):
        make_current(f"lmdb:{tmp_path / 'interests'}", name)


def test_killed_before_the_switch_the_old_generation_stays_and_the_command_can_be_given_again(store_url):
    absorb(log_of(1, 50), store := open_store(f"{store_url}?generation=two"))
    store.close()
    command = [sys.executable, "-m", "consumer", "--store", store_url, "--make-current", "two"]
    killed = subprocess.run(command, env=os.environ | {"PLURAL_FAILPOINT": "before_switch"}, capture_output=True)
    assert killed.returncode == -9
    current = open_store(f"{store_url}?generation=current")
    assert current.count() == 0
    current.close()
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "two is current from the next opening on\n")
    current = open_store(f"{store_url}?generation=current")
    assert current.count() > 0
    current.close()


def test_an_empty_generation_ends_the_command_with_2(store_url, capsys, monkeypatch):
    monkeypatch.setattr("consumer.app.configure_logs", lambda *_: None)
    monkeypatch.setattr("consumer.app._stop_on_signals", threading.Event)
    with pytest.raises(SystemExit) as ended:
        main(["--store", store_url, "--make-current", "two"])
    assert ended.value.code == 2
    assert "fill it first" in capsys.readouterr().err


@pytest.mark.redis
def test_generations_of_one_redis_share_no_key(tmp_path):
    server = RedisServer(tmp_path / "redis")
    try:
        absorb(log_of(1, 100), open_store(f"{server.url}?generation=two"))
        with redis.Redis.from_url(server.url) as client:
            assert {key.split(b":")[0].strip(b"{") for key in client.scan_iter()} == {b"plural.two"}
    finally:
        server.kill()
