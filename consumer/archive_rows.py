"""Log entries as Arrow tables, in the columns that `plural-train fit --interactions` reads.

Needs pyarrow, which the extra `archive` installs; nothing else of the consumer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interests.errors import SettingsRejected
from interests.events import Action, LogEntry
from interests.log_columns import ERASE, LOG, LOG_OFFSET, LOGGED

if TYPE_CHECKING:
    import pyarrow as pa

_WORDS = {action: action.name.lower() for action in Action}


def require_pyarrow() -> None:
    """Raise SettingsRejected, saying what to install, where it is not there."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise SettingsRejected("--archive needs pyarrow: pip install 'plural[archive]'") from None


def table(entries: Sequence[LogEntry], future_tolerance_ms: int) -> pa.Table:
    """One row an entry.

    timestamp: when it happened, as absorbing counts it: an event time later than the log's own by over
    `future_tolerance_ms` is the mistake of a clock, and the log's own stands
    """
    import pyarrow as pa

    rows = [_row(entry, future_tolerance_ms) for entry in entries]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_schema())
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, _schema(), strict=True)]
    return pa.Table.from_arrays(arrays, schema=_schema())


def write_parquet(tables: Sequence[pa.Table], path: Path) -> None:
    """One file of them all. Raises OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def read_parquet(path: Path) -> pa.Table:
    """What `write_parquet` wrote. Raises OSError, or ArrowInvalid for what is no Parquet."""
    import pyarrow.parquet as pq

    return pq.read_table(path, schema=_schema(), partitioning=None)


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            ("timestamp", pa.timestamp("ms", tz="UTC")),
            ("action", pa.string()),
            ("value", pa.float64()),
            ("event_id", pa.string()),
            ("slate_id", pa.string()),
            ("position", pa.int32()),
            (LOG, pa.string()),
            (LOG_OFFSET, pa.int64()),
            (LOGGED, pa.timestamp("ms", tz="UTC")),
        ]
    )


def _row(entry: LogEntry, future_tolerance_ms: int) -> tuple[Any, ...]:
    log = f"{entry.partition.incarnation}/{entry.partition.partition}"
    did = entry.interaction
    if did is None:
        where = (log, entry.offset, entry.received_ms)
        return (entry.user_id, None, entry.received_ms, ERASE, None, None, None, None, *where)
    time_ms = did.time_ms
    if time_ms is None or time_ms > entry.received_ms + future_tolerance_ms:
        time_ms = entry.received_ms
    return (
        *(did.user_id, did.item_id, time_ms, _WORDS[did.action], did.value),
        *(did.event_id or None, did.slate_id or None, did.position),
        *(log, entry.offset, entry.received_ms),
    )
