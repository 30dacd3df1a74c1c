"""What an erasure takes out of a history: a kept log's own rows say who was erased, and where.

A row of that user is gone where it stands before the erasure in the same log, and, where it stands in another log or in
a file without places, where its time is not later than the erasure's. So a history read beside the log forgets too.
"""

import polars as pl

from interests.log_columns import ERASE, LOG, LOG_OFFSET, LOGGED

PLACE = {LOG: pl.String(), LOG_OFFSET: pl.Int64(), "logged_ms": pl.Int64()}


def places(table: pl.DataFrame) -> dict[str, pl.Series]:
    """Where each row stands in its log, all null for a file that is no kept log."""
    if not {LOG, LOG_OFFSET, LOGGED} <= set(table.columns) or not isinstance(table[LOGGED].dtype, pl.Datetime):
        return {name: pl.Series([None] * table.height, dtype=dtype) for name, dtype in PLACE.items()}
    logged_ms = table[LOGGED].dt.cast_time_unit("ms").dt.epoch("ms")
    return {
        LOG: table[LOG].cast(pl.String),
        LOG_OFFSET: table[LOG_OFFSET].cast(pl.Int64),
        "logged_ms": logged_ms,
    }


def is_erase(action: pl.Series) -> pl.Series:
    """Which rows are erasures and no interactions."""
    return (action.cast(pl.String, strict=False).str.to_lowercase() == ERASE).fill_null(False)


def has_doubles(rows: pl.DataFrame) -> bool:
    """Whether two files reach over each other in one log; a single file has each place once."""
    placed = rows.filter(pl.col(LOG).is_not_null())
    ranges = placed.group_by("file", LOG).agg(begin=pl.col(LOG_OFFSET).min(), last=pl.col(LOG_OFFSET).max())
    ranges = ranges.sort(LOG, "begin")
    reached = pl.col("last").cum_max().shift(1).over(LOG)
    return bool(ranges.select((pl.col("begin") <= reached).any()).item())


def is_double(rows: pl.DataFrame) -> pl.Series:
    """Which rows stand at an offset that an earlier row stood at."""
    placed = rows.select(LOG, LOG_OFFSET)
    found = placed.select(pl.col(LOG).is_not_null() & ~pl.struct(LOG, LOG_OFFSET).is_first_distinct())
    return found.to_series().alias("double")


def is_erased(rows: pl.DataFrame) -> pl.Series:
    """Which rows an erasure among the rows takes out. rows: user_id, time_ms, log, log_offset, logged_ms, erases."""
    place = rows.select("user_id", LOG, LOG_OFFSET, "erases", time=pl.coalesce("logged_ms", "time_ms"))
    place = place.with_row_index("row")
    erasures = place.filter("erases").select("user_id", erased_log=LOG, erased_offset=LOG_OFFSET, erased_time="time")
    same_log = pl.col(LOG).is_not_null() & (pl.col(LOG) == pl.col("erased_log"))
    earlier = pl.col("time") <= pl.col("erased_time")
    before = pl.when(same_log).then(pl.col(LOG_OFFSET) < pl.col("erased_offset")).otherwise(earlier)
    # No row of a user never erased is looked at; those of others are few.
    gone = place.filter(~pl.col("erases")).join(erasures, on="user_id").filter(before)["row"].unique()
    return place.select(pl.col("row").is_in(gone.implode()).alias("erased")).to_series()
