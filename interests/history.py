"""Any shop's history as interactions, and an account of every row that was not taken.

    rows read = rows kept + rows dropped, by reason

Needs polars, which the extras `files` and `trainer` install; nothing else of the project does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interests.errors import HistoryRejected
from interests.events import STARS_MAX, Action, Interaction
from interests.log_columns import LOG

if TYPE_CHECKING:
    import polars as pl

_SLICE_ROWS = 100_000
_NEEDED = ("user_id", "item_id", "timestamp")


@dataclass(frozen=True)
class HistoryReport:
    """What was read and what became of it.

    dropped: rows by reason; each row counts once, under the first reason that holds
    columns: our name to the file's, where they differ
    guesses: what was decided without being told, in words
    first_ms, last_ms: event times kept, milliseconds since 1970
    """

    files: list[str]
    rows_read: int
    rows_kept: int
    dropped: dict[str, int]
    columns: dict[str, str]
    guesses: list[str]
    users: int
    items: int
    first_ms: int
    last_ms: int

    def lines(self) -> list[str]:
        """For a person: a few lines that say all of it."""
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items()) or "none"
        kept = f"{self.rows_kept:,} rows of {self.users:,} users and {self.items:,} items kept"
        said = [f"read {self.rows_read:,} rows from {len(self.files)} file(s), {kept}; dropped: {dropped}"]
        said += [f"guessed column: {ours} is {theirs}" for ours, theirs in self.columns.items()]
        return said + [f"guessed: {guess}" for guess in self.guesses]


@dataclass(frozen=True)
class History:
    """Cleaned interactions, in order of time, ties in the order of the files.

    frame: user_id str, item_id str, time_ms i64, action i32, value f64 or null, event_id str or null
    """

    frame: pl.DataFrame
    report: HistoryReport


def read_interactions(path: Path, until_ms: int | None = None, rejected: Path | None = None) -> History:
    """Read a file, a directory or a glob of CSV, Parquet or JSON Lines, or what a consumer archived of its topic.

    until_ms: later interactions are left out and counted. Rows equal in user, item and time are kept, because they
    are quantities; a second row with one event_id, or at one place of a log, is not, nor what an erased user did
    before. Raises HistoryRejected in one line that says file, column, what was found and what to do.
    rejected: a file to write the rows to that cannot be used, as they came, each with its reason
    """
    polars = _polars()
    from interests.history_files import find_files
    from interests.history_reasons import NOT_WRONG, mark

    files = find_files(path)
    columns: dict[str, str] = {}
    guesses: list[str] = []
    parts = [_read_file(file, columns, guesses) for file in files]
    numbered = [part.with_columns(file=polars.lit(n, polars.Int32)) for n, part in enumerate(parts)]
    raw: pl.DataFrame = polars.concat(numbered, how="diagonal")
    raw = _with_actions(raw, columns.get("value", "value"), guesses)
    marked = mark(raw, until_ms)
    if rejected is not None:
        from interests.history_rejected import write_rejected

        write_rejected(rejected, files, marked, NOT_WRONG)
    kept = marked.filter(polars.col("reason").is_null())
    dropped = dict(marked.drop_nulls("reason").group_by("reason").len().sort("reason").iter_rows())
    if kept.is_empty():
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise HistoryRejected(f"{path}: none of {raw.height} rows can be used: {reasons}; correct these columns")
    kept = _scale_ratings(kept, guesses).sort("time_ms", maintain_order=True)
    kept = kept.select("user_id", "item_id", "time_ms", "action", "value", "event_id")
    report = HistoryReport(
        files=[str(file) for file in files],
        rows_read=raw.height,
        rows_kept=kept.height,
        dropped=dropped,
        columns={ours: theirs for ours, theirs in columns.items() if ours != theirs},
        guesses=list(dict.fromkeys(guesses)),
        users=kept["user_id"].n_unique(),
        items=kept["item_id"].n_unique(),
        first_ms=kept["time_ms"][0],
        last_ms=kept["time_ms"][-1],
    )
    return History(kept, report)


def to_interactions(frame: pl.DataFrame) -> Iterator[Interaction]:
    """The rows of a History's frame as interactions, in its order; about 1 µs a row."""
    of_number = {int(action): action for action in Action}
    columns = ("user_id", "item_id", "action", "time_ms", "value", "event_id")
    for rows in frame.select(columns).iter_slices(_SLICE_ROWS):
        for user_id, item_id, action, time_ms, value, event_id in zip(
            *(rows[name].to_list() for name in columns), strict=True
        ):
            yield Interaction(user_id, item_id, of_number[action], time_ms, value, event_id or "")


def _polars() -> Any:
    try:
        import polars
    except ImportError:
        raise HistoryRejected("reading files needs polars: install plural[files] or plural[trainer]") from None
    return polars


def _read_file(file: Path, columns: dict[str, str], guesses: list[str]) -> pl.DataFrame:
    """One file in our columns, with marks in place of what cannot be read: null ids, times; `bad_value`."""
    import polars as pl

    from interests import history_columns as meaning
    from interests import history_erasures as erasing
    from interests.history_files import as_ids, match_columns, missing_column, read_table

    table = read_table(file)
    found = match_columns(file, table.columns, meaning.ALIASES)
    for name in _NEEDED:
        if name not in found:
            raise missing_column(file, name, table.columns)
    columns |= found
    out: dict[str, pl.Series] = erasing.places(table)
    is_log = out[LOG].is_not_null().any()
    for name in ("user_id", "item_id", "event_id"):
        column = table[found[name]] if name in found else pl.Series([None] * table.height, dtype=pl.String)
        # A kept log has ids as they were sent, and needs no guesses of what other tools did to them.
        ids = column.cast(pl.String) if is_log else as_ids(column)
        if ids is None:
            raise HistoryRejected(
                f"{file}: {found[name]}: holds {column.dtype}, which is no id; give text or whole numbers"
            )
        out[name] = ids
    times = meaning.times_ms(table[found["timestamp"]], guesses)
    if times is None:
        kind = table[found["timestamp"]].dtype
        raise HistoryRejected(f"{file}: {found['timestamp']}: holds {kind}; give ISO 8601, or seconds since 1970")
    out["time_ms"] = times
    if "action" in found:
        out["action"] = meaning.actions(table[found["action"]])
        out["erases"] = erasing.is_erase(table[found["action"]])
    if "value" in found:
        out["value"], out["bad_value"] = meaning.values(table[found["value"]])
    else:
        out["value"] = pl.Series([None] * table.height, dtype=pl.Float64)
        out["bad_value"] = pl.Series([False] * table.height)
    return pl.DataFrame(out)


def _with_actions(raw: pl.DataFrame, value_column: str, guesses: list[str]) -> pl.DataFrame:
    import polars as pl

    from interests.history_columns import guess_action

    if "action" in raw.columns:
        return raw
    has_value = raw["value"].is_not_null().any()
    action = guess_action(raw, value_column if has_value else None, guesses)
    return raw.with_columns(action=pl.lit(int(action), dtype=pl.Int32))


def _scale_ratings(kept: pl.DataFrame, guesses: list[str]) -> pl.DataFrame:
    import polars as pl

    from interests.history_columns import rating_scale

    # A kept log has stars already.
    rated = (pl.col("action") == int(Action.RATING)) & pl.col(LOG).is_null()
    ratings = kept.filter(rated)["value"]
    if ratings.is_empty():
        return kept
    top = rating_scale(ratings)
    highest = float(ratings.sort()[-1])
    guesses.append(f"ratings: highest seen {highest:g}, scale 0 to {top:g} mapped to 0 to {STARS_MAX:g}")
    factor = STARS_MAX / top if top > 0 else 1.0
    return kept.with_columns(value=pl.when(rated).then(pl.col("value") * factor).otherwise(pl.col("value")))
