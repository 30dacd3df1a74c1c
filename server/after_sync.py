"""Lets a log's sync run beside the work that leads to a store's write, and holds the write back until it has ended.

    log.write ▶ log.sync, on a thread of its own ─┐
             ▶ get, absorb, encode ───────────────┴▶ put

The log is what is read again after a crash, so nothing may be in the store that is not safely in the log.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from interests.events import LogPartition
from interests.state import InterestState
from interests.stores.base import NO_MOMENTS, Moments, StateWriter


class AfterSync:
    """A StateWriter whose puts wait for the sync begun last, and raise what it raised. For one thread."""

    def __init__(self, store: StateWriter) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "log-sync")
        self._syncing: Future[None] | None = None

    def begin(self, sync: Callable[[], None]) -> None:
        """Start `sync`; the one before must have ended."""
        self._syncing = self._thread.submit(sync)

    def wait(self) -> None:
        """Until the sync has ended. Raises what it raised."""
        if self._syncing is not None:
            self._syncing.result()

    def failed(self) -> BaseException | None:
        """What the sync raised, None where all is well; waits for its end, and forgets it."""
        syncing, self._syncing = self._syncing, None
        return None if syncing is None else syncing.exception()

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """See InterestStore."""
        return self._store.get(user_ids)

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """See InterestStore."""
        self.wait()
        self._store.put(states, next_offsets, silent, moments)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown()
