"""The shop's items: what its file says of them, and rows for items that only the history knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from interests.errors import HistoryRejected
from interests.events import ID_BYTES_MAX
from interests.history_files import as_ids, find_files, match_columns, missing_column, read_table

ALIASES = {
    "item_id": (
        *("item", "id", "iid", "product_id", "product", "movie_id", "article_id", "asin", "parent_asin", "sku"),
        *("track_id", "book_id", "isbn", "video_id", "content_id", "business_id", "stock_code"),
    ),
    "title": ("name", "product_name", "item_name", "movie_title", "product_title", "prod_name"),
    "categories": ("category", "genres", "genre", "class", "department", "product_category", "tags", "topic"),
    "text": ("description", "detail_desc", "overview", "summary", "features"),
    "brand": ("manufacturer", "maker", "store", "artist", "author"),
    "price": ("unit_price", "list_price"),
    "available": ("in_stock", "is_available", "active", "enabled"),
}
CATEGORIES_AN_ITEM_MAX = 8
_NO = ("false", "0", "no", "n", "f", "out of stock", "unavailable", "0.0")


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items by row; n of them. Rows follow the file, then come items that only the history has, by id.

    price (n,) float64, NaN where unknown; available (n,) bool
    """

    item_ids: list[str]
    titles: list[str]
    categories: list[list[str]]
    texts: list[str]
    brands: list[str]
    price: npt.NDArray[np.float64]
    available: npt.NDArray[np.bool_]
    report: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.item_ids)

    def line(self) -> str:
        """For a person."""
        said = f"catalogue: {self.report['rows_read']:,} rows read, {len(self):,} items"
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in self.report.get("dropped", {}).items())
        guessed = ", ".join(f"{ours} is {theirs}" for ours, theirs in self.report.get("columns", {}).items())
        filled = f"; {self.report['filled_from_history']:,} known from the history alone"
        return (
            said + filled + (f"; dropped: {dropped}" if dropped else "") + (f"; guessed: {guessed}" if guessed else "")
        )


def read_catalogue(path: Path | None, history_items: Sequence[str]) -> Catalogue:
    """Read CSV, Parquet or JSON Lines; items of the history without a row get one that holds their id alone.

    path: None where there is no catalogue, so that topics are learned. Raises HistoryRejected in one line.
    """
    if path is None:
        return _catalogue(_blank(sorted(history_items)), {"rows_read": 0, "filled_from_history": len(history_items)})
    dropped: dict[str, int] = {}
    columns: dict[str, str] = {}
    parts = [_read_file(file, columns) for file in find_files(path)]
    frame: pl.DataFrame = pl.concat(parts, how="diagonal")
    rows_read = frame.height
    for reason, bad in (
        ("missing item_id", pl.col("item_id").is_null()),
        (f"id over {ID_BYTES_MAX} bytes", pl.col("item_id").str.len_bytes() > ID_BYTES_MAX),
        ("duplicate item_id", ~pl.col("item_id").is_last_distinct()),
    ):
        kept = frame.filter(~bad)
        if kept.height < frame.height:
            dropped[reason] = frame.height - kept.height
        frame = kept
    if frame.is_empty():
        raise HistoryRejected(f"{path}: item_id: no row holds one among {rows_read}; fill that column in")
    known = set(frame["item_id"].to_list())
    filled = sorted(set(history_items) - known)
    report = {
        "rows_read": rows_read,
        "rows_kept": frame.height,
        "dropped": dropped,
        "columns": {ours: theirs for ours, theirs in columns.items() if ours != theirs},
        "filled_from_history": len(filled),
    }
    return _catalogue(pl.concat([frame, _blank(filled)], how="diagonal_relaxed"), report)


def _blank(item_ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"item_id": item_ids}, schema={"item_id": pl.String})


def _read_file(file: Path, columns: dict[str, str]) -> pl.DataFrame:
    table = read_table(file)
    found = match_columns(file, table.columns, ALIASES)
    if "item_id" not in found:
        raise missing_column(file, "item_id", table.columns)
    columns |= found
    ids = as_ids(table[found["item_id"]])
    if ids is None:
        kind = table[found["item_id"]].dtype
        raise HistoryRejected(f"{file}: {found['item_id']}: holds {kind}, which is no id; give text or whole numbers")
    out: dict[str, pl.Series] = {"item_id": ids}
    for name in ("title", "text", "brand"):
        if name in found:
            out[name] = _text(table[found[name]])
    if "categories" in found:
        out["categories"] = _categories(table[found["categories"]])
    if "price" in found:
        out["price"] = table[found["price"]].cast(pl.Float64, strict=False)
    if "available" in found:
        words = table[found["available"]].cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
        out["available"] = ~words.is_in(_NO)
    return pl.DataFrame(out)


def _text(series: pl.Series) -> pl.Series:
    if isinstance(series.dtype, pl.List):
        series = series.list.eval(pl.element().cast(pl.String)).list.join(" ", ignore_nulls=True)
    return series.cast(pl.String, strict=False).str.strip_chars()


def _categories(series: pl.Series) -> pl.Series:
    """Lists of distinct names, in the file's order."""
    if not isinstance(series.dtype, pl.List):
        series = series.cast(pl.String, strict=False).str.split("|")
    names = pl.element().cast(pl.String).str.strip_chars()
    return series.list.eval(names.filter(names.is_not_null() & (names != ""))).list.unique(maintain_order=True)


def _catalogue(frame: pl.DataFrame, report: dict[str, Any]) -> Catalogue:
    def column(name: str, empty: Any) -> list[Any]:
        if name not in frame.columns:
            return [empty] * frame.height
        return [empty if value is None else value for value in frame[name].to_list()]

    categories = [names[:CATEGORIES_AN_ITEM_MAX] for names in column("categories", [])]
    return Catalogue(
        item_ids=frame["item_id"].to_list(),
        titles=column("title", ""),
        categories=categories,
        texts=column("text", ""),
        brands=column("brand", ""),
        price=np.array(column("price", np.nan), dtype=np.float64),
        available=np.array(column("available", True), dtype=np.bool_),
        report=report | {"items": frame.height, "items_with_categories": sum(map(bool, categories))},
    )
