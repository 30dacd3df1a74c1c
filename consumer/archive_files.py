"""The files of an archive: which records each holds, written whole or not at all.

    <incarnation>.<partition>.<first offset>-<offset behind the last>.parquet

The names alone say what is archived, so there is nothing beside the files that could disagree with them. Two files may
hold one offset (a former owner of a partition wrote on for a moment, or a merge was cut short): readers take each
offset once.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from interests.bundle_files import sync
from interests.errors import SettingsRejected
from interests.events import LogPartition
from interests.failpoints import failpoint

TEMPORARY = ".part"
TEMPORARY_S_MAX = 3600.0
_NAME = re.compile(r"(?P<incarnation>.+)\.(?P<partition>\d{5,})\.(?P<begin>\d{19})-(?P<end>\d{19})\.parquet")


class ArchiveFile(NamedTuple):
    """One file, and the offsets it speaks for: from `begin` up to, not including, `end`."""

    partition: LogPartition
    begin: int
    end: int
    path: Path


class ArchiveDirectory:
    """One directory of archive files; every reader of a log may write into the same one."""

    def __init__(self, path: Path) -> None:
        """Make it, and clear away what killed writers left half written. Raises SettingsRejected."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / f".{uuid.uuid4().hex}{TEMPORARY}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            problem = error.strerror or error
            raise SettingsRejected(f"archive {path}: cannot be written: {problem}; give another directory") from None
        for left in path.glob(f".*{TEMPORARY}"):
            if _age_s(left) > TEMPORARY_S_MAX:  # a younger one may be another writer's, at work
                left.unlink(missing_ok=True)

    def files(self) -> list[ArchiveFile]:
        """All of them, by partition, then offset; of two with one beginning the longer first."""
        found = (parse(path) for path in self.path.iterdir())
        return sorted((file for file in found if file), key=lambda file: (file.partition, file.begin, -file.end))

    def ends(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """The offset behind the last one archived of each partition, 0 where there is none."""
        ends = dict.fromkeys(partitions, 0)
        for file in self.files():
            if file.partition in ends:
                ends[file.partition] = max(ends[file.partition], file.end)
        return ends

    def write(self, partition: LogPartition, begin: int, end: int, fill: Callable[[Path], object]) -> ArchiveFile:
        """A new file, durable under its name when this returns. `fill` writes the content. Raises OSError."""
        target = self.path / name_of(partition, begin, end)
        temporary = self.path / f".{uuid.uuid4().hex}{TEMPORARY}"
        try:
            fill(temporary)
            sync(temporary)
            failpoint("in_archive")
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(self.path)
        failpoint("after_archive")
        return ArchiveFile(partition, begin, end, target)


def name_of(partition: LogPartition, begin: int, end: int) -> str:
    """The name of the file with these records."""
    return f"{quote(partition.incarnation, safe='')}.{partition.partition:05d}.{begin:019d}-{end:019d}.parquet"


def parse(path: Path) -> ArchiveFile | None:
    """What a name says, None where it is no archive file's."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    partition = LogPartition(unquote(found["incarnation"]), int(found["partition"]))
    return ArchiveFile(partition, int(found["begin"]), int(found["end"]), path)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
