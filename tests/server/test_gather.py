"""Reads of one turn of the loop are one round trip, and none is older than its question."""

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from interests.errors import StoreUnavailable
from server import gather as module
from server.gather import Gather


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


async def test_who_asks_in_one_turn_shares_a_read_and_who_asks_later_begins_another(threads):
    asked = []

    def read(users):
        asked.append(list(users))
        return {user: f"{user}{len(asked)}" for user in users if user != "nobody"}

    reads = Gather(read, threads)
    found = await asyncio.gather(*map(reads.of, ["ada", "bob", "ada", "nobody"]))
    assert found == ["ada1", "bob1", "ada1", None]
    assert await reads.of("ada") == "ada2"
    assert asked == [["ada", "bob", "nobody"], ["ada"]]


async def test_a_read_that_was_begun_is_not_shared_because_it_may_be_older(threads):
    held, begun, count = threading.Event(), asyncio.Event(), itertools.count(1)
    loop = asyncio.get_running_loop()

    def read(users):
        number = next(count)
        if number == 1:
            loop.call_soon_threadsafe(begun.set)
            held.wait()
        return dict.fromkeys(users, number)

    reads = Gather(read, threads)
    first = reads.of("ada")
    await begun.wait()
    assert await reads.of("ada") == 2
    held.set()
    assert await first == 1


async def test_many_are_read_in_several_trips_and_an_error_reaches_those_of_its_trip_alone(threads, monkeypatch):
    monkeypatch.setattr(module, "READ_TOGETHER_MAX", 2)

    def read(users):
        if "bad" in users:
            raise StoreUnavailable("away")
        return dict.fromkeys(users, 1)

    reads = Gather(read, threads)
    found = await asyncio.gather(*map(reads.of, ["a", "b", "bad", "c", "d"]), return_exceptions=True)
    assert [type(one) for one in found] == [int, int, StoreUnavailable, StoreUnavailable, int]


async def test_who_has_gone_disturbs_nobody(threads):
    reads = Gather(lambda users: dict.fromkeys(users, 1), threads)
    gone, stays = reads.of("ada"), reads.of("ada")
    gone.cancel()
    assert await stays == 1
