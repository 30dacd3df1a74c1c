"""From a history and a catalogue to a bundle on disk.

read ▶ split ▶ count ▶ learn ▶ validate ▶ evaluate          on the training part alone: where metrics come from
             ▶ count ▶ refit ▶ export ▶ save                 on everything up to --until: what ships
"""

from pathlib import Path

from interests import bundle as bundles
from interests.history import read_interactions
from trainer import parts
from trainer.catalogue import read_catalogue
from trainer.content import features
from trainer.data import TRAIN, VALIDATION, encode, last_basket, positive
from trainer.encoder_model import Shape
from trainer.learn import learn, next_items, refit, seed_everything
from trainer.progress import Reporter
from trainer.settings import EFFORTS, HistorySettings


def fit(settings: HistorySettings, out: Path, until_ms: int | None, reporter: Reporter) -> Path:
    """Train and write a bundle; returns its directory. Raises HistoryRejected."""
    seed_everything(settings.seed)
    effort, shape = EFFORTS[settings.profile], Shape()
    history = read_interactions(settings.interactions, until_ms)
    for line in history.report.lines():
        reporter.say(line)
    catalogue = read_catalogue(settings.items, history.frame["item_id"].unique().to_list())
    events, described = encode(history, catalogue), features(catalogue)
    part = last_basket(events)
    with reporter.task("count", parts.SWEEPS + 2) as tick:
        counted = parts.count(events.where(part == TRAIN), described, shape.dim, settings.seed, tick)
    validation = events.where(part == VALIDATION)
    relevant = next_items(positive(validation), effort.stopping_users, settings.seed) if len(validation) else {}
    learned = learn(counted, relevant, shape, effort, settings.seed, out / "logs", reporter)
    with reporter.task("count everything", parts.SWEEPS + 2) as tick:
        counted = parts.count(events, described, shape.dim, settings.seed, tick)
    learned = refit(learned, counted, effort, settings.seed, reporter)
    made = parts.arrays(catalogue, counted, learned.item_vectors, settings.seed)
    exported = parts.models(learned.encoder, learned.item_vectors, counted, {})
    said = parts.manifest(catalogue, made, exported, counted, shape.interests)
    return bundles.save(out, said, made, exported.mf.model, exported.encoder.model)
