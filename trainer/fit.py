"""From a history and a catalogue to a bundle on disk: measured on a split of its own, then refitted on everything."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from interests import bundle as bundles
from interests.errors import HistoryRejected
from trainer import parts
from trainer.data import describe
from trainer.inputs import Inputs
from trainer.learn import refit, seed_everything
from trainer.measure import Measured, assemble, count, measure, unmeasured
from trainer.progress import Reporter
from trainer.settings import EFFORTS, HistorySettings, Wandb
from trainer.splits import Protocol, natural, split
from trainer.timing import Stopwatch, peak_memory_mb
from trainer.tracking import Tracker


def fit(
    inputs: Inputs,
    settings: HistorySettings,
    out: Path,
    reporter: Reporter,
    watch: Stopwatch,
    wandb: Wandb = "off",
) -> Path:
    """Measure, learn from everything, write the bundle and its report beside it; returns the bundle's directory."""
    seed_everything(settings.seed)
    tracker = Tracker(out / "logs", wandb)
    tracker.settings(settings.model_dump(mode="json"))
    protocol = natural(inputs.events)
    measured = _measure(inputs, settings, protocol, tracker, reporter, watch)
    with watch.lap("count everything"):
        counted = count(inputs, inputs.events, settings.seed, reporter)
    with watch.lap("encoder on everything"):
        learned = refit(measured.learned, counted, EFFORTS[settings.profile], settings.seed, reporter)
    with watch.lap("export"):
        made = assemble(inputs, counted, learned, settings)
    report = _report(inputs, measured, protocol, settings, watch)
    changes = (measured.choice.manifest if measured.choice else {}) | {"metrics": report}
    made = parts.with_manifest(made, changes)
    path = bundles.save(out, made.manifest, made.arrays, made.mf_model, made.encoder_model)
    tracker.finished(path.name, {f"{figure.row}/{figure.metric}": figure.value for figure in measured.figures})
    tracker.close()
    report_path = out / f"{path.name}.report.json"
    report_path.write_text(json.dumps(report, indent=1) + "\n")
    reporter.say(f"took {watch.total_s:.0f} s and at most {peak_memory_mb()} MB; bundle {path}, report {report_path}")
    return path


def _measure(
    inputs: Inputs,
    settings: HistorySettings,
    protocol: Protocol,
    tracker: Tracker,
    reporter: Reporter,
    watch: Stopwatch,
) -> Measured:
    try:
        part = split(inputs.events, protocol)
    except HistoryRejected as error:
        reporter.say(f"nothing is measured, weights stay as they come: {error}")
        return unmeasured(inputs, settings, tracker, reporter, watch)
    return measure(inputs, settings, part, tracker, reporter, watch)


def _report(
    inputs: Inputs, measured: Measured, protocol: Protocol, settings: HistorySettings, watch: Stopwatch
) -> dict[str, Any]:
    choice = measured.choice
    return {
        "protocol": protocol,
        "evaluated_users": measured.users,
        "figures": [asdict(figure) for figure in measured.figures],
        "chosen": dict(choice.manifest) if choice else {},
        "validation": choice.report if choice else {},
        "encoder": {
            "epochs": measured.learned.epochs,
            "curve": measured.learned.curve,
            **measured.learned.report,
        },
        "interests": measured.learned.report.get("interests", {}),
        "history": asdict(inputs.history),
        "catalogue": inputs.catalogue.report,
        "learned_from": describe(inputs.events),
        "seed": settings.seed,
        "profile": settings.profile,
        "seconds": watch.laps,
        "seconds_total": round(watch.total_s, 1),
        "peak_memory_mb": peak_memory_mb(),
    }
