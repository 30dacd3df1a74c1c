"""Reads of one turn of the event loop as one round trip, for a store that is not embedded."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

READ_TOGETHER_MAX = 64  # users: so that no answer is so long that others wait for it

T = TypeVar("T")


class Gather(Generic[T]):
    """Used from the event loop alone. Who asks for a user that somebody waits for already shares the read's end, if it
    has not been begun: what is read is never older than the question.
    """

    def __init__(self, read: Callable[[Sequence[str]], Mapping[str, T]], threads: Executor) -> None:
        """read: of several users, run in a thread; raises StoreUnavailable"""
        self._read = read
        self._threads = threads
        self._waiting: dict[str, list[asyncio.Future[T | None]]] = {}

    def of(self, user_id: str) -> "asyncio.Future[T | None]":
        """What is read of one user, None where there is nothing."""
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._begin)
        self._waiting.setdefault(user_id, []).append(future)
        return future

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, {}
        users = list(waiting)
        for start in range(0, len(users), READ_TOGETHER_MAX):
            some = users[start : start + READ_TOGETHER_MAX]
            theirs = {user_id: waiting[user_id] for user_id in some}
            reading = asyncio.get_running_loop().run_in_executor(self._threads, self._read, some)
            reading.add_done_callback(partial(_tell, theirs))


def _tell(waiting: "Mapping[str, list[asyncio.Future[T | None]]]", found: "asyncio.Future[Mapping[str, T]]") -> None:
    error = None if found.cancelled() else found.exception()
    for user_id, futures in waiting.items():
        for future in futures:
            if future.done():
                continue  # whoever asked has gone
            if found.cancelled():
                future.cancel()
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(found.result().get(user_id))
