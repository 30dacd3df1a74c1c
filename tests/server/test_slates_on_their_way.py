"""Slates made beside the event loop: what changes meanwhile is not overlooked, and they are those made alone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from plural.v1 import recommendations_pb2

from interests import bundle as bundles
from interests.absorb import absorb
from interests.compiled import numba
from interests.encoder import Encoder
from interests.state import InterestState, erased
from interests.stores.lmdb import LmdbStore
from ranking.query import Query
from ranking.recommend import Ranker
from server.cache import SlateCache
from server.catalogue import Catalogue, own_arrays
from server.items import Item
from server.metrics import Metrics
from server.slates import Served, Slates
from server.states import Serving, States
from tests.support.entries import did
from tests.support.server import shared_bundle
from tests.support.tiny_bundle import item

USERS = ("ada", "bob", "eve")
QUERY = Query(size=5, diversity=0.5)

pytestmark = pytest.mark.skipif(numba() is None, reason="numba is not installed")


class Shop:
    """Three people with a past in LMDB, and slates of them."""

    def __init__(self, directory: Path) -> None:
        bundle = own_arrays(bundles.load(shared_bundle()))
        self.serving = Serving(bundle, Encoder(bundle), Ranker(bundle))
        self.catalogue = Catalogue()
        self.catalogue.lay_over(bundle)
        self.store = LmdbStore(directory, map_bytes=1 << 24)
        for number, user_id in enumerate(USERS):
            self.move(user_id, number)
        self.cache, metrics = SlateCache(1 << 20), Metrics()
        self.states = States(self.store, self.serving, metrics)
        self.slates = Slates(self.states, self.cache, metrics, self.catalogue)

    def move(self, user_id: str, topic: int) -> None:
        before = self.store.get([user_id]).get(user_id) or InterestState(user_id)
        entries = [did(user_id, before.version + offset, item(topic, offset)) for offset in range(4)]
        self.put(absorb(before, entries))

    def put(self, state: InterestState) -> None:
        self.store.put(self.serving.encoder.encode([state]), {})

    async def coming(self) -> list[asyncio.Task[Served]]:
        """Slates of all on their way, in the thread already."""
        tasks = [asyncio.ensure_future(self.slates.of(user_id, QUERY)) for user_id in USERS]
        for _ in range(2):  # they begin, and are taken together
            await asyncio.sleep(0)
        return tasks


async def test_slates_made_together_are_those_made_alone_and_are_kept(tmp_path: Path) -> None:
    shop, other = Shop(tmp_path / "a"), Shop(tmp_path / "b")
    bodies = [served.body for served in await asyncio.gather(*await shop.coming())]
    assert len(bodies) == len(USERS)
    for user_id, body in zip(USERS, bodies, strict=True):
        assert shop.slates.at_hand(user_id, QUERY) == body
        assert (await other.slates.of(user_id, QUERY)).body == body
        told = recommendations_pb2.RecommendResponse.FromString(body).slate
        assert told.user_id == user_id and len(told.items) == QUERY.size


async def test_what_was_made_for_who_moved_on_or_was_erased_meanwhile_is_not_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    tasks = await shop.coming()
    shop.move("ada", 4)
    shop.put(replace(erased(shop.store.get(["bob"])["bob"]), version=99))
    ada, bob, _ = await asyncio.gather(*tasks)
    assert ada.state_version == bob.state_version == 4, "their calls came before"
    assert ["ada" in shop.cache, "bob" in shop.cache, "eve" in shop.cache] == [False, False, True]
    assert shop.slates.at_hand("ada", QUERY) is None


async def test_an_item_that_closes_meanwhile_is_in_no_slate_that_comes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    before = recommendations_pb2.RecommendResponse.FromString((await shop.slates.of("ada", QUERY)).body).slate
    shop.slates.drop("ada")
    tasks = await shop.coming()
    gone = before.items[0].item_id
    shop.catalogue.take([Item(gone, available=False)])
    for served in await asyncio.gather(*tasks):  # what was made before is made anew, one step after the other
        told = recommendations_pb2.RecommendResponse.FromString(served.body).slate
        assert gone not in {each.item_id for each in told.items}
    after = recommendations_pb2.RecommendResponse.FromString((await shop.slates.of("ada", QUERY)).body).slate
    assert gone not in {each.item_id for each in after.items}


async def test_a_price_that_is_set_live_is_in_what_is_made_together(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    first = recommendations_pb2.RecommendResponse.FromString((await shop.slates.of("ada", QUERY)).body).slate
    shop.catalogue.take([Item(first.items[1].item_id, price=4.25)])
    bodies = [served.body for served in await asyncio.gather(*await shop.coming())]
    told = recommendations_pb2.RecommendResponse.FromString(bodies[0]).slate
    assert told.items[1].price == 4.25 and not told.items[0].HasField("price")
    assert told.slate_id != first.slate_id
