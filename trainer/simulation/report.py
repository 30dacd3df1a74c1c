"""Figures of simulated loops: for people, as JSON rows, as a table of rounds, and as a page.

Intervals of what each person has are 95% bootstrap intervals over people of all seeds; ratios resample the same people
for both rows; what a whole loop has one of (coverage, Gini, bursts) comes with its range over seeds.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.evaluation.metrics import BOOTSTRAP_ROUNDS
from trainer.evaluation.table import Figure
from trainer.page.charts import drawing
from trainer.simulation.burst import Burst, Like
from trainer.simulation.figures import BY_PERSON, BY_ROUND, METRICS, Measures
from trainer.simulation.frontier import frontier
from trainer.simulation.loop import ROWS
from trainer.simulation.names import DRIFT_LEFT, UNBIASED, mean_of_rounds, of_round
from trainer.simulation.page import page

RATIO_MIN = 1e-9  # of what is divided by

Doubles = npt.NDArray[np.float64]
Found = Mapping[str, Sequence[Measures]]
"""By row, the measures of each seed."""


def figures_of(found: Found, seed: int) -> list[Figure]:
    """Every metric in the first and the last round, against relevance alone, and the last utility against what is
    served: over the same people, so that two rows whose intervals touch can still be told apart."""
    rng = np.random.default_rng(seed)
    figures = []
    for name, runs in found.items():
        plain = found[_reference(name, found)]
        rounds = len(runs[0].of["coverage"])
        for metric in METRICS:
            for number in sorted({1, rounds}):
                values = _values(runs, metric, number - 1)
                figures.append(_interval(name, of_round(metric, number), values, metric in BY_PERSON, rng))
        for metric in ("utility", "felt_utility"):
            means = np.concatenate([one.of[metric].mean(axis=0) for one in runs])
            figures.append(_interval(name, mean_of_rounds(metric), means, True, rng))
        figures += _ratio(name, DRIFT_LEFT, runs, plain, "kl", rounds - 1, rng)
        for number in sorted({1, rounds}):
            metric = f"{of_round('utility', number)}, over relevance only"
            figures += _ratio(name, metric, runs, plain, "utility", number - 1, rng)
        if (ours := found.get(_like(ROWS[-1].name, name))) and ours is not runs:
            less = _values(runs, "utility", rounds - 1) - _values(ours, "utility", rounds - 1)
            figures.append(_interval(name, f"{of_round('utility', rounds)}, less what is served", less, True, rng))
    return figures


def burst_figures(row: str, rounds: int, bursts: Sequence[Burst], likes: Sequence[Like]) -> list[Figure]:
    """What bursts, waited for so many rounds, and likes did, with the range over seeds."""
    backs, added = [float(one.back) for one in bursts], [one.added for one in bursts]
    before, after, most = zip(*((one.before, one.after, one.most) for one in likes), strict=True)

    def figure(metric: str, value: float, over: Sequence[float]) -> Figure:
        return Figure(row, metric, value, min(over), max(over))

    return [
        figure("burst: KL added to slates, mean of the first rounds", float(np.mean(added)), added),
        figure(f"burst: rounds until back ({rounds + 1} is never)", float(np.median(backs)), backs),
        figure("one like: share of its topic in the slate before", float(np.mean(before)), before),
        figure("one like: share of its topic in the slate after", float(np.mean(after)), after),
        figure("one like: share of its topic in the slate after, most of anybody's", max(most), most),
    ]


def _reference(name: str, found: Found) -> str:
    wanted = _like(ROWS[0].name, name)
    return wanted if wanted in found else name


def _like(row: str, name: str) -> str:
    """That row among the same kind of people as this one's."""
    return row + (UNBIASED if name.endswith(UNBIASED) else "")


def _values(runs: Sequence[Measures], metric: str, number: int) -> Doubles:
    return np.concatenate([np.atleast_1d(one.of[metric][number]) for one in runs])


def _interval(row: str, metric: str, values: Doubles, people: bool, rng: np.random.Generator) -> Figure:
    """The mean, with a 95% bootstrap interval over people, or the range over seeds where there is one value a seed."""
    if not people:
        return Figure(row, metric, float(values.mean()), float(values.min()), float(values.max()))
    means = values[rng.integers(len(values), size=(BOOTSTRAP_ROUNDS, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Figure(row, metric, float(values.mean()), float(low), float(high))


def _ratio(
    row: str,
    metric: str,
    runs: Sequence[Measures],
    plain: Sequence[Measures],
    of: str,
    number: int,
    rng: np.random.Generator,
) -> list[Figure]:
    """The ratio of two means over the same people, resampled together; none to nothing, as of drift in one topic."""
    ours, theirs = _values(runs, of, number), _values(plain, of, number)
    drawn = rng.integers(len(ours), size=(BOOTSTRAP_ROUNDS, len(ours)))
    mine, others = ours[drawn].mean(axis=1), theirs[drawn].mean(axis=1)
    if (np.abs([*others, theirs.mean()]) < RATIO_MIN).any():
        return []
    low, high = np.percentile(mine / others, [2.5, 97.5])
    return [Figure(row, metric, float(ours.mean() / theirs.mean()), float(low), float(high))]


def lines(figures: Sequence[Figure], found: Found) -> list[str]:
    """The table for a person: a row a line, of the first and the last round."""
    rounds = len(next(iter(found.values()))[0].of["coverage"])
    shown = (
        ("KL", of_round("kl", rounds)),
        ("KL / none", DRIFT_LEFT),
        ("utility 1", of_round("utility", 1)),
        ("utility 1 / none", "utility, round 1, over relevance only"),
        (f"utility {rounds}", of_round("utility", rounds)),
        (f"felt {rounds}", of_round("felt_utility", rounds)),
        (f"coverage {rounds}", of_round("coverage", rounds)),
    )
    value = {(figure.row, figure.metric): figure for figure in figures}
    width = max(len(name) for name in found)
    said = [" " * width + "".join(f"  {head:>22}" for head, _ in shown)]
    for name in found:
        cells = [value.get((name, metric)) for _, metric in shown]
        texts = [f"{cell.value:.4f} [{cell.low:.4f}, {cell.high:.4f}]" if cell else "–" for cell in cells]
        said.append(f"{name:<{width}}" + "".join(f"  {text:>22}" for text in texts))
    said += [
        f"{figure.row}: {figure.metric} {figure.value:.3g} [{figure.low:.3g}, {figure.high:.3g}]"
        for figure in figures
        if figure.metric.startswith(("burst", "one like"))
    ]
    return said


def write(out: Path, figures: Sequence[Figure], found: Found, first_seed: int, people: int) -> None:
    """simulation.json, .csv (means a row, seed and round) and .html, and frontier.svg, in a directory that is there."""
    (out / "simulation.json").write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    with (out / "simulation.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "seed", "round", *METRICS])
        for name, runs in found.items():
            for place, one in enumerate(runs):
                for number in range(len(one.of[BY_ROUND[0]])):
                    measures = [f"{one.mean(metric, number):.6f}" for metric in METRICS]
                    writer.writerow([name, first_seed + place, number + 1, *measures])
    said, means = [asdict(figure) for figure in figures], _means(found)
    plots = frontier(said, len(next(iter(found.values()))[0].of[BY_ROUND[0]]))
    (out / "simulation.html").write_text(page(said, means, plots, people))
    if plots:
        (out / "frontier.svg").write_text(drawing(plots))


def _means(found: Found) -> dict[str, dict[str, list[float]]]:
    """By row and metric, the mean over people and seeds in each round."""
    return {
        name: {
            metric: [
                float(np.mean([one.mean(metric, number) for one in runs])) for number in range(len(runs[0].of[metric]))
            ]
            for metric in METRICS
        }
        for name, runs in found.items()
    }
