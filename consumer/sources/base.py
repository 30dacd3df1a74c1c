"""The contract every source keeps; `tests/consumer/test_sources.py` runs one text over all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from interests.events import Interaction, LogPartition


class Record(NamedTuple):
    """What stands at one offset of a log, as it came.

    timestamp_ms: the log's own time for it, milliseconds since 1970; negative where the log has none
    key, value: raw bytes, None where absent; the value is an Interaction where the source reads rows and no bytes
    """

    partition: LogPartition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | Interaction | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Bounds(NamedTuple):
    """What a log still holds of a partition: offsets from `begin` up to, not including, `end`."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll found.

    records: in offset order within each partition
    assigned: partitions that are this reader's from now on; they give no records before `seek`
    revoked: partitions that are another reader's from now on, noticed before `records` were read
    """

    records: Sequence[Record] = ()
    assigned: frozenset[LogPartition] = field(default_factory=frozenset)
    revoked: frozenset[LogPartition] = field(default_factory=frozenset)

    @property
    def next_offsets(self) -> dict[LogPartition, int]:
        """For each partition among the records the offset to read next."""
        return {record.partition: record.offset + 1 for record in self.records}


class Source(Protocol):
    """A log that is read in order, partition by partition, by one of possibly several readers.

    A store, not the source, knows how far the log was absorbed: each partition stands still from the moment it is
    assigned, and again after `pause`, until `seek` says where to read on. Not for several threads.
    Every method but `close` may raise BrokerUnavailable; nothing is lost by it.
    """

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        """The next records, at most `records_max`; waits up to `timeout_s` for the first one.

        Must go on being called, paused or not: that is what keeps this reader in its group.
        """

    def assignment(self) -> frozenset[LogPartition]:
        """The partitions that are this reader's, as the latest poll left them."""

    def seek(self, partition: LogPartition, offset: int) -> None:
        """Read this partition from `offset` on, and end its pause. One that is no longer assigned is left alone."""

    def pause(self) -> None:
        """Give no more records of any partition until it is sought again."""

    def positions(self) -> dict[LogPartition, int]:
        """The next offset to be given, of each assigned partition that is not standing still."""

    def waiting(self) -> int:
        """How many records are known to wait behind the positions. Asks nobody, so it may be a fetch behind; 0 where
        records come as fast as they are asked for and nobody waits for them, as of a file.
        """

    def bounds(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, Bounds]:
        """What the log holds of these partitions now; one that is gone is absent."""

    def commit(self, next_offsets: Mapping[LogPartition, int]) -> None:
        """Tell the broker how far this reader is. Advisory: for tools that watch groups. Losing it does no harm."""

    def close(self) -> None:
        """Leave the group and let go of files and connections."""
