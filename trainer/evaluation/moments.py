"""A moment: one user before something that they did, and what it was. What every row of a table is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from interests.state import InterestState
from trainer.data import Events, speaks
from trainer.evaluation.splits import TEST, Part
from trainer.states import absorb_users

MS_PER_HOUR = MS_PER_DAY / 24

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Moment:
    """Rows start to end of the events are what `user` had done, `relevant` (r,) the items they turned to next."""

    user: int
    start: int
    end: int
    time_ms: int
    relevant: Rows


@dataclass(frozen=True, eq=False)
class Past:
    """What spoke for an item before a moment, oldest first; m events.

    items (m,) int32; ranks (m,): distinct times since, 0 for the newest; ages_days (m,) before the newest
    """

    items: Rows
    ranks: npt.NDArray[np.int64]
    ages_days: npt.NDArray[np.float64]

    @property
    def had(self) -> Rows:
        """The distinct items (h,), ascending."""
        return np.unique(self.items)


def asked(events: Events, part: Part, which: int, users: int, seed: int) -> list[Moment]:
    """One moment for each of up to `users` users, drawn by `seed`: before all they did in part `which`."""
    answers = np.flatnonzero(speaks(events) & (part == which))
    rows = np.random.default_rng(seed).permutation(np.unique(events.users[answers]))[:users]
    owner = events.users[answers]
    found = []
    for user in rows.tolist():
        start, stop = np.searchsorted(events.users, [user, user + 1])
        end = int(start + np.argmax(part[start:stop] >= which))
        mine = answers[np.searchsorted(owner, user) : np.searchsorted(owner, user, side="right")]
        time_ms = int(events.times_ms[mine[0]])
        found.append(Moment(user, int(start), end, time_ms, np.unique(events.items[mine])))
    return found


def replayed(events: Events, part: Part, which: int, count: int, seed: int) -> list[Moment]:
    """Up to `count` moments, drawn by `seed`: each before one timestamp group of part `which`.

    In no order, so that the first of them are a sample too.
    """
    answers = np.flatnonzero(speaks(events) & (part == which))
    groups = np.random.default_rng(seed).permutation(np.unique(events.groups[answers]))[:count]
    found = []
    for group in groups.tolist():
        mine = answers[slice(*np.searchsorted(events.groups[answers], [group, group + 1]))]
        end = int(np.searchsorted(events.groups, group))
        user = int(events.users[end])
        start = int(np.searchsorted(events.users, user))
        found.append(Moment(user, start, end, int(events.times_ms[end]), np.unique(events.items[mine])))
    return found


def known_since(events: Events, part: Part, moment: Moment, every_ms: float | None) -> Moment:
    """The same question asked of what was known when states were last brought up to date.

    every_ms: at whole multiples of that much time since 1970; None: never since the test part began
    """
    mine = slice(moment.start, moment.end)
    before = part[mine] != TEST
    if every_ms is not None:
        before = events.times_ms[mine] < moment.time_ms // every_ms * every_ms
    return replace(moment, end=moment.start + int(np.count_nonzero(before)))


def first_events(events: Events, known: npt.NDArray[np.bool_], moment: Moment, count: int) -> Moment:
    """The same question asked of the first `count` events that spoke for an item. known (e,): which events do."""
    places = moment.start + np.flatnonzero(known[moment.start : moment.end])
    return replace(moment, end=int(places[count - 1]) + 1 if count else moment.start)


def past(events: Events, known: npt.NDArray[np.bool_], moment: Moment) -> Past:
    """What baselines see of a moment. known (e,): which events speak for their item."""
    places = moment.start + np.flatnonzero(known[moment.start : moment.end])
    groups, group = np.unique(events.groups[places], return_inverse=True)
    times = events.times_ms[places]
    ages_days = (times.max(initial=0) - times) / MS_PER_DAY
    return Past(events.items[places], len(groups) - 1 - group, ages_days)


def states_at(
    events: Events, item_ids: Sequence[str], moments: Sequence[Moment], tick: Callable[[], None] = lambda: None
) -> list[InterestState]:
    """The state of each moment's user, absorbed by the code that serves; of one user the events are absorbed once."""
    found: dict[int, InterestState] = {}
    state: InterestState | None = None
    user = end = -1
    for place in sorted(range(len(moments)), key=lambda at: (moments[at].user, moments[at].end)):
        moment = moments[place]
        if moment.user != user:
            state, user, end = None, moment.user, moment.start
        before = {user: state} if state else None
        state = absorb_users(events.where(slice(end, moment.end)), item_ids, [user], before)[user]
        found[place], end = state, moment.end
        tick()
    return [found[place] for place in range(len(moments))]
