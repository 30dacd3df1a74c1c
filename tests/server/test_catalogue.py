"""The live catalogue: what was said of an item counts in every slate from then on, and outlives bundle and server."""

import random
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from plural.v1 import catalogue_pb2, recommendations_pb2

from interests import bundle as bundles
from interests.bundle import Bundle
from interests.errors import SettingsRejected
from server import item_log
from server.catalogue import Catalogue, own_arrays
from server.item_log import ItemFile
from server.items import Item, from_message, to_message
from server.parts import running
from tests.support import tiny_bundle
from tests.support.server import (
    Client,
    connect,
    event,
    follow,
    is_quiet,
    read,
    record,
    serving,
    settings,
    shared_bundle,
)
from tests.support.tiny_bundle import item

SEED = 20_261_124
ASKED = recommendations_pb2.RecommendRequest(user_id="ada", size=10)


def said(item_id: str, **fields: Any) -> catalogue_pb2.CatalogueItem:
    categories = fields.pop("categories", None)
    message = catalogue_pb2.CatalogueItem(item_id=item_id, **fields)
    if categories is not None:
        message.categories.names.extend(categories)
        message.categories.SetInParent()
    return message


async def upsert(client: Client, *items: catalogue_pb2.CatalogueItem) -> catalogue_pb2.UpsertItemsResponse:
    request = catalogue_pb2.UpsertItemsRequest(items=items)
    answer: catalogue_pb2.UpsertItemsResponse = await client.catalogue.UpsertItems(request)
    return answer


async def slate(client: Client, **changes: Any) -> recommendations_pb2.Slate:
    request = recommendations_pb2.RecommendRequest(user_id="ada", size=10)
    request.MergeFrom(recommendations_pb2.RecommendRequest(**changes))
    return (await client.recommendations.Recommend(request)).slate


def ids(slate: recommendations_pb2.Slate) -> list[str]:
    return [each.item_id for each in slate.items]


async def test_an_unavailable_item_leaves_every_slate_at_once_pushed_and_cached_ones_included(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, event("ada", item(2, 3), "PURCHASE"))
        before = await slate(client)
        gone, stays = ids(before)[0], ids(before)[-1]
        ada, bob = follow(client, "ada", size=10), follow(client, "ada", size=10, filters={"exclude_item_ids": [gone]})
        await read(ada), await read(bob)
        answer = await upsert(client, said(gone, available=False))
        assert (answer.live, list(answer.waiting_item_ids)) == (1, [])
        pushed, after = (await read(ada)).slate, await slate(client)
        assert gone not in ids(pushed) and gone not in ids(after) and stays in ids(after)
        assert pushed == after and after.slate_id != before.slate_id
        assert await is_quiet(bob), "what was on that screen is still right"
        await upsert(client, said(gone, available=True))
        assert ids(await slate(client)) == ids(before)


async def test_a_price_and_a_category_count_at_once(tmp_path: Path) -> None:
    moved, priced = item(5, 2), item(0, 0)
    only = {"only_categories": ["topic-1"]}
    async with serving(tmp_path) as client:
        assert moved not in ids(await slate(client, size=60, filters=only))
        await upsert(client, said(moved, categories=["topic-1", "brand-new"]), said(priced, price=2.5))
        found = await slate(client, size=60, filters=only)
        assert moved in ids(found)
        assert [each.topic for each in found.items if each.item_id == moved] == ["topic-1"]
        prices = {each.item_id: each.price for each in (await slate(client, size=120)).items if each.HasField("price")}
        assert prices == {priced: 2.5}
        answer = await upsert(client, said("nobody-knows", title="New", categories=["brand-new"]))
        assert (answer.live, answer.arriving, list(answer.waiting_item_ids)) == (0, 0, ["nobody-knows"])
        assert list(answer.unknown_categories) == ["brand-new"]


async def test_what_was_said_outlives_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        gone = ids(await slate(client))[0]
        await upsert(client, said(gone, available=False))
        after = await slate(client)
    async with serving(tmp_path) as client:
        assert await slate(client) == after


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], "items: holds 0 entries; give 1 to 500"),
        ([said("a"), said("a")], r"items\[1\].item_id: is there twice"),
        ([said("a"), said("")], r"items\[1\].item_id: is empty"),
        ([said("a", price=-1.0)], r"items\[0\].price: is -1"),
        ([said("a", price=float("nan"))], r"items\[0\].price: is nan"),
        ([said("a", categories=["x"] * 17)], r"items\[0\].categories: holds 17 names; give at most 16"),
        ([said("a", categories=[""])], r"items\[0\].categories.names\[0\]: is empty"),
        ([said("a", title="x" * 2000)], r"items\[0\].title: is 2000 bytes long; give at most 1024"),
    ],
)
async def test_one_bad_item_refuses_the_call_and_changes_nothing(tmp_path: Path, items: list[Any], told: str) -> None:
    async with serving(tmp_path) as client:
        before = await slate(client)
        with pytest.raises(grpc.aio.AioRpcError, match=told) as caught:
            await upsert(client, *items)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert await slate(client) == before
    assert not (tmp_path / "interactions.catalogue.jsonl").read_bytes()


def test_an_item_survives_its_wire_form() -> None:
    full = Item("ü", True, 9.5, ("x", "y"), "t", "d", 1234, "b")
    for each in (Item("a"), Item("b", False, 0.0, (), "", "", 0, ""), full):
        assert from_message(to_message(each)) == each


def laid() -> tuple[Catalogue, Bundle]:
    catalogue, bundle = Catalogue(), own_arrays(bundles.load(shared_bundle()))
    catalogue.lay_over(bundle)
    return catalogue, bundle


def test_the_bundles_own_files_stay_as_they_were() -> None:
    catalogue, bundle = laid()
    catalogue.take([Item(item(0, 0), available=False, categories=("topic-3",))])
    assert not bundle.arrays.available[0] and bundle.arrays.item_topic_ids[0, 0] == 3
    again = bundles.load(shared_bundle())
    assert again.arrays.available[0] and again.arrays.item_topic_ids[0, 0] == 0


def test_a_slate_is_held_against_what_changed_since_it_was_made() -> None:
    catalogue, _ = laid()
    made, items = catalogue.revision, (item(0, 0), item(0, 1))
    catalogue.take([Item(item(1, 0), available=False), Item(item(1, 1), price=3.0)])
    assert catalogue.holds(items, made) and not catalogue.holds((item(1, 1),), made)
    closed = catalogue.revision
    catalogue.take([Item("not-in-the-bundle", available=False), Item(item(1, 0), available=False)])
    assert catalogue.revision == closed, "nothing that counts has changed"
    catalogue.take([Item(item(1, 0), available=True)])
    assert not catalogue.holds(items, closed), "the item that came back might be in it now"


def test_changes_that_are_no_longer_remembered_void_older_slates() -> None:
    catalogue, _ = laid()
    made = catalogue.revision
    for number in range(300):
        catalogue.take([Item(item(1, 0), price=float(number))])
    assert not catalogue.holds((item(0, 0),), made)
    assert catalogue.holds((item(0, 0),), catalogue.revision - 100)


def test_whatever_order_servers_hear_it_in_equal_catalogues_have_equal_fingerprints() -> None:
    rng = random.Random(SEED)
    names = [item(topic, number) for topic in range(6) for number in range(5)]
    changes = [
        Item(name, rng.choice([None, True, False]), rng.choice([None, 1.0, 2.0]), rng.choice([None, ("topic-1",)]))
        for name in names
        for _ in range(4)
    ]
    first, one = laid()
    for change in changes:
        first.take(first.merged([change]))
    latest = {each: first._items[each] for each in first._items}
    second, other = laid()
    shuffled = list(latest.values())
    rng.shuffle(shuffled)
    second.take(shuffled)
    assert first.fingerprint == second.fingerprint != 0, f"seed {SEED}"
    for name in ("available", "item_topic_ids", "item_topic_shares"):
        assert np.array_equal(getattr(one.arrays, name), getattr(other.arrays, name)), f"seed {SEED}"
    second.take([Item(name) for name in names])
    assert second.fingerprint == 0 and other.arrays.available.all()


def test_another_bundle_is_laid_over_too_and_the_one_before_is_right_when_it_comes_back(tmp_path: Path) -> None:
    catalogue, first = laid()
    catalogue.take([Item(item(0, 0), available=False), Item(item(0, 1), available=False)])
    second = own_arrays(bundles.load(tiny_bundle.write(tmp_path, seed=5)))
    catalogue.lay_over(second)
    assert not second.arrays.available[:2].any()
    catalogue.take([Item(item(0, 0), available=True), Item(item(0, 1))])
    catalogue.lay_over(first)
    assert first.arrays.available.all()


def test_the_file_drops_a_torn_line_keeps_the_latest_and_is_rewritten_when_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "items.jsonl"
    opened = ItemFile(path)
    opened.append([Item("a", available=False), Item("b", price=1.0)])
    opened.append([Item("a", available=True)])
    opened.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"item_id": "c", "avail')
    opened = ItemFile(path)
    assert opened.items == {"a": Item("a", available=True), "b": Item("b", price=1.0)}
    assert path.read_bytes() == whole
    opened.close()
    monkeypatch.setattr(item_log, "COMPACT_FROM_LINES", 2)
    path.write_bytes(whole * 5)
    opened = ItemFile(path)
    assert path.read_bytes().count(b"\n") == 2
    opened.append([Item("c", price=2.0)])
    opened.close()
    assert ItemFile(path).items == {
        "a": Item("a", available=True),
        "b": Item("b", price=1.0),
        "c": Item("c", price=2.0),
    }


def test_a_damaged_line_or_a_second_server_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"item_id": "a"}\nnonsense\n{"item_id": "b"}\n')
    with pytest.raises(SettingsRejected, match="line 2: is no item"):
        ItemFile(path)
    path.unlink()
    opened = ItemFile(path)
    with pytest.raises(SettingsRejected, match="another plural-serve writes it"):
        ItemFile(path)
    opened.close()


async def test_a_full_disk_refuses_the_call_and_the_catalogue_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(settings(tmp_path)) as port, connect(port) as client:
        before = await slate(client)
        with monkeypatch.context() as patched:
            patched.setattr(item_log.os, "fsync", _full)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await upsert(client, said(ids(before)[0], available=False))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await slate(client) == before
        await upsert(client, said(ids(before)[0], available=False))
        assert ids(before)[0] not in ids(await slate(client))


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")
