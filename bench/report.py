"""What every benchmark shares: its flags, its table, its JSON and the conditions it ran under."""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure. limit: the best that was possible in the same run, in the same unit; ratio: value over limit."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    spread: str = ""


def arguments(
    description: str | None, rounds: int = 3, more: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """The flags of a benchmark: --json FILE, --rounds N, and what `more` adds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds; medians are reported")
    if more:
        more(parser)
    return parser.parse_args()


def against(name: str, unit: str, values: Sequence[float], limits: Sequence[float]) -> Row:
    """Medians over paired rounds, and the median and range of the pairwise ratio."""
    ratios = [value / limit for value, limit in zip(values, limits, strict=True)]
    spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
    return Row(name, statistics.median(values), unit, statistics.median(limits), statistics.median(ratios), spread)


def finish(claim: str, rows: Sequence[Row], file: Path | None, conditions: str = "") -> None:
    """Print the table and write the JSON."""
    print(f"\n{claim}")
    print(f"{'':42} {'measured':>12} {'limit':>12} {'unit':10} {'ratio':>7}  over rounds")
    for row in rows:
        limit = f"{row.limit:12,.2f}" if row.limit is not None else f"{'–':>12}"
        ratio = f"{row.ratio:7.2f}" if row.ratio is not None else f"{'–':>7}"
        print(f"{row.name:42} {row.value:12,.2f} {limit} {row.unit:10} {ratio}  {row.spread}")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; {conditions}")
    if file:
        keep = ("name", "value", "unit", "limit", "ratio")
        file.write_text(json.dumps([{key: asdict(row)[key] for key in keep} for row in rows], indent=1) + "\n")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of all lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
