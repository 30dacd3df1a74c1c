"""The states that a writer wrote last, kept as they are, so that the next event of a user costs no read.

Safe with any other writer beside it: a state is fenced by the version it was read at, so a put that begins from one
that somebody else has moved is refused, and everything kept here is dropped.
"""

from collections.abc import Iterable, Mapping

from interests.events import LogPartition
from interests.state import InterestState, as_stored
from interests.stores.base import NO_MOMENTS, InterestStore, Moments

ENTRIES_MAX = 4_000_000  # 800 MB at most: the last 20 events each of 60,000 users


class WrittenStates:
    """Reads through, writes through. For one thread."""

    def __init__(self, store: InterestStore, entries_max: int = ENTRIES_MAX) -> None:
        """entries_max: what is kept, in entries of all states' tables; about 200 bytes each. 0 keeps nothing."""
        self._store, self._entries_max = store, entries_max
        self._states: dict[str, InterestState] = {}  # in the order of their last use
        self._entries = 0

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """Newest states as far as this writer knows; see InterestStore."""
        known, unknown = {}, []
        for user_id in user_ids:
            state = self._states.get(user_id)
            if state is None:
                unknown.append(user_id)
            else:
                known[user_id] = state
        return known | self._store.get(unknown) if unknown else known

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """See InterestStore."""
        written = list(states)
        try:
            self._store.put(written, next_offsets, silent, moments)
        except BaseException:
            self.clear()  # some of them may be written, and some be another writer's
            raise
        for state in written:
            self._keep(as_stored(state))

    def clear(self) -> None:
        """Keep nothing: partitions came or went, or the store was moved."""
        self._states.clear()
        self._entries = 0

    def _keep(self, state: InterestState) -> None:
        before = self._states.pop(state.user_id, None)
        if before is not None:
            self._entries -= _size(before)
        self._states[state.user_id] = state
        self._entries += _size(state)
        while self._entries > self._entries_max:
            oldest = next(iter(self._states))
            self._entries -= _size(self._states.pop(oldest))


def _size(state: InterestState) -> int:
    return 1 + len(state.memories) + len(state.recent) + len(state.exposure) + len(state.event_id_hashes)
