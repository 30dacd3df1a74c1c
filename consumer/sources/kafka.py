"""A Kafka topic, read as a member of a consumer group.

The group decides who reads which partition; the store decides from where (see Source).
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailedError,
)
from kafka.net.compat import KafkaNetClient
from kafka.structs import MemberState, OffsetAndMetadata

from consumer.broker import Broker
from consumer.sources.base import Batch, Bounds, Record
from consumer.sources.kafka_moves import Moves
from consumer.sources.kafka_topic import TopicIdentity
from interests.errors import BrokerUnavailable
from interests.events import LogPartition

BOUNDS_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 5.0
FETCH_BYTES_MAX = 4 * 1024 * 1024
PARTITION_FETCH_BYTES_MAX = 1024 * 1024
MEMBER_S_MAX = 120.0
COMMIT_S = 0.25  # an answer from the broker a batch would cost as much as reading the batch did
REBALANCE_S_MAX = 60.0

log = logging.getLogger(__name__)


class KafkaSource:
    """The contract is that of Source. Connects at the first poll, and again after that failed."""

    def __init__(self, broker: Broker, topic: str, group: str, session_timeout_s: float = 10.0) -> None:
        """Needs no broker yet. A member that dies holds its partitions for `session_timeout_s`."""
        self._broker, self._topic, self._group = broker, topic, group
        self._session_timeout_s = session_timeout_s
        self._consumer: Any = None
        self._identity = TopicIdentity(topic)
        self._moves = Moves()
        self._assigned: frozenset[int] = frozenset()
        self._moving: set[int] = set()
        self._cut_off: dict[int, int] = {}
        self._committed: dict[LogPartition, int] = {}
        self._uncommitted: dict[LogPartition, int] = {}
        self._commit_s = float("-inf")
        self._member_s = 0.0

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        """See Source."""
        consumer = self._consumer or self._connect()
        self._commit_what_is_due(consumer)
        out_of_range: frozenset[int] = frozenset()
        found: dict[TopicPartition, list[Any]] = {}
        try:
            try:
                found = consumer.poll(timeout_ms=max(int(timeout_s * 1000), 1), max_records=records_max)
            except (OffsetOutOfRangeError, LogTruncationError) as error:
                out_of_range = self._out_of_range(error)
            self._see_membership(consumer)
            if found or out_of_range:
                self._identity.refresh(always=bool(out_of_range))
        except KafkaError as error:
            raise BrokerUnavailable(self._says(error)) from None
        before = self._identity.follow()
        if before is not None:
            return self._begin_again(before)
        if self._identity.incarnation is None:
            return Batch()
        assigned, revoked = self._moves.take()
        self._assigned = (self._assigned - revoked) | assigned
        self._moving -= revoked | assigned | out_of_range
        records = [self._record(raw) for tp, raws in found.items() if tp.partition in self._moving for raw in raws]
        return Batch(records, self._named(assigned | (out_of_range & self._assigned)), self._named(revoked))

    def assignment(self) -> frozenset[LogPartition]:
        """See Source."""
        return self._named(self._assigned)

    def seek(self, partition: LogPartition, offset: int) -> None:
        """See Source."""
        if self._consumer is None or partition not in self.assignment():
            return
        tp = TopicPartition(self._topic, partition.partition)
        # ValueError: a rebalance took it a moment ago, and the next poll will say so.
        with contextlib.suppress(ValueError, KeyError):
            self._consumer.seek(tp, offset)
            self._consumer.resume(tp)
            self._moving.add(partition.partition)

    def pause(self) -> None:
        """See Source."""
        self._moving.clear()
        if self._consumer is not None:
            for tp in self._consumer.assignment():
                with contextlib.suppress(KeyError):
                    self._consumer.pause(tp)

    def positions(self) -> dict[LogPartition, int]:
        """See Source."""
        found: dict[LogPartition, int] = {}
        for name in self._named(self._moving):
            try:
                position = self._consumer.position(TopicPartition(self._topic, name.partition), timeout_ms=0)
            except KafkaError:
                continue
            if position is not None:
                found[name] = position
        return found

    def waiting(self) -> int:
        """See Source. The broker tells the end of a partition with each answer to a fetch."""
        found = 0
        for name, position in self.positions().items():
            with contextlib.suppress(KafkaError):
                end = self._consumer.highwater(TopicPartition(self._topic, name.partition))
                found += max(end - position, 0) if end is not None else 0
        return found

    def bounds(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, Bounds]:
        """See Source. Blocks for BOUNDS_TIMEOUT_S at most."""
        wanted = {
            p: TopicPartition(self._topic, p.partition)
            for p in partitions
            if p.incarnation == self._identity.incarnation
        }
        if not wanted or self._consumer is None:
            return {}
        try:
            begins = self._consumer.beginning_offsets(list(wanted.values()), timeout_ms=BOUNDS_TIMEOUT_S * 1000)
            ends = self._consumer.end_offsets(list(wanted.values()), timeout_ms=BOUNDS_TIMEOUT_S * 1000)
        except KafkaError as error:
            raise BrokerUnavailable(self._says(error)) from None
        return {
            p: Bounds(begins[tp], min(ends[tp], self._cut_off.get(p.partition, ends[tp])))
            for p, tp in wanted.items()
            if tp in begins and tp in ends
        }

    def commit(self, next_offsets: Mapping[LogPartition, int]) -> None:
        """See Source. The broker is told at one of the next polls, at most once in COMMIT_S."""
        self._committed.update(next_offsets)
        self._uncommitted.update(next_offsets)

    def close(self) -> None:
        """See Source."""
        offsets = self._offsets(self._committed)
        if self._consumer is not None and offsets:
            with contextlib.suppress(KafkaError):
                self._consumer.commit(offsets, timeout_ms=CLOSE_TIMEOUT_S * 1000)
        self._disconnect()

    def _commit_what_is_due(self, consumer: KafkaConsumer) -> None:
        """Tell the broker how far this reader is, without waiting for its answer."""
        now_s = time.monotonic()
        if not self._uncommitted or now_s - self._commit_s < COMMIT_S:
            return
        offsets, self._uncommitted, self._commit_s = self._offsets(self._uncommitted), {}, now_s
        if offsets:
            with contextlib.suppress(KafkaError):  # a group that has moved on refuses it, and the store has the truth
                consumer.commit_async(offsets, callback=_commit_done)

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._uncommitted = {}
        if consumer is not None:
            with contextlib.suppress(KafkaError):
                consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_S * 1000)
        self._moves.take()
        self._assigned, self._moving = frozenset(), set()

    def _connect(self) -> KafkaConsumer:
        clients: list[KafkaNetClient] = []

        def client(**options: Any) -> KafkaNetClient:
            clients.append(KafkaNetClient(**options))
            return clients[-1]

        try:
            consumer = KafkaConsumer(**self._options(), kafka_client=client)
        except (KafkaError, OSError) as error:
            for opened in clients:
                opened.close()
            raise BrokerUnavailable(self._says(error)) from None
        self._identity.attach(clients[0].cluster)
        self._moves.attach(consumer)
        consumer.subscribe(topics=[self._topic], listener=self._moves)
        self._consumer, self._member_s = consumer, time.monotonic()
        log.info("connected", extra={"topic": self._topic, "group": self._group})
        return consumer

    def _options(self) -> dict[str, Any]:
        return self._broker.options() | {
            "group_id": self._group,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "fetch_min_bytes": 1,
            "fetch_max_bytes": FETCH_BYTES_MAX,
            "max_partition_fetch_bytes": PARTITION_FETCH_BYTES_MAX,
            "session_timeout_ms": int(self._session_timeout_s * 1000),
            # Rebalances are heard of by heartbeats, so this is also how late a member joins or hands over.
            # Polls are never further apart than a batch and a wait; a member that is slower holds up all others.
            "max_poll_interval_ms": int(REBALANCE_S_MAX * 1000),
            "heartbeat_interval_ms": int(min(self._session_timeout_s / 4, 1.0) * 1000),
            # Ids are compared after each poll: refreshing them in the background keeps that free of waiting.
            "metadata_max_age_ms": 1000,
        }

    def _see_membership(self, consumer: KafkaConsumer) -> None:
        """Get a join going again that the client library has forgotten.

        Where a change of the topic makes it join anew, and this poll ends before the join does, kafka-python 3.0.12
        takes the join for done, without partitions and without heartbeats. Asked for it again, it ends it.
        """
        now_s = time.monotonic()
        if consumer.group_metadata().state == MemberState.STABLE:
            self._member_s = now_s
            return
        consumer._coordinator.request_rejoin()
        if now_s - self._member_s > MEMBER_S_MAX:
            self._disconnect()
            raise BrokerUnavailable(f"not let into group {self._group} for {MEMBER_S_MAX:g} s: connecting again")

    def _begin_again(self, before: str) -> Batch:
        """All partitions anew, under the topic's new id; what was polled may be of either topic and is dropped."""
        old = frozenset(LogPartition(before, number) for number in self._assigned)
        self.pause()
        self._cut_off.clear()
        assigned, revoked = self._moves.take()
        self._assigned = (self._assigned - revoked) | assigned
        return Batch((), self.assignment(), old)

    def _out_of_range(self, error: KafkaError) -> frozenset[int]:
        """The partitions that cannot be read where they stand. Empties none silently: the loop looks at the bounds."""
        if isinstance(error, LogTruncationError):
            places = error.divergent_offsets
            self._cut_off |= {tp.partition: 0 if at is None else at.offset for tp, at in places.items()}
        else:
            places = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
        numbers = {tp.partition for tp in places if tp.topic == self._topic} or set(self._moving)
        for number in numbers:
            with contextlib.suppress(KeyError):
                self._consumer.pause(TopicPartition(self._topic, number))
        return frozenset(numbers)

    def _record(self, raw: Any) -> Record:
        headers = tuple((name, data or b"") for name, data in raw.headers)
        where = LogPartition(self._identity.incarnation or "", raw.partition)
        timestamp_ms = -1 if raw.timestamp is None else raw.timestamp
        return Record(where, raw.offset, timestamp_ms, raw.key, raw.value, headers)

    def _named(self, numbers: Iterable[int]) -> frozenset[LogPartition]:
        if self._identity.incarnation is None:
            return frozenset()
        return frozenset(LogPartition(self._identity.incarnation, number) for number in numbers)

    def _offsets(self, next_offsets: Mapping[LogPartition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {
            TopicPartition(self._topic, p.partition): OffsetAndMetadata(offset, "", -1)
            for p, offset in next_offsets.items()
            if p.incarnation == self._identity.incarnation and p.partition in self._assigned
        }

    def _says(self, error: Exception) -> str:
        kind = type(error).__name__
        if isinstance(error, SaslAuthenticationFailedError):
            return (
                f"the broker refuses these credentials ({kind}): check --sasl-mechanism, --sasl-username and password"
            )
        if isinstance(error, AuthorizationError):
            return f"not allowed to read topic {self._topic} as group {self._group} ({kind}): grant READ on both"
        return (
            f"Kafka at {','.join(self._broker.addresses)} does not answer ({kind}); is it up, and is --brokers right?"
        )


def _commit_done(offsets: object, answer: object) -> None:
    if isinstance(answer, Exception):
        log.debug("commit refused, which does no harm", extra={"answer": type(answer).__name__})
