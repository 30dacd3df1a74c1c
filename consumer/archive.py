"""Keeps what a log said, for the next training: Parquet files, each record once.

    append ▶ buffer of one partition ▶ (full, or old enough) ▶ a file on a thread of its own

Nothing is written at each batch. Instead reading begins, after whatever went wrong, at the hindmost of where the store
stands and where the files end: what a buffer held is read from the log again. So a log must keep its records for
longer than `roll_s`, and the archive has every record that the log had when it was read.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from consumer.archive_files import ArchiveDirectory
from consumer.archive_rows import require_pyarrow, table, write_parquet
from consumer.backoff import Backoff
from consumer.metrics import Metrics
from interests.absorb import DEFAULT_RULE
from interests.errors import StoreUnavailable
from interests.events import LogEntry, LogPartition

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ENTRIES = 4096
WAITING_TIMES_MAX = 4
MIB = 1024 * 1024

log = logging.getLogger(__name__)


class _Segment(NamedTuple):
    """Records on their way into one file."""

    partition: LogPartition
    begin: int
    end: int
    tables: "tuple[pa.Table, ...]"
    bytes: int
    rows: int


@dataclass
class _Buffer:
    """What was read of one partition and is in no file yet: the offsets from `begin` up to `end`."""

    begin: int
    end: int
    pending: list[LogEntry] = field(default_factory=list)
    tables: "list[pa.Table]" = field(default_factory=list)
    bytes: int = 0
    rows: int = 0
    since_s: float | None = None


class Archive:
    """Buffers and files of the partitions of one reader. For one thread; files are written on another."""

    def __init__(
        self,
        path: Path,
        roll_bytes: int = 64 * MIB,
        roll_s: float = 300.0,
        metrics: Metrics | None = None,
        future_tolerance_ms: int = DEFAULT_RULE.future_tolerance_ms,
    ) -> None:
        """roll_bytes: memory that all buffers may take before the largest becomes a file
        roll_s: how old a buffer may become; the log is read again from as far back after a crash
        Raises SettingsRejected where pyarrow is missing or the directory cannot be written.
        """
        require_pyarrow()
        self._files = ArchiveDirectory(path)
        self._roll_bytes, self._roll_s, self._tolerance_ms = roll_bytes, roll_s, future_tolerance_ms
        self._metrics = metrics or Metrics()
        self._buffers: dict[LogPartition, _Buffer] = {}
        self._waiting: deque[_Segment] = deque()
        self._writer = ThreadPoolExecutor(1, "archive")
        self._writing: Future[object] | None = None
        self._backoff = Backoff(first_s=0.5)
        self._retry_at_s = float("-inf")
        self._pending = 0

    def positions(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """For each partition the next offset that the archive needs. Raises StoreUnavailable."""
        wanted = list(partitions)
        unknown = [partition for partition in wanted if partition not in self._buffers]
        if unknown:
            try:
                ends = self._files.ends(unknown)
            except OSError as error:
                raise self._unavailable(error) from None
            for segment in self._waiting:  # will be in a file before anything that follows it
                if segment.begin <= ends.get(segment.partition, -1):
                    ends[segment.partition] = max(ends[segment.partition], segment.end)
            self._buffers |= {partition: _Buffer(end, end) for partition, end in ends.items()}
        return {partition: self._buffers[partition].end for partition in wanted}

    def append(self, entries: Sequence[LogEntry], next_offsets: Mapping[LogPartition, int], now_s: float) -> None:
        """Take in what was read: entries in the order of their partition, records that are none left out.

        next_offsets: for each partition the offset behind the last record read, whether or not it was an entry
        now_s: any clock that only goes forward
        """
        for entry in entries:
            buffer = self._buffers[entry.partition]
            if entry.offset < buffer.end:
                continue  # read again, and archived before
            buffer.pending.append(entry)
            buffer.end = entry.offset + 1
            buffer.rows += 1
            self._pending += 1
        for partition, offset in next_offsets.items():
            buffer = self._buffers[partition]
            buffer.end = max(buffer.end, offset)
            if buffer.rows and buffer.since_s is None:
                buffer.since_s = now_s
        if self._pending >= CHUNK_ENTRIES:
            for buffer in self._buffers.values():
                self._pack(buffer)

    def check_room(self) -> None:
        """Raise StoreUnavailable where no more can be held until files can be written again."""
        if (held := self._held()) > WAITING_TIMES_MAX * self._roll_bytes:
            raise StoreUnavailable(
                f"archive {self._files.path}: {held // MIB} MiB wait to be written, so reading waits; make room there"
            )

    def roll(self, now_s: float) -> None:
        """Begin to write what is due. Never waits, and never raises for a disk that is full."""
        self._settle(now_s)
        for partition, buffer in self._buffers.items():
            if buffer.since_s is not None and now_s - buffer.since_s >= self._roll_s:
                self._close_buffer(partition)
        while sum(buffer.bytes for buffer in self._buffers.values()) >= self._roll_bytes:
            self._close_buffer(max(self._buffers, key=lambda each: self._buffers[each].bytes))
        if self._waiting and self._writing is None and now_s >= self._retry_at_s:
            self._writing = self._writer.submit(self._write, self._waiting[0])
        self._metrics.archive_waiting.set(self._held())

    def let_go(self, partitions: Iterable[LogPartition]) -> None:
        """Write what is held of these, which are another reader's now, or a log's that is gone. Where the other reader
        has written the same, each record is still read once.
        """
        for partition in self._buffers.keys() & set(partitions):
            self._close_buffer(partition)
            self._pending -= len(self._buffers.pop(partition).pending)

    def close(self) -> None:
        """Write what there is, and let go. What cannot be written is said, and read from the log again."""
        for partition in self._buffers:
            self._close_buffer(partition)
        if self._writing is not None:
            wait([self._writing])
            self._settle(0.0)
        try:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            log.warning("the archive cannot be written; the log will be read again", extra={"error": str(error)})
        self._writer.shutdown()

    def _close_buffer(self, partition: LogPartition) -> None:
        """Hand over what a buffer holds; one without a row goes on, so that no file is empty."""
        buffer = self._buffers[partition]
        self._pack(buffer)
        if not buffer.rows:
            return
        self._waiting.append(
            _Segment(partition, buffer.begin, buffer.end, tuple(buffer.tables), buffer.bytes, buffer.rows)
        )
        self._buffers[partition] = _Buffer(buffer.end, buffer.end)

    def _pack(self, buffer: _Buffer) -> None:
        if buffer.pending:
            packed = table(buffer.pending, self._tolerance_ms)
            self._pending -= len(buffer.pending)
            buffer.tables.append(packed)
            buffer.bytes += packed.nbytes
            buffer.pending.clear()

    def _settle(self, now_s: float) -> None:
        """See what became of the file being written."""
        if self._writing is None or not self._writing.done():
            return
        finished, self._writing = self._writing, None
        try:
            finished.result()
        except OSError as error:
            self._retry_at_s = now_s + self._backoff.next_s()
            self._metrics.retries.labels("archive").inc()
            log.warning("the archive cannot be written; trying again", extra={"error": str(error)})
            return
        self._backoff.reset()
        self._waiting.popleft()

    def _write(self, segment: _Segment) -> None:
        fill: Callable[[Path], object] = partial(write_parquet, segment.tables)
        written = self._files.write(segment.partition, segment.begin, segment.end, fill)
        self._metrics.archived.inc(segment.rows)
        log.info("archived", extra={"file": written.path.name, "rows": segment.rows})

    def _held(self) -> int:
        buffers = sum(buffer.bytes for buffer in self._buffers.values())
        return buffers + sum(segment.bytes for segment in self._waiting)

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"archive {self._files.path}: {error.strerror or error}; see that it can be read")
