"""New items under a running server: told of once, they are in the slates of those they fit within seconds, for good."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from plural.v1 import admin_pb2

from server import bundles as live_bundles
from server import newcomers
from server.bundles import build
from server.catalogue import Catalogue
from server.items import Item
from server.newcomers import place
from tests.server.test_catalogue import ids, said, slate, upsert
from tests.support import tiny_bundle
from tests.support.server import Client, event, follow, read, record, serving, shared_bundle, until
from tests.support.tiny_bundle import item

NEW = "brand-new"
COLD_WEIGHTS = {"interest": 2.0}
"""Of the tests' bundle: what fits counts for more in an item that nobody ever turned to, as validation finds it to."""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle.write(tmp_path / "bundles", cold_weights=COLD_WEIGHTS)


async def has(client: Client, item_id: str, wanted: bool = True, **changes: Any) -> bool:
    return (item_id in ids(await slate(client, **changes))) == wanted


async def loves_topic_2(client: Client) -> None:
    await record(client, *(event("ada", item(2, number), "PURCHASE") for number in range(3, 8)))


async def test_a_new_item_of_a_topic_the_user_loves_is_in_their_slate_pushed_too_and_after_a_restart(
    tmp_path: Path, bundle: Path
) -> None:
    async with serving(tmp_path, bundle=bundle) as client:
        await loves_topic_2(client)
        ada = follow(client, "ada", size=10)
        await read(ada)
        answer = await upsert(client, said(NEW, categories=["topic-2"], title="New", price=2.5))
        assert (answer.live, answer.arriving, list(answer.waiting_item_ids)) == (0, 1, [])
        pushed = (await read(ada)).slate
        [new] = [each for each in pushed.items if each.item_id == NEW]
        assert (new.topic, new.price) == ("topic-2", 2.5)
        assert pushed == await slate(client)
        assert (await upsert(client, said(NEW, price=3.0))).live == 1
        before = await slate(client)
    async with serving(tmp_path, bundle=bundle) as client:
        assert await slate(client) == before, "at the first call"


async def test_a_new_item_that_is_unavailable_again_is_gone_at_once_and_one_that_comes_back_needs_no_wait(
    tmp_path: Path, bundle: Path
) -> None:
    async with serving(tmp_path, bundle=bundle) as client:
        await loves_topic_2(client)
        await upsert(client, said(NEW, categories=["topic-2"]))
        await until(lambda: has(client, NEW))
        await upsert(client, said(NEW, available=False))
        assert await has(client, NEW, False)
        await upsert(client, said(NEW, available=True))
        assert await has(client, NEW)


async def test_what_is_done_with_a_new_item_counts(tmp_path: Path, bundle: Path) -> None:
    async with serving(tmp_path, bundle=bundle) as client:
        await upsert(client, said(NEW, categories=["topic-4"]))
        await until(lambda: has(client, NEW, size=60, filters={"only_categories": ["topic-4"]}))
        await record(client, event("ada", NEW, "PURCHASE"))
        assert [each.topic for each in (await slate(client)).target_mix] == ["topic-4"]


async def test_another_category_moves_a_new_item_and_another_bundle_has_it_from_its_first_slate(tmp_path: Path) -> None:
    path = tmp_path / "bundles"
    second, first = (tiny_bundle.write(path, seed=seed).name for seed in (5, 0))
    only = {"only_categories": ["topic-1"]}
    async with serving(tmp_path, bundle=path, admin=True) as client:
        await upsert(client, said(NEW, categories=["topic-2"]))
        await until(lambda: has(client, NEW, size=60, filters={"only_categories": ["topic-2"]}))
        await upsert(client, said(NEW, categories=["topic-1"]))
        assert await has(client, NEW, size=60, filters=only)
        for version in (second, first):
            await client.admin.ReloadBundle(admin_pb2.ReloadBundleRequest(version=version))
            found = await slate(client, size=60, filters=only)
            assert found.bundle_version == version and NEW in ids(found)


async def test_items_that_come_together_are_placed_together(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placings: list[int] = []
    real = live_bundles.place

    def counted(*arguments: Any) -> newcomers.Placed:
        placed = real(*arguments)
        placings.append(len(placed.items))
        return placed

    monkeypatch.setattr(live_bundles, "place", counted)
    async with serving(tmp_path, bundle=bundle) as client:
        for number in range(40):
            await upsert(client, said(f"new-{number:02d}", categories=["topic-2"]))
        await until(lambda: has(client, "new-39", size=60, filters={"only_categories": ["topic-2"]}))
    assert placings[-1] == 40 and len(placings) <= 4


async def test_where_placing_fails_what_is_served_stays_and_the_next_change_is_another_try(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_bundles, "PLACE_S_MIN", 0.01)
    async with serving(tmp_path, bundle=bundle) as client:
        await loves_topic_2(client)
        before = ids(await slate(client))
        with monkeypatch.context() as broken:
            broken.setattr(newcomers, "try_out", lambda _: 1 / 0)
            await upsert(client, said(NEW, categories=["topic-2"]))
            await asyncio.sleep(0.3)
            assert ids(await slate(client)) == before
        await upsert(client, said(NEW, title="New"))
        await until(lambda: has(client, NEW))


async def test_servers_that_hear_of_new_items_in_another_order_serve_equal_slates(tmp_path: Path, bundle: Path) -> None:
    told = [said(f"new-{number}", categories=[f"topic-{number % 3}"], title=f"T {number}") for number in range(6)]
    found = []
    for name, order in (("one", told), ("two", told[::-1])):
        async with serving(tmp_path / name, bundle=bundle) as client:
            await upsert(client, *order)
            await until(lambda: has(client, "new-0", size=130))
            found.append(await slate(client, size=130, filters={"exclude_item_ids": [item(0, 0)]}))
            await upsert(client, said("new-0", available=False))
    assert found[0] == found[1] and found[0].slate_id.count("-") == 1


def test_a_new_item_taken_back_leaves_slates_at_once_and_its_row_at_the_next_placing() -> None:
    catalogue, base = Catalogue(), build(shared_bundle(), "cpu")
    catalogue.lay_over(base.bundle)
    catalogue.take([Item("a", categories=("topic-1",)), Item("b", title="says nothing here")])
    assert catalogue.standing([Item("a", categories=("topic-1",)), Item("b")]) == (0, 1, ["b"])
    placed = place(base, catalogue.items(), catalogue.arrivals)
    catalogue.lay_over(placed.serving.bundle, base.bundle, placed.items)
    row, bundle, laid = placed.serving.bundle.row_of["a"], placed.serving.bundle, catalogue.fingerprint
    assert bundle.arrays.available[row] and [each.item_id for each in placed.items] == ["a"]
    changed = catalogue.take([Item("a")])
    assert changed.touched == {"a"} and not bundle.arrays.available[row]
    assert catalogue.arrivals != placed.arrivals and catalogue.fingerprint != laid
    again = place(base, catalogue.items(), catalogue.arrivals, placed.items)
    assert again.serving is base


def test_what_was_said_of_known_items_while_new_ones_were_being_placed_holds_after_it() -> None:
    catalogue, base = Catalogue(), build(shared_bundle(), "cpu")
    catalogue.lay_over(base.bundle)
    catalogue.take([Item("a", categories=("topic-1",)), Item(item(0, 0), available=False)])
    placed = place(base, catalogue.items(), catalogue.arrivals)
    catalogue.take([Item(item(0, 1), available=False), Item(item(0, 0)), Item("a", available=False)])
    catalogue.lay_over(placed.serving.bundle, base.bundle, placed.items)
    arrays = placed.serving.bundle.arrays
    assert arrays.available[:2].tolist() == [True, False] and not arrays.available[-1]
    catalogue.take([Item(item(0, 1))])
    assert arrays.available[1]
    catalogue.lay_over(base.bundle)
    assert base.bundle.arrays.available.all()
