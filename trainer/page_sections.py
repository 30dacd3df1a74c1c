"""Sections of the page, each a heading, a sentence and a chart or a table; empty where there is nothing to show."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from trainer.bands import POPULARITY
from trainer.evaluate import RELEVANCE_ONLY, SIZE
from trainer.knowing import FIRST_EVENTS, HIDDEN, STALE, first_events_row, stale_row
from trainer.page_charts import Curve, Mark, Point, bars, curves, intervals
from trainer.table import MINUS, SERVED, Figure

METRIC = f"NDCG@{SIZE}"
COLUMNS = (
    *(f"{name}@{SIZE}" for name in ("NDCG", "HR", "Recall")),
    *("Recall@100", "MRR", f"coverage@{SIZE}", f"Gini@{SIZE}", f"ILD@{SIZE}", f"KL@{SIZE}"),
)
CURVES = ("served, diversity ", "served, first ")


class Figures:
    """The figures of a report by row and metric."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        figures = [Figure(**figure) for figure in report["figures"]]
        self._by = {(figure.row, figure.metric): figure for figure in figures}
        self.rows = list(dict.fromkeys(figure.row for figure in figures if not figure.row.startswith(MINUS)))
        self._baselines: list[str] = report["baseline_rows"]
        self.suffixes = [row.removeprefix(SERVED) for row in self.rows if row in (SERVED, *_suffixed(SERVED))]

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


def ranking(found: Figures, suffix: str) -> str:
    """NDCG of every row."""
    marks = [_mark(row, figure, suffix) for row in found.variant(suffix) if (figure := found.of(row, METRIC))]
    return _section(f"{METRIC}{suffix}", "Higher is better. In colour: the pipeline that serves.", intervals(marks))


def ahead(found: Figures, suffix: str) -> str:
    """What `served` is ahead of every other by."""
    marks = []
    for row in found.variant(suffix):
        figure = found.of(MINUS + row, METRIC)
        if figure:
            strong = figure.low > 0
            marks.append(Mark(row.removesuffix(suffix), figure.value, figure.low, figure.high, strong))
    said = "Differences of the same users' answers. In colour: the interval is clear of 0 and served is ahead."
    return _section(f"{METRIC}: served minus each row{suffix}", said, intervals(marks, signed=True))


def diversity(found: Figures) -> str:
    """Relevance against diversity, over the dial."""
    rows = [row for row in found.rows if row.startswith(CURVES[0]) and not row.endswith(")")]
    charts = ""
    for metric, name in (
        (f"KL@{SIZE}", "KL of the slate from the user's own mix (less is closer)"),
        (f"ILD@{SIZE}", "mean distance between items of a slate"),
    ):
        points = []
        for row in rows:
            x, y = found.of(row, metric), found.of(row, METRIC)
            if x and y:
                points.append(Point(x.value, y.value, y.low, y.high, row.removeprefix(CURVES[0])))
        charts += curves([Curve("dial", points)], name, METRIC) if points else ""
    said = "Each point is one setting of the dial that a request can turn: 0 is relevance alone, 1 is diversity first."
    return _section("Relevance against diversity", said, charts)


def bands(found: Figures) -> str:
    """NDCG by how much users did and by how popular the answer is."""
    best = found.best_baseline("")
    rows = [row for row in (SERVED, best, "encoder") if row and row in found.rows]
    prefix = f"{METRIC}, "
    names = list(dict.fromkeys(metric for row in rows for metric in found.metrics(row) if metric.startswith(prefix)))
    people = sorted((name for name in names if name.removeprefix(prefix) not in POPULARITY), key=_first_number)
    goods = [prefix + band for band in POPULARITY if prefix + band in names]
    marks = []
    for metric in people + goods:
        for row in rows:
            figure = found.of(row, metric)
            if figure:
                name = f"{metric.removeprefix(prefix)}: {row}"
                marks.append(Mark(name, figure.value, figure.low, figure.high, row == SERVED))
    said = "Bands of users hold about as many each; head, middle and tail items a third of all events each."
    return _section("Who is served well, and with what", said, intervals(marks))


def knowing(found: Figures) -> str:
    """New users' first events, and states of other times."""
    points = []
    for count in FIRST_EVENTS:
        figure = found.of(first_events_row(count), METRIC)
        if figure:
            points.append(Point(count, figure.value, figure.low, figure.high))
    out = ""
    if points:
        said = "The same users and questions; the state knows the first events of each user alone."
        chart = curves([Curve("served", points)], "events known", METRIC)
        out += _section("A new user's first events", said, chart)
    live = found.of(SERVED, METRIC)
    rows = [stale_row(name) + hidden for hidden in ("", HIDDEN) for name in STALE]
    marks = [_mark(row, figure, "") for row in rows if (figure := found.of(row, METRIC))]
    if live and marks:
        said = (
            "The same models and questions; states absorb every timestamp group, or are brought up to date less often."
        )
        gains = [
            Mark(f"live minus {row.removeprefix('served, ')}", gain.value, gain.low, gain.high, gain.low > 0)
            for row in rows
            if (gain := found.of(MINUS + row, METRIC))
        ]
        live_mark = Mark("served, live states", live.value, live.low, live.high, True)
        out += _section("What live states are worth", said, intervals([live_mark, *marks]) + intervals(gains, True))
    return out


def training(report: Mapping[str, Any]) -> str:
    """Loss and validation of the encoder by epoch."""
    losses: list[Curve] = []
    gains: list[Curve] = []
    for place, curve in enumerate(report["encoder_curves"]):
        name = f"seed {report['seed'] + place}" if len(report["encoder_curves"]) > 1 else "encoder"
        epochs = [epoch for epoch in curve if "interests" not in epoch]
        for metric, lines in (("loss", losses), ("validation_ndcg@10", gains)):
            points = [Point(one["epoch"], one[metric], one[metric], one[metric]) for one in epochs if metric in one]
            if points:
                lines.append(Curve(name, points))
    charts = curves(losses, "epoch", "training loss") + curves(gains, "epoch", f"validation {METRIC}")
    return _section("Training", "The encoder, on the training part alone; the best epoch is kept.", charts)


def signals(report: Mapping[str, Any]) -> str:
    """What validation gave each signal."""
    chosen: Mapping[str, Any] = report["chosen"]
    charts = ""
    for field in [name for name in chosen if name.endswith("_weights") and chosen[name]]:
        heaviest = sorted(chosen[field].items(), key=lambda pair: -pair[1])
        charts += f"<p><strong>{escape(field.replace('_', ' '))}</strong></p>{bars(heaviest)}"
    said = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in chosen.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    ]
    best = f" Best alone on validation: {report['best_signal']}." if report["best_signal"] else ""
    return _section("Signals", f"Weights that validation chose.{best} {'; '.join(said)}.", charts)


def table(found: Figures, suffix: str) -> str:
    """Every figure of every row."""
    columns = [metric for metric in COLUMNS if any(found.of(row, metric) for row in found.variant(suffix))]
    head = "".join(f"<th>{escape(metric)}</th>" for metric in ("row", *columns))
    lines = []
    for row in found.variant(suffix):
        cells = "".join(f"<td>{_cell(found.of(row, metric))}</td>" for metric in columns)
        kind = ' class="strong"' if row == SERVED + suffix else ""
        lines.append(f"<tr{kind}><td>{escape(row.removesuffix(suffix))}</td>{cells}</tr>")
    said = "Coverage: share of items in any slate. Gini: 0 where all items are shown alike. KL: less is closer."
    body = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    return _section(f"All figures{suffix}", said, body if lines else "")


def settings(report: Mapping[str, Any]) -> str:
    """What validation chose for the baselines."""
    lines = []
    for name, by_suffix in report["baselines"].items():
        for suffix, values in by_suffix.items():
            told = ", ".join(f"{key} {'all' if value >= 1e9 else f'{value:g}'}" for key, value in values.items())
            lines.append(f"<tr><td>{escape(name + suffix)}</td><td>{escape(told)}</td></tr>")
    said = (
        "Chosen on validation for each question, then counted anew with everything before the test. Dense "
        f"baselines (ItemKNN, EASE, transitions) rank the {report['baseline_items']:,} most popular; others score 0."
    )
    return _section("Baselines at their best", said, f"<table>{''.join(lines)}</table>" if lines else "")


def work(report: Mapping[str, Any]) -> str:
    """Where the time went."""
    said = f"At most {report['peak_memory_mb']:,} MB of memory."
    return _section("Seconds by step", said, bars(list(report["seconds"].items()), " s"))


def _suffixed(row: str) -> Sequence[str]:
    return [row + suffix for suffix in (" (new items)", " (new users)")]


def _mark(row: str, figure: Figure, suffix: str) -> Mark:
    strong = row == SERVED + suffix or row == RELEVANCE_ONLY + suffix
    return Mark(row.removesuffix(suffix), figure.value, figure.low, figure.high, strong and row == SERVED + suffix)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    spread = f"<br><small>{figure.low:.3f}–{figure.high:.3f}</small>" if figure.low < figure.high else ""
    return f"{figure.value:.4f}{spread}"


def _first_number(name: str) -> int:
    digits = "".join(letter if letter.isdigit() else " " for letter in name.removeprefix(METRIC)).split()
    return int(digits[0]) + ("over" in name) if digits else 0


def _section(title: str, said: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(said)}</p>{body}</section>" if body else ""
