"""From a history and a catalogue to figures, and to a bundle on disk.

read ▶ split ▶ count ▶ learn ▶ choose ▶ evaluate       on the training part alone: where every figure comes from
             ▶ count ▶ refit ▶ export ▶ save            on everything up to --until: what ships
"""

import json
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from interests import bundle as bundles
from interests.bundle import Bundle
from trainer import parts
from trainer.baselines import popular, recent_popular
from trainer.data import TEST, TRAIN, VALIDATION, describe, last_basket
from trainer.encoder_model import Shape
from trainer.evaluate import Figure, evaluate, lines
from trainer.inputs import Inputs
from trainer.learn import Learned, learn, next_items, refit, seed_everything
from trainer.progress import Reporter
from trainer.settings import EFFORTS, HistorySettings
from trainer.states import Case, absorb_users, profiles
from trainer.timing import Stopwatch, peak_memory_mb
from trainer.weights import Choice, choose, steps


@dataclass(frozen=True, eq=False)
class Measured:
    """What the training part taught and how well it ranks; choice None and no figures where nothing can be split."""

    learned: Learned
    choice: Choice | None
    figures: list[Figure] = field(default_factory=list)
    users: int = 0


def measure(
    inputs: Inputs, settings: HistorySettings, log_dir: Path | None, reporter: Reporter, watch: Stopwatch
) -> Measured:
    """Fit to the training part, choose on validation, report on the test groups."""
    effort, seed, shape = EFFORTS[settings.profile], settings.seed, Shape()
    part = last_basket(inputs.events)
    train = inputs.events.where(part == TRAIN)
    with watch.lap("count"), reporter.task("factors and neighbours", parts.TICKS) as tick:
        counted = parts.count(train, inputs.described, shape.dim, seed, tick)
    validation, test = inputs.events.where(part == VALIDATION), inputs.events.where(part == TEST)
    relevant = next_items(validation, max(effort.stopping_users, effort.weight_users), seed)
    stopping = dict(list(relevant.items())[: effort.stopping_users])
    with watch.lap("encoder"):
        learned = learn(counted, stopping, shape, effort, seed, log_dir, reporter)
    if not relevant:
        reporter.say("no user has three timestamp groups: nothing can be measured, weights stay as they come")
        return Measured(learned, None)
    with watch.lap("export for evaluation"):
        bundle = _bundle(inputs, counted, learned, settings)
    wanted = next_items(test, effort.evaluation_users, seed)
    users = sorted({*relevant, *wanted})
    ids = inputs.catalogue.item_ids
    with watch.lap("absorb"), reporter.task("absorb histories", len(users)) as tick:
        before = absorb_users(train, ids, users, tick=tick)
    with watch.lap("choose"), reporter.task("weights and dial", steps()) as tick:
        cases = [Case(user, before[user], rows) for user, rows in relevant.items()]
        cases = cases[: effort.weight_users]
        choice = choose(bundle, cases, effort.dial_users, tick)
    bundle = parts.with_manifest(bundle, choice.manifest)
    with watch.lap("evaluate"), reporter.task("evaluate", len(wanted)) as tick:
        after = absorb_users(validation, ids, list(wanted), before)
        tested = [Case(user, after[user], rows) for user, rows in wanted.items()]
        seen = profiles(tested, bundle)
        baselines = [ranking(counted.events, inputs.catalogue.available) for ranking in (popular, recent_popular)]
        figures = evaluate(bundle, tested, seen, baselines, seed, tick)
    for line in lines(figures):
        reporter.say(line)
    return Measured(learned, choice, figures, len(tested))


def fit(inputs: Inputs, settings: HistorySettings, out: Path, reporter: Reporter, watch: Stopwatch) -> Path:
    """Measure, learn from everything, write the bundle and its report beside it; returns the bundle's directory."""
    seed_everything(settings.seed)
    measured = measure(inputs, settings, out / "logs", reporter, watch)
    with watch.lap("count everything"), reporter.task("factors and neighbours", parts.TICKS) as tick:
        counted = parts.count(inputs.events, inputs.described, Shape().dim, settings.seed, tick)
    with watch.lap("encoder on everything"):
        learned = refit(measured.learned, counted, EFFORTS[settings.profile], settings.seed, reporter)
    with watch.lap("export"):
        made = _bundle(inputs, counted, learned, settings)
    report = _report(inputs, measured, settings, watch)
    changes = (measured.choice.manifest if measured.choice else {}) | {"metrics": report}
    made = parts.with_manifest(made, changes)
    path = bundles.save(out, made.manifest, made.arrays, made.mf_model, made.encoder_model)
    report_path = out / f"{path.name}.report.json"
    report_path.write_text(json.dumps(report, indent=1) + "\n")
    reporter.say(f"took {watch.total_s:.0f} s and at most {peak_memory_mb()} MB; bundle {path}, report {report_path}")
    return path


def _bundle(inputs: Inputs, counted: parts.Counted, learned: Learned, settings: HistorySettings) -> Bundle:
    made = parts.arrays(inputs.catalogue, counted, learned.item_vectors, settings.seed)
    props = {
        "plural_version": metadata.version("plural"),
        "cutoff_ms": str(counted.events.cutoff_ms),
        "seed": str(settings.seed),
        "profile": settings.profile,
    }
    exported = parts.models(learned.encoder, learned.item_vectors, counted, props)
    said = parts.manifest(inputs.catalogue, made, exported, counted, learned.encoder.shape_of.interests)
    told = settings.model_dump(mode="json", include={"seed", "profile", "until"})
    return parts.with_manifest(
        Bundle(said, made, exported.mf.model, exported.encoder.model), {"settings": told | exported.report()}
    )


def _report(inputs: Inputs, measured: Measured, settings: HistorySettings, watch: Stopwatch) -> dict[str, Any]:
    choice = measured.choice
    return {
        "protocol": "last-basket",
        "evaluated_users": measured.users,
        "figures": [asdict(figure) for figure in measured.figures],
        "chosen": dict(choice.manifest) if choice else {},
        "validation": choice.report if choice else {},
        "encoder": {"epochs": measured.learned.epochs, "curve": measured.learned.curve},
        "history": asdict(inputs.history),
        "catalogue": inputs.catalogue.report,
        "learned_from": describe(inputs.events),
        "seed": settings.seed,
        "profile": settings.profile,
        "seconds": watch.laps,
        "seconds_total": round(watch.total_s, 1),
        "peak_memory_mb": peak_memory_mb(),
    }


def only_measure(inputs: Inputs, settings: HistorySettings, reporter: Reporter, watch: Stopwatch) -> list[Figure]:
    """The figures alone, from a split of their own; writes no bundle."""
    seed_everything(settings.seed)
    return measure(inputs, settings, None, reporter, watch).figures
