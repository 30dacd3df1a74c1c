"""The table for a terminal."""

from collections.abc import Sequence

from trainer.evaluation.table import MINUS, SERVED, Figure


def lines(figures: Sequence[Figure], metrics: Sequence[str]) -> list[str]:
    """These metrics for a person, a row a line, and how far `served` is ahead of each; a variant after the other."""
    value = {(figure.row, figure.metric): figure for figure in figures}
    rows = [row for row in dict.fromkeys(figure.row for figure in figures) if not row.startswith(MINUS)]
    rows = [row for row in rows if row == SERVED + suffix(row) or (MINUS + row, metrics[0]) in value]
    rows.sort(key=suffix)
    width = max((len(row) for row in rows), default=0)
    said = [" " * width + "".join(f"  {metric:>20}" for metric in metrics) + f"  {MINUS + 'it':>24}"]
    for row in rows:
        cells = [_cell(value.get((row, metric))) for metric in metrics]
        ahead = value.get((MINUS + row, metrics[0]))
        cells.append(f"{ahead.value:+.4f} [{ahead.low:+.4f},{ahead.high:+.4f}]" if ahead else "")
        said.append((f"{row:<{width}}" + "".join(f"  {cell:>20}" for cell in cells)).rstrip())
    return said


def suffix(row: str) -> str:
    """The variant that a full row name ends with, or nothing."""
    return " (" + row.rsplit(" (", 1)[1] if row.endswith(")") else ""


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.low == figure.high:
        return f"{figure.value:.4f}" + " " * 14
    return f"{figure.value:.4f} [{figure.low:.3f},{figure.high:.3f}]"
