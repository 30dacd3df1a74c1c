"""What the consumer promises over a real Kafka when processes, brokers and stores die: nothing lost, nothing twice.

Everything is compared with one process that replays the same topic in memory, bit for bit.
"""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from consumer.archive import Archive
from interests.stores import open_store
from interests.stores.base import InterestStore
from interests.stores.memory import MemoryStore
from tests.support.archiving import archived_places, places_of
from tests.support.consumers import ConsumerProcess, ConsumerThread, absorbed, until
from tests.support.entries import bits
from tests.support.kafka_broker import Broker, KafkaBroker, create_topic, producer
from tests.support.records import bad_value, event
from tests.support.redis_server import RedisServer
from tests.support.soak import IS_LONG, Seen, at_length
from tests.support.topics import expected_states, partitions_of, read_topic

pytestmark = pytest.mark.kafka

KILLS = at_length(3, 150)
GROUP_STEPS = at_length(6, 180)
ZOMBIES = at_length(1, 20)
EVENTS_A_ROUND = at_length(120, 300)
USERS = 12
SMALL = ("--batch-records", "5", "--catch-up-records", "5")


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(params=["lmdb", pytest.param("redis", marks=pytest.mark.redis)])
def any_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "lmdb":
        return f"lmdb:{tmp_path / 'interests'}"
    server: RedisServer = request.getfixturevalue("redis_server")
    with redis.Redis.from_url(server.url) as client:
        client.flushdb()
    return server.url


def send(kafka: Broker, topic: str, rng: random.Random, count: int = EVENTS_A_ROUND) -> None:
    """Events of many users, retries of one id among them, a few erasures and a few bad ones."""
    writer = producer(kafka)
    for _ in range(count):
        user = f"user-{rng.randrange(USERS)}"
        event_id = f"{user}-{rng.randrange(30)}" if rng.random() < 0.2 else ""
        good = event(user, f"item-{rng.randrange(40)}", event_id=event_id)
        chance = rng.random()
        value = None if chance < 0.01 else bad_value(rng, user) if chance < 0.03 else good
        writer.send(topic, key=user.encode(), value=value)
    writer.close()


def kill_at_random(
    kafka: Broker, topic: str, store: InterestStore, url: str, out: Path, rng: random.Random, module: str, rounds: int
) -> None:
    """A consumer killed at so many moments while it works, and once more run until it has read everything."""
    partitions = partitions_of(kafka, topic)
    flags = (*SMALL, "--session-timeout-s", "1")
    for number in range(rounds + 1):
        send(kafka, topic, rng)
        end = (number + 1) * EVENTS_A_ROUND
        at = absorbed(store, partitions) + rng.randrange(5, EVENTS_A_ROUND) if number < rounds else end
        process = ConsumerProcess(kafka, topic, url, out, *flags, module=module)
        try:
            while absorbed(store, partitions) < min(at, end):
                assert process.alive, process.said()
                time.sleep(0.0005)
        finally:
            process.kill()


@pytest.mark.promise("R1")
def test_killed_at_random_moments_the_states_equal_a_replay_bit_for_bit(
    kafka, topic, any_store_url, tmp_path, rng, seen: Seen
):
    store = open_store(any_store_url)
    kill_at_random(kafka, topic, store, any_store_url, tmp_path / "out", rng, "consumer", KILLS)
    expected = expected_states(kafka, topic)
    assert len(expected) == USERS
    assert bits(store.get(expected)) == bits(expected)
    seen(kills=KILLS, events=EVENTS_A_ROUND * (KILLS + 1), lost=0, doubled=0)
    store.close()


@pytest.mark.promise("R1")
def test_resuming_from_the_broker_s_offset_without_watermarks_is_caught(
    kafka, topic, store_url, tmp_path, rng, seen: Seen
):
    store = open_store(store_url)
    kill_at_random(kafka, topic, store, store_url, tmp_path / "out", rng, "tests.support.forgetful_consumer", 2)
    expected = expected_states(kafka, topic)
    found = store.get(expected)
    wrong = [user for user in expected if found[user].interaction_count != expected[user].interaction_count]
    assert wrong, "the test above would not notice a consumer that counts twice"
    seen(users_counted_wrongly_without_the_guards=f"{len(wrong)} of {USERS}")
    store.close()


@pytest.mark.promise("R1")
def test_killed_at_each_failpoint_nothing_is_lost_or_counted_twice(kafka, topic, store_url, tmp_path, rng, seen: Seen):
    store, partitions = open_store(store_url), partitions_of(kafka, topic)
    flags = [*SMALL, "--archive", str(tmp_path / "archive"), "--archive-roll-s", "0.1"]

    def dying(place: str, session_s: str = "1") -> ConsumerProcess:
        environment, session = {"PLURAL_FAILPOINT": place}, ("--session-timeout-s", session_s)
        return ConsumerProcess(kafka, topic, store_url, tmp_path / "out", *flags, *session, environment=environment)

    in_batch = ("on_assign", "before_put:3", "in_transaction:3", "after_put:3", "after_dead_letter:2")
    for place in (*in_batch, "in_archive", "after_archive:2"):
        send(kafka, topic, rng)
        assert dying(place).wait() == -signal.SIGKILL, place
    # On a busy host a session of a second ends by itself, and what is lost is not revoked.
    last = dying("on_revoke", "6")
    until(lambda: absorbed(store, partitions) == 7 * EVENTS_A_ROUND, "the last process has read all")
    archive = Archive(tmp_path / "archive")
    with ConsumerThread(kafka, topic, open_store(store_url), archive=archive):
        assert last.wait() == -signal.SIGKILL
        send(kafka, topic, rng)
        until(lambda: absorbed(store, partitions) == 8 * EVENTS_A_ROUND, "the heir has read the rest")
    archive.close()
    expected = expected_states(kafka, topic)
    assert bits(store.get(expected)) == bits(expected)
    assert archived_places(tmp_path / "archive") == places_of(read_topic(kafka, topic))
    seen(failpoints=8, events=8 * EVENTS_A_ROUND, lost=0, doubled=0, missing_in_the_archive=0)
    store.close()


@pytest.mark.promise("R4")
@pytest.mark.parametrize("away_s", [5, 30, 90] if IS_LONG else [1])
def test_a_broker_that_goes_and_comes_back_loses_nothing(tmp_path, rng, seen: Seen, away_s):
    broker = KafkaBroker(tmp_path / "kafka").start()
    try:
        create_topic(broker, "events", 2)
        create_topic(broker, "events.dead-letters", 1)
        partitions, store = partitions_of(broker, "events"), MemoryStore()
        with ConsumerThread(broker, "events", store.handle()):
            send(broker, "events", rng)
            until(lambda: absorbed(store, partitions) == EVENTS_A_ROUND, "the first events are applied")
            broker.stop()
            time.sleep(away_s)
            broker.start()
            back_s = time.monotonic()
            send(broker, "events", rng)
            until(lambda: absorbed(store, partitions) == 2 * EVENTS_A_ROUND, "it goes on", wait_s=15)
            seen(away_s=away_s, read_on_after=f"{time.monotonic() - back_s:.1f} s", lost=0)
        expected = expected_states(broker, "events")
        assert bits(store.get(expected)) == bits(expected)
    finally:
        broker.stop()


@pytest.mark.redis
@pytest.mark.promise("R5")
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_redis_that_goes_and_comes_back_loses_nothing(kafka, topic, tmp_path, rng, seen: Seen, how):
    server = RedisServer(tmp_path / "redis")
    partitions, store = partitions_of(kafka, topic), open_store(server.url)
    with ConsumerThread(kafka, topic, store) as running:
        send(kafka, topic, rng)
        until(lambda: running.value("absorbed_total") > 0, "it has begun")
        server.kill() if how == "killed" else server.pause()
        send(kafka, topic, rng)
        until(lambda: running.value("retries_total", what="store") >= 1, "it waits for the store")
        time.sleep(at_length(0, 10))
        server.start() if how == "killed" else server.resume()
        back_s = time.monotonic()
        reader = open_store(server.url)
        until(lambda: absorbed(reader, partitions) == 2 * EVENTS_A_ROUND, "it goes on", wait_s=10)
        seen(away_s=at_length(0, 10), recovered_after=f"{time.monotonic() - back_s:.1f} s", lost=0)
    expected = expected_states(kafka, topic)
    assert bits(reader.get(expected)) == bits(expected)
    reader.close()
    store.close()
    server.kill()


@pytest.mark.redis
@pytest.mark.promise("R3")
@pytest.mark.parametrize("_", range(ZOMBIES))
def test_a_zombie_that_wakes_up_cannot_move_a_state_back(kafka, topic, redis_server, tmp_path, rng, seen: Seen, _):
    # On Redis alone: LMDB has one writing process, and one that is stopped in its transaction keeps others out.
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushdb()
    url = redis_server.url
    store, partitions = open_store(url), partitions_of(kafka, topic)
    flags = (*SMALL, "--session-timeout-s", "1")
    since = store.end_of_changes()
    send(kafka, topic, rng)
    zombie = ConsumerProcess(kafka, topic, url, tmp_path / "zombie", *flags)
    try:
        at = rng.randrange(20, EVENTS_A_ROUND - 50)
        while absorbed(store, partitions) < at:
            time.sleep(0.0005)
        zombie.signal(signal.SIGSTOP)
        stopped_at = absorbed(store, partitions)
        heir_store = open_store(url)
        with ConsumerThread(kafka, topic, heir_store, session_timeout_s=1.0):
            send(kafka, topic, rng)
            until(lambda: absorbed(store, partitions) == 2 * EVENTS_A_ROUND, "the heir has read it all", wait_s=10)
            # The heir reads what the zombie held, within ten seconds: the partitions have one owner.
            zombie.signal(signal.SIGCONT)
            send(kafka, topic, rng)
            until(lambda: absorbed(store, partitions) == 3 * EVENTS_A_ROUND, "both go on")
            assert zombie.stop() == 0
        assert stopped_at < EVENTS_A_ROUND
        heir_store.close()
    finally:
        zombie.kill()
    expected = expected_states(kafka, topic)
    assert bits(store.get(expected)) == bits(expected)
    versions: dict[str, int] = {}
    for change in store.changes(since).entries:
        assert change.version >= versions.get(change.user_id, 0), "a state was moved back"
        versions[change.user_id] = change.version
    seen(zombies=1, states_moved_back=0)
    store.close()


@pytest.mark.redis
@pytest.mark.promise("R2")
def test_a_group_whose_members_come_and_go_leaves_the_states_of_a_replay(kafka, topic, redis_server, rng, seen: Seen):
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushdb()
    store, partitions = open_store(redis_server.url), partitions_of(kafka, topic)
    running: list[ConsumerThread] = []
    moves = {"joined": 0, "left": 0}
    for _ in range(GROUP_STEPS):
        send(kafka, topic, rng, 100)
        if len(running) > 2 or (running and rng.random() < 0.4):
            moves["left"] += 1
            running.pop(rng.randrange(len(running))).__exit__(None, None, None)
        else:
            moves["joined"] += 1
            running.append(ConsumerThread(kafka, topic, open_store(redis_server.url)).__enter__())
        time.sleep(rng.uniform(0.0, 0.6))
    if not running:
        running.append(ConsumerThread(kafka, topic, open_store(redis_server.url)).__enter__())
    until(lambda: absorbed(store, partitions) == 100 * GROUP_STEPS, "all is read")
    for member in running:
        member.__exit__(None, None, None)
    expected = expected_states(kafka, topic)
    assert bits(store.get(expected)) == bits(expected)
    seen(**moves, members_at_once="up to 3", mismatches=0)
