"""Calls that come in together are answered together, beside the event loop.

Whoever asks while nothing is being computed is answered at once, in the loop: nobody waits for company. Calls that one
turn of the loop brings together go to a thread as one compiled call that holds no lock, so the loop reads and writes
other calls meanwhile; what comes in until it is done is the next batch.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

BATCH_MAX = 16  # so that the first of them does not wait for long, and its answer goes out while the next are made

Q = TypeVar("Q")  # what is asked
W = TypeVar("W")  # who asks
R = TypeVar("R")  # what the work comes to
A = TypeVar("A")  # what each gets


class Batches(Generic[Q, W, R, A]):
    """Used from the event loop alone. Who asks the same as somebody who waits already shares the answer.

    begin(query, askers) gives the work, for a thread; end(query, askers, result) what each of them gets, in the loop.
    """

    def __init__(
        self,
        begin: Callable[[Q, Sequence[W]], Callable[[], R]],
        end: Callable[[Q, Sequence[W], R], list[A | None]],
        most: int = BATCH_MAX,
    ) -> None:
        """most: how many are answered together; with 1 each is answered by itself, in the loop"""
        self._begin = begin
        self._end = end
        self._most = most
        self._waiting: dict[Q, dict[W, list[asyncio.Future[A | None]]]] = {}
        self._thread = ThreadPoolExecutor(1, "answers")
        self._busy = self._told = False

    def add(self, query: Q, asker: W) -> "asyncio.Future[A | None]":
        """The answer to come; None where it is to be found another way."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A | None] = loop.create_future()
        self._waiting.setdefault(query, {}).setdefault(asker, []).append(future)
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
            batch = {asker: waiting.pop(asker) for asker in list(waiting)[: self._most]}
            if not waiting:
                del self._waiting[query]
            # Who has gone meanwhile needs no answer.
            batch = {asker: theirs for asker, theirs in batch.items() if not all(map(asyncio.Future.done, theirs))}
            if batch:
                self._take(query, batch)

    def _take(self, query: Q, batch: dict[W, list["asyncio.Future[A | None]"]]) -> None:
        try:
            work = self._begin(query, list(batch))
            if self._most == 1 or (len(batch) == 1 and not self._waiting):
                self._give(query, batch, work())
                return
        except Exception:
            self._fail(batch)
            return
        self._busy = True
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done.add_done_callback(lambda found: self._done(query, batch, found))

    def _done(self, query: Q, batch: dict[W, list["asyncio.Future[A | None]"]], found: "asyncio.Future[R]") -> None:
        self._busy = False
        try:
            self._give(query, batch, found.result())
        except Exception:
            self._fail(batch)
        self._next()

    def _give(self, query: Q, batch: dict[W, list["asyncio.Future[A | None]"]], result: R) -> None:
        for theirs, answer in zip(batch.values(), self._end(query, list(batch), result), strict=True):
            _tell(theirs, answer)

    def _fail(self, batch: dict[W, list["asyncio.Future[A | None]"]]) -> None:
        """Whoever goes the other way meets the error again, by themselves."""
        for theirs in batch.values():
            _tell(theirs, None)


def _tell(futures: Iterable["asyncio.Future[A | None]"], answer: A | None) -> None:
    for future in futures:
        if not future.done():
            future.set_result(answer)
