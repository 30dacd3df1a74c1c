"""Why a row of a history cannot be used: each row has one reason at most, the first that holds."""

import polars as pl

from interests.events import ID_BYTES_MAX, Action
from interests.history_erasures import has_doubles, is_double, is_erased
from interests.log_columns import LOG

NOT_WRONG = ("later than --until", "erasure", "erased user", "twice in the log", "duplicate event_id")


def mark(raw: pl.DataFrame, until_ms: int | None) -> pl.DataFrame:
    """The rows with a `reason` where one cannot be used."""
    raw = _with_erasures(raw)
    later = pl.col("time_ms") > until_ms if until_ms is not None else pl.lit(False)
    rated = pl.col("action") == int(Action.RATING)
    reasons = {
        "twice in the log": pl.col("double"),
        "erasure": pl.col("erases"),
        "erased user": pl.col("erased"),
        "missing user": pl.col("user_id").is_null(),
        "missing item": pl.col("item_id").is_null(),
        f"id over {ID_BYTES_MAX} bytes": pl.max_horizontal(
            pl.col("user_id", "item_id").str.len_bytes(), pl.col("event_id").str.len_bytes().fill_null(0)
        )
        > ID_BYTES_MAX,
        "bad timestamp": pl.col("time_ms").is_null(),
        "unknown action": pl.col("action").is_null(),
        "bad value": pl.col("bad_value") | (rated & pl.col("value").is_null()),
        "later than --until": later,
    }
    reason = pl.coalesce(*(pl.when(holds).then(pl.lit(name)) for name, holds in reasons.items()))
    marked = raw.with_columns(reason=reason)
    # Among usable rows alone: a broken first delivery must not cost its good retry.
    twice = pl.col("event_id").is_not_null() & ~pl.struct("event_id", "reason").is_first_distinct()
    repeated = pl.when(pl.col("reason").is_null() & twice).then(pl.lit("duplicate event_id"))
    return marked.with_columns(reason=pl.coalesce("reason", repeated))


def _with_erasures(raw: pl.DataFrame) -> pl.DataFrame:
    """The rows with `double`, `erases` and `erased`. Costs nothing to speak of where no file is a kept log."""
    erases = pl.col("erases").fill_null(False) if "erases" in raw.columns else pl.lit(False)
    raw = raw.with_columns(erases=erases, double=pl.lit(False), erased=pl.lit(False))
    if raw[LOG].is_not_null().any() and has_doubles(raw):
        raw = raw.with_columns(is_double(raw))
    if raw["erases"].any():
        raw = raw.with_columns(is_erased(raw))
    return raw
