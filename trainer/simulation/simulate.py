"""`plural-train simulate`: what rounds of showing and choosing do to people's interests, method beside method.

    whole history ▶ what people truly like           first halves ▶ a bundle ▶ loops of what serves ▶ figures, page

Everybody starts from the first half of their history; what the system learned from knows nothing of the second. Every
row runs the same people with the same luck. Seeds below REPORT_SEED are there to choose constants by, those from it on
to report.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from interests import bundle as bundles
from interests.errors import SettingsRejected
from trainer.evaluation.table import Figure
from trainer.inputs import Inputs
from trainer.progress import Reporter
from trainer.settings import HistorySettings
from trainer.simulation.figures import Measures
from trainer.simulation.loop import ROWS, Row
from trainer.simulation.names import UNBIASED
from trainer.simulation.people import fit_tastes
from trainer.simulation.report import burst_figures, figures_of, lines, write
from trainer.simulation.workers import Job, Players, Stage, players
from trainer.simulation.world import first_halves, who_did_enough
from trainer.timing import Stopwatch

REPORT_SEED = 5
BURST_USERS = 30


@dataclass(frozen=True)
class Plan:
    """How much is simulated.

    biases: with a bias for the first places, without, or both; burst_rounds: 0 leaves bursts out
    workers: how many loops run at the same time; frontier: rows of the loops alone
    """

    users: int
    rounds: int
    seeds: int
    first_seed: int
    biases: tuple[bool, ...]
    burst_rounds: int
    rows: tuple[Row, ...] = ROWS
    frontier: tuple[Row, ...] = ()
    workers: int = 1

    def jobs(self, biased: bool) -> list[Job]:
        """All loops with one kind of people, a seed after the other."""
        return [
            Job(row, self.users, self.rounds, biased, self.first_seed + number)
            for number in range(self.seeds)
            for row in self.rows + self.frontier
        ]

    def burst_jobs(self) -> list[Job]:
        """All bursts; what holding costs is told without them."""
        jobs = replace(self, frontier=()).jobs(biased=True)
        return [job._replace(users=min(self.users, BURST_USERS), rounds=self.burst_rounds) for job in jobs]


def simulate(
    inputs: Inputs,
    settings: HistorySettings,
    plan: Plan,
    known: Path | None,
    out: Path,
    reporter: Reporter,
    watch: Stopwatch,
) -> list[Figure]:
    """Run everything and write simulation.csv, .json and .html, and frontier.svg into `out`. Raises HistoryRejected
    where nobody did enough. known: a bundle learned from first halves, where there is one already."""
    first = first_halves(inputs.events)
    who_did_enough(first)  # refuses before minutes are spent on learning
    path = bundles.resolve(known) if known else _learn(replace(inputs, events=first), settings, out, reporter, watch)
    if list(bundles.load(path).item_ids) != list(inputs.catalogue.item_ids):
        raise SettingsRejected(f"--bundle: {known} is of another catalogue; give one that an earlier simulation made")
    with watch.lap("tastes"):
        tastes = fit_tastes(inputs.events, settings.seed)
    with players(Stage(path, first, tastes), plan.workers) as them:
        found = _loops(them, plan, reporter, watch)
        figures = figures_of(found, settings.seed)
        if plan.burst_rounds:
            figures += _bursts(them, plan, reporter, watch)
    out.mkdir(parents=True, exist_ok=True)
    write(out, figures, found, plan.first_seed, plan.users)
    for line in lines(figures, found):
        reporter.say(line)
    return figures


def _learn(inputs: Inputs, settings: HistorySettings, out: Path, reporter: Reporter, watch: Stopwatch) -> Path:
    from trainer.fit import fit

    return fit(inputs, settings, out / "bundles", reporter, watch)


def _loops(them: Players, plan: Plan, reporter: Reporter, watch: Stopwatch) -> dict[str, list[Measures]]:
    """By row, the measures of each seed."""
    found: dict[str, list[Measures]] = {}
    with watch.lap("loops"), reporter.task("loops", len(plan.jobs(True)) * len(plan.biases)) as tick:
        for biased in plan.biases:
            jobs = plan.jobs(biased)
            for job, measures in zip(jobs, them.loops(jobs, tick), strict=True):
                found.setdefault(job.row.name + ("" if biased else UNBIASED), []).append(measures)
    return found


def _bursts(them: Players, plan: Plan, reporter: Reporter, watch: Stopwatch) -> list[Figure]:
    jobs = plan.burst_jobs()
    with watch.lap("bursts"), reporter.task("bursts", len(jobs)) as tick:
        seen = them.bursts(jobs, tick)
    figures = []
    for row in plan.rows:
        mine = [one for job, one in zip(jobs, seen, strict=True) if job.row.name == row.name]
        figures += burst_figures(row.name, plan.burst_rounds, [one for one, _ in mine], [one for _, one in mine])
    return figures
