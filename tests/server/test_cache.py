"""The exact slate cache: equal questions get equal bytes, other states and bundles never do, and it stays bounded."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from plural.v1 import recommendations_pb2

from interests import bundle as bundles
from interests.encoder import Encoder
from interests.errors import StoreUnavailable
from interests.state import InterestState
from interests.stores.memory import MemoryStore
from ranking.query import Query
from ranking.recommend import Ranker
from server.cache import Made, SlateCache
from server.metrics import Metrics
from server.slates import Slates
from server.states import Serving, States
from tests.support import tiny_bundle
from tests.support.recording import act, recorder
from tests.support.server import shared_bundle

QUERY, OTHER = Query(), Query(size=7)


def made(body: bytes) -> Made:
    return Made(body, ("t0-00",), 0)


def body(made: Made | None) -> bytes | None:
    return made and made.body


def test_only_the_same_user_state_bundle_and_query_hit() -> None:
    cache = SlateCache(1 << 20)
    cache.put("ada", 3, "b1", QUERY, made(b"slate"))
    assert body(cache.get("ada", 3, "b1", Query())) == b"slate"
    for key in (("bob", 3, "b1", QUERY), ("ada", 4, "b1", QUERY), ("ada", 3, "b2", QUERY), ("ada", 3, "b1", OTHER)):
        assert cache.get(*key) is None


def test_a_newer_state_or_another_bundle_replaces_all_that_the_user_had() -> None:
    cache = SlateCache(1 << 20)
    cache.put("ada", 1, "b1", QUERY, made(b"old"))
    cache.put("ada", 1, "b1", OTHER, made(b"old too"))
    cache.put("ada", 2, "b1", QUERY, made(b"new"))
    assert len(cache) == 1 and cache.get("ada", 1, "b1", OTHER) is None
    cache.put("ada", 2, "b2", QUERY, made(b"newest"))
    assert len(cache) == 1 and body(cache.get("ada", 2, "b2", QUERY)) == b"newest"


def test_it_stays_within_its_bytes_and_keeps_what_was_used_last() -> None:
    cache = SlateCache(100_000)
    for number in range(500):
        cache.put(f"user-{number}", 1, "b", QUERY, made(bytes(2000)))
        assert cache.get("user-0", 1, "b", QUERY) is not None
        assert cache.bytes <= 100_000
    assert cache.get("user-499", 1, "b", QUERY) is not None
    assert cache.get("user-1", 1, "b", QUERY) is None
    for size in range(1, 400):
        cache.put("user-0", 1, "b", Query(size=size), made(bytes(2000)))
        assert cache.bytes <= 100_000
    for number in range(500):
        cache.drop(f"user-{number}")
    assert cache.bytes == 0 and len(cache) == 0


def test_what_is_larger_than_the_whole_cache_is_not_kept() -> None:
    cache = SlateCache(1000)
    cache.put("ada", 1, "b", QUERY, made(bytes(5000)))
    assert cache.bytes == 0 and cache.get("ada", 1, "b", QUERY) is None


def serve(directory: Path) -> Serving:
    bundle = bundles.load(directory)
    return Serving(bundle, Encoder(bundle), Ranker(bundle))


async def test_the_cached_bytes_are_those_made_anew(tmp_path: Path) -> None:
    store, serving = MemoryStore(), serve(shared_bundle())
    writing = recorder(tmp_path / "log", store)
    await writing.record([act("ada", "t1-01"), act("ada", "t2-02")])

    def slates() -> Slates:
        metrics = Metrics()
        return Slates(States(store, serving, metrics), SlateCache(1 << 20), metrics)

    warm = slates()
    first = await warm.of("ada", QUERY)
    assert await warm.of("ada", QUERY) == first == await slates().of("ada", QUERY)
    assert (await warm.of("ada", OTHER)).body != first.body
    await writing.record([act("ada", "t3-03")])
    moved = await warm.of("ada", QUERY)
    assert moved.state_version == 3 and moved.body != first.body
    await writing.close()


async def test_a_state_with_another_bundles_vectors_is_encoded_again(tmp_path: Path) -> None:
    store, old, new = MemoryStore(), serve(shared_bundle()), serve(tiny_bundle.write(tmp_path / "other", seed=5))
    assert old.bundle.version != new.bundle.version
    writing = recorder(tmp_path / "log", store)
    await writing.record([act("ada", "t1-01"), act("ada", "t2-02")])
    await writing.close()
    (state,) = old.encoder.encode([store.get(["ada"])["ada"]])
    metrics = Metrics()
    view = States(store, new, metrics).view(state)
    assert view.profile.vectors.bundle_version == new.bundle.version
    assert view.profile.vectors.interests == pytest.approx(new.encoder.vectors([state])[0].interests)


async def test_swapping_the_bundle_serves_the_new_one_at_once(tmp_path: Path) -> None:
    store, old, new = MemoryStore(), serve(shared_bundle()), serve(tiny_bundle.write(tmp_path / "other", seed=5))
    metrics = Metrics()
    states = States(store, old, metrics)
    slates = Slates(states, SlateCache(1 << 20), metrics)
    before = await slates.of("ada", QUERY)
    states.serving = new
    after = await slates.of("ada", QUERY)
    told = [
        recommendations_pb2.RecommendResponse.FromString(each.body).slate.bundle_version for each in (before, after)
    ]
    assert told == [old.bundle.version, new.bundle.version]
    assert states.view(InterestState("ada")).serving is new


async def test_while_the_store_is_away_the_slate_sent_last_stands_in_but_never_for_a_push(tmp_path: Path) -> None:
    class Away(MemoryStore):
        away = False

        def versions(self, user_ids: Iterable[str]) -> dict[str, int]:
            if self.away:
                raise StoreUnavailable("away")
            return super().versions(user_ids)

        def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
            if self.away:
                raise StoreUnavailable("away")
            return super().get(user_ids)

    store, metrics = Away(), Metrics()
    states = States(store, serve(shared_bundle()), metrics, views_max=1)
    slates = Slates(states, SlateCache(1 << 20), metrics)
    before = await slates.of("ada", QUERY)
    await slates.of("bob", QUERY)
    store.away = True
    assert await slates.of("ada", QUERY) == before, "no view of her is kept any more"
    for user_id, query, newest in (("ada", OTHER, False), ("ada", QUERY, True), ("eve", QUERY, False)):
        with pytest.raises(StoreUnavailable):
            await slates.of(user_id, query, newest=newest)
    states.serving = serve(tiny_bundle.write(tmp_path, seed=5))
    with pytest.raises(StoreUnavailable):
        await slates.of("ada", QUERY)
