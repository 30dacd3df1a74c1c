"""A log in memory, and readers of it: the small system that the real one is compared with.

Readers of one log share its partitions as a consumer group does. Time does not pass in it and nothing waits.
"""

import itertools
from collections.abc import Iterable, Mapping

from consumer.sources.base import Batch, Bounds, Record
from interests.events import LogPartition


class MemoryLog:
    """Partitions of records. Give it another `incarnation` for another topic."""

    def __init__(self, partitions: int = 1, incarnation: str = "memory") -> None:
        self.incarnation = incarnation
        self.records: list[list[Record]] = [[] for _ in range(partitions)]
        self.begins: list[int] = [0] * partitions

    def append(
        self,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int = 0,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> int:
        """Add a record at the end of a partition; returns its offset."""
        offset = len(self.records[partition])
        where = LogPartition(self.incarnation, partition)
        self.records[partition].append(Record(where, offset, timestamp_ms, key, value, headers))
        return offset

    def add_partition(self) -> None:
        """One more partition, empty."""
        self.records.append([])
        self.begins.append(0)

    def partitions(self) -> list[LogPartition]:
        """All of them, in order."""
        return [LogPartition(self.incarnation, number) for number in range(len(self.records))]


class MemorySource:
    """Reads the partitions of a MemoryLog that it was given, or all there are.

    A test moves partitions between readers by `assign`, which the next poll reports.
    """

    def __init__(self, log: MemoryLog, partitions: Iterable[int] | None = None) -> None:
        self._log = log
        self._wanted: frozenset[int] | None = None if partitions is None else frozenset(partitions)
        self._assigned: frozenset[LogPartition] = frozenset()
        self._positions: dict[LogPartition, int] = {}
        self.committed: dict[LogPartition, int] = {}

    def assign(self, partitions: Iterable[int]) -> None:
        """From the next poll on these partitions are this reader's, and no others."""
        self._wanted = frozenset(partitions)

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        now = frozenset(p for p in self._log.partitions() if self._wanted is None or p.partition in self._wanted)
        assigned, revoked = now - self._assigned, self._assigned - now
        self._assigned = now
        for partition in revoked:
            self._positions.pop(partition, None)
        records: list[Record] = []
        for partition, position in sorted(self._positions.items()):
            here = self._log.records[partition.partition]
            taken = list(itertools.islice(here, position, position + records_max - len(records)))
            records.extend(taken)
            self._positions[partition] = position + len(taken)
        return Batch(records, assigned, revoked)

    def assignment(self) -> frozenset[LogPartition]:
        return self._assigned

    def seek(self, partition: LogPartition, offset: int) -> None:
        if partition in self._assigned:
            self._positions[partition] = offset

    def pause(self) -> None:
        self._positions.clear()

    def positions(self) -> dict[LogPartition, int]:
        return dict(self._positions)

    def waiting(self) -> int:
        return sum(len(self._log.records[p.partition]) - position for p, position in self._positions.items())

    def bounds(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, Bounds]:
        known = set(self._log.partitions())
        return {
            p: Bounds(self._log.begins[p.partition], len(self._log.records[p.partition]))
            for p in partitions
            if p in known
        }

    def commit(self, next_offsets: Mapping[LogPartition, int]) -> None:
        self.committed.update(next_offsets)

    def close(self) -> None:
        self._assigned = frozenset()
        self._positions.clear()
