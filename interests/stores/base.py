"""The contract every store keeps; `tests/contract` runs one text over all of them."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from interests.events import LogPartition
from interests.state import InterestState
from interests.stores.wake import Listener

Cursor = tuple[int, ...]
"""A place in a store's change log: one number a shard. Only the store that made it reads it."""


class Moments(NamedTuple):
    """When a change passed each stage on its way into the store, in seconds since 1970.

    produced_s: by the log's own time for the newest entry; polled_s: read from the log; written_s: the put began
    """

    produced_s: float
    polled_s: float
    written_s: float


class Change(NamedTuple):
    """One entry of the change log: this user's state is now at this version.

    wakes: False where only exposure moved, which is no reason to push a slate.
    moments: None where the writer told none
    """

    user_id: str
    version: int
    wakes: bool
    moments: Moments | None = None


NO_MOMENTS: Mapping[str, Moments] = {}


class Changes(NamedTuple):
    """What a look into the change log found.

    cursor: where to look next
    lost: True where entries after the cursor asked for were already trimmed: any user may have changed
    """

    entries: list[Change]
    cursor: Cursor
    lost: bool


class Record(NamedTuple):
    """A state as it is stored: its version, and `to_bytes` of interests/state.py."""

    version: int
    data: bytes


class StateWriter(Protocol):
    """What one step of a writer needs of a store; see InterestStore."""

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """See InterestStore."""

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """See InterestStore."""


@runtime_checkable
class InterestStore(Protocol):
    """Interest states, the offsets they stand at, and the log of who changed.

    Each user has one writer at a time: the owner of the log partition they are in. A writer claims its partitions
    first; the store handle remembers where they stood, and `put` is refused once another handle has moved them, so a
    writer that was stopped and woke up again cannot move a state back. States are checked the same way, each against
    the version it was read at, so that a backfill beside a live log is safe too.

    Every method may raise StoreUnavailable; nothing is lost by it. All methods may be called from several threads.
    """

    embedded: bool
    """True where a read takes microseconds and may be made on an event loop."""

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """Newest states in one round trip; users never seen are absent. Erased users are there, erased."""

    def records(self, user_ids: Iterable[str]) -> dict[str, Record]:
        """The same as they are stored, for who reads them without an object an entry."""

    def versions(self, user_ids: Iterable[str]) -> dict[str, int]:
        """The version of each user's newest state, without reading the state; users never seen are absent."""

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """Note where these partitions stand now, and say the next offset to read of each: 0 for one never seen."""

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """Write all or none, durably, before returning, and append the users to the change log.

        next_offsets: for each partition the offset to read next; the partition must be claimed by this handle
        silent: users whose followers need not wake (only exposure moved)
        moments: by user, for the change log
        Raises Fenced, having written nothing, where a partition or a state has been moved by another handle since
        this one claimed or read it. A store of several shards may have written some of them when it raises: claim
        again, re-read, replay; watermarks make the rest harmless.
        """

    def forget(self, user_id: str) -> None:
        """Erase one user durably and tell the change log; watermarks stay, so a replay brings nothing back."""

    def end_of_changes(self) -> Cursor:
        """The cursor behind the newest change."""

    def changes(self, since: Cursor, limit: int = 10_000, wait_s: float = 0.0) -> Changes:
        """Changes after `since`, oldest first, at most `limit`; waits up to `wait_s` for the first one."""

    def count(self) -> int:
        """How many users have a state, tombstones among them."""

    def close(self) -> None:
        """Let go of files and connections; further calls raise."""


class Snapshot(Protocol):
    """The store as it was at one moment, for many small reads: what opening a read costs is paid once. It keeps old
    data from being overwritten, so it must not be held for long."""

    def is_newest(self) -> bool:
        """True where nothing has been written since. Costs less than opening another."""

    def version(self, user_id: str) -> int:
        """The version of the user's state, 0 for one never seen."""

    def stored(self, user_id: str) -> bytes | None:
        """The stored form of the user's state (`to_bytes` of interests/state.py), None for one never seen."""

    def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class Snapshots(Protocol):
    """An embedded store whose reads can share one snapshot."""

    def snapshot(self) -> Snapshot:
        """As of now. Raises StoreUnavailable. Close it soon."""


@runtime_checkable
class Waking(Protocol):
    """A store of this host, whose changes can be waited for beside other things, without a thread."""

    def listener(self) -> Listener:
        """Is woken by each change, wherever it was written; then `changes` finds it. A wake-up may be lost: look now
        and then in any case. Who waits here must not wait in `changes`.
        """
