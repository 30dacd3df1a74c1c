"""The streams that are open: how many, whose, and how to wake or drain them.

Each stream has one slot with two flags, moved and draining, and nothing queues up behind them: a stream that has time
for its client looks at the newest state then. So a slow reader costs a flag, gets the latest, and delays nobody.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from interests.stores.base import Moments
from server.errors import LimitReached
from server.metrics import Metrics

SLOWLY_USERS, SLOWLY_S = 4, 0.02  # 200 users a second: a slate each costs a few milliseconds


class Moved(NamedTuple):
    """A change, or several that nobody has looked at yet.

    version: of the newest state, infinity where it is unknown
    seen_s: when the earliest was seen here, and what the change log tells of it; seconds since 1970
    """

    version: float
    seen_s: float
    moments: Moments | None = None

    def then(self, later: "Moved") -> "Moved":
        """Both as one."""
        return self._replace(version=max(self.version, later.version))


class Slot:
    """What one stream waits for."""

    __slots__ = ("_draining", "_moved", "_up", "item_ids")

    def __init__(self, draining: "asyncio.Future[None]") -> None:
        self._draining = draining
        self._up = asyncio.Event()
        self._moved: Moved | None = None
        self.item_ids: tuple[str, ...] = ()

    def shows(self, item_ids: tuple[str, ...]) -> None:
        """Note what the client has on its screen once it has read what is sent next."""
        self.item_ids = item_ids

    @property
    def draining(self) -> bool:
        """True once the server is going."""
        return self._draining.done()

    def move(self, moved: Moved) -> None:
        """The user's interests moved. However often, one flag."""
        self._moved = self._moved.then(moved) if self._moved else moved
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


class Limits(NamedTuple):
    """How many streams may be open at one time: in this process, on one connection, for one user."""

    process: int
    connection: int
    user: int


class Streams:
    """All open streams. Used from the event loop alone."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._connections: Counter[str] = Counter()
        self._draining: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._slots: dict[str, set[Slot]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def open(self, user_id: str, peer: str) -> Iterator[Slot]:
        """A slot for one more stream of this user (empty: of a caller without an id). Raises LimitReached.

        peer: names the connection
        """
        theirs = self._slots.get(user_id, set())
        if self._count >= self._limits.process:
            raise LimitReached(f"all {self._limits.process} streams of this server are taken")
        if self._connections[peer] >= self._limits.connection:
            raise LimitReached(f"this connection has {self._connections[peer]} streams open, as many as one may")
        if user_id and len(theirs) >= self._limits.user:
            raise LimitReached(f"this user has {len(theirs)} streams open, as many as one user may")
        slot = Slot(self._draining)
        self._slots.setdefault(user_id, theirs).add(slot)
        self._connections[peer] += 1
        self._set_count(self._count + 1)
        try:
            yield slot
        finally:
            theirs.discard(slot)
            if not theirs:
                self._slots.pop(user_id, None)
            self._connections[peer] -= 1
            if not self._connections[peer]:
                del self._connections[peer]
            self._set_count(self._count - 1)

    def move(self, wakes: Mapping[str, Moved]) -> None:
        """Wake the streams of these users, whose interests moved."""
        for user_id, moved in wakes.items():
            for slot in self._slots.get(user_id, ()):
                slot.move(moved)

    def move_showing(self, item_ids: frozenset[str]) -> None:
        """Wake the streams whose slate holds one of these items. About 1 µs a stream."""
        moved = Moved(math.inf, time.time())
        for slots in self._slots.values():
            for slot in slots:
                if not item_ids.isdisjoint(slot.item_ids):
                    slot.move(moved)

    async def move_slowly(self) -> None:
        """Wake every stream, a few at a time, so that calls are answered meanwhile."""
        for start, user_id in enumerate(list(self._slots)):
            if start % SLOWLY_USERS == 0:
                await asyncio.sleep(SLOWLY_S)
            self.move({user_id: Moved(math.inf, time.time())})

    def move_all(self) -> None:
        """Wake every stream: anybody may have moved."""
        self.move(dict.fromkeys(self._slots, Moved(math.inf, time.time())))

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
