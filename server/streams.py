"""The streams that are open: how many, whose, and how to wake or drain them.

Each stream has one slot with two flags, moved and draining, and nothing queues up behind them: a stream that has time
for its client looks at the newest state then. So a slow reader costs a flag, gets the latest, and delays nobody.
"""

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from server.errors import LimitReached
from server.metrics import Metrics


class Moved(NamedTuple):
    """What a slot stands for: the earliest change not looked at was seen then (monotonic), the newest is this one."""

    seen_s: float
    version: float


class Slot:
    """What one stream waits for."""

    __slots__ = ("_draining", "_moved", "_up")

    def __init__(self, draining: "asyncio.Future[None]") -> None:
        self._draining = draining
        self._up = asyncio.Event()
        self._moved: Moved | None = None

    @property
    def draining(self) -> bool:
        """True once the server is going."""
        return self._draining.done()

    def move(self, seen_s: float, version: float) -> None:
        """The user's interests moved to this state version; infinity where it is unknown. However often, one flag."""
        before = self._moved
        self._moved = Moved(before.seen_s, max(before.version, version)) if before else Moved(seen_s, version)
        self._up.set()

    def take(self) -> Moved | None:
        """Lower the flag, and say what it stood for."""
        moved, self._moved = self._moved, None
        self._up.clear()
        return moved

    async def wait(self) -> None:
        """Until the user's interests move or the server goes."""
        if not self.draining:
            await self._up.wait()

    async def pause(self, seconds: float) -> None:
        """Let time pass, unless the server goes."""
        if seconds > 0 and not self.draining:
            await asyncio.wait((self._draining,), timeout=seconds)

    def wake(self) -> None:
        """End a wait without a change."""
        self._up.set()


class Streams:
    """All open streams. Used from the event loop alone."""

    def __init__(self, streams_max: int, streams_per_user_max: int, metrics: Metrics) -> None:
        self._streams_max = streams_max
        self._streams_per_user_max = streams_per_user_max
        self._metrics = metrics
        self._draining: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._slots: dict[str, set[Slot]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def open(self, user_id: str) -> Iterator[Slot]:
        """A slot for one more stream of this user (empty: of a caller without an id). Raises LimitReached."""
        theirs = self._slots.get(user_id, set())
        if self._count >= self._streams_max:
            raise LimitReached(f"all {self._streams_max} streams of this server are taken")
        if user_id and len(theirs) >= self._streams_per_user_max:
            raise LimitReached(f"this user has {len(theirs)} streams open, as many as one user may")
        slot = Slot(self._draining)
        self._slots.setdefault(user_id, theirs).add(slot)
        self._set_count(self._count + 1)
        try:
            yield slot
        finally:
            theirs.discard(slot)
            if not theirs:
                self._slots.pop(user_id, None)
            self._set_count(self._count - 1)

    def move(self, versions: Mapping[str, float]) -> None:
        """Wake the streams of these users, whose interests are at these state versions now."""
        now_s = time.monotonic()
        for user_id, version in versions.items():
            for slot in self._slots.get(user_id, ()):
                slot.move(now_s, version)

    def move_all(self) -> None:
        """Wake every stream: anybody may have moved."""
        self.move(dict.fromkeys(self._slots, math.inf))

    def drain(self) -> None:
        """Ask every stream, those still to be opened too, to say goodbye and end."""
        if not self._draining.done():
            self._draining.set_result(None)
        for slots in self._slots.values():
            for slot in slots:
                slot.wake()

    def _set_count(self, count: int) -> None:
        self._count = count
        self._metrics.streams.set(count)
