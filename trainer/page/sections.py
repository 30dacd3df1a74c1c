"""Sections of the page that compare: each a heading, a sentence and a chart; empty where there is nothing to show."""

from trainer.evaluation.bands import POPULARITY
from trainer.evaluation.evaluate import SIZE
from trainer.evaluation.knowing import FIRST_EVENTS, HIDDEN, STALE, first_events_row, stale_row
from trainer.evaluation.table import MINUS, SERVED, Figure
from trainer.page.charts import Curve, Mark, Point, curves, intervals
from trainer.page.figures import METRIC, Figures, section

DIAL = "served, diversity "


def ranking(found: Figures, suffix: str) -> str:
    """NDCG of every row."""
    marks = [_mark(row, figure, suffix) for row in found.variant(suffix) if (figure := found.of(row, METRIC))]
    return section(f"{METRIC}{suffix}", "Higher is better. In colour: the pipeline that serves.", intervals(marks))


def ahead(found: Figures, suffix: str) -> str:
    """What `served` is ahead of every other by."""
    marks = []
    for row in found.variant(suffix):
        figure = found.of(MINUS + row, METRIC)
        if figure:
            strong = figure.low > 0
            marks.append(Mark(row.removesuffix(suffix), figure.value, figure.low, figure.high, strong))
    said = "Differences of the same users' answers. In colour: the interval is clear of 0 and served is ahead."
    return section(f"{METRIC}: served minus each row{suffix}", said, intervals(marks, signed=True))


def diversity(found: Figures) -> str:
    """Relevance against diversity, over the dial."""
    rows = [row for row in found.rows if row.startswith(DIAL) and not row.endswith(")")]
    charts = ""
    for metric, name in (
        (f"KL@{SIZE}", "KL of the slate from the user's own mix (less is closer)"),
        (f"ILD@{SIZE}", "mean distance between items of a slate"),
    ):
        points = []
        for row in rows:
            x, y = found.of(row, metric), found.of(row, METRIC)
            if x and y:
                points.append(Point(x.value, y.value, y.low, y.high, row.removeprefix(DIAL)))
        charts += curves([Curve("dial", points)], name, METRIC) if points else ""
    said = "Each point is one setting of the dial that a request can turn: 0 is relevance alone, 1 is diversity first."
    return section("Relevance against diversity", said, charts)


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
    return section("Who is served well, and with what", said, intervals(marks))


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
        out += section("A new user's first events", said, chart)
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
        out += section("What live states are worth", said, intervals([live_mark, *marks]) + intervals(gains, True))
    return out


def _mark(row: str, figure: Figure, suffix: str) -> Mark:
    return Mark(row.removesuffix(suffix), figure.value, figure.low, figure.high, row == SERVED + suffix)


def _first_number(name: str) -> int:
    digits = "".join(letter if letter.isdigit() else " " for letter in name.removeprefix(METRIC)).split()
    return int(digits[0]) + ("over" in name) if digits else 0
