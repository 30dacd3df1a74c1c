"""Who is simulated and what the system knows of them at first: the first half of each person's history."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.errors import HistoryRejected
from interests.events import STARS_MAX, Action
from trainer.data import Events, positive
from trainer.simulation.figures import topic_table
from trainer.simulation.loop import World
from trainer.simulation.people import Tastes
from trainer.states import absorb_users

EVENTS_MIN = 10  # in the first half: fewer are no interests that could be kept

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def first_halves(events: Events) -> Events:
    """The first half of each user's events, the timestamp group in which it ends included."""
    starts = np.searchsorted(events.users, np.arange(events.user_count))
    counts = np.bincount(events.users, minlength=events.user_count)
    last = events.groups[np.minimum(starts + np.maximum(counts // 2, 1) - 1, len(events) - 1)]
    return events.where(events.groups <= last[events.users])


def who_did_enough(events: Events) -> Rows:
    """Who can be simulated, by row ascending. events: first halves.

    Raises HistoryRejected where nobody can.
    """
    known = positive(events)
    enough: Rows = np.flatnonzero(np.bincount(known.users, minlength=known.user_count) >= EVENTS_MIN)
    if not len(enough):
        raise HistoryRejected(
            f"nobody has {EVENTS_MIN} interactions in the first half of their history: give more of it"
        )
    return enough


def build(
    bundle: Bundle, events: Events, tastes: Tastes, users: int, seed: int, tick: Callable[[], None] = lambda: None
) -> World:
    """A world of up to so many people, drawn by `seed`. events: what the bundle was learned from.

    Raises HistoryRejected where nobody did enough, or all that they did is of no topic.
    """
    known, enough = positive(events), who_did_enough(events)
    enough = enough[first_mixes(bundle, known, enough).sum(axis=1) > 0]
    if not len(enough):
        raise HistoryRejected("nobody who did enough had items with a topic: give a catalogue with categories")
    drawn = np.sort(np.random.default_rng([seed, 0]).permutation(enough)[:users])
    states = absorb_users(events, bundle.item_ids, drawn.tolist(), tick=tick)
    act = Action(int(np.bincount(known.actions).argmax()))
    value = STARS_MAX if act is Action.RATING else None
    return World(bundle, events, drawn, tastes.of(drawn), states, act, value)


def first_mixes(bundle: Bundle, events: Events, users: Rows) -> Doubles:
    """The mixes (u, T) that people came with: topics of all they had, each event alike."""
    table, place = topic_table(bundle), np.full(events.user_count, -1)
    place[users] = np.arange(len(users))
    theirs = place[events.users] >= 0
    mixes = np.zeros((len(users), table.shape[1]))
    for topic in range(table.shape[1]):
        weights = table[events.items[theirs], topic]
        mixes[:, topic] = np.bincount(place[events.users[theirs]], weights=weights, minlength=len(users))
    mixes /= np.maximum(mixes.sum(axis=1, keepdims=True), 1e-12)
    return mixes
