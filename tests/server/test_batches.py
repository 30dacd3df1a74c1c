"""Calls that come together are worked on together, beside the loop; whoever comes alone is answered at once."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from server.batches import BATCH_MAX, Batches


class Kitchen:
    """Work that says who was served together and in which thread; waits where it is told to."""

    def __init__(self, most: int = BATCH_MAX) -> None:
        self.served: list[tuple[str, tuple[int, ...], bool]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.broken = False
        self.batches: Batches[str, int, list[str], bytes] = Batches(self._begin, self._end, most)

    def _begin(self, query: str, askers: Sequence[int]) -> Callable[[], list[str]]:
        loop_thread = threading.current_thread()

        def work() -> list[str]:
            self.may_go.wait(10)
            if self.broken:
                raise ValueError("burnt")
            self.served.append((query, tuple(askers), threading.current_thread() is not loop_thread))
            return [f"{query}-{asker}" for asker in askers]

        return work

    def _end(self, query: str, askers: Sequence[int], result: list[str]) -> list[bytes | None]:
        return [None if asker == 13 else found.encode() for asker, found in zip(askers, result, strict=True)]


async def test_who_comes_alone_is_answered_in_the_loop() -> None:
    kitchen = Kitchen()
    assert await kitchen.batches.add("soup", 1) == b"soup-1"
    assert await kitchen.batches.add("soup", 2) == b"soup-2"
    assert kitchen.served == [("soup", (1,), False), ("soup", (2,), False)]


async def test_who_comes_together_is_answered_together_in_a_thread_by_what_they_ask() -> None:
    kitchen = Kitchen()
    coming = [kitchen.batches.add(query, asker) for asker, query in enumerate(("soup", "cake", "soup", "soup"))]
    assert await asyncio.gather(*coming) == [b"soup-0", b"cake-1", b"soup-2", b"soup-3"]
    assert kitchen.served[0] == ("soup", (0, 2, 3), True)
    assert kitchen.served[1][:2] == ("cake", (1,))


async def test_the_loop_goes_on_and_gathers_the_next_batch_meanwhile() -> None:
    kitchen = Kitchen()
    kitchen.may_go.clear()
    first = [kitchen.batches.add("soup", asker) for asker in (0, 1)]
    await asyncio.sleep(0.01)
    later = [kitchen.batches.add("soup", asker) for asker in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert not any(future.done() for future in first + later)
    kitchen.may_go.set()
    assert await asyncio.gather(*first, *later) == [f"soup-{asker}".encode() for asker in range(5)]
    assert [askers for _, askers, _ in kitchen.served] == [(0, 1), (2, 3, 4)]


async def test_many_are_served_in_parts_and_nobody_is_left() -> None:
    kitchen = Kitchen()
    count = 2 * BATCH_MAX + 5
    found = await asyncio.gather(*(kitchen.batches.add("soup", 100 + asker) for asker in range(count)))
    assert found == [f"soup-{100 + asker}".encode() for asker in range(count)]
    assert [len(askers) for _, askers, _ in kitchen.served] == [BATCH_MAX, BATCH_MAX, 5]


async def test_who_asks_the_same_shares_the_answer_and_one_that_leaves_takes_it_from_nobody() -> None:
    kitchen = Kitchen()
    coming = [kitchen.batches.add("soup", asker) for asker in (1, 2, 1, 1)]
    coming[0].cancel()
    assert await asyncio.gather(*coming[1:]) == [b"soup-2", b"soup-1", b"soup-1"]
    assert [askers for _, askers, _ in kitchen.served] == [(1, 2)]


async def test_each_is_answered_alone_where_one_is_the_most() -> None:
    kitchen = Kitchen(most=1)
    assert await asyncio.gather(*(kitchen.batches.add("soup", asker) for asker in (1, 2))) == [b"soup-1", b"soup-2"]
    assert kitchen.served == [("soup", (1,), False), ("soup", (2,), False)]


async def test_one_that_cannot_be_answered_here_is_told_so_and_others_are_answered() -> None:
    kitchen = Kitchen()
    assert await asyncio.gather(*(kitchen.batches.add("soup", asker) for asker in (12, 13))) == [b"soup-12", None]


@pytest.mark.parametrize("askers", [(1,), (1, 2)])
async def test_where_the_work_fails_all_go_the_other_way_and_the_next_are_served(askers: tuple[int, ...]) -> None:
    kitchen = Kitchen()
    kitchen.broken = True
    assert await asyncio.gather(*(kitchen.batches.add("soup", asker) for asker in askers)) == [None] * len(askers)
    kitchen.broken = False
    assert await kitchen.batches.add("soup", 7) == b"soup-7"


async def test_who_goes_away_takes_nobody_with_them() -> None:
    kitchen = Kitchen()
    kitchen.may_go.clear()
    first = [kitchen.batches.add("soup", asker) for asker in (0, 1)]
    await asyncio.sleep(0.01)
    later = [kitchen.batches.add("soup", asker) for asker in (2, 3, 4)]
    first[0].cancel()
    later[1].cancel()
    kitchen.may_go.set()
    assert await asyncio.gather(first[1], later[0], later[2]) == [b"soup-1", b"soup-2", b"soup-4"]
    assert kitchen.served[1][1] == (2, 4), "nothing is made for who has gone"
