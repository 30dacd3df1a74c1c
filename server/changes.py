"""Watches the store's change log and wakes those whose interests moved.

    a wake-up of the host, or a thread that waits in store.changes ▶ event loop ▶ one flag a followed stream

The log is the truth and a wake-up carries nothing: whoever wakes reads the newest state. So changes may come twice,
late or several at once, and nothing is lost by it.

A store that wakes its readers is watched by the event loop itself: handing each change from one thread to another
takes longer than reading it, most of all while the loop is at work.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from interests.errors import StoreError
from interests.stores.base import Changes, Cursor, InterestStore, Waking
from interests.stores.wake import Listener
from server.metrics import Metrics
from server.streams import Moved

WAIT_S = 0.25  # how long one look waits for a change; also how long a stop may take
SAFETY_S = 0.05  # a wake-up may be lost; so often we look without one
ENTRIES_MAX = 1000  # at one look on the event loop, which serves others in between
BACKOFF_S_MAX = 2.0

log = logging.getLogger(__name__)


class ChangeWatch:
    """The watch over one store. `on_moved(user_ids, wakes)` and `on_lost()` are called on the event loop.

    on_moved: users whose state moved; and the move of those whose followers should see it (not impressions)
    on_lost: changes may have been missed, so anybody may have moved
    """

    def __init__(
        self,
        store: InterestStore,
        metrics: Metrics,
        on_moved: Callable[[Iterable[str], Mapping[str, Moved]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._on_moved = on_moved
        self._on_lost = on_lost
        self._stopping = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._cursor: Cursor | None = None
        self._failures = 0
        self._listener: Listener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="change-watch", daemon=True)

    def start(self) -> None:
        """Begin behind the newest change; a store that is away now is asked again."""
        try:
            self._cursor = self._store.end_of_changes()
        except StoreError as error:
            log.warning("the change log is away; pushes wait for it", extra={"reason": str(error)})
        listener = self._store.listener() if isinstance(self._store, Waking) else None
        if listener is None or not listener.hears:
            self._thread.start()
            return
        self._listener = listener
        self._loop.add_reader(listener.fileno(), self._on_wake_up)
        self._on_time()

    async def stop(self) -> None:
        """End it; returns once it has ended."""
        self._stopping.set()
        if self._listener is not None:
            self._loop.remove_reader(self._listener.fileno())
        if self._timer is not None:
            self._timer.cancel()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._try_to_look(wait_s=WAIT_S))

    def _on_wake_up(self) -> None:
        assert self._listener is not None
        self._listener.take()
        if not self._failures:  # else the timer knows when to try again
            self._try_to_look(ENTRIES_MAX)

    def _on_time(self) -> None:
        pause_s = 0.0
        try:
            pause_s = self._try_to_look(ENTRIES_MAX)
        finally:
            self._timer = self._loop.call_later(pause_s or SAFETY_S, self._on_time)

    def _try_to_look(self, limit: int = 10 * ENTRIES_MAX, wait_s: float = 0.0) -> float:
        """Look once; returns how long not to look again, in seconds: 0 unless the change log is away."""
        try:
            self._look(limit, wait_s)
        except StoreError as error:
            if not self._failures:
                log.warning("the change log is away; pushes wait for it", extra={"reason": str(error)})
            self._failures += 1
            return float(min(0.05 * 2.0 ** min(self._failures, 10), BACKOFF_S_MAX))
        if self._failures:
            # What changed meanwhile is in the log, unless the store came back without its latest writes.
            log.info("the change log is back", extra={"failures": self._failures})
            self._failures = 0
            self._call(self._lost)
        return 0.0

    def _look(self, limit: int, wait_s: float) -> None:
        if self._cursor is None:
            self._cursor = self._store.end_of_changes()
            self._call(self._lost)
        found = self._store.changes(self._cursor, limit, wait_s)
        self._cursor = found.cursor
        if found.lost:
            self._call(self._lost)
        if found.entries:
            seen_s = time.time()
            self._call(lambda: self._moved(found, seen_s))
        if len(found.entries) == limit and self._listener is not None:
            self._loop.call_soon(self._on_wake_up)

    def _call(self, callback: Callable[[], None]) -> None:
        if self._listener is not None:
            callback()
        elif not self._stopping.is_set():
            self._loop.call_soon_threadsafe(callback)

    def _moved(self, found: Changes, seen_s: float) -> None:
        self._metrics.change_lag_s.observe(max(time.time() - seen_s, 0.0))
        wakes: dict[str, Moved] = {}
        for user_id, version, wakes_them, moments in found.entries:
            if wakes_them:
                moved, before = Moved(version, seen_s, moments), wakes.get(user_id)
                wakes[user_id] = before.then(moved) if before else moved
        self._on_moved({change.user_id for change in found.entries}, wakes)

    def _lost(self) -> None:
        self._metrics.changes_lost.inc()
        self._on_lost()
