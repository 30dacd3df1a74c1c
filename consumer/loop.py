"""Reads a log and moves states, until told to stop.

    poll ▶ decode ▶ absorb, encode, put ▶ archive ▶ commit

The store is written in one step with the offsets, and reading goes on from the store's offsets after whatever went
wrong: so a failure of any kind needs one answer alone, which is to drop the batch, wait, claim and seek. Nothing is
lost by it, and watermarks keep anything from counting twice.

Where an archive is behind the store, reading begins there, and what the store has is passed to the archive alone.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.archive import Archive
from consumer.backoff import Backoff
from consumer.dead_letters import DeadLetters
from consumer.metrics import Metrics
from consumer.pace import Pace
from consumer.sift import Sift
from consumer.sources.base import Batch, Bounds, Source
from consumer.watchdog import SourceStuck, Watchdog
from interests.absorb import DEFAULT_RULE, AbsorbRule
from interests.apply import apply
from interests.encoder import Encoder
from interests.errors import BrokerUnavailable, Fenced, StoreUnavailable
from interests.events import LogEntry, LogPartition
from interests.failpoints import failpoint
from interests.stores.base import InterestStore
from interests.stores.written import ENTRIES_MAX, WrittenStates

log = logging.getLogger(__name__)


@dataclass
class Consumer:
    """One reader of a log, with all that it needs handed over. `run` it in one thread.

    cached_entries: how much of the states written last is kept in memory (see WrittenStates)
    held: partitions whose log no longer holds what the store says was read; they wait for an operator
    """

    source: Source
    store: InterestStore
    dead_letters: DeadLetters
    encoder: Encoder | None = None
    rule: AbsorbRule = DEFAULT_RULE
    pace: Pace = field(default_factory=Pace)
    metrics: Metrics = field(default_factory=Metrics)
    watchdog: Watchdog = field(default_factory=Watchdog)
    backoff: Backoff = field(default_factory=Backoff)
    clock_s: Callable[[], float] = time.monotonic
    sleep_s: Callable[[float], object] = time.sleep
    held: set[LogPartition] = field(default_factory=set)
    archive: Archive | None = None
    cached_entries: int = ENTRIES_MAX

    def __post_init__(self) -> None:
        self._unclaimed: frozenset[LogPartition] = frozenset()
        self._sift = Sift(self.dead_letters, self.metrics)
        self._absorbed_up_to: dict[LogPartition, int] = {}
        self._retry_at_s = self._look_at_s = float("-inf")
        self._waiting = 0
        self._written = WrittenStates(self.store, self.cached_entries)

    def run(self, running: Callable[[], bool]) -> None:
        """Read while `running()`; what was begun is finished. Raises SourceStuck where only a restart helps."""
        while running():
            try:
                if self.archive is not None:
                    self.archive.roll(self.clock_s())  # first, because a full one lets nothing else pass
                self.step()
                self.look()
            except Fenced:
                log.warning("another writer moved on from here: reading again from where the store stands")
                self.metrics.fenced.inc()
                self._start_over()
            except StoreUnavailable as error:
                log.warning("the store is away; nothing is lost, trying again", extra={"error": str(error)})
                self.metrics.retries.labels("store").inc()
                self._start_over()
            except BrokerUnavailable as error:
                log.warning("the broker is away; nothing is lost, trying again", extra={"error": str(error)})
                self.metrics.retries.labels("broker").inc()
                self._start_over()
                # A poll that fails at once would otherwise be tried as fast as it fails.
                self.sleep_s(min(max(self._retry_at_s - self.clock_s(), 0.0), self.pace.poll_s))

    def step(self) -> Batch:
        """Poll once and absorb what comes. Raises what stores and sources raise; the same entries then come again."""
        with self.metrics.stage("poll"):
            batch = self.source.poll(self.pace.records(self._waiting), self._patience_s())
            polled_s = time.time()
        self._follow(batch)
        if self._unclaimed and self.clock_s() >= self._retry_at_s:
            self._claim()
        if batch.records:
            # A small batch says that little waits; asking costs more than one event of it.
            self._waiting = self.source.waiting() if 2 * len(batch.records) >= self.pace.batch_records else 0
            self._absorb(batch, polled_s)
        if not self._unclaimed:
            self.backoff.reset()
        return batch

    def look(self) -> None:
        """Now and then, see how far the log has grown. Raises SourceStuck."""
        now_s = self.clock_s()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + self.pace.look_s
        positions = self.source.positions()
        self._compare_store(positions)
        try:
            bounds = self.source.bounds(self.source.assignment())
        except BrokerUnavailable:
            return  # polling goes on; where the broker is away for long, poll says so
        ends = {partition: found.end for partition, found in bounds.items()}
        self.metrics.lag(self._absorbed_up_to | positions, ends, time.time())
        stuck = self.watchdog.look(now_s, positions, ends)
        self.metrics.stuck.set(len(stuck))
        if stuck:
            numbers = ", ".join(str(partition.partition) for partition in sorted(stuck))
            raise SourceStuck(f"partition {numbers}: the log grows and reading stands still; start this program again")

    def _compare_store(self, partitions: Iterable[LogPartition]) -> None:
        """See that the store still has what was written. Raises Fenced where it has not, and the log is read again.

        A store that was restarted may have lost its last second of writes; without a new event nothing else would
        bring that to light.
        """
        stored = self.store.claim(partitions)
        moved = [partition for partition, offset in stored.items() if offset != self._absorbed_up_to.get(partition)]
        if moved:
            log.warning("the store does not stand where it was written to", extra={"partitions": _numbers(moved)})
            raise Fenced("the store was moved or has lost writes")

    def _absorb(self, batch: Batch, polled_s: float) -> None:
        if self.archive is not None:
            self.archive.check_room()
        with self.metrics.stage("decode"):
            entries = self._sift.entries(batch.records)
        with self.metrics.stage("apply"):
            self._apply(entries, batch.next_offsets, polled_s)
        if self.archive is not None:
            with self.metrics.stage("archive"):
                self.archive.append(entries, batch.next_offsets, self.clock_s())
        with self.metrics.stage("commit"):
            self.source.commit(batch.next_offsets)
        self.metrics.records.inc(len(batch.records))
        self.metrics.applied_up_to(max(record.timestamp_ms for record in batch.records))

    def _apply(self, entries: Sequence[LogEntry], next_offsets: Mapping[LogPartition, int], polled_s: float) -> None:
        """Absorb what the store does not have yet. What lies below its offset is in every state it belongs to, also
        in one that has forgotten the watermark of that log.
        """
        fresh = [entry for entry in entries if entry.offset >= self._absorbed_up_to.get(entry.partition, 0)]
        moved = {p: offset for p, offset in next_offsets.items() if offset > self._absorbed_up_to.get(p, -1)}
        skipped = len(entries) - len(fresh)
        if moved:
            encoder = self.encoder if self._waiting <= self.pace.encode_behind else None
            applied = apply(fresh, moved, self._written, encoder, self.rule, polled_s)
            self._absorbed_up_to |= moved
            skipped += applied.skipped
            self.metrics.users.inc(len(applied.states))
            if encoder is None and self.encoder is not None:
                self.metrics.unencoded.inc(len(applied.states))
        self.metrics.absorbed.inc(len(entries) - skipped)
        self.metrics.duplicates.inc(skipped)

    def _follow(self, batch: Batch) -> None:
        """Take note of partitions that came and went."""
        if not batch.assigned and not batch.revoked:
            return
        self._written.clear()
        if batch.revoked:
            failpoint("on_revoke")
        self._unclaimed = (self._unclaimed - batch.revoked) | batch.assigned
        for partition in batch.revoked:
            self._sift.forget(partition)
            self._absorbed_up_to.pop(partition, None)
        if self.archive is not None:
            self.archive.let_go(batch.revoked)
        self.metrics.rebalances.inc()
        self.metrics.assigned.inc(len(batch.assigned))
        self.metrics.revoked.inc(len(batch.revoked))
        self.metrics.partitions.set(len(self.source.assignment()))
        said = {"assigned": _numbers(batch.assigned), "revoked": _numbers(batch.revoked)}
        log.info("partitions moved", extra=said)

    def _claim(self) -> None:
        """Begin reading where the store stands."""
        claimed = self.store.claim(self._unclaimed)
        archived = self._archived(self._unclaimed)
        failpoint("on_assign")
        bounds = self.source.bounds(self._unclaimed)
        for partition, offset in claimed.items():
            self._absorbed_up_to[partition] = offset
            self._sift.begin(partition, offset)
            if partition in bounds and self._is_readable(partition, offset, bounds[partition]):
                start = min(offset, archived.get(partition, offset))
                self.source.seek(partition, max(start, bounds[partition].begin))
                if start < offset:
                    self._say_archive_behind(partition, start, offset, bounds[partition])
        # One whose bounds nobody knows yet stays unclaimed and is looked at again.
        self._unclaimed -= bounds.keys()
        if self._unclaimed:
            self._retry_at_s = self.clock_s() + self.backoff.next_s()
        self.metrics.held.set(len(self.held & self.source.assignment()))

    def _say_archive_behind(self, partition: LogPartition, archived: int, stored: int, bounds: Bounds) -> None:
        said = {"partition": partition.partition, "archived": archived, "stored": stored, "begin": bounds.begin}
        log.info("reading again what is in no file of the archive yet", extra=said)
        if archived < bounds.begin:
            self.metrics.unarchived.inc(bounds.begin - archived)
            log.error("the log deleted records before they were archived; raise its retention", extra=said)

    def _archived(self, partitions: Iterable[LogPartition]) -> Mapping[LogPartition, int]:
        if self.archive is None:
            return {}
        self.archive.check_room()
        return self.archive.positions(partitions)

    def _is_readable(self, partition: LogPartition, offset: int, bounds: Bounds) -> bool:
        said = {"partition": partition.partition, "stored": offset, "begin": bounds.begin, "end": bounds.end}
        if partition in self.held or offset > bounds.end:
            # Whatever is written there now would lie below the states' watermarks and be skipped without a word.
            if partition not in self.held:
                log.error(
                    "the log was cut off below what was absorbed; this partition is held. Restore the log, "
                    "or delete and recreate the topic: a recreated one is read from its start",
                    extra=said,
                )
            self.held.add(partition)
            return False
        if offset < bounds.begin:
            self.metrics.lost_records.inc(bounds.begin - offset)
            if offset > 0:
                log.error("the log deleted records before they were absorbed; raise its retention", extra=said)
            else:
                log.warning("the log begins later than at its first record; what it deleted is not known", extra=said)
        return True

    def _start_over(self) -> None:
        """Give up the batch; go on from the store's offsets after a pause, and keep polling until then."""
        self.source.pause()
        self._written.clear()
        self._unclaimed = self.source.assignment()
        self._retry_at_s = self.clock_s() + self.backoff.next_s()

    def _patience_s(self) -> float:
        """How long a poll may wait: not beyond the moment of the next try."""
        if not self._unclaimed:
            return self.pace.poll_s
        return min(max(self._retry_at_s - self.clock_s(), 0.0), self.pace.poll_s)


def _numbers(partitions: Iterable[LogPartition]) -> list[int]:
    return sorted(partition.partition for partition in partitions)
