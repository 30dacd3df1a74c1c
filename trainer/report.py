"""What a measurement found and how it came about: for the report's JSON, and for the page."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic_core import to_jsonable_python

from trainer.baselines import chosen as baselines_chosen
from trainer.data import describe
from trainer.evaluation.evaluate import ALL_ITEMS, RELEVANCE_ONLY
from trainer.evaluation.measure import Measured
from trainer.evaluation.splits import Protocol
from trainer.evaluation.table import Figure, averaged
from trainer.inputs import Inputs
from trainer.settings import HistorySettings
from trainer.timing import Stopwatch, peak_memory_mb


def figures(measured: Sequence[Measured], seed: int) -> list[Figure]:
    """The figures of one seed or of several; intervals are over users, of each user's mean over seeds."""
    tables = [one.table for one in measured if one.table]
    if not tables:
        return []
    table = tables[0] if len(tables) == 1 else averaged(tables)
    found = table.figures(seed)
    for row in [name for name in table.rows if name.startswith(ALL_ITEMS)]:
        ratio = table.ratio(RELEVANCE_ONLY + row.removeprefix(ALL_ITEMS), row, "NDCG@10", seed)
        found += [ratio] if ratio else []
    return found


def report(
    inputs: Inputs,
    measured: Sequence[Measured],
    found: Sequence[Figure],
    protocol: Protocol,
    settings: HistorySettings,
    watch: Stopwatch,
) -> dict[str, Any]:
    """Everything, as JSON has it. Where several seeds were run, what was chosen is the first one's."""
    first = measured[0]
    choice = first.choice
    return {
        "protocol": protocol,
        "evaluated_users": first.users,
        "evaluated_moments": first.moments,
        "figures": [asdict(figure) for figure in found],
        "chosen": to_jsonable_python(choice.manifest) if choice else {},
        "validation": choice.report if choice else {},
        "links": first.rules.links if first.rules else {},
        "factors": first.rules.factors if first.rules else {},
        "best_signals": first.best_signals,
        "strengths_of_methods": first.strengths,
        "baselines": {one.family.name: one.values for one in first.baselines if len(one.family.grid) > 1},
        "baseline_rows": [one.family.name for one in first.baselines],
        "baseline_items": baselines_chosen.ITEMS,
        "encoder": {"epochs": first.learned.epochs, "curve": first.learned.curve, **first.learned.report},
        "interests": first.learned.report.get("interests", {}),
        "encoder_curves": [one.learned.curve for one in measured],
        "history": asdict(inputs.history),
        "catalogue": inputs.catalogue.report,
        "content": inputs.content,
        "learned_from": describe(inputs.events),
        "seed": settings.seed,
        "seeds": len(measured),
        "profile": settings.profile,
        "seconds": watch.laps,
        "seconds_total": round(watch.total_s, 1),
        "peak_memory_mb": peak_memory_mb(),
    }
