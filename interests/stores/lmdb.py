"""States in LMDB: embedded, durable at each put, one writing process and many reading ones on one host.

Each commit is synced to disk. What `forget` erases is out of reach of every read at once, but LMDB never overwrites a
page in place: the old bytes stay in freed pages of the file until later writes take these. `mdb_copy -c` writes a
copy without them.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from interests.errors import Fenced, StoreError
from interests.events import LogPartition
from interests.failpoints import failpoint
from interests.state import InterestState, erased
from interests.stores import fence, lmdb_changes, record
from interests.stores.base import NO_MOMENTS, Change, Changes, Cursor, Moments, Record
from interests.stores.environment import GIB, Environment, share
from interests.stores.lmdb_snapshot import KEY_BYTES_MAX, LmdbSnapshot
from interests.stores.wake import DIRECTORY, Listener, Notifier

CHANGES_MAX = 1_000_000
MAP_BYTES = 256 * GIB  # address space, not disk: the file grows as it is written
SAFETY_POLL_S = 0.05  # a wake-up may be lost; so often we look without one
DEAF_POLL_S = 0.001  # where wake-ups cannot arrive at all
READER_CHECK_S = 60.0


class LmdbStore:
    """Interest states in one LMDB directory; the contract is that of InterestStore."""

    embedded = True

    def __init__(
        self, path: Path, *, read_only: bool = False, map_bytes: int = MAP_BYTES, changes_max: int = CHANGES_MAX
    ) -> None:
        """Open or create it; a reader may come before the writer.

        map_bytes: the most that the file may grow to; the same for every program on it
        changes_max: how many changes are remembered
        """
        self._environment = share(path, map_bytes)
        self._read_only = read_only
        self._changes_max = changes_max
        self._claims: dict[LogPartition, fence.Positions] = {}
        self._writing = threading.Lock()
        self._notifier = Notifier(path / DIRECTORY)
        self._listener: Listener | None = None
        self._closed = False
        self._readers_checked_s = time.monotonic()

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """See InterestStore."""
        return {user_id: record.state_of(stored) for user_id, stored in self.records(user_ids).items()}

    def records(self, user_ids: Iterable[str]) -> dict[str, Record]:
        """See InterestStore."""
        keys = {user_id: user_id.encode() for user_id in user_ids}
        with self._reading() as (env, txn):
            found = {
                user_id: txn.get(key, db=env.states) for user_id, key in keys.items() if 0 < len(key) <= KEY_BYTES_MAX
            }
        return {user_id: record.record_of(data) for user_id, data in found.items() if data is not None}

    def versions(self, user_ids: Iterable[str]) -> dict[str, int]:
        """See InterestStore."""
        with self._reading() as (env, txn):
            snapshot = LmdbSnapshot(env, txn)
            found = {user_id: snapshot.version(user_id) for user_id in user_ids}
        return {user_id: version for user_id, version in found.items() if version}

    def snapshot(self) -> LmdbSnapshot:
        """See Snapshots."""
        if self._closed:
            raise fence.closed()
        env = self._environment
        env.acquire()
        try:
            with env.errors():
                return LmdbSnapshot(env, env.lmdb.begin(env.states, buffers=True))
        except BaseException:
            env.release()
            raise

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """See InterestStore."""
        self._check_writable()
        with self._writing, self._reading() as (env, txn):
            found = {partition: _offset(env, txn, partition) for partition in partitions}
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
        self._check_writable()
        with self._writing:
            with self._transaction() as (env, txn):
                try:
                    offsets = self._checked_offsets(env, txn, next_offsets)
                    _check_versions(env, txn, users)
                except Fenced:
                    for partition in next_offsets:
                        self._claims.pop(partition, None)
                    raise
                for partition, offset in offsets.items():
                    txn.put(_partition_key(partition), offset.to_bytes(8, "big"), db=env.offsets)
                self._write(env, txn, users.values(), silent, moments)
                failpoint("in_transaction")
            self._claims.update({partition: (offset,) for partition, offset in offsets.items()})

    def forget(self, user_id: str) -> None:
        """See InterestStore."""
        self._check_writable()
        with self._writing, self._transaction() as (env, txn):
            data = txn.get(user_id.encode(), db=env.states)
            if data is not None:
                state = erased(record.unpack(data))
                self._write(env, txn, [replace(state, version=state.version + 1)])

    def end_of_changes(self) -> Cursor:
        """See InterestStore."""
        with self._reading() as (env, txn), txn.cursor(db=env.changes) as cursor:
            return (lmdb_changes.newest(cursor),)

    def changes(self, since: Cursor, limit: int = 10_000, wait_s: float = 0.0) -> Changes:
        """See InterestStore. One thread at a time may wait; it is woken by the writer's commits, in any process."""
        deadline = time.monotonic() + wait_s
        if wait_s > 0:
            self.listener()
        while True:
            with self._environment.errors():
                commit = self._last_commit() if wait_s > 0 else 0
            found = self._changes_now(since, limit)
            if found.entries or found.lost or wait_s <= 0:
                return found
            with self._environment.errors():
                while self._last_commit() == commit:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        return found
                    self._wait(left_s)

    def listener(self) -> Listener:
        """See Waking. The same one at each call."""
        if self._listener is None:
            self._listener = Listener(self._environment.path / DIRECTORY)
        return self._listener

    def count(self) -> int:
        """See InterestStore."""
        with self._reading() as (env, txn):
            return int(txn.stat(db=env.states)["entries"])

    def close(self) -> None:
        """See InterestStore."""
        with self._writing:
            if not self._closed:
                self._closed = True
                self._notifier.close()
                self._environment.release()
                if self._listener is not None:
                    self._listener.close()

    @contextmanager
    def _used(self) -> Iterator[Environment]:
        if self._closed:
            raise fence.closed()
        environment = self._environment
        environment.acquire()
        try:
            with environment.errors():
                yield environment
        finally:
            environment.release()

    @contextmanager
    def _reading(self) -> Iterator[tuple[Environment, Any]]:
        with self._used() as env, env.lmdb.begin() as txn:
            yield env, txn

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Environment, Any]]:
        with self._used() as env:
            if time.monotonic() - self._readers_checked_s > READER_CHECK_S:
                # A reader that was killed keeps its slot, and with it every page freed since, until this.
                env.lmdb.reader_check()
                self._readers_checked_s = time.monotonic()
            with env.lmdb.begin(write=True) as txn:
                yield env, txn
            self._notifier.notify()

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreError(f"lmdb:{self._environment.path} was opened read-only by this program")

    def _checked_offsets(
        self, env: Environment, txn: Any, next_offsets: Mapping[LogPartition, int]
    ) -> dict[LogPartition, int]:
        for partition, (held,) in fence.claimed(self._claims, next_offsets).items():
            stored = _offset(env, txn, partition)
            if stored != held:
                raise fence.moved(partition, stored, held)
        # Never backwards: what was absorbed stays absorbed.
        return {partition: max(offset, self._claims[partition][0]) for partition, offset in next_offsets.items()}

    def _write(
        self,
        env: Environment,
        txn: Any,
        states: Iterable[InterestState],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        told = []
        for state in states:
            txn.put(state.user_id.encode(), record.pack(state), db=env.states)
            wakes = state.user_id not in silent
            told.append(Change(state.user_id, state.version, wakes, moments.get(state.user_id)))
        with txn.cursor(db=env.changes) as cursor:
            lmdb_changes.append(cursor, told, self._changes_max)

    def _wait(self, left_s: float) -> None:
        listener = self._listener
        if listener is not None:
            listener.wait(min(left_s, SAFETY_POLL_S if listener.hears else DEAF_POLL_S))

    def _last_commit(self) -> int:
        # As readers see it: what `info()` says runs ahead of them while a commit is being synced. Called at each
        # wake-up, and so without the context managers that the rest is made of.
        if self._closed:
            raise fence.closed()
        self._environment.acquire()
        try:
            with self._environment.lmdb.begin() as txn:
                return int(txn.id())
        finally:
            self._environment.release()

    def _changes_now(self, since: Cursor, limit: int) -> Changes:
        (after,) = since
        with self._reading() as (env, txn), txn.cursor(db=env.changes) as cursor:
            return lmdb_changes.read(cursor, after, limit)


def _check_versions(env: Environment, txn: Any, users: Mapping[str, InterestState]) -> None:
    stale = sum(
        record.version(txn.get(user_id.encode(), db=env.states)) != state.stored_version
        for user_id, state in users.items()
    )
    if stale:
        raise fence.changed(stale)


def _offset(env: Environment, txn: Any, partition: LogPartition) -> int:
    return int.from_bytes(txn.get(_partition_key(partition), db=env.offsets) or b"", "big")


def _partition_key(partition: LogPartition) -> bytes:
    return partition.partition.to_bytes(4, "big") + partition.incarnation.encode()
