"""What holding costs: what is served, holding less and more, beside the other methods.

    protection' = 1 + holding * (protection - 1)        protection: of the target; see ranking/target.py

Holding 1 is what serves, 0 keeps the strength that a first slate has, whatever was shown before it. A first slate
hardly changes with it, so what is traded comes after: the drift that is left against what people like of what they
choose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ranking.diversify import calibrated
from ranking.diversify.inputs import Floats
from ranking.target import Target
from ranking.topics import Mixes
from trainer.page.charts import Curve, Plot, Point
from trainer.simulation.loop import ROWS, Row
from trainer.simulation.names import DRIFT_LEFT, UNBIASED, mean_of_rounds, of_round

HOLDINGS = (0.0, 0.1, 0.25, 0.5, 2.0, 4.0)
HELD = "served, holding x "


def holding(
    times: float, relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float
) -> list[int]:
    """The method that serves, with protection so many times as far above 1."""
    protection = 1.0 + times * (target.protection - 1.0)
    return calibrated(relevance, vectors, mixes, target._replace(protection=protection), size, diversity)


FRONTIER_ROWS = tuple(Row(f"{HELD}{times:g}", partial(holding, times), None) for times in HOLDINGS)


def frontier(figures: Sequence[Mapping[str, Any]], rounds: int) -> list[Plot]:
    """Utility against the share of relevance alone's drift that is left: over all rounds and in the last, with the bias
    and without. figures: (row, metric, value, low, high). None where nothing drifts."""
    known = {(one["row"], one["metric"]): one for one in figures}
    rows = dict.fromkeys(row for row, metric in known if metric == DRIFT_LEFT)
    plots = []
    for suffix in ("", UNBIASED):
        mine = [row for row in rows if row.endswith(UNBIASED) == bool(suffix)]
        for metric, said in (
            (mean_of_rounds("utility"), "Utility, mean of rounds"),
            (of_round("utility", rounds), f"Utility in round {rounds}"),
        ):
            points = {row.removesuffix(suffix): _point(known, row, metric) for row in mine}
            if points:
                plots.append(Plot(said + suffix, _curves(points), "drift left, of relevance alone's", "utility"))
    return plots


def _point(known: Mapping[tuple[str, str], Mapping[str, Any]], row: str, metric: str) -> Point:
    x, y = known[row, DRIFT_LEFT], known[row, metric]
    return Point(x["value"], y["value"], y["low"], y["high"])


def _curves(points: Mapping[str, Point]) -> list[Curve]:
    """What is served as one line, from what holds least, each point named by its holding; every other row a point."""
    ships = ROWS[-1].name
    held = {float(row.removeprefix(HELD)): point for row, point in points.items() if row.startswith(HELD)}
    others = [Curve(row, [point]) for row, point in points.items() if row != ships and not row.startswith(HELD)]
    if ships not in points:
        return others
    line = [replace(point, name=f"x {times:g}") for times, point in sorted(held.items())]
    line.insert(sum(times < 1.0 for times in held), replace(points[ships], name="x 1" if held else ""))
    return [Curve(ships, line, beside=True), *others]
