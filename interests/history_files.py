"""Tables of any shop as they lie on disk: CSV, Parquet, JSON Lines, a directory or a glob of them.

Text formats are read as text and typed later, so that an id such as `007` stays what it is.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from interests.errors import HistoryRejected

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq", ".jsonl", ".ndjson")
_SEPARATORS = ("\t", ";", "|", ",")


def find_files(path: Path) -> list[Path]:
    """The files meant by `path`, in the order of their names. Raises HistoryRejected where there is none."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.rglob("*") if _is_table(file) and not file.name.startswith(".")]
    elif any(sign in str(path) for sign in "*?["):
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        found = [file for file in anchor.glob(str(path.relative_to(path.anchor))) if file.is_file()]
    else:
        raise HistoryRejected(f"{path}: is not there; give a file, a directory or a glob")
    if not found:
        raise HistoryRejected(f"{path}: holds no file named *{', *'.join(SUFFIXES)}; give one of these")
    return sorted(found)


def read_table(file: Path) -> pl.DataFrame:
    """One file as it is; columns of text formats are text. Raises HistoryRejected where it cannot be read."""
    if not _is_table(file):
        raise HistoryRejected(f"{file}: is of no known kind; name it *{', *'.join(SUFFIXES)}")
    try:
        frame = _read(file)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise HistoryRejected(
            f"{file}: cannot be read as {_kind(file)}: {reason}; check its format and suffix"
        ) from None
    if frame.width == 0 or (frame.height == 0 and _kind(file) != "Parquet"):  # a part of many may hold no row
        raise HistoryRejected(f"{file}: is empty; give a file with a header and rows")
    return frame


def match_columns(file: Path, columns: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Our name to the file's name of every column that is found; an exact name wins over an alias.

    Case, punctuation and a `:type` suffix do not matter to an alias. Raises HistoryRejected where two columns of the
    file have one plain name and neither is exact.
    """
    plain: dict[str, list[str]] = {}
    for column in columns:
        plain.setdefault(_plain(column), []).append(column)
    found: dict[str, str] = {}
    for ours, others in aliases.items():
        if ours in columns:
            found[ours] = ours
            continue
        for alias in (ours, *others):
            theirs = [column for column in plain.get(_plain(alias), []) if column not in found.values()]
            if len(theirs) > 1:
                raise HistoryRejected(f"{file}: {ours}: could be {' or '.join(theirs)}; name one of them {ours}")
            if theirs:
                found[ours] = theirs[0]
                break
    return found


def missing_column(file: Path, name: str, columns: Sequence[str]) -> HistoryRejected:
    """The one line for a column that is needed and not there."""
    listed = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    return HistoryRejected(f"{file}: {name}: no such column among {listed}; rename the one that holds it to {name}")


def as_ids(series: pl.Series) -> pl.Series | None:
    """Ids as stripped text, null where there is none; None where the column's type holds no ids.

    Whole numbers lose the `.0` that a column with gaps gets in other tools.
    """
    dtype = series.dtype
    if dtype.is_float():
        whole = series.is_null() | series.is_nan() | (series == series.floor())
        series = series.fill_nan(None)
        series = (series.cast(pl.Int64, strict=False) if whole.all() else series).cast(pl.String)
    elif dtype.is_integer() or dtype in (pl.Categorical, pl.Enum, pl.Null):
        series = series.cast(pl.String)
    elif dtype != pl.String:
        return None
    text = series.str.strip_chars()
    if len(text) and (text.str.contains(r"^-?\d+\.0+$") | text.is_null() | (text == "")).all():
        text = text.str.replace(r"\.0+$", "")
    return text.set(text == "", None)


def _read(file: Path) -> pl.DataFrame:
    kind = _kind(file)
    if kind == "Parquet":
        return pl.read_parquet(file)
    if kind == "JSON Lines":
        return pl.read_ndjson(file, infer_schema_length=None)
    return pl.read_csv(file, separator=_separator(file), infer_schema=False, encoding="utf8")


def _separator(file: Path) -> str:
    if file.name.removesuffix(".gz").endswith(".tsv"):
        return "\t"
    if file.suffix == ".gz":
        return ","
    with file.open("rb") as stream:
        header = stream.readline(65536).decode("utf8", errors="replace")
    return max(_SEPARATORS, key=lambda sign: (header.count(sign), sign == ","))


def _kind(file: Path) -> str:
    name = file.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "Parquet"
    return "JSON Lines" if name.endswith((".jsonl", ".ndjson")) else "CSV"


def _is_table(file: Path) -> bool:
    return file.is_file() and file.name.lower().endswith(SUFFIXES)


def _plain(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.split(":")[0].lower())
