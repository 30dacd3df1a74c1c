"""A history absorbed anew beside what is being served: the old generation until the switch, the new one after it."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from plural.v1 import recommendations_pb2

from consumer.app import main
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import Fenced, SettingsRejected
from interests.events import Action
from interests.stores import make_current, open_store
from interests.stores.base import InterestStore
from server.parts import running
from tests.support.consumers import until
from tests.support.entries import START_MS, bits
from tests.support.records import event, fill, oracle
from tests.support.redis_server import RedisServer
from tests.support.server import Client, connect, follow, read, settings
from tests.support.soak import Seen, at_length
from tests.support.tiny_bundle import item

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
    following = open_store(f"{url}?generation=current", read_only=True, follow=True)
    cursor = following.end_of_changes()
    stop, reads, wrong = threading.Event(), [0], []

    def read() -> None:
        while not stop.is_set():
            reads[0] += 1
            if bits(serving.get(before)) != before or bits(following.get(before)) != before:
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
    assert bits(serving.get(before)) == before, "who does not follow keeps the generation that it opened"
    after = open_store(f"{url}?generation=current", read_only=True)
    expected = oracle(new)
    assert bits(after.get(expected)) == bits(expected)
    assert after.count() == len(expected)
    until(lambda: following.changes(cursor).lost, "who follows is told that anybody may have changed")
    assert bits(following.get(expected)) == bits(expected)
    assert bits(first.get(before)) == before
    seen(events=EVENTS, reads_meanwhile=reads[0], mismatches=0)
    for store in (first, serving, following, filling, after):
        store.close()


def test_a_running_writer_goes_on_in_the_new_generation_from_where_that_stands(url, caplog):
    caplog.set_level("CRITICAL")
    log = log_of(1, 300)
    absorb(log, open_store(url))
    following = open_store(f"{url}?generation=current", follow=True)
    consumer = Consumer(MemorySource(log), following, MemoryDeadLetters(), pace=Pace(50, 0.0), sleep_s=time.sleep)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: consumer.run(lambda: not stop.is_set()))
    thread.start()
    try:
        absorb(log, filling := open_store(f"{url}?generation=two"))
        old = bits(open_store(url).get(oracle(log)))
        make_current(url, "two")
        until(lambda: consumer.metrics.registry.get_sample_value("plural_consumer_fenced_total") == 1, "it was fenced")
        fill(log, random.Random(3), 300, users=USERS)
        ends = {partition: len(log.records[partition.partition]) for partition in log.partitions()}
        until(lambda: filling.claim(log.partitions()) == ends, "the new generation has the new events")
    finally:
        stop.set()
        thread.join()
    expected = oracle(log)
    assert bits(filling.get(expected)) == bits(expected)
    assert bits(open_store(url).get(old)) == old, "the old one stays as it was at the switch"
    following.close()


def test_what_a_writer_read_of_the_old_generation_is_never_written_into_the_new_one(url):
    log = log_of(1, 40)
    old, new = open_store(url), open_store(f"{url}?generation=two")
    absorb(log, old)
    absorb(log, new)  # the same versions in both, so that these alone would let it pass
    [user] = list(oracle(log))[:1]
    following = open_store(f"{url}?generation=current", follow=True)
    following.claim(log.partitions())
    state = following.get([user])[user]
    make_current(url, "two")
    cursor = following.end_of_changes()
    until(lambda: following.changes(cursor).lost, "it has switched")
    with pytest.raises(Fenced, match="current now"):
        following.put([replace(state, version=state.version + 1)], {})
    assert bits(new.get([user])) == bits({user: state})
    following.claim(log.partitions())
    following.close()


async def test_a_running_server_pushes_and_serves_from_the_new_generation_and_hears_its_writer(tmp_path):
    url = f"lmdb:{tmp_path / 'store'}?map_gib=1"
    current = f"{url}&generation=current"
    plain, other = open_store(url), open_store(f"{url}&generation=two")
    first, second = MemoryLog(1), MemoryLog(1)
    for log, topic in ((first, 2), (second, 4)):
        for number in range(3):
            log.append(0, b"ada", event("ada", item(topic, number), Action.PURCHASE), START_MS + number)
    absorb(first, plain)
    # Nothing listens where the brokers should be: what is served comes from the store alone.
    said = settings(tmp_path, store=current, brokers="127.0.0.1:9", topic="interactions", items_topic="items")
    async with running(said) as port, connect(port) as client:
        ada = follow(client, "ada", size=10)
        assert topics((await read(ada)).slate) == ["topic-2"]
        absorb(second, other)
        assert topics((await slate(client)).slate) == ["topic-2"], "until it is named"
        make_current(url, "two")
        assert topics((await read(ada)).slate) == ["topic-4"]
        assert topics((await slate(client)).slate) == ["topic-4"], "though both have the same version"
        second.append(0, b"ada", event("ada", item(5, 1), Action.PURCHASE), START_MS + 9)
        absorb(second, other)
        assert topics((await read(ada)).slate) == ["topic-4", "topic-5"]


def topics(slate: recommendations_pb2.Slate) -> list[str]:
    return sorted(each.topic for each in slate.target_mix)


async def slate(client: Client) -> recommendations_pb2.RecommendResponse:
    return await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id="ada", size=10))


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
    assert (done.returncode, done.stdout) == (
        0,
        "two is current; what runs on ?generation=current follows within a second\n",
    )
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
