"""From a history and a catalogue to a bundle on disk: measured on a split of its own, then refitted on everything."""

import json
from pathlib import Path

from interests import bundle as bundles
from interests.errors import HistoryRejected
from trainer import parts
from trainer.encoder.learn import refit, seed_everything
from trainer.evaluation.evaluate import METRICS
from trainer.evaluation.measure import Measured, Plan, assemble, count, measure, unmeasured
from trainer.evaluation.splits import Protocol, natural, split
from trainer.evaluation.table_lines import lines
from trainer.inputs import Inputs
from trainer.progress import Reporter
from trainer.report import figures, report
from trainer.settings import EFFORTS, HistorySettings, Wandb
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
    found = figures([measured], settings.seed)
    for line in lines(found, METRICS) if found else []:
        reporter.say(line)
    with watch.lap("count everything"):
        counted = count(
            inputs, inputs.events, settings.seed, reporter, measured.rules.rules if measured.rules else None
        )
    with watch.lap("encoder on everything"):
        learned = refit(measured.learned, counted, EFFORTS[settings.profile], settings.seed, reporter)
    with watch.lap("export"):
        made = assemble(inputs, counted, learned, settings)
    said = report(inputs, [measured], found, protocol, settings, watch)
    changes = (measured.choice.manifest if measured.choice else {}) | {"metrics": said}
    made = parts.with_manifest(made, changes)
    path = bundles.save(out, made.manifest, made.arrays, made.mf_model, made.encoder_model)
    tracker.finished(path.name, {f"{figure.row}/{figure.metric}": figure.value for figure in found})
    tracker.close()
    report_path = out / f"{path.name}.report.json"
    report_path.write_text(json.dumps(said, indent=1) + "\n")
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
    return measure(inputs, settings, Plan(protocol, part, False, settings.seed), tracker, reporter, watch)
