"""How well what was learned ranks: one chain for every protocol.

    fit on TRAIN ▶ choose on VALIDATION ▶ refit on TRAIN + VALIDATION ▶ evaluate on TEST, which is touched once

So a test figure has had the treatment of what ships: counted anew with everything before the test, the encoder going
on from where it was. Baselines get the same: their settings from validation, their counts from both parts.
"""

from dataclasses import dataclass, field
from importlib import metadata

from interests.bundle import Bundle
from interests.profile import Profile
from trainer import parts
from trainer import rules as counting
from trainer.baselines import chosen as baselines_chosen
from trainer.baselines.chosen import Chosen, Material
from trainer.data import Events, positive, speaks
from trainer.encoder.learn import Learned, learn, refit
from trainer.encoder.model import Shape
from trainer.evaluation import methods
from trainer.evaluation.best_signal import best_signals
from trainer.evaluation.halves import halved, halves_cost
from trainer.evaluation.moments import Moment, Past, asked, first_events, past, replayed, states_at
from trainer.evaluation.quantize import costs, quantized_models
from trainer.evaluation.rows import fill
from trainer.evaluation.splits import TEST, TRAIN, VALIDATION, Part, Protocol
from trainer.evaluation.table import Table
from trainer.evaluation.variants import VARIANTS
from trainer.inputs import Inputs
from trainer.progress import Reporter
from trainer.rules import CHOOSING_USERS, RuleChoice, Rules, choose_rules
from trainer.settings import EFFORTS, Effort, HistorySettings
from trainer.states import Case, profiles
from trainer.timing import Stopwatch
from trainer.tracking import Tracker
from trainer.weights import cold_weights
from trainer.weights.cold_weights import choose_cold
from trainer.weights.newcomers import FIRST_EVENTS, Newcomer
from trainer.weights.weights import Choice, choose, steps

ANSWERS_A_USER = 4  # on average, of those whom weights are learned on


@dataclass(frozen=True)
class Plan:
    """What to measure.

    part (e,): of each event; full: all baselines and single signals, or those alone that cost little
    sample_seed: draws whom to ask, and stays the same over seeds of the models
    baselines: whether they are measured too
    """

    protocol: Protocol
    part: Part
    full: bool
    sample_seed: int
    baselines: bool = True


@dataclass(frozen=True, eq=False)
class Measured:
    """What was learned, chosen and measured; no choice and no table where nothing could be split."""

    learned: Learned
    choice: Choice | None = None
    table: Table | None = None
    users: int = 0
    moments: int = 0
    baselines: list[Chosen] = field(default_factory=list)
    best_signals: dict[str, str] = field(default_factory=dict)
    rules: RuleChoice | None = None
    strengths: dict[str, float] = field(default_factory=dict)


def measure(
    inputs: Inputs, settings: HistorySettings, plan: Plan, tracker: Tracker | None, reporter: Reporter, watch: Stopwatch
) -> Measured:
    """Fit, choose, refit and evaluate, with one seed."""
    effort, seed, events = EFFORTS[settings.profile], settings.seed, inputs.events
    train, before_test = events.where(plan.part == TRAIN), events.where(plan.part != TEST)
    most = max(effort.stopping_users, CHOOSING_USERS)
    validation = _pasts(events, asked(events, plan.part, VALIDATION, most, plan.sample_seed))
    choosing = {moment.user: moment.relevant for moment, one in validation if len(one.items)}
    stopping = dict(list(choosing.items())[: effort.stopping_users])
    with watch.lap("choose rules"), reporter.task("how events are counted", counting.steps()) as tick:
        chosen = choose_rules(positive(train), choosing, Shape().dim, seed, tick)
    with watch.lap("count"):
        counted = count(inputs, train, seed, reporter, chosen.rules)
    with watch.lap("encoder"):
        learned = learn(counted, stopping, Shape(), effort, seed, tracker, reporter, settings.prune)
    if settings.vectors == "float16" and stopping:
        learned.report["vectors"] = halves_cost(counted, learned, stopping, reporter)
    if settings.quantize == "int8" and stopping:
        learned.report["quantize"] = costs(counted, learned, stopping, reporter)
    validation = _pasts(events, _weighing(inputs, plan, effort))
    with watch.lap("choose"):
        bundle = assemble(inputs, counted, learned, settings)
        cases = _cases(inputs, plan, validation)
        choice = None
        if cases:
            with reporter.task("weights and dial", steps()) as tick:
                young = _newcomers(inputs, plan, validation[: effort.dial_users])
                choice = choose(bundle, cases, effort.dial_users, tick, young)
            bundle = parts.with_manifest(bundle, choice.manifest)
            with reporter.task("weights of cold items", cold_weights.TICKS) as tick:
                cold = choose_cold(bundle, train, counted.described, cases, seed, tick)
            choice = Choice(choice.manifest | {"cold_weights": cold.weights}, choice.report | {"cold": cold.report})
            bundle = parts.with_manifest(bundle, choice.manifest)
        fewer = cases[: effort.dial_users]
        seen = profiles(fewer, bundle)
        best = best_signals(bundle, fewer, seen, VARIANTS[plan.protocol]) if plan.full else None
        strengths = _strengths(bundle, fewer, seen, reporter) if plan.full and cases else {}
    with watch.lap("choose baselines"):
        baselines = _choose_baselines(inputs, plan, train, validation[: effort.dial_users], reporter)
    with watch.lap("count for the test"):
        counted = count(inputs, before_test, seed, reporter, chosen.rules)
    with watch.lap("encoder for the test"):
        learned = refit(learned, counted, effort, seed, reporter)
        bundle = parts.with_manifest(
            assemble(inputs, counted, learned, settings), dict(choice.manifest) if choice else {}
        )
    test = _pasts(events, _moments(inputs, plan, TEST, effort.evaluation_users if plan.full else effort.report_users))
    with watch.lap("evaluate"):
        material = Material(positive(before_test), baselines_chosen.ITEMS, plan.sample_seed)
        table = fill(
            bundle, inputs, plan.protocol, plan.part, test, baselines, material, effort, reporter, best, strengths
        )
    users = len({moment.user for moment, _ in test})
    return Measured(learned, choice, table, users, len(test), baselines, best or {}, chosen, strengths)


def unmeasured(
    inputs: Inputs, settings: HistorySettings, tracker: Tracker | None, reporter: Reporter, watch: Stopwatch
) -> Measured:
    """Learn from everything where nothing can be split: no figures, and weights as they come."""
    effort = EFFORTS[settings.profile]
    with watch.lap("count"):
        counted = count(inputs, inputs.events, settings.seed, reporter)
    with watch.lap("encoder"):
        learned = learn(counted, {}, Shape(), effort, settings.seed, tracker, reporter, settings.prune)
    return Measured(learned)


def count(inputs: Inputs, events: Events, seed: int, reporter: Reporter, rules: Rules | None = None) -> parts.Counted:
    """Everything in closed form; rules: None means the usual ones."""
    with reporter.task("factors and neighbours", parts.TICKS) as tick:
        return parts.count(events, inputs.described, Shape().dim, seed, tick, rules)


def assemble(inputs: Inputs, counted: parts.Counted, learned: Learned, settings: HistorySettings) -> Bundle:
    """A bundle of what was counted and learned."""
    made = parts.arrays(inputs.catalogue, counted, learned.item_vectors, learned.content_map, settings.seed)
    if settings.vectors == "float16":
        made = halved(made)
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
    changes = {"settings": told | exported.report(), "vectors": settings.vectors}
    return parts.with_manifest(Bundle(said, made, exported.mf.model, exported.encoder.model), changes)


def _moments(inputs: Inputs, plan: Plan, which: int, most: int) -> list[Moment]:
    ask = replayed if plan.protocol == "prequential" else asked
    return ask(inputs.events, plan.part, which, most, plan.sample_seed)


def _weighing(inputs: Inputs, plan: Plan, effort: Effort) -> list[Moment]:
    """Whom weights are learned on: more of them where each has few answers, since it is answers that teach."""
    found = _moments(inputs, plan, VALIDATION, effort.weight_users)
    answers = sum(len(moment.relevant) for moment in found)
    wanted = ANSWERS_A_USER * effort.weight_users
    if answers >= wanted or len(found) < effort.weight_users:
        return found
    return _moments(inputs, plan, VALIDATION, min(effort.weight_users_max, wanted * len(found) // max(answers, 1)))


def _pasts(events: Events, moments: list[Moment]) -> list[tuple[Moment, Past]]:
    known = speaks(events)
    return [(moment, past(events, known, moment)) for moment in moments]


def _cases(inputs: Inputs, plan: Plan, validation: list[tuple[Moment, Past]]) -> list[Case]:
    """What the weights are chosen by: users with a past, and answers as the protocol's first variant has them."""
    first = VARIANTS[plan.protocol][0]
    answered = [(moment, first.answers(moment, one)) for moment, one in validation if len(one.items)]
    answered = [(moment, answers) for moment, answers in answered if len(answers)]
    states = states_at(inputs.events, inputs.catalogue.item_ids, [moment for moment, _ in answered])
    return [Case(moment.user, state, answers) for (moment, answers), state in zip(answered, states, strict=True)]


def _newcomers(inputs: Inputs, plan: Plan, validation: list[tuple[Moment, Past]]) -> list[Newcomer]:
    """The same users after their first events, as many of them as FIRST_EVENTS in turn."""
    first, ids, known = VARIANTS[plan.protocol][0], inputs.catalogue.item_ids, speaks(inputs.events)
    asked_of = [(moment, one, first.answers(moment, one)) for moment, one in validation if len(one.items)]
    asked_of = [(moment, one, answers) for moment, one, answers in asked_of if len(answers)]
    early = [
        first_events(inputs.events, known, moment, min(FIRST_EVENTS[at % len(FIRST_EVENTS)], len(one.items)))
        for at, (moment, one, _) in enumerate(asked_of)
    ]
    states = states_at(inputs.events, ids, early)
    return [
        Newcomer(
            Case(moment.user, state, answers),
            frozenset(ids[item] for item in one.had.tolist()) if first.new_items else frozenset(),
        )
        for (moment, one, answers), state in zip(asked_of, states, strict=True)
    ]


def _strengths(bundle: Bundle, cases: list[Case], seen: list[Profile], reporter: Reporter) -> dict[str, float]:
    with reporter.task("strengths of other methods", methods.TICKS) as tick:
        return methods.choose_strengths(bundle, cases, seen, tick)


def _choose_baselines(
    inputs: Inputs, plan: Plan, train: Events, validation: list[tuple[Moment, Past]], reporter: Reporter
) -> list[Chosen]:
    families = baselines_chosen.FULL if plan.full else baselines_chosen.SHORT
    if not plan.baselines:
        return []
    with reporter.task("baselines", baselines_chosen.tries(families)) as tick:
        return baselines_chosen.choose(
            families,
            positive(train),
            validation,
            VARIANTS[plan.protocol],
            inputs.catalogue.available,
            plan.sample_seed,
            tick,
        )
