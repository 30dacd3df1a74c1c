"""States in this process's memory: for tests, simulations and replays. The same contract as the durable stores."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from interests.events import LogPartition
from interests.failpoints import failpoint
from interests.state import InterestState, erased, to_bytes
from interests.stores import fence
from interests.stores.base import NO_MOMENTS, Change, Changes, Cursor, Moments, Record

CHANGES_MAX = 1_000_000


@dataclass
class _Shared:
    """What all handles of one store see. `news` guards everything and is notified of changes."""

    changes_max: int
    states: dict[str, InterestState] = field(default_factory=dict)
    offsets: dict[LogPartition, int] = field(default_factory=dict)
    log: deque[Change] = field(default_factory=deque)
    newest: int = 0
    news: threading.Condition = field(default_factory=threading.Condition)

    def append(self, change: Change) -> None:
        self.newest += 1
        self.log.append(change)
        if len(self.log) > self.changes_max:
            self.log.popleft()


class MemoryStore:
    """Interest states in memory, lost with the process; the contract is that of InterestStore."""

    embedded = True

    def __init__(self, changes_max: int = CHANGES_MAX, *, shared: _Shared | None = None) -> None:
        """An empty store that remembers the last `changes_max` changes."""
        self._shared = shared or _Shared(changes_max)
        self._claims: dict[LogPartition, fence.Positions] = {}
        self._closed = False

    def handle(self) -> "MemoryStore":
        """Another handle on the same states, with claims of its own, as another process would have."""
        return MemoryStore(shared=self._shared)

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """See InterestStore."""
        with self._open() as shared:
            return {user_id: shared.states[user_id] for user_id in user_ids if user_id in shared.states}

    def records(self, user_ids: Iterable[str]) -> dict[str, Record]:
        """See InterestStore."""
        return {user_id: Record(state.version, to_bytes(state)) for user_id, state in self.get(user_ids).items()}

    def versions(self, user_ids: Iterable[str]) -> dict[str, int]:
        """See InterestStore."""
        with self._open() as shared:
            return {user_id: shared.states[user_id].version for user_id in user_ids if user_id in shared.states}

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """See InterestStore."""
        with self._open() as shared:
            found = {partition: shared.offsets.get(partition, 0) for partition in partitions}
            self._claims.update({partition: (offset,) for partition, offset in found.items()})
            return found

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """See InterestStore."""
        users = fence.by_user(states)
        with self._open() as shared:
            self._check(shared, users, next_offsets)
            failpoint("in_transaction")
            for user_id, state in users.items():
                shared.states[user_id] = replace(state, stored_version=state.version)
                shared.append(Change(user_id, state.version, user_id not in silent, moments.get(user_id)))
            for partition, offset in next_offsets.items():
                shared.offsets[partition] = max(offset, shared.offsets.get(partition, 0))
                self._claims[partition] = (shared.offsets[partition],)
            if users:
                shared.news.notify_all()

    def forget(self, user_id: str) -> None:
        """See InterestStore."""
        with self._open() as shared:
            state = shared.states.get(user_id)
            if state is None:
                return
            version = state.version + 1
            shared.states[user_id] = replace(erased(state), version=version, stored_version=version)
            shared.append(Change(user_id, version, True))
            shared.news.notify_all()

    def end_of_changes(self) -> Cursor:
        """See InterestStore."""
        with self._open() as shared:
            return (shared.newest,)

    def changes(self, since: Cursor, limit: int = 10_000, wait_s: float = 0.0) -> Changes:
        """See InterestStore."""
        (after,) = since
        deadline = time.monotonic() + wait_s
        with self._open() as shared:
            while shared.newest == after and (left_s := deadline - time.monotonic()) > 0:
                shared.news.wait(left_s)
                if self._closed:
                    raise fence.closed()
            oldest = shared.newest - len(shared.log) + 1
            if not oldest - 1 <= after <= shared.newest:
                return Changes([], (shared.newest,), True)
            start = after - oldest + 1
            entries = [shared.log[place] for place in range(start, min(start + limit, len(shared.log)))]
            return Changes(entries, (after + len(entries),), False)

    def count(self) -> int:
        """See InterestStore."""
        with self._open() as shared:
            return len(shared.states)

    def close(self) -> None:
        """See InterestStore."""
        with self._shared.news:
            self._closed = True
            self._shared.news.notify_all()

    @contextmanager
    def _open(self) -> Iterator[_Shared]:
        with self._shared.news:
            if self._closed:
                raise fence.closed()
            yield self._shared

    def _check(
        self, shared: _Shared, users: Mapping[str, InterestState], next_offsets: Mapping[LogPartition, int]
    ) -> None:
        for partition, (held,) in fence.claimed(self._claims, next_offsets).items():
            stored = shared.offsets.get(partition, 0)
            if stored != held:
                self._drop(next_offsets)
                raise fence.moved(partition, stored, held)
        stale = 0
        for user_id, state in users.items():
            known = shared.states.get(user_id)
            stale += state.stored_version != (known.version if known else 0)
        if stale:
            self._drop(next_offsets)
            raise fence.changed(stale)

    def _drop(self, partitions: Iterable[LogPartition]) -> None:
        for partition in partitions:
            self._claims.pop(partition, None)
