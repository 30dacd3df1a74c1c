"""The watch over the change log: who is told of what, and what is let go of."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from plural.v1 import recommendations_pb2

from interests import bundle as bundles
from interests.encoder import Encoder
from interests.errors import StoreUnavailable
from interests.events import Action, LogPartition
from interests.state import InterestState
from interests.stores.base import Changes, Cursor, InterestStore, Moments
from interests.stores.lmdb import LmdbStore
from interests.stores.memory import MemoryStore
from interests.stores.wake import Notifier
from ranking.query import Query
from ranking.recommend import Ranker
from server.cache import SlateCache
from server.changes import ChangeWatch
from server.feed import Feed
from server.metrics import STAGES, Metrics
from server.parts import _on_moved
from server.requests import Asked
from server.slates import Slates
from server.states import Serving, States
from server.streams import Limits, Moved, Streams
from tests.support.recording import act, recorder
from tests.support.server import shared_bundle, until

LOG = LogPartition("test-log", 0)


class AwayAtFirst:
    """What makes a store's change log fail when it is first read."""

    failures = 3

    def changes(self, since: Cursor, limit: int = 10_000, wait_s: float = 0.0) -> Changes:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        return super().changes(since, limit, wait_s)


@asynccontextmanager
async def watched(store: InterestStore, on_lost: Callable[[], None] = lambda: None) -> AsyncIterator[dict[str, float]]:
    """The wakes told of while the block runs; a user whose state moved without a wake has -1."""
    told: dict[str, float] = {}

    def on_moved(user_ids: object, wakes: object) -> None:
        assert isinstance(user_ids, set) and isinstance(wakes, dict)
        told.update({user_id: wakes[user_id].version if user_id in wakes else -1 for user_id in user_ids})

    watch = ChangeWatch(store, Metrics(), on_moved, on_lost)
    watch.start()
    yield told
    await watch.stop()


async def test_movers_are_told_with_their_version_and_impressions_without(tmp_path: Path) -> None:
    store = MemoryStore()
    writing = recorder(tmp_path / "log", store)
    await writing.record([act("before", "a")])
    async with watched(store) as told:
        await writing.record([act("ada", "a"), act("ada", "b"), act("bob", "a", action=Action.IMPRESSION)])
        await until(lambda: len(told) == 2)
    await writing.close()
    assert told == {"ada": 2, "bob": -1}


@pytest.mark.parametrize("wakes", [True, False], ids=["woken", "with every wake-up lost"])
async def test_what_another_handle_writes_into_a_store_of_this_host_is_told_on_the_loop(
    tmp_path: Path, wakes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wakes:  # then nothing else may tell of it
        monkeypatch.setattr("server.changes.SAFETY_S", 3600.0)
    else:
        monkeypatch.setattr(Notifier, "notify", lambda self: None)
    store, writer = LmdbStore(tmp_path / "store", read_only=True), LmdbStore(tmp_path / "store")
    writer.claim([LOG])
    async with watched(store) as told:
        writer.put([InterestState("ada", version=1)], {LOG: 1})
        await until(lambda: told == {"ada": 1})
        writer.put([InterestState("ada", version=2, stored_version=1)], {LOG: 2}, silent=frozenset({"ada"}))
        await until(lambda: told == {"ada": -1})
    writer.close()
    store.close()


async def test_more_changes_than_one_look_takes_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.changes.SAFETY_S", 3600.0)
    monkeypatch.setattr("server.changes.ENTRIES_MAX", 2)
    store = LmdbStore(tmp_path / "store")
    store.claim([LOG])
    async with watched(store) as told:
        store.put([InterestState(f"user-{number}", version=1) for number in range(5)], {LOG: 5})
        await until(lambda: len(told) == 5)
    store.close()


async def test_a_local_log_that_is_away_is_asked_again_and_then_anybody_may_have_moved(tmp_path: Path) -> None:
    class Away(AwayAtFirst, LmdbStore):
        pass

    store, lost = Away(tmp_path / "store"), asyncio.Event()
    store.claim([LOG])
    async with watched(store, lost.set) as told:
        store.put([InterestState("ada", version=1)], {LOG: 1})
        await asyncio.wait_for(lost.wait(), 10)
        await until(lambda: told == {"ada": 1})
    store.close()


async def test_a_trimmed_log_means_that_anybody_may_have_moved(tmp_path: Path) -> None:
    store, lost = MemoryStore(changes_max=2), asyncio.Event()
    writing = recorder(tmp_path / "log", store)
    watch = ChangeWatch(store, Metrics(), lambda *_: None, lost.set)
    watch._cursor = store.end_of_changes()
    for number in range(5):
        await writing.record([act(f"user-{number}", "a")])
    watch._thread.start()
    await asyncio.wait_for(lost.wait(), 10)
    await watch.stop()
    await writing.close()


async def test_a_log_that_is_away_is_asked_again_and_then_anybody_may_have_moved(tmp_path: Path) -> None:
    class Away(AwayAtFirst, MemoryStore):
        pass

    store, lost = Away(), asyncio.Event()
    writing = recorder(tmp_path / "log", store)
    async with watched(store, lost.set) as told:
        await writing.record([act("ada", "a")])
        await asyncio.wait_for(lost.wait(), 10)
        await until(lambda: told == {"ada": 1})
    await writing.close()


async def test_what_was_made_for_a_user_is_let_go_once_they_move(tmp_path: Path) -> None:
    store, metrics, bundle = MemoryStore(), Metrics(), bundles.load(shared_bundle())
    cache, states = SlateCache(1 << 20), States(store, Serving(bundle, Encoder(bundle), Ranker(bundle)), metrics)
    slates = Slates(states, cache, metrics)
    watch = ChangeWatch(store, metrics, _on_moved(slates, Streams(Limits(9, 9, 9), metrics)), lambda: None)
    watch.start()
    writing = recorder(tmp_path / "log", store)
    await writing.record([act("ada", "t0-00")])
    await slates.of("ada", Query())
    await slates.of("bob", Query())
    await slates.of("ada", Query())
    await writing.forget("ada")
    await until(lambda: len(cache) == 1)
    assert cache.get("bob", 0, bundle.version, Query())
    assert "ada" not in states._views
    await watch.stop()
    await writing.close()
    states.close()


async def test_each_push_tells_what_every_stage_took(tmp_path: Path) -> None:
    store, metrics, bundle = MemoryStore(), Metrics(), bundles.load(shared_bundle())
    states = States(store, Serving(bundle, Encoder(bundle), Ranker(bundle)), metrics)
    streams = Streams(Limits(9, 9, 9), metrics)
    feed = Feed(Slates(states, SlateCache(1 << 20), metrics), states, streams, 0.0, metrics)
    watch = ChangeWatch(store, metrics, lambda _, wakes: streams.move(wakes), lambda: None)
    watch.start()
    store.claim([LOG])
    now_s = time.time()
    async with aclosing(feed.follow(Asked("ada", (), Query()), "", "peer")) as bodies:
        await anext(bodies)
        for version, produced_s in ((1, now_s - 0.4), (2, now_s - 9_000)):
            moments = {"ada": Moments(produced_s, produced_s + 0.1, produced_s + 0.3)}
            store.put([InterestState("ada", version, stored_version=version - 1)], {LOG: version}, moments=moments)
            await asyncio.wait_for(anext(bodies), 10)
        last = asyncio.ensure_future(anext(bodies))
        await asyncio.sleep(0.05)
        last.cancel()
        await asyncio.wait({last})
    await watch.stop()
    counts = [_stage(metrics, "count", stage) for stage in STAGES]
    assert counts == [1, 1, 1, 2, 2], "what is replayed says nothing of how fast a live event was"
    assert [_stage(metrics, "sum", stage) for stage in STAGES[:2]] == pytest.approx([0.1, 0.2], abs=1e-3)
    states.close()


def _stage(metrics: Metrics, what: str, stage: str) -> float | None:
    return metrics.registry.get_sample_value(f"plural_push_stage_seconds_{what}", {"stage": stage})


async def test_a_change_that_was_sent_already_pushes_nothing_when_it_is_told_late(tmp_path: Path) -> None:
    store, metrics, bundle = MemoryStore(), Metrics(), bundles.load(shared_bundle())
    states = States(store, Serving(bundle, Encoder(bundle), Ranker(bundle)), metrics)
    streams = Streams(Limits(9, 9, 9), metrics)
    feed = Feed(Slates(states, SlateCache(1 << 20), metrics), states, streams, 0.0, metrics)
    writing = recorder(tmp_path / "log", store)
    await writing.record([act("ada", "t0-00")])
    async with aclosing(feed.follow(Asked("ada", (), Query()), "", "peer")) as bodies:
        await anext(bodies)
        following = asyncio.ensure_future(anext(bodies))
        await writing.record([act("ada", "t0-01", action=Action.IMPRESSION)])
        streams.move({"ada": Moved(1, time.time())})
        await asyncio.sleep(0.2)
        assert not following.done()
        await writing.record([act("ada", "t0-02")])
        streams.move({"ada": Moved(3, time.time())})
        body = await asyncio.wait_for(following, 10)
    assert recommendations_pb2.FollowResponse.FromString(body).slate.state_version == 3
    await writing.close()
    states.close()
