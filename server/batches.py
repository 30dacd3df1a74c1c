"""Calls that come in together are answered together, beside the event loop.

Whoever asks while nothing is being computed is answered at once, in the loop: nobody waits for company. Calls that one
turn of the loop brings together go to a thread as one compiled call that holds no lock, so the loop reads and writes
other calls meanwhile; what comes in until it is done is the next batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

BATCH_MAX = 32  # so that the first of them does not wait for long

Q = TypeVar("Q")  # what is asked
W = TypeVar("W")  # who asks
R = TypeVar("R")  # what the work comes to


class Batches(Generic[Q, W, R]):
    """Used from the event loop alone.

    begin(query, askers) gives the work, for a thread; end(query, askers, result) what each of them gets, in the loop.
    """

    def __init__(
        self,
        begin: Callable[[Q, Sequence[W]], Callable[[], R]],
        end: Callable[[Q, Sequence[W], R], list[bytes | None]],
        most: int = BATCH_MAX,
    ) -> None:
        """most: how many are answered together; with 1 each is answered by itself, in the loop"""
        self._begin = begin
        self._end = end
        self._most = most
        self._waiting: dict[Q, list[tuple[W, asyncio.Future[bytes | None]]]] = {}
        self._thread = ThreadPoolExecutor(1, "answers")
        self._busy = self._told = False

    def add(self, query: Q, asker: W) -> "asyncio.Future[bytes | None]":
        """The answer to come; None where it is to be found another way."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting.setdefault(query, []).append((asker, future))
        if not self._busy and not self._told:
            self._told = True
            loop.call_soon(self._next)
        return future

    def _next(self) -> None:
        """Take what waits longest."""
        self._told = False
        while self._waiting and not self._busy:
            query = next(iter(self._waiting))
            waiting = self._waiting[query]
            batch = waiting[: self._most]
            if len(waiting) > self._most:
                self._waiting[query] = waiting[self._most :]
            else:
                del self._waiting[query]
            # Who has gone meanwhile needs no answer.
            batch = [(asker, future) for asker, future in batch if not future.done()]
            if batch:
                self._take(query, batch)

    def _take(self, query: Q, batch: list[tuple[W, "asyncio.Future[bytes | None]"]]) -> None:
        askers = [asker for asker, _ in batch]
        try:
            work = self._begin(query, askers)
            if self._most == 1 or (len(batch) == 1 and not self._waiting):
                self._give(query, batch, work())
                return
        except Exception:
            self._fail(batch)
            return
        self._busy = True
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done.add_done_callback(lambda found: self._done(query, batch, found))

    def _done(
        self, query: Q, batch: list[tuple[W, "asyncio.Future[bytes | None]"]], found: "asyncio.Future[R]"
    ) -> None:
        self._busy = False
        try:
            self._give(query, batch, found.result())
        except Exception:
            self._fail(batch)
        self._next()

    def _give(self, query: Q, batch: list[tuple[W, "asyncio.Future[bytes | None]"]], result: R) -> None:
        bodies = self._end(query, [asker for asker, _ in batch], result)
        for (_, future), body in zip(batch, bodies, strict=True):
            if not future.done():
                future.set_result(body)

    def _fail(self, batch: list[tuple[W, "asyncio.Future[bytes | None]"]]) -> None:
        """Whoever goes the other way meets the error again, by themselves."""
        for _, future in batch:
            if not future.done():
                future.set_result(None)
