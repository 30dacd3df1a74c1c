"""The shards of a Redis store: where each user lives, what stands there, and one round trip to all of them.

    {plural:NN}:state:USER   record (see record.py)
    {plural:NN}:offsets      hash, partition -> next offset
    {plural:NN}:changes      stream of who changed
    {plural:NN}:log          hash: newest and last trimmed id of the stream, number of users

`plural` is followed by `.NAME` in a generation that has one (see generations.py). One hash tag a shard, so that its
keys live in one place and one script may write them together. Stream ids are taken as one integer each,
`milliseconds * 2^64 + number`.
"""

import hashlib
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError

from interests.events import LogPartition
from interests.state import InterestState
from interests.stores import record
from interests.stores.base import NO_MOMENTS, Change, Cursor, Moments
from interests.stores.fence import Positions
from interests.stores.record import pack_moments, unpack_moments
from interests.stores.redis_client import RedisClient
from interests.stores.redis_script import PUT

CLUSTER_POLL_S = 0.005  # a cluster's blocking read takes streams of one slot only
_PUT_SHA = hashlib.sha1(PUT.encode(), usedforsecurity=False).hexdigest()
_NUMBER_BITS = 64


class Moved(NamedTuple):
    """One partition's step in one shard."""

    partition: LogPartition
    held: int
    next: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one shard shall write, all or nothing."""

    moved: Sequence[Moved]
    states: Sequence[InterestState]
    silent: frozenset[str]
    moments: Mapping[str, Moments] = field(default_factory=lambda: NO_MOMENTS)


class Look(NamedTuple):
    """What one shard's change log holds after a cursor, oldest first, each with its id; and where the log stands."""

    entries: list[tuple[int, Change]]
    newest: int
    trimmed: int


class Shards:
    """All shards of one store."""

    def __init__(self, client: RedisClient, changes_max: int) -> None:
        """changes_max: how many changes each shard remembers."""
        self._client = client
        self._changes_max = changes_max
        self.count = client.shards

    def of(self, user_id: str) -> int:
        """The shard that a user lives in, for ever."""
        return zlib.crc32(user_id.encode()) % self.count

    def records(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """The records of these users, None for one never seen."""
        keys = [self._state_key(user_id) for user_id in user_ids]
        with self._client.errors():
            if not self._client.is_cluster:
                return list(self._client.reads.mget(keys))
            pipeline = self._client.reads.pipeline()
            for key in keys:
                pipeline.get(key)
            return list(pipeline.execute())

    def versions(self, user_ids: Sequence[str]) -> list[int]:
        """The versions of these users, 0 for one never seen; their states stay where they are."""
        end = record.VERSION_BYTES - 1
        found = self._ask("getrange", [(self._state_key(user_id), 0, end) for user_id in user_ids])
        return [record.version(data) for data in found]

    def offsets(self, partitions: Sequence[LogPartition]) -> dict[LogPartition, Positions]:
        """Where each partition stands in each shard."""
        fields = [_field(partition) for partition in partitions]
        rows = self._ask("hmget", [(self._key(shard, "offsets"), fields) for shard in range(self.count)])
        columns = zip(*rows, strict=True)
        return {
            partition: tuple(int(offset or 0) for offset in column)
            for partition, column in zip(partitions, columns, strict=True)
        }

    def users(self) -> int:
        """How many users have a state."""
        found = self._ask("hget", [(self._key(shard, "log"), "users") for shard in range(self.count)])
        return sum(int(users or 0) for users in found)

    def write(self, steps: Mapping[int, Step]) -> dict[int, list[Any]]:
        """Each shard's answer (see redis_script.py). Raises StoreUnavailable where one of them is unknown."""
        calls = {shard: self._call(shard, step) for shard, step in steps.items()}
        with self._client.errors():
            answers = self._evaluate("evalsha", _PUT_SHA, calls)
            unknown = {shard: calls[shard] for shard, answer in answers.items() if isinstance(answer, NoScriptError)}
            # A server that was restarted has forgotten the script, and has run nothing of it.
            answers |= self._evaluate("eval", PUT, unknown)
            for answer in answers.values():
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def look(self, since: Cursor, limit: int) -> list[Look]:
        """The change logs of all shards after `since`, at most `limit` entries each."""
        calls: list[tuple[str, tuple[Any, ...]]] = []
        for shard, after in enumerate(since):
            # The marks are read after the entries: what is trimmed in between is noticed.
            calls.append(("xrange", (self._key(shard, "changes"), _id_text(after + 1), "+", limit)))
            calls.append(("hmget", (self._key(shard, "log"), ["last", "trimmed"])))
        found = self._ask_each(calls)
        return [
            Look([(_id_number(at), _change(fields)) for at, fields in entries], _id_number(last), _id_number(trimmed))
            for entries, (last, trimmed) in zip(found[::2], found[1::2], strict=True)
        ]

    def wait(self, since: Cursor, wait_s: float) -> None:
        """Return when something was appended after `since`, or after about `wait_s`."""
        if self._client.is_cluster:
            time.sleep(min(wait_s, CLUSTER_POLL_S))
            return
        streams = {self._key(shard, "changes"): _id_text(after) for shard, after in enumerate(since)}
        with self._client.errors():
            self._client.reads.xread(streams, count=1, block=max(1, int(wait_s * 1000)))

    def _ask(self, command: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self._ask_each([(command, arguments) for arguments in calls])

    def _ask_each(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        with self._client.errors():
            pipeline = self._client.reads.pipeline(transaction=False)
            for command, arguments in calls:
                getattr(pipeline, command)(*arguments)
            return list(pipeline.execute())

    def _evaluate(self, command: str, script: str, calls: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        if not calls:
            return {}
        if not self._client.is_cluster:
            pipeline = self._client.writes.pipeline(transaction=False)
            for arguments in calls.values():
                getattr(pipeline, command)(script, *arguments)
            return dict(zip(calls, pipeline.execute(raise_on_error=False), strict=True))
        answers: dict[int, Any] = {}
        for shard, arguments in calls.items():  # the client refuses scripts in a cluster's pipeline
            try:
                answers[shard] = getattr(self._client.writes, command)(script, *arguments)
            except NoScriptError as error:
                answers[shard] = error
        return answers

    def _call(self, shard: int, step: Step) -> tuple[Any, ...]:
        keys = [self._key(shard, name) for name in ("offsets", "changes", "log")]
        keys += [self._state_key(state.user_id) for state in step.states]
        arguments: list[Any] = [self._changes_max, len(step.moved)]
        for moved in step.moved:
            arguments += [_field(moved.partition), moved.held, moved.next]
        for state in step.states:
            wakes = int(state.user_id not in step.silent)
            arguments += [record.version_bytes(state.stored_version), record.pack(state), wakes, state.user_id]
            arguments.append(pack_moments(step.moments.get(state.user_id)))
        return (len(keys), *keys, *arguments)

    def _key(self, shard: int, name: str) -> str:
        return f"{{{self._client.namespace}:{shard:02d}}}:{name}"

    def _state_key(self, user_id: str) -> str:
        return self._key(self.of(user_id), f"state:{user_id}")


def _field(partition: LogPartition) -> str:
    return f"{partition.partition}:{partition.incarnation}"


def _change(fields: Mapping[bytes, bytes]) -> Change:
    return Change(
        fields[b"user"].decode(),
        record.version(fields[b"version"]),
        fields[b"wakes"] == b"1",
        unpack_moments(fields.get(b"moments")),
    )


def _id_number(text: bytes | None) -> int:
    milliseconds, _, number = (text or b"0-0").partition(b"-")
    return (int(milliseconds) << _NUMBER_BITS) + int(number)


def _id_text(number: int) -> str:
    return f"{number >> _NUMBER_BITS}-{number & ((1 << _NUMBER_BITS) - 1)}"
