"""One closed loop: show, choose, absorb, and learn again from what was chosen; each round a day later.

It runs what serves: states move by `absorb`, the encoder reads them, `Ranker.choose` makes the slates, and impressions
enter as events like any other. Every REFIT_ROUNDS rounds the parts that counting finds (neighbours, transitions,
popularity) are counted anew with all that was chosen; encoder, factors and item vectors stay, as between two trainings.
In a large catalogue the neighbours of the most popular items and of what was chosen are, and others keep theirs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY, absorb
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.events import Action, Interaction, LogEntry
from interests.profile import profile
from interests.state import InterestState
from ranking.diversify import METHODS, Diversify
from ranking.query import Query
from ranking.recommend import Ranker
from trainer.data import Events
from trainer.factorise import weight_matrix
from trainer.links.neighbours import LinkRule, neighbours, transitions
from trainer.links.popularity import log_share, recent_counts
from trainer.simulation.people import People, Tastes
from trainer.states import PARTITION

SIZE = 10
REFIT_ROUNDS = 5
REFIT_CAP = 2_000  # items whose neighbours are solved for; a training takes more, at twenty times the work

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One way to make slates; dial None: the bundle's default, fitted to each person."""

    name: str
    method: Diversify
    dial: float | None


ROWS = (
    Row("relevance only", METHODS["relevance"], 0.0),
    Row("MMR .3", METHODS["mmr"], 0.3),
    Row("DPP .6", METHODS["dpp"], 0.6),
    Row("Steck .5", METHODS["steck"], 0.5),
    Row("anchor + memory .8", METHODS["steck-memory"], 0.8),
    Row("served", METHODS["calibrated"], None),
)


@dataclass(frozen=True, eq=False)
class World:
    """Where loops run: a bundle learned from `events`, who is simulated (their rows, tastes and first states).

    act: the action that a choice counts as, with its value
    """

    bundle: Bundle
    events: Events
    users: Rows
    tastes: Tastes
    states: Mapping[int, InterestState]
    act: Action
    value: float | None


@dataclass(frozen=True, eq=False)
class Trace:
    """What happened; r rounds, u people.

    shown (r, u, SIZE): rows, -1 where a slate had fewer; chosen (r, u, CHOICES): rows
    true, felt (r, u, CHOICES): preferences for what was chosen, as fitted and as they were by then
    """

    shown: Rows
    chosen: Rows
    true: Floats
    felt: Floats


class Round(NamedTuple):
    """One round of a trace, without its first axis."""

    shown: Rows
    chosen: Rows
    true: Floats
    felt: Floats


def run(
    world: World, row: Row, rounds: int, position_bias: bool, seed: int, tick: Callable[[], None] = lambda: None
) -> Trace:
    """Let everybody live through so many rounds. The same seed gives the same people the same luck with every row."""
    lived = []
    for one in islice(live(world, row, position_bias, seed), rounds):
        lived.append(one)
        tick()
    return Trace(*(np.stack(column) for column in zip(*lived, strict=True)))


def live(
    world: World,
    row: Row,
    position_bias: bool,
    seed: int,
    first: Callable[[InterestState], InterestState] = lambda state: state,
) -> Iterator[Round]:
    """Round after round, without an end. first: something that happens to each before the first."""
    people = People(world.tastes, position_bias, np.random.default_rng([seed, 1]))
    states = [first(world.states[user]) for user in world.users.tolist()]
    start_ms = [state.last_event_ms for state in states]
    ids, bundle = world.bundle.item_ids, world.bundle
    encoder, ranker = Encoder(bundle), _ranker(bundle, row)
    chosen_all: list[Rows] = []
    for number in count():
        if number and number % REFIT_ROUNDS == 0:
            bundle = recount(world, np.stack(chosen_all))
            ranker = _ranker(bundle, row)
        shown = _slates(states, bundle, encoder, ranker, row.dial)
        felt = people.felt(shown)
        places = people.choose(felt)
        chosen = np.take_along_axis(shown, places, axis=1)
        lived = Round(shown, chosen, people.true(chosen), np.take_along_axis(felt, places, axis=1))
        people.drift(chosen)
        for place, state in enumerate(states):
            now_ms = start_ms[place] + int((number + 1) * MS_PER_DAY)
            states[place] = absorb(state, _entries(state, ids, shown[place], chosen[place], now_ms, world))
        chosen_all.append(chosen)
        yield lived


def slates(world: World, row: Row, states: Sequence[InterestState]) -> Rows:
    """The slates (u, SIZE) that these states are shown now."""
    return _slates(states, world.bundle, Encoder(world.bundle), _ranker(world.bundle, row), row.dial)


def recount(world: World, chosen: Rows) -> Bundle:
    """The world's bundle with its counted parts as they are after these choices (r, u, CHOICES)."""
    events = _with_choices(world, chosen)
    weights, arrays = weight_matrix(events), world.bundle.arrays
    moved = np.zeros(events.item_count, dtype=np.bool_)
    moved[chosen[chosen >= 0]] = True
    beside = neighbours(events, weights, LinkRule(), arrays.neighbour_rows.shape[1], REFIT_CAP, moved)
    anew = np.any(beside[0] >= 0, axis=1, keepdims=True)
    after = transitions(events, LinkRule(), arrays.transition_rows.shape[1])
    counts = np.bincount(events.items, minlength=events.item_count).astype(np.float64)
    return replace(
        world.bundle,
        arrays=replace(
            arrays,
            neighbour_rows=np.where(anew, beside[0], arrays.neighbour_rows),
            neighbour_weights=np.where(anew, beside[1], arrays.neighbour_weights),
            transition_rows=after[0],
            transition_weights=after[1],
            popularity=log_share(counts),
            recent_popularity=log_share(recent_counts(events)),
        ),
    )


def _ranker(bundle: Bundle, row: Row) -> Ranker:
    """A reference method's dial is its own strength, as its papers have it; only `served` has the bundle's curve."""
    if row.dial is None:
        return Ranker(bundle, row.method)
    return Ranker(replace(bundle, manifest=bundle.manifest.model_copy(update={"dial_curve": []})), row.method)


def _slates(
    states: Sequence[InterestState], bundle: Bundle, encoder: Encoder, ranker: Ranker, dial: float | None
) -> Rows:
    shown = np.full((len(states), SIZE), -1, dtype=np.int64)
    query = Query(size=SIZE, diversity=dial)
    for place, (state, vectors) in enumerate(zip(states, encoder.vectors(states), strict=True)):
        rows = ranker.choose(profile(state, bundle, vectors), query).chosen.rows
        shown[place, : len(rows)] = rows
    return shown


def _entries(
    state: InterestState, ids: Sequence[str], shown: Rows, chosen: Rows, now_ms: int, world: World
) -> list[LogEntry]:
    offset = state.watermarks.get(PARTITION, -1) + 1
    did = [Interaction(state.user_id, ids[item], Action.IMPRESSION, now_ms) for item in shown.tolist() if item >= 0]
    did += [
        Interaction(state.user_id, ids[item], world.act, now_ms + 60_000 * (number + 1), world.value)
        for number, item in enumerate(chosen.tolist())
        if item >= 0
    ]
    return [LogEntry(PARTITION, offset + n, now_ms, state.user_id, one) for n, one in enumerate(did)]


def _with_choices(world: World, chosen: Rows) -> Events:
    """The history with the choices behind it, each round a timestamp group a person."""
    events = world.events
    last_ms = np.zeros(events.user_count, dtype=np.int64)
    np.maximum.at(last_ms, events.users, events.times_ms)
    users = np.broadcast_to(world.users[None, :, None], chosen.shape)
    days = np.broadcast_to(np.arange(1, len(chosen) + 1)[:, None, None], chosen.shape)
    kept = chosen.ravel() >= 0
    user, item = users.ravel()[kept].astype(np.int32), chosen.ravel()[kept].astype(np.int32)
    times_ms = np.r_[events.times_ms, last_ms[user] + (days.ravel()[kept] * MS_PER_DAY).astype(np.int64)]
    all_users = np.r_[events.users, user]
    order = np.lexsort((times_ms, all_users))
    all_users, times_ms = all_users[order], times_ms[order]
    return replace(
        events,
        users=all_users,
        items=np.r_[events.items, item][order],
        times_ms=times_ms,
        actions=np.r_[events.actions, np.full(len(item), int(world.act), dtype=np.int32)][order],
        values=np.r_[events.values, np.full(len(item), np.nan if world.value is None else world.value)][order],
        groups=np.cumsum(np.r_[False, (np.diff(all_users) != 0) | (np.diff(times_ms) != 0)]),
    )
