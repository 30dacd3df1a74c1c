"""States in Redis or Valkey, alone or a cluster: for what one host can no longer hold.

Users are spread over a fixed number of shards, each with its own states, offsets and change log, and written by one
script. Every put moves its offsets in every shard, so that an idle shard does not hold a partition back; a partition
stands where its hindmost shard stands.

Durable as far as the server's append-only file is: with `everysec` a machine that dies takes up to a second of
acknowledged writes with it. A server that lost acknowledged writes shows it by its offsets: the next put is
fenced, and claiming says from where to read the log again. What `forget` erases stays in the append-only file until
the server rewrites it (`BGREWRITEAOF`).
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from interests.errors import StoreError
from interests.events import LogPartition
from interests.failpoints import failpoint
from interests.state import InterestState, erased
from interests.stores import fence, generations, record
from interests.stores.base import NO_MOMENTS, Changes, Cursor, Moments, Record
from interests.stores.redis_client import RedisClient
from interests.stores.redis_shards import Moved, Shards, Step

CHANGES_MAX = 1_000_000
BLOCK_S_MAX = 1.0  # well below the client's timeout


class RedisStore:
    """Interest states in Redis; the contract is that of InterestStore."""

    embedded = False

    def __init__(
        self,
        url: str,
        *,
        shards: int | None = None,
        read_only: bool = False,
        changes_max: int = CHANGES_MAX,
        generation: str = generations.FIRST,
    ) -> None:
        """Connect. Raises SettingsRejected, or StoreUnavailable.

        shards: of a new store; one that is there already keeps its number, and another one asked for is refused
        changes_max: how many changes are remembered, over all shards
        generation: see generations.py
        """

        def namespace(client: RedisClient) -> str:
            is_current = generation == generations.CURRENT
            return generations.namespace_of(generations.RedisPointer(client).read() if is_current else generation)

        self._client = RedisClient(url, shards, namespace)
        self._shards = Shards(self._client, max(1, changes_max // self._client.shards))
        self._read_only = read_only
        self._claims: dict[LogPartition, fence.Positions] = {}
        self._writing = threading.Lock()
        self._closed = False

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        """See InterestStore."""
        return {user_id: record.state_of(stored) for user_id, stored in self.records(user_ids).items()}

    def records(self, user_ids: Iterable[str]) -> dict[str, Record]:
        """See InterestStore."""
        self._check_open()
        users = list(dict.fromkeys(user_ids))
        found = self._shards.records(users) if users else []
        return {user_id: record.record_of(data) for user_id, data in zip(users, found, strict=True) if data is not None}

    def versions(self, user_ids: Iterable[str]) -> dict[str, int]:
        """See InterestStore."""
        self._check_open()
        users = list(dict.fromkeys(user_ids))
        found = self._shards.versions(users) if users else []
        return {user_id: version for user_id, version in zip(users, found, strict=True) if version}

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """See InterestStore. Says the offset of the hindmost shard."""
        self._check_writable()
        wanted = list(dict.fromkeys(partitions))
        if not wanted:
            return {}
        with self._writing:
            found = self._shards.offsets(wanted)
            self._claims.update(found)
        return {partition: min(positions) for partition, positions in found.items()}

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        """See InterestStore. After any error the partitions must be claimed again: some shards may have written."""
        users = fence.by_user(states)
        self._check_writable()
        with self._writing:
            held = fence.claimed(self._claims, next_offsets)
            for partition in held:
                del self._claims[partition]
            # Never backwards: what a shard has absorbed stays absorbed.
            moved = {p: tuple(max(stood, next_offsets[p]) for stood in positions) for p, positions in held.items()}
            failpoint("in_transaction")
            self._write(users, held, moved, silent, moments)
            self._claims.update(moved)

    def forget(self, user_id: str) -> None:
        """See InterestStore."""
        self._check_writable()
        shard = self._shards.of(user_id)
        while (state := self.get([user_id]).get(user_id)) is not None:
            tombstone = replace(erased(state), version=state.version + 1)
            answers = self._shards.write({shard: Step([], [tombstone], frozenset())})
            if answers[shard][0] == b"written":
                return

    def end_of_changes(self) -> Cursor:
        """See InterestStore."""
        self._check_open()
        return tuple(look.newest for look in self._shards.look((0,) * self._shards.count, 1))

    def changes(self, since: Cursor, limit: int = 10_000, wait_s: float = 0.0) -> Changes:
        """See InterestStore. Ordered for each user; across shards by the server's clock."""
        deadline = time.monotonic() + wait_s
        while True:
            self._check_open()
            looks = self._shards.look(since, limit)
            # Behind what was trimmed, or ahead of a server that lost its latest entries.
            if any(not look.trimmed <= after <= look.newest for after, look in zip(since, looks, strict=True)):
                return Changes([], tuple(look.newest for look in looks), True)
            found = [(at, shard, change) for shard, look in enumerate(looks) for at, change in look.entries]
            found = sorted(found, key=lambda entry: entry[:2])[:limit]
            left_s = deadline - time.monotonic()
            if found or left_s <= 0:
                newest = {shard: at for at, shard, _ in found}
                cursor = tuple(newest.get(shard, after) for shard, after in enumerate(since))
                return Changes([change for _, _, change in found], cursor, False)
            self._shards.wait(since, min(left_s, BLOCK_S_MAX))

    def count(self) -> int:
        """See InterestStore."""
        self._check_open()
        return self._shards.users()

    def close(self) -> None:
        """See InterestStore."""
        with self._writing:
            if not self._closed:
                self._closed = True
                self._client.close()

    def _write(
        self,
        users: Mapping[str, InterestState],
        held: Mapping[LogPartition, fence.Positions],
        moved: Mapping[LogPartition, fence.Positions],
        silent: frozenset[str],
        moments: Mapping[str, Moments],
    ) -> None:
        by_shard: dict[int, list[InterestState]] = {shard: [] for shard in range(self._shards.count) if held}
        for state in users.values():
            by_shard.setdefault(self._shards.of(state.user_id), []).append(state)
        steps = {
            shard: Step([Moved(p, held[p][shard], moved[p][shard]) for p in held], theirs, silent, moments)
            for shard, theirs in by_shard.items()
        }
        stale = 0
        for shard, (kind, *what) in self._shards.write(steps).items():
            if kind == b"offset":
                place, stored = what
                partition, at, _ = steps[shard].moved[place - 1]
                raise fence.moved(partition, int(stored), at)
            stale += what[0] if kind == b"state" else 0
        if stale:
            raise fence.changed(stale)

    def _check_open(self) -> None:
        if self._closed:
            raise fence.closed()

    def _check_writable(self) -> None:
        self._check_open()
        if self._read_only:
            raise StoreError(f"store {self._client.address} was opened read-only by this program")
