"""A history file, read as a log with one partition.

Its identity is the SHA-256 of its bytes, so that the same file absorbed again changes nothing, under whatever name.
An offset is a row's place among the rows that can be used, ordered by user and then time: a user's whole history
comes in one or two batches, and is written as often.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from consumer.sources.base import Batch, Bounds, Record
from interests.events import LogPartition
from interests.history import HistoryReport, read_interactions, to_interactions

READ_BYTES = 1024 * 1024


class FileSource:
    """The contract is that of Source. `report` says which rows of the file can be used, and why others cannot."""

    def __init__(self, path: Path, rejected: Path | None = None) -> None:
        """Reads it whole: about 200 bytes of memory a row. Raises HistoryRejected.

        rejected: a file to write the rows to that cannot be used, each with its reason
        """
        # Says what to install where it has no polars, so it comes first.
        history = read_interactions(path, rejected=rejected)
        from interests.history_files import find_files

        self.report: HistoryReport = history.report
        self.partition = LogPartition(f"file:{_sha256(find_files(path))}", 0)
        self._frame = history.frame.sort("user_id", "time_ms", maintain_order=True)
        self._is_new = True
        self._position: int | None = None

    @property
    def end(self) -> int:
        """How many rows there are."""
        return self._frame.height

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        """See Source. Never waits."""
        assigned = frozenset((self.partition,)) if self._is_new else frozenset()
        self._is_new = False
        if self._position is None:
            return Batch(assigned=assigned)
        start, records = self._position, []
        for offset, row in enumerate(to_interactions(self._frame.slice(start, records_max)), start):
            records.append(Record(self.partition, offset, row.time_ms or 0, None, row))
        self._position = start + len(records)
        return Batch(records, assigned)

    def assignment(self) -> frozenset[LogPartition]:
        """See Source."""
        return frozenset() if self._is_new else frozenset((self.partition,))

    def seek(self, partition: LogPartition, offset: int) -> None:
        """See Source."""
        if partition in self.assignment():
            self._position = offset

    def pause(self) -> None:
        """See Source."""
        self._position = None

    def positions(self) -> dict[LogPartition, int]:
        """See Source."""
        return {} if self._position is None else {self.partition: self._position}

    def waiting(self) -> int:
        """See Source."""
        return 0

    def bounds(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, Bounds]:
        """See Source."""
        return {self.partition: Bounds(0, self.end)} if self.partition in partitions else {}

    def commit(self, next_offsets: Mapping[LogPartition, int]) -> None:
        """See Source. Nobody watches."""

    def close(self) -> None:
        """See Source."""
        self._position = None


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as data:
            while chunk := data.read(READ_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
