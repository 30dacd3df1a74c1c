"""Protocol B: how well a bundle, learned from the training part alone, ranks every user's last timestamp group.

All items are ranked. `served` is the pipeline that serves: states from absorb, profiles, slates at the bundle's default
dial. Each row is there twice: with repeats allowed, and over items that are new to the user. Intervals are 95%
bootstrap intervals over users.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.query import Query, Repeats
from ranking.recommend import Ranker
from ranking.topics import calibration_kl
from trainer.baselines import FixedRanking
from trainer.metrics import interval, intra_list_distance, ndcg, recall
from trainer.states import Case

SIZE, DEEP = 10, 100
NEW = " (new items)"

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Figure:
    """One measured number with its interval; low and high equal the value where there is none."""

    row: str
    metric: str
    value: float
    low: float
    high: float


@dataclass
class _Row:
    """Per-user measures of one row of the table."""

    ndcg: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)


def evaluate(
    bundle: Bundle,
    cases: Sequence[Case],
    seen: Sequence[Profile],
    baselines: Sequence[FixedRanking],
    seed: int,
    tick: Callable[[], None],
) -> list[Figure]:
    """Figures of `served` and of each baseline; `tick` is called once a case."""
    table: dict[str, _Row] = {}
    ranker = Ranker(bundle)
    for case, one in zip(cases, seen, strict=True):
        had = np.unique(one.item_rows)
        new = np.setdiff1d(case.relevant, had)
        variants: tuple[tuple[Rows, str, Repeats | None], ...] = (
            (case.relevant, "", None),
            (new, NEW, "filter"),
        )
        for relevant, suffix, repeats in variants:
            if len(relevant):
                _served(table.setdefault("served" + suffix, _Row()), bundle, ranker, one, relevant, repeats)
                for baseline in baselines:
                    hidden = had if repeats else had[:0]
                    _fixed(table.setdefault(baseline.name + suffix, _Row()), bundle, baseline, one, relevant, hidden)
        tick()
    available = int(np.count_nonzero(bundle.arrays.available))
    return [figure for name, row in table.items() for figure in _figures(name, row, available, seed)]


def lines(figures: Sequence[Figure]) -> list[str]:
    """The table for a person, a row a line."""
    metrics = list(dict.fromkeys(figure.metric for figure in figures))
    rows = dict.fromkeys(figure.row for figure in figures)
    value = {(figure.row, figure.metric): figure for figure in figures}
    width = max((len(row) for row in rows), default=0)
    said = [" " * width + "".join(f"  {metric:>22}" for metric in metrics)]
    for row in rows:
        cells = []
        for metric in metrics:
            cell = value[row, metric]
            cells.append(f"{cell.value:.4f} [{cell.low:.4f}, {cell.high:.4f}]")
        said.append(f"{row:<{width}}" + "".join(f"  {cell:>22}" for cell in cells))
    return said


def _served(row: _Row, bundle: Bundle, ranker: Ranker, one: Profile, relevant: Rows, repeats: Repeats | None) -> None:
    first = _rows(bundle, ranker, one, Query(size=SIZE, repeats=repeats))
    deep = _rows(bundle, ranker, one, Query(size=min(DEEP, bundle.manifest.item_count), repeats=repeats))
    row.ndcg.append(ndcg(first, relevant, SIZE))
    row.recall.append(recall(deep, relevant, DEEP))
    _breadth(row, bundle, one, first)


def _fixed(row: _Row, bundle: Bundle, baseline: FixedRanking, one: Profile, relevant: Rows, hidden: Rows) -> None:
    places = baseline.places(relevant, hidden)
    row.ndcg.append(places.ndcg(SIZE))
    row.recall.append(places.recall(DEEP))
    _breadth(row, bundle, one, baseline.first(SIZE, hidden))


def _breadth(row: _Row, bundle: Bundle, one: Profile, shown: Sequence[int]) -> None:
    mixes = topic_mixes(bundle, np.array(shown, dtype=np.int32))
    row.distance.append(intra_list_distance(mixes))
    if one.anchor.sum() > 0 and mixes.sum() > 0:
        row.kl.append(calibration_kl(one.anchor, mixes.sum(axis=0) / mixes.sum()))
    row.shown.update(shown)


def topic_mixes(bundle: Bundle, rows: Rows) -> Floats:
    """Category vectors (k, T) of items."""
    mixes = np.zeros((len(rows), bundle.manifest.topic_count), dtype=np.float32)
    ids, shares = bundle.arrays.item_topic_ids[rows], bundle.arrays.item_topic_shares[rows]
    for column in range(ids.shape[1]):
        known = np.flatnonzero(ids[:, column] >= 0)
        mixes[known, ids[known, column]] += shares[known, column]
    return mixes


def _rows(bundle: Bundle, ranker: Ranker, one: Profile, query: Query) -> list[int]:
    return [bundle.row_of[item.item_id] for item in ranker.recommend(one, query).items]


def _figures(name: str, row: _Row, available: int, seed: int) -> list[Figure]:
    measured = {
        f"NDCG@{SIZE}": row.ndcg,
        f"Recall@{DEEP}": row.recall,
        f"ILD@{SIZE}": row.distance,
        f"KL@{SIZE}": row.kl,
    }
    figures = [Figure(name, metric, *interval(np.array(found), seed)) for metric, found in measured.items()]
    coverage = len(row.shown) / max(available, 1)
    figures.insert(2, Figure(name, f"coverage@{SIZE}", coverage, coverage, coverage))
    return figures
