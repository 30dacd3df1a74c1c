"""Every row of the table, one after another, at the test moments."""

from collections.abc import Mapping, Sequence

import numpy as np

from interests.bundle import Bundle
from trainer.baselines.chosen import Chosen, Material
from trainer.evaluation import bands
from trainer.evaluation.evaluate import RELEVANCE_ONLY, SIZE, Sheet, baseline, every_item, served, served_as
from trainer.evaluation.knowing import FIRST_EVENTS, STALE, newcomers, read, staleness
from trainer.evaluation.methods import by_methods
from trainer.evaluation.moments import Moment, Past
from trainer.evaluation.splits import Part, Protocol
from trainer.evaluation.table import Row, Table
from trainer.evaluation.variants import VARIANTS
from trainer.inputs import Inputs
from trainer.progress import Reporter
from trainer.settings import Effort

DIALS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def fill(
    bundle: Bundle,
    inputs: Inputs,
    protocol: Protocol,
    part: Part,
    test: Sequence[tuple[Moment, Past]],
    baselines: Sequence[Chosen],
    material: Material,
    effort: Effort,
    reporter: Reporter,
    best_signals: Mapping[str, str] | None,
    strengths: Mapping[str, float],
) -> Table:
    """The table of one seed.

    best_signals: asks for all single signals, and names the one that validation chose by suffix of its variant; None
        for the rows alone that cost little
    strengths: of other methods of diversifying, which are asked for by it
    """
    moments, pasts = [moment for moment, _ in test], [one for _, one in test]
    ids = inputs.catalogue.item_ids
    with reporter.task("absorb histories", len(moments)) as tick:
        profiles = read(bundle, inputs.events, ids, moments, tick)
    counts = np.bincount(material.events.items, minlength=material.events.item_count)
    sheet = Sheet(
        Table([moment.user for moment in moments]),
        bundle,
        moments,
        pasts,
        profiles,
        VARIANTS[protocol],
        bands.activity(pasts),
        bands.popularity(counts),
    )
    questions = sum(1 for variant in sheet.variants for _ in sheet.questions(variant))
    with reporter.task("served", questions) as tick:
        served(sheet, tick)
    _baselines(sheet, baselines, material, questions, reporter)
    if best_signals is not None:
        with reporter.task("served, relevance only", questions) as tick:
            served_as(sheet, RELEVANCE_ONLY, tick, dial=0.0)
        with reporter.task("other methods", len(strengths) * questions) as tick:
            by_methods(sheet, strengths, tick)
        with reporter.task("every item by our signals", questions) as tick:
            every_item(sheet, tick)
    few = sheet.first(effort.curve_moments)
    if protocol == "prequential":
        with reporter.task("states of other times", 3 * len(STALE) * len(moments)) as tick:
            staleness(sheet, inputs.events, part, ids, tick)
    else:
        with reporter.task("new users", len(FIRST_EVENTS) * len(few.moments)) as tick:
            newcomers(few, inputs.events, ids, tick)
    if best_signals is not None:
        for dial in DIALS:
            served_as(few, f"served, diversity {dial:g}", lambda: None, dial=dial, compared=False)
    sheet.table.close(int(np.count_nonzero(bundle.arrays.available)), SIZE)
    _name_best(sheet, best_signals or {})
    return sheet.table


def _baselines(
    sheet: Sheet, baselines: Sequence[Chosen], material: Material, questions: int, reporter: Reporter
) -> None:
    with reporter.task("baselines on the test", len(baselines) * questions) as tick:
        for chosen in baselines:
            made, values = None, None
            for variant in sheet.variants:
                wanted = chosen.values[variant.suffix]
                if made is None or wanted != values:
                    made, values = chosen.family.make(material, wanted), wanted
                baseline(sheet, chosen.family.name, made, variant, tick)


def _name_best(sheet: Sheet, best_signals: Mapping[str, str]) -> None:
    """Each variant's chosen signal once more, under a name that does not depend on which it is."""
    for suffix, name in best_signals.items():
        row = sheet.table.rows.get(f"signal {name}{suffix}")
        if row:
            best = Row("best signal", suffix, values=row.values, whole=row.whole)
            sheet.table.rows[best.name + best.suffix] = best
