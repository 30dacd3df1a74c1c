"""What a burst and a single like do to slates.

burst  BURST_EVENTS events in one topic that the person never cared for (a gift bought, a child on the tablet), a month
       after what is known of them, and then life as before. Back: the first round in which the slates' KL to the first
       mix is within BACK_WITHIN of what it is for the same people with the same luck and no burst. That is relative:
       slates that hardly left have little to come back to, so what the burst added is told beside it.
like   one like of one item of such a topic: which share of the next slate has that topic, before and after.
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from interests.absorb import absorb
from interests.events import Action, Interaction, LogEntry
from interests.state import InterestState
from trainer.simulation.figures import divergence, topic_table
from trainer.simulation.loop import Row, World, live, slates
from trainer.states import PARTITION

BURST_EVENTS = 30
BACK_WITHIN = 0.10
ADDED_ROUNDS = 10
DAYS_LATER = 30
DAY_MS, MINUTE_MS = 86_400_000, 60_000

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Like:
    """Mean share of the topic in the slate before and after, and the largest over people after."""

    before: float
    after: float
    most: float


@dataclass(frozen=True)
class Burst:
    """back: the first round, from 1, that was as without it, one more than were waited for if none was.

    added: KL that the burst added to the slates, mean over the first ADDED_ROUNDS rounds
    """

    back: int
    added: float


def burst(world: World, first: Doubles, row: Row, rounds: int, seed: int) -> Burst:
    """Live with and without a burst until slates are back, but ADDED_ROUNDS at least."""
    table = topic_table(world.bundle)

    def distance(shown: Rows) -> float:
        mixes = table[shown].sum(axis=1)
        return float(divergence(first, mixes / np.maximum(mixes.sum(axis=1, keepdims=True), 1e-12)).mean())

    foreign = foreign_topics(world, first).tolist()
    wanted = dict(zip((state.user_id for state in _states(world)), foreign, strict=True))
    items = topic_items(world)

    def happen(state: InterestState) -> InterestState:
        return after_events(world, state, items[wanted[state.user_id]], world.act, world.value)

    calm_life, life = live(world, row, True, seed), live(world, row, True, seed, happen)
    added: list[float] = []
    back = rounds + 1
    for number, (calm, after) in enumerate(islice(zip(calm_life, life, strict=True), rounds), start=1):
        without, with_it = distance(calm.shown), distance(after.shown)
        added.append(with_it - without)
        if with_it <= (1.0 + BACK_WITHIN) * without:
            back = min(back, number)
        if back <= number and number >= ADDED_ROUNDS:
            break
    return Burst(back, float(np.mean(added[:ADDED_ROUNDS])))


def one_like(world: World, first: Doubles, row: Row) -> Like:
    """What a single like of a foreign topic's most popular item changes."""
    table, items, foreign = topic_table(world.bundle), topic_items(world), foreign_topics(world, first)
    states = _states(world)
    liked = [
        after_events(world, state, items[topic][:1], Action.LIKE, None)
        for state, topic in zip(states, foreign.tolist(), strict=True)
    ]

    def share(shown: Rows) -> Doubles:
        mixes = table[shown].sum(axis=1)
        own: Doubles = mixes[np.arange(len(mixes)), foreign] / np.maximum(mixes.sum(axis=1), 1e-12)
        return own

    before, after = share(slates(world, row, states)), share(slates(world, row, liked))
    return Like(float(before.mean()), float(after.mean()), float(after.max()))


def foreign_topics(world: World, first: Doubles) -> Rows:
    """For each person the topic (u,) they cared for least, among those with items enough for a burst; of equals the
    one the catalogue has most of."""
    enough = np.array([len(items) >= BURST_EVENTS for items in topic_items(world)])
    if not enough.any():
        enough[:] = True
    shares = world.bundle.arrays.topic_shares
    wanted = np.where(enough, first - 1e-6 * shares, np.inf)
    least: Rows = wanted.argmin(axis=1)
    return least


def topic_items(world: World) -> list[Rows]:
    """Items whose largest share is of each topic, most popular first, at most as many as a burst takes."""
    table = topic_table(world.bundle)[:-1]
    main = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), -1)
    by_popularity = np.argsort(-world.bundle.arrays.popularity, kind="stable")
    return [by_popularity[main[by_popularity] == topic][:BURST_EVENTS] for topic in range(table.shape[1])]


def after_events(world: World, state: InterestState, items: Rows, act: Action, value: float | None) -> InterestState:
    """The state after one event with each item, a minute apart, from DAYS_LATER after the last."""
    ids = world.bundle.item_ids
    offset = state.watermarks.get(PARTITION, -1) + 1
    entries = []
    for number, item in enumerate(items.tolist()):
        time_ms = state.last_event_ms + DAYS_LATER * DAY_MS + number * MINUTE_MS
        did = Interaction(state.user_id, ids[item], act, time_ms, value)
        entries.append(LogEntry(PARTITION, offset + number, time_ms, state.user_id, did))
    return absorb(state, entries)


def _states(world: World) -> list[InterestState]:
    return [world.states[user] for user in world.users.tolist()]
