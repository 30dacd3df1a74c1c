"""A store that follows the pointer to the current generation: where another one is named, it goes on with that.

    every FOLLOW_S ▶ read the pointer ▶ open the generation that it names ▶ swap ▶ close the one before, a while later

A reader learns of it by its change log, which says `lost`: anybody may have changed. A writer is fenced once, so that
it lets go of all that it knew of the one before, claims, and reads the log from where the new one stands. While the
pointer or the generation that it names cannot be read, the one before goes on being used.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from interests.errors import Fenced
from interests.events import LogPartition
from interests.state import InterestState
from interests.stores.base import NO_MOMENTS, Changes, Cursor, InterestStore, Moments, Record, Snapshot
from interests.stores.generations import Pointer
from interests.stores.lmdb import LmdbStore
from interests.stores.wake import DIRECTORY, Listener

FOLLOW_S = 0.5
LEAVE_S = 5.0  # longer than any read of the generation before may take

S = TypeVar("S", bound=InterestStore)

log = logging.getLogger(__name__)


class _At(NamedTuple, Generic[S]):
    """Which generation is used; number counts the switches of this handle and stands first in its cursors."""

    number: int
    name: str
    store: S


class FollowingStore(Generic[S]):
    """The current generation, whichever that is; the contract is that of InterestStore."""

    def __init__(self, pointer: Pointer, opened: Callable[[str], S], *, read_only: bool) -> None:
        """opened: a generation's name -> the store. Raises what reading the pointer and opening raise."""
        self._pointer, self._open, self._read_only = pointer, opened, read_only
        name = pointer.read()
        self._at: _At[S] = _At(0, name, opened(name))
        self.embedded = self._at.store.embedded
        self._left: list[tuple[float, S]] = []
        self._must_tell = False
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="generation", daemon=True)
        self._thread.start()

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """See InterestStore."""
        self._tell()
        return self._at.store.get(user_ids)

    def records(self, user_ids: Iterable[str]) -> dict[str, Record]:
        """See InterestStore."""
        return self._at.store.records(user_ids)

    def versions(self, user_ids: Iterable[str]) -> dict[str, int]:
        """See InterestStore."""
        return self._at.store.versions(user_ids)

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """See InterestStore. Raises Fenced once after a switch, as get and put do."""
        self._tell()
        return self._at.store.claim(partitions)

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """See InterestStore. What was read of the generation before is never written into this one."""
        store = self._at.store
        self._tell()
        store.put(states, next_offsets, silent, moments)

    def forget(self, user_id: str) -> None:
        """See InterestStore."""
        self._at.store.forget(user_id)

    def end_of_changes(self) -> Cursor:
        """See InterestStore."""
        at = self._at
        return (at.number, *at.store.end_of_changes())

    def changes(self, since: Cursor, limit: int = 10_000, wait_s: float = 0.0) -> Changes:
        """See InterestStore; after a switch all before it is lost."""
        at = self._at
        if since[0] != at.number:
            return Changes([], (at.number, *at.store.end_of_changes()), lost=True)
        found = at.store.changes(since[1:], limit, wait_s)
        return found._replace(cursor=(at.number, *found.cursor))

    def count(self) -> int:
        """See InterestStore."""
        return self._at.store.count()

    def close(self) -> None:
        """See InterestStore."""
        self._stopping.set()
        self._thread.join()
        for store in (*(store for _, store in self._left), self._at.store):
            store.close()
        self._pointer.close()

    def on_switch(self, name: str, store: S) -> None:
        """Called before a generation is used from then on."""

    def _tell(self) -> None:
        if self._must_tell:
            self._must_tell = False
            raise Fenced(f"generation {self._at.name!r} is current now: claim and re-read")

    def _follow(self) -> None:
        while not self._stopping.wait(FOLLOW_S):
            try:
                self._look()
                self._failing = False
            except Exception as error:
                if not self._failing:
                    log.warning("the current generation cannot be followed", extra={"reason": str(error)})
                self._failing = True

    def _look(self) -> None:
        while self._left and time.monotonic() - self._left[0][0] > LEAVE_S:
            self._left.pop(0)[1].close()
        name = self._pointer.read()
        before = self._at
        if name == before.name:
            return
        store = self._open(name)
        self.on_switch(name, store)
        # In this order: who sees the new store and not the flag would put what it read of the old one.
        self._must_tell = not self._read_only
        self._at = _At(before.number + 1, name, store)
        self._left.append((time.monotonic(), before.store))
        log.info("another generation is current", extra={"generation": name, "before": before.name})


class FollowingLmdb(FollowingStore[LmdbStore]):
    """The same over LMDB, whose readers share snapshots and are woken by the host."""

    def __init__(
        self, pointer: Pointer, opened: Callable[[str], LmdbStore], place: Callable[[str], Path], *, read_only: bool
    ) -> None:
        """place: a generation's name -> its directory."""
        self._place = place
        self._listener: Listener | None = None
        super().__init__(pointer, opened, read_only=read_only)

    def snapshot(self) -> Snapshot:
        """See Snapshots. One of the generation before is given up by whoever holds it, as any is, after a moment."""
        return self._at.store.snapshot()

    def listener(self) -> Listener:
        """See Waking. Writers of every generation used since wake the same one."""
        if self._listener is None:
            self._listener = Listener(self._place(self._at.name) / DIRECTORY)
        return self._listener

    def on_switch(self, name: str, store: LmdbStore) -> None:
        """See FollowingStore."""
        if self._listener is not None:
            with suppress(OSError):  # looking now and then finds what no wake-up tells
                self._listener.listen_in(self._place(name) / DIRECTORY)

    def close(self) -> None:
        """See InterestStore."""
        super().close()
        if self._listener is not None:
            self._listener.close()
