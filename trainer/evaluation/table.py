"""The table of an evaluation: what each row measured at each moment, means with intervals, and rows against `served`.

Intervals are 95% bootstrap intervals over users: a user is drawn with all of their moments. Differences are paired:
the same draws, and only moments that both rows answered. Paired bootstrap: Koehn, EMNLP 2004.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainer.evaluation.metrics import BOOTSTRAP_ROUNDS

SERVED = "served"
MINUS = f"{SERVED} minus "

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One measured number with its interval; low and high equal the value where there is none."""

    row: str
    metric: str
    value: float
    low: float
    high: float


@dataclass
class Row:
    """What one ranking measured.

    values: by metric, then by moment; whole: by metric, over all moments at once
    compared: whether it is set against `served`
    """

    name: str
    suffix: str
    compared: bool = True
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    whole: dict[str, float] = field(default_factory=dict)
    _shown: list[int] = field(default_factory=list)

    def add(self, moment: int, measures: Mapping[str, float], shown: Sequence[int]) -> None:
        """One moment's measures, and the item rows of the slate."""
        for metric, value in measures.items():
            self.values.setdefault(metric, {})[moment] = value
        self._shown.extend(shown)

    def close(self, available: int, size: int) -> None:
        """Measure what was shown over all moments, out of so many available items."""
        counts = np.sort(np.unique(self._shown, return_counts=True)[1]).astype(np.float64)
        self.whole[f"coverage@{size}"] = len(counts) / max(available, 1)
        self.whole[f"Gini@{size}"] = gini(counts, available)
        self._shown.clear()


class Table:
    """Rows by their full name, asked at moments of these users."""

    def __init__(self, owners: Sequence[int]) -> None:
        """owners: the user of each moment."""
        self.rows: dict[str, Row] = {}
        self._owners = np.asarray(owners, dtype=np.int64)
        self._draws: dict[bytes, Doubles] = {}

    def row(self, name: str, suffix: str = "", compared: bool = True) -> Row:
        """The row of that name, made where it is not there."""
        return self.rows.setdefault(name + suffix, Row(name, suffix, compared))

    def close(self, available: int, size: int) -> None:
        """All slates are in; a row that nobody was asked for is left out."""
        self.rows = {name: row for name, row in self.rows.items() if row.values}
        for row in self.rows.values():
            row.close(available, size)

    def figures(self, seed: int) -> list[Figure]:
        """Means of every row, then what `served` is ahead of every other by."""
        found = []
        for full, row in self.rows.items():
            found += self._intervals(full, row.values, seed)
            found += [Figure(full, metric, value, value, value) for metric, value in row.whole.items()]
        for full, row in self.rows.items():
            served = self.rows.get(SERVED + row.suffix)
            if served and row is not served and row.compared:
                found += self._intervals(MINUS + full, _differences(served, row), seed)
        return found

    def ratio(self, row: str, other: str, metric: str, seed: int) -> Figure | None:
        """One row's mean over another's, at moments that both answered."""
        if row not in self.rows or other not in self.rows:
            return None
        over, under = self.rows[row].values.get(metric, {}), self.rows[other].values.get(metric, {})
        both = sorted(over.keys() & under.keys())
        if not both or not sum(under[at] for at in both) > 0:
            return None
        sums, _ = self._sums([[over[at] for at in both], [under[at] for at in both]], both)
        drawn = self._drawn(both, seed) @ sums
        ratios = drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12)
        low, high = np.percentile(ratios, [2.5, 97.5])
        value = float(sums[:, 0].sum() / sums[:, 1].sum())
        return Figure(f"{row} over {other}", metric, value, float(low), float(high))

    def _intervals(self, row: str, values: Mapping[str, Mapping[int, float]], seed: int) -> list[Figure]:
        found = []
        by_moments: dict[tuple[int, ...], list[str]] = {}
        for metric, measured in values.items():
            by_moments.setdefault(tuple(sorted(measured)), []).append(metric)
        for moments, metrics in by_moments.items():
            if moments:
                sums, counts = self._sums([[values[metric][at] for at in moments] for metric in metrics], moments)
                draws = self._drawn(moments, seed)
                low, high = np.percentile(
                    (draws @ sums) / np.maximum(draws @ counts, 1.0)[:, None], [2.5, 97.5], axis=0
                )
                means = sums.sum(axis=0) / counts.sum()
                found += [
                    Figure(row, *four)
                    for four in zip(metrics, means.tolist(), low.tolist(), high.tolist(), strict=True)
                ]
        order = {metric: place for place, metric in enumerate(values)}
        return sorted(found, key=lambda figure: order[figure.metric])

    def _sums(self, columns: Sequence[Sequence[float]], moments: Sequence[int]) -> tuple[Doubles, Doubles]:
        """Sums (u, k) and counts (u,) by user."""
        _, user = np.unique(self._owners[list(moments)], return_inverse=True)
        sums: Doubles = np.stack([np.bincount(user, weights=column) for column in columns], axis=1).astype(np.float64)
        return sums, np.bincount(user).astype(np.float64)

    def _drawn(self, moments: Sequence[int], seed: int) -> Doubles:
        """How often each user is drawn in each round (BOOTSTRAP_ROUNDS, u); the same for the same users."""
        users = np.unique(self._owners[list(moments)])
        if users.tobytes() not in self._draws:
            rng = np.random.default_rng(seed)
            drawn = rng.multinomial(len(users), np.full(len(users), 1.0 / len(users)), size=BOOTSTRAP_ROUNDS)
            self._draws[users.tobytes()] = drawn.astype(np.float64)
        return self._draws[users.tobytes()]


def averaged(tables: Sequence[Table]) -> Table:
    """One table of several seeds: each moment's mean over those that measured it."""
    first = tables[0]
    out = Table(first._owners.tolist())
    for full in dict.fromkeys(name for table in tables for name in table.rows):
        rows = [table.rows[full] for table in tables if full in table.rows]
        mean = out.row(rows[0].name, rows[0].suffix, rows[0].compared)
        for metric in dict.fromkeys(metric for row in rows for metric in row.values):
            measured = [row.values.get(metric, {}) for row in rows]
            moments = sorted({at for one in measured for at in one})
            mean.values[metric] = {at: _mean(one[at] for one in measured if at in one) for at in moments}
        mean.whole = {metric: _mean(row.whole[metric] for row in rows) for metric in rows[0].whole}
    return out


def gini(counts: Doubles, items: int) -> float:
    """Inequality of how often `items` were shown: 0 all alike, near 1 a few alone. counts ascending, zeros left out."""
    if not len(counts) or items < 2:
        return 0.0
    place = np.arange(items - len(counts) + 1, items + 1)
    return float(((2 * place - items - 1) * counts).sum() / (items * counts.sum()))


def _differences(served: Row, row: Row) -> dict[str, dict[int, float]]:
    return {
        metric: {at: served.values[metric][at] - value for at, value in measured.items() if at in served.values[metric]}
        for metric, measured in row.values.items()
        if metric in served.values
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
