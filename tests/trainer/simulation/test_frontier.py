"""What holding costs: the line of what is served between holding nothing and holding more, and its drawing."""

import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from interests.bundle import Bundle
from ranking.target import Target
from ranking.topics import Mixes
from trainer.app import TrainerSettings
from trainer.page.charts import TEXT_HEIGHT, Curve, Point, curves, drawing
from trainer.simulation.figures import Measures, measure_trace
from trainer.simulation.frontier import FRONTIER_ROWS, HOLDINGS, frontier, holding
from trainer.simulation.loop import ROWS, Row, World, run
from trainer.simulation.names import UNBIASED
from trainer.simulation.report import figures_of, write
from trainer.simulation.simulate import Plan

SERVED = ROWS[-1]


@pytest.fixture(scope="module")
def held(world: World, mixes: np.ndarray, bundle: Bundle) -> dict[str, Measures]:
    return {row.name: measure_trace(run(world, row, 12, True, 1), mixes, world.tastes, bundle) for row in FRONTIER_ROWS}


def test_holding_once_is_what_serves(world: World) -> None:
    once = run(world, Row("once", partial(holding, 1.0), None), 4, True, 1)
    assert (once.shown == run(world, SERVED, 4, True, 1).shown).all()


def test_who_holds_more_comes_closer_to_what_is_owed_and_who_holds_nothing_stays_with_relevance() -> None:
    relevance, vectors = np.array([1.0, 0.9, 0.8, 0.0], dtype=np.float32), np.zeros((4, 3), dtype=np.float32)
    mixes = Mixes(np.array([[0], [0], [1], [1]], dtype=np.int32), np.ones((4, 1), dtype=np.float32))
    aim = Target(np.array([0.3, 0.7], dtype=np.float32), np.zeros(2, dtype=np.float32), 20.0)
    nothing, twice = (holding(times, relevance, vectors, mixes, aim, 2, 0.02) for times in (0.0, 2.0))
    assert nothing == [0, 1]
    assert twice == [0, 2]


def test_the_line_goes_from_holding_nothing_to_holding_most_with_what_ships_in_between_and_others_beside_it(
    measured: dict[str, Measures], held: dict[str, Measures], tmp_path: Path
) -> None:
    found = {name: [one] for name, one in (measured | held).items()}
    found |= {name + UNBIASED: runs for name, runs in found.items()}
    figures = figures_of(found, seed=0)
    plots = frontier([asdict(figure) for figure in figures], 12)
    assert [plot.title for plot in plots] == [
        "Utility, mean of rounds",
        "Utility in round 12",
        "Utility, mean of rounds" + UNBIASED,
        "Utility in round 12" + UNBIASED,
    ]
    for plot in plots:
        line, *others = plot.lines
        assert [point.name for point in line.points] == ["x 0", "x 0.1", "x 0.25", "x 0.5", "x 1", "x 2", "x 4"]
        assert [other.name for other in others] == [row.name for row in ROWS[:-1]]
        assert all(len(other.points) == 1 for other in others)
    ships = plots[1].lines[0].points[4]
    value = {(figure.row, figure.metric): figure for figure in figures}
    assert ships.x == value[SERVED.name, "kl over relevance only"].value
    assert ships.y == value[SERVED.name, "utility, round 12"].value
    write(tmp_path, figures, found, first_seed=1, people=16)
    svg = ElementTree.parse(tmp_path / "frontier.svg").getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    page = (tmp_path / "simulation.html").read_text()
    assert page.count("<svg") == 11
    assert page.count(f">{FRONTIER_ROWS[0].name}</text>") == 0


def test_where_nothing_drifts_there_is_no_frontier(measured: dict[str, Measures], tmp_path: Path) -> None:
    still = {name: [Measures(one.of | {"kl": one.of["kl"] * 0.0})] for name, one in measured.items()}
    figures = figures_of(still, seed=0)
    assert frontier([asdict(figure) for figure in figures], 12) == []
    write(tmp_path, figures, still, first_seed=1, people=16)
    assert not (tmp_path / "frontier.svg").exists()


def test_it_is_simulated_where_asked_for_and_without_bursts() -> None:
    ask = ["simulate", "--interactions", "log.csv", "--out", "here"]
    asked, unasked = (TrainerSettings(_cli_parse_args=[*ask, *more]).simulate for more in (["--frontier"], []))
    assert asked is not None
    assert unasked is not None
    assert (asked.frontier, unasked.frontier) == (True, False)
    plan = Plan(4, 20, 2, 5, (True,), 10, frontier=FRONTIER_ROWS)
    assert len(plan.jobs(True)) == 2 * (len(ROWS) + len(HOLDINGS))
    assert len(plan.burst_jobs()) == 2 * len(ROWS)


def test_names_of_lines_that_end_at_the_same_height_stand_apart() -> None:
    ends = [Curve(name, [Point(1.0, y, y, y)]) for name, y in (("a", 0.0), ("b", 0.001), ("c", 0.002), ("d", 9.0))]
    svg = ElementTree.fromstring(curves(ends, "x", "y"))
    heights = sorted(float(text.get("y", "")) for text in svg.iter("text") if "end" in text.get("class", ""))
    assert len(heights) == 4
    assert min(np.diff(heights)) >= TEXT_HEIGHT - 0.2


def test_names_of_points_beside_a_steep_line_stand_apart() -> None:
    points = [Point(1.0, y, y, y, name) for y, name in ((0.0, "held 4"), (0.001, "held 2"), (9.0, "held 0"))]
    svg = ElementTree.fromstring(curves([Curve("steep", points, beside=True)], "x", "y"))
    heights = sorted(float(text.get("y", "")) for text in svg.iter("text") if (text.text or "").startswith("held"))
    assert len(heights) == 3
    assert min(np.diff(heights)) >= TEXT_HEIGHT - 0.2


def test_a_drawing_of_nothing_is_still_a_file() -> None:
    assert ElementTree.fromstring(drawing([])).tag.endswith("svg")
