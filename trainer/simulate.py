"""`plural-train simulate`: what rounds of showing and choosing do to people's interests, method beside method.

    whole history ▶ what people truly like           first halves ▶ a bundle ▶ loops of what serves ▶ figures, page

Everybody starts from the first half of their history; what the system learned from knows nothing of the second. Every
row runs the same people with the same luck. Seeds below REPORT_SEED are there to choose constants by, those from it on
to report.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from interests import bundle as bundles
from interests.bundle import Bundle
from interests.errors import SettingsRejected
from trainer.inputs import Inputs
from trainer.progress import Reporter
from trainer.settings import HistorySettings
from trainer.simulate_burst import burst, one_like
from trainer.simulate_figures import Measures, measure_trace
from trainer.simulate_loop import ROWS, Row, World, run
from trainer.simulate_people import fit_tastes
from trainer.simulate_report import UNBIASED, Figure, figures_of, lines, write
from trainer.simulate_world import build, first_halves, first_mixes
from trainer.timing import Stopwatch

REPORT_SEED = 5
BURST_USERS = 100


@dataclass(frozen=True)
class Plan:
    """How much is simulated.

    biases: with a bias for the first places, without, or both; burst_rounds: 0 leaves bursts out
    """

    users: int
    rounds: int
    seeds: int
    first_seed: int
    biases: tuple[bool, ...]
    burst_rounds: int
    rows: tuple[Row, ...] = ROWS


def simulate(
    inputs: Inputs,
    settings: HistorySettings,
    plan: Plan,
    known: Path | None,
    out: Path,
    reporter: Reporter,
    watch: Stopwatch,
) -> list[Figure]:
    """Run everything and write simulation.csv, .json and .html into `out`. known: a bundle learned from first halves,
    where there is one already."""
    first = first_halves(inputs.events)
    bundle = bundles.load(known) if known else _learn(replace(inputs, events=first), settings, out, reporter, watch)
    if list(bundle.item_ids) != list(inputs.catalogue.item_ids):
        raise SettingsRejected(f"--bundle: {known} is of another catalogue; give one that an earlier simulation made")
    with watch.lap("tastes"):
        tastes = fit_tastes(inputs.events, settings.seed)
    found: dict[str, list[Measures]] = {}
    seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
    loops = len(plan.rows) * len(plan.biases) * plan.seeds
    with watch.lap("loops"), reporter.task("loops", loops * plan.rounds) as tick:
        for seed in seeds:
            world = build(bundle, first, tastes, plan.users, seed)
            mixes = first_mixes(bundle, first, world.users)
            for biased in plan.biases:
                for row in plan.rows:
                    trace = run(world, row, plan.rounds, biased, seed, tick)
                    name = row.name + ("" if biased else UNBIASED)
                    found.setdefault(name, []).append(measure_trace(trace, mixes, world.tastes, bundle))
    figures = figures_of(found, settings.seed)
    if plan.burst_rounds:
        with watch.lap("bursts"), reporter.task("bursts", len(plan.rows) * plan.seeds) as tick:
            figures += _bursts(
                plan, [build(bundle, first, tastes, min(plan.users, BURST_USERS), s) for s in seeds], tick
            )
    out.mkdir(parents=True, exist_ok=True)
    write(out, figures, found, plan.first_seed, plan.users)
    for line in lines(figures, found):
        reporter.say(line)
    return figures


def _learn(inputs: Inputs, settings: HistorySettings, out: Path, reporter: Reporter, watch: Stopwatch) -> Bundle:
    from trainer.fit import fit

    return bundles.load(fit(inputs, settings, out / "bundles", reporter, watch))


def _bursts(plan: Plan, worlds: Sequence[World], tick: Callable[[], None]) -> list[Figure]:
    figures = []
    mixes = [first_mixes(world.bundle, world.events, world.users) for world in worlds]
    for row in plan.rows:
        found = []
        for number, world in enumerate(worlds):
            found.append(burst(world, mixes[number], row, plan.burst_rounds, plan.first_seed + number))
            tick()
        rounds, added = [one.back for one in found], [one.added for one in found]
        metric = "burst: KL added to slates, mean of the first rounds"
        figures.append(Figure(row.name, metric, float(np.mean(added)), min(added), max(added)))
        metric = f"burst: rounds until back ({plan.burst_rounds + 1} is never)"
        figures.append(Figure(row.name, metric, float(np.median(rounds)), float(min(rounds)), float(max(rounds))))
        like = one_like(worlds[0], mixes[0], row)
        metric = "one like: share of its topic in the slate before"
        figures.append(Figure(row.name, metric, like.before, like.before, like.before))
        metric = "one like: share of its topic in the slate after (high: most of anybody's)"
        figures.append(Figure(row.name, metric, like.after, like.after, like.most))
    return figures
