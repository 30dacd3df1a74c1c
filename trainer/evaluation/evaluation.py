"""`plural-train evaluate`: measure with as many seeds as asked for, and tell what was found."""

from pathlib import Path

from trainer.encoder.learn import seed_everything
from trainer.evaluation.evaluate import METRICS
from trainer.evaluation.measure import Measured, Plan, measure
from trainer.evaluation.splits import Protocol
from trainer.evaluation.table import Figure
from trainer.evaluation.table_lines import lines
from trainer.evaluation.variants import split_to_answer
from trainer.inputs import Inputs
from trainer.page.page import page
from trainer.progress import Reporter
from trainer.report import figures, report
from trainer.settings import HistorySettings
from trainer.timing import Stopwatch


def evaluation(
    inputs: Inputs,
    settings: HistorySettings,
    protocol: Protocol,
    seeds: int,
    html: Path | None,
    reporter: Reporter,
    watch: Stopwatch,
) -> list[Figure]:
    """Every row of the table, models learned with `seeds` seeds from settings.seed on. Raises HistoryRejected.

    html: where the page is written
    """
    plan = Plan(protocol, split_to_answer(inputs.events, protocol), True, settings.seed)
    measured: list[Measured] = []
    for seed in range(settings.seed, settings.seed + seeds):
        if seeds > 1:
            reporter.say(f"seed {seed}, {seed - settings.seed + 1} of {seeds}")
        seed_everything(seed)
        # Baselines hold no randomness worth repeating: the first seed's stand for all.
        here = plan if not measured else Plan(plan.protocol, plan.part, True, plan.sample_seed, baselines=False)
        measured.append(measure(inputs, settings.model_copy(update={"seed": seed}), here, None, reporter, watch))
    found = figures(measured, settings.seed)
    for line in lines(found, METRICS):
        reporter.say(line)
    if html:
        html.write_text(page(report(inputs, measured, found, protocol, settings, watch)))
    return found
