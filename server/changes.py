"""Watches the store's change log and wakes those whose interests moved.

    store.changes (a thread that waits) ▶ event loop ▶ one flag a followed stream

The log is the truth and a wake-up carries nothing: whoever wakes reads the newest state. So changes may come twice,
late or several at once, and nothing is lost by it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from interests.errors import StoreError
from interests.stores.base import Changes, Cursor, InterestStore
from server.metrics import Metrics
from server.streams import Moved

WAIT_S = 0.25  # how long one look waits for a change; also how long a stop may take
BACKOFF_S_MAX = 2.0

log = logging.getLogger(__name__)


class ChangeWatch:
    """One thread over one store. `on_moved(user_ids, wakes)` and `on_lost()` are called on the event loop.

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
        self._thread = threading.Thread(target=self._run, name="change-watch", daemon=True)

    def start(self) -> None:
        """Begin behind the newest change; a store that is away now is asked again."""
        try:
            self._cursor = self._store.end_of_changes()
        except StoreError as error:
            log.warning("the change log is away; pushes wait for it", extra={"reason": str(error)})
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; returns once it has ended."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._look()
            except StoreError as error:
                if not failures:
                    log.warning("the change log is away; pushes wait for it", extra={"reason": str(error)})
                failures += 1
                self._stopping.wait(min(0.05 * 2.0 ** min(failures, 10), BACKOFF_S_MAX))
                continue
            if failures:
                # What changed meanwhile is in the log, unless the store came back without its latest writes.
                log.info("the change log is back", extra={"failures": failures})
                failures = 0
                self._call(self._lost)

    def _look(self) -> None:
        if self._cursor is None:
            self._cursor = self._store.end_of_changes()
            self._call(self._lost)
        found = self._store.changes(self._cursor, wait_s=WAIT_S)
        self._cursor = found.cursor
        if found.lost:
            self._call(self._lost)
        if found.entries:
            seen_s = time.time()
            self._call(lambda: self._moved(found, seen_s))

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._stopping.is_set():
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
