"""Tidies an archive: erased users go from its files, and small files become few.

An erasure stands in the archive as a row of its own, and whoever reads the archive forgets what stands before it. That
holds at once, but leaves the bytes; this takes them out. The row of the erasure stays, with the user's id, so that an
older copy of a file cannot bring anybody back.

May run beside consumers that write: it touches finished files alone, and each new one is there before the old ones go.
Not beside a training that reads the same files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from consumer.archive_files import ArchiveDirectory, ArchiveFile
from consumer.archive_rows import read_parquet, require_pyarrow, write_parquet
from interests.errors import StoreCorrupt
from interests.log_columns import ERASE, LOG, LOG_OFFSET, LOGGED

if TYPE_CHECKING:
    import pyarrow as pa

FILE_BYTES = 64 * 1024 * 1024


class Merged(NamedTuple):
    """What one run did: files before and after, rows of erased users taken out, rows that stood twice."""

    files_before: int
    files_after: int
    erased: int
    doubles: int


class Erasure(NamedTuple):
    """One erasure: its place in its log, and its time for what stands in other logs."""

    log: str
    offset: int
    logged_ms: int


def merge(path: Path, say: Callable[[str], object], file_bytes: int = FILE_BYTES) -> Merged:
    """Rewrite what needs it, partition by partition. Raises SettingsRejected, StoreCorrupt or OSError.

    say: takes a line of progress
    file_bytes: neighbours are joined while they are smaller than this together
    """
    require_pyarrow()
    directory = ArchiveDirectory(path)
    files = directory.files()
    erasures = _erasures(files)
    after = erased = doubles = 0
    groups = list(_groups(files, file_bytes))
    for number, group in enumerate(groups, 1):
        written, gone, twice = _rewrite(directory, group, erasures)
        after, erased, doubles = after + written, erased + gone, doubles + twice
        say(f"{number:,} of {len(groups):,} groups of files: {erased:,} rows of erased users taken out")
    return Merged(len(files), after, erased, doubles)


def _groups(files: Sequence[ArchiveFile], file_bytes: int) -> Iterator[list[ArchiveFile]]:
    """Neighbours of one partition that become one file; files that overlap are always together."""
    for _, of_partition in itertools.groupby(files, key=lambda file: file.partition):
        group: list[ArchiveFile] = []
        size = end = 0
        for file in of_partition:
            bytes_here = file.path.stat().st_size
            if group and file.begin >= end and (file.begin > end or size + bytes_here > file_bytes):
                yield group
                group, size = [], 0
            group.append(file)
            size, end = size + bytes_here, max(end, file.end)
        yield group


def _rewrite(
    directory: ArchiveDirectory, group: Sequence[ArchiveFile], erasures: dict[str, list[Erasure]]
) -> tuple[int, int, int]:
    """(files left, rows of erased users, rows that stood twice). One good file alone is left as it is."""
    import pyarrow.compute as pc

    tables, position, doubles, erased = [], group[0].begin, 0, 0
    for file in group:
        rows = _read(file.path)
        fresh = rows.filter(pc.greater_equal(rows[LOG_OFFSET], position))
        doubles += rows.num_rows - fresh.num_rows
        kept = _without_erased(fresh, erasures)
        erased += fresh.num_rows - kept.num_rows
        tables.append(kept)
        position = max(position, file.end)
    if len(group) > 1 or erased or doubles:
        first = group[0]
        written = directory.write(first.partition, first.begin, position, partial(write_parquet, tables))
        for file in group:
            if file.path != written.path:
                file.path.unlink(missing_ok=True)
    return 1, erased, doubles


def _without_erased(rows: pa.Table, erasures: dict[str, list[Erasure]]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not erasures:
        return rows
    suspects = pc.is_in(rows["user_id"], value_set=pa.array(list(erasures), type=pa.string()))
    if not pc.any(suspects).as_py():
        return rows
    columns = zip(
        suspects.to_pylist(),
        *(rows[name].to_pylist() for name in ("user_id", "action", LOG, LOG_OFFSET)),
        rows[LOGGED].cast(pa.int64()).to_pylist(),
        strict=True,
    )
    keep = [
        not suspect or action == ERASE or not _is_erased(log, offset, logged_ms, erasures[user_id])
        for suspect, user_id, action, log, offset, logged_ms in columns
    ]
    return rows.filter(pa.array(keep))


def _is_erased(log: str, offset: int, logged_ms: int, erasures: Iterable[Erasure]) -> bool:
    return any(offset < each.offset if log == each.log else logged_ms <= each.logged_ms for each in erasures)


def _erasures(files: Sequence[ArchiveFile]) -> dict[str, list[Erasure]]:
    """By user; the latest of each log."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[tuple[str, str], Erasure] = {}
    for file in files:
        rows = _read(file.path)
        rows = rows.filter(pc.equal(rows["action"], ERASE))
        columns = (rows["user_id"], rows[LOG], rows[LOG_OFFSET], rows[LOGGED].cast(pa.int64()))
        for user_id, log, offset, logged_ms in zip(*(column.to_pylist() for column in columns), strict=True):
            known = found.get((user_id, log))
            if known is None or offset > known.offset:
                found[user_id, log] = Erasure(log, offset, logged_ms)
    by_user: dict[str, list[Erasure]] = {}
    for (user_id, _), erasure in found.items():
        by_user.setdefault(user_id, []).append(erasure)
    return by_user


def _read(path: Path) -> pa.Table:
    import pyarrow as pa

    try:
        return read_parquet(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = str(error).splitlines()[0][:160]
        raise StoreCorrupt(f"{path}: is no archive file ({reason}); move it out of the archive") from None
