"""Rows of a history that cannot be used, kept as they came, so that they can be corrected and read again."""

from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl

from interests.errors import HistoryRejected
from interests.history_files import read_table


def write_rejected(target: Path, files: Sequence[Path], marked: pl.DataFrame, not_wrong: Collection[str]) -> None:
    """JSON Lines: each row's own columns, and `rejected_reason`, `rejected_file` and `rejected_row` (from 0).

    marked: all rows of all files in their order, with `file` (its place among `files`) and `reason`, null for none
    not_wrong: reasons that need no correction; rows left out for them are not kept
    Raises HistoryRejected where the file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            for number, file in enumerate(files):
                reasons = marked.filter(pl.col("file") == number).select("reason").with_row_index("rejected_row")
                wrong = reasons.drop_nulls("reason").filter(~pl.col("reason").is_in(list(not_wrong)))
                if not wrong.is_empty():
                    rows = read_table(file)[wrong["rejected_row"]].with_columns(
                        wrong["reason"].alias("rejected_reason"),
                        wrong["rejected_row"],
                        rejected_file=pl.lit(str(file)),
                    )
                    rows.write_ndjson(out)
    except OSError as error:
        raise HistoryRejected(f"{target}: cannot be written: {error.strerror or error}; name another file") from None
