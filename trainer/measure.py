"""How well what was learned ranks: one chain for every protocol.

    fit on TRAIN ▶ choose on VALIDATION ▶ refit on TRAIN + VALIDATION ▶ evaluate on TEST, which is touched once

So a test figure has had the treatment of what ships: counted anew with everything before the test, the encoder going
on from where it was.
"""

from dataclasses import dataclass, field
from importlib import metadata

import numpy as np

from interests.bundle import Bundle
from trainer import parts
from trainer.baselines import popular, recent_popular
from trainer.data import Events
from trainer.encoder_model import Shape
from trainer.evaluate import Figure, evaluate, lines
from trainer.inputs import Inputs
from trainer.learn import Learned, learn, next_items, refit
from trainer.progress import Reporter
from trainer.quantize import costs, quantized_models
from trainer.settings import EFFORTS, HistorySettings
from trainer.splits import TEST, TRAIN, VALIDATION, Part
from trainer.states import Case, absorb_users, profiles
from trainer.timing import Stopwatch
from trainer.tracking import Tracker
from trainer.weights import Choice, choose, steps


@dataclass(frozen=True, eq=False)
class Measured:
    """What the part before the test taught and how well it ranks; choice None and no figures where nothing is split."""

    learned: Learned
    choice: Choice | None
    figures: list[Figure] = field(default_factory=list)
    users: int = 0


def measure(
    inputs: Inputs, settings: HistorySettings, part: Part, tracker: Tracker | None, reporter: Reporter, watch: Stopwatch
) -> Measured:
    """Fit, choose, refit and report. part (e,): of each event, see trainer/splits.py."""
    effort, seed, events, ids = EFFORTS[settings.profile], settings.seed, inputs.events, inputs.catalogue.item_ids
    train, validation, test = (events.where(part == which) for which in (TRAIN, VALIDATION, TEST))
    known = events.where(part != TEST)
    with watch.lap("count"):
        counted = count(inputs, train, seed, reporter)
    relevant = next_items(_of_known(validation, train), max(effort.stopping_users, effort.weight_users), seed)
    stopping = dict(list(relevant.items())[: effort.stopping_users])
    with watch.lap("encoder"):
        learned = learn(counted, stopping, Shape(), effort, seed, tracker, reporter, settings.prune)
    if settings.quantize == "int8" and stopping:
        learned.report["quantize"] = costs(counted, learned, stopping, reporter)
    with watch.lap("choose"):
        bundle = assemble(inputs, counted, learned, settings)
        before = absorb_users(train, ids, list(relevant))
        cases = [Case(user, before[user], rows) for user, rows in relevant.items()]
        with reporter.task("weights and dial", steps()) as tick:
            choice = choose(bundle, cases[: effort.weight_users], effort.dial_users, tick)
    with watch.lap("count for the test"):
        counted = count(inputs, known, seed, reporter)
    with watch.lap("encoder for the test"):
        learned = refit(learned, counted, effort, seed, reporter)
        bundle = parts.with_manifest(assemble(inputs, counted, learned, settings), choice.manifest)
    wanted = next_items(_of_known(test, known), effort.evaluation_users, seed)
    with watch.lap("evaluate"), reporter.task("evaluate", len(wanted)) as tick:
        after = absorb_users(known, ids, list(wanted))
        tested = [Case(user, after[user], rows) for user, rows in wanted.items()]
        baselines = [ranking(counted.events, inputs.catalogue.available) for ranking in (popular, recent_popular)]
        figures = evaluate(bundle, tested, profiles(tested, bundle), baselines, seed, tick)
    for line in lines(figures):
        reporter.say(line)
    return Measured(learned, choice, figures, len(tested))


def unmeasured(
    inputs: Inputs, settings: HistorySettings, tracker: Tracker | None, reporter: Reporter, watch: Stopwatch
) -> Measured:
    """Learn from everything where nothing can be split: no figures, and weights as they come."""
    effort = EFFORTS[settings.profile]
    with watch.lap("count"):
        counted = count(inputs, inputs.events, settings.seed, reporter)
    with watch.lap("encoder"):
        learned = learn(counted, {}, Shape(), effort, settings.seed, tracker, reporter, settings.prune)
    return Measured(learned, None)


def count(inputs: Inputs, events: Events, seed: int, reporter: Reporter) -> parts.Counted:
    """Everything in closed form."""
    with reporter.task("factors and neighbours", parts.TICKS) as tick:
        return parts.count(events, inputs.described, Shape().dim, seed, tick)


def assemble(inputs: Inputs, counted: parts.Counted, learned: Learned, settings: HistorySettings) -> Bundle:
    """A bundle of what was counted and learned."""
    made = parts.arrays(inputs.catalogue, counted, learned.item_vectors, settings.seed)
    props = {
        "plural_version": metadata.version("plural"),
        "cutoff_ms": str(counted.events.cutoff_ms),
        "seed": str(settings.seed),
        "profile": settings.profile,
    }
    exported = parts.models(learned.encoder, learned.item_vectors, counted, props)
    if settings.quantize == "int8":
        exported = quantized_models(exported)
    said = parts.manifest(inputs.catalogue, made, exported, counted, learned.encoder.shape_of.interests)
    told = settings.model_dump(mode="json", include={"seed", "profile", "until"})
    return parts.with_manifest(
        Bundle(said, made, exported.mf.model, exported.encoder.model), {"settings": told | exported.report()}
    )


def _of_known(events: Events, before: Events) -> Events:
    """Those of users who did something before."""
    return events.where(np.isin(events.users, before.users))
