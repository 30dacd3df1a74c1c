"""The figures of a report as the page's sections ask for them."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trainer.evaluation.evaluate import SIZE
from trainer.evaluation.table import MINUS, SERVED, Figure
from trainer.evaluation.variants import NEW_ITEMS, NEW_USERS

METRIC = f"NDCG@{SIZE}"
VARIANTS_SERVED = (SERVED, SERVED + NEW_ITEMS, SERVED + NEW_USERS)


class Figures:
    """The figures of a report by row and metric."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        figures = [Figure(**figure) for figure in report["figures"]]
        self._by = {(figure.row, figure.metric): figure for figure in figures}
        self.rows = list(dict.fromkeys(figure.row for figure in figures if not figure.row.startswith(MINUS)))
        self._baselines: list[str] = report["baseline_rows"]
        self.suffixes = [row.removeprefix(SERVED) for row in self.rows if row in VARIANTS_SERVED]

    def of(self, row: str, metric: str) -> Figure | None:
        """One figure, None where it was not measured."""
        return self._by.get((row, metric))

    def metrics(self, row: str) -> list[str]:
        """What was measured of a row."""
        return [metric for name, metric in self._by if name == row]

    def variant(self, suffix: str) -> list[str]:
        """Full names of the rows that answered the same questions, best first."""
        rows = [row for row in self.rows if row == SERVED + suffix or self.of(MINUS + row, METRIC)]
        rows = [row for row in rows if row.endswith(suffix) and (suffix or not row.endswith(")"))]
        return sorted(rows, key=lambda row: -(self._by[row, METRIC].value))

    def best_baseline(self, suffix: str) -> str | None:
        """The baseline that ranks best."""
        named = [row for row in self.variant(suffix) if row.removesuffix(suffix) in self._baselines]
        return named[0] if named else None


def section(title: str, said: str, body: str) -> str:
    """A heading, a sentence and what belongs under them; nothing without a body."""
    return f"<section><h2>{escape(title)}</h2><p>{escape(said)}</p>{body}</section>" if body else ""
