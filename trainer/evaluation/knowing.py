"""What knowing more of a user is worth: their first events, and states that are brought up to date more often.

The models stay as they are and the questions stay the same; only the state that `served` reads is of another time.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from interests.bundle import Bundle
from interests.profile import Profile
from trainer.data import Events, speaks
from trainer.evaluation.evaluate import Sheet, served_as
from trainer.evaluation.moments import MS_PER_HOUR, Moment, first_events, known_since, states_at
from trainer.evaluation.splits import Part
from trainer.states import Case, profiles

FIRST_EVENTS = (0, 1, 2, 5, 10)
STALE: dict[str, float | None] = {"hourly": MS_PER_HOUR, "daily": 24 * MS_PER_HOUR, "frozen": None}
HIDDEN = ", seen hidden"


def stale_row(name: str) -> str:
    """The row of states that are brought up to date that often."""
    return f"served, {name} states"


def first_events_row(count: int) -> str:
    """The row of states that know the first `count` events of their users."""
    return f"served, first {count} events"


def read(
    bundle: Bundle, events: Events, item_ids: Sequence[str], moments: Sequence[Moment], tick: Callable[[], None]
) -> list[Profile]:
    """What ranking sees of each moment."""
    states = states_at(events, item_ids, moments, tick)
    return profiles([Case(one.user, state, one.relevant) for one, state in zip(moments, states, strict=True)], bundle)


def newcomers(sheet: Sheet, events: Events, item_ids: Sequence[str], tick: Callable[[], None]) -> None:
    """Rows after each of FIRST_EVENTS, of the same users: those with as many events as half of all have, or more.

    Slates hide what the whole past holds where a variant asks for new items, so that the question stays the same.
    Ticks once a moment and row.
    """
    known, variant = speaks(events), sheet.variants[0]
    lengths = np.array([len(past.items) for past in sheet.pasts])
    most = max((count for count in FIRST_EVENTS if np.mean(lengths >= count) >= 0.5), default=0)
    enough = np.flatnonzero(lengths >= max(most, 1)).tolist()
    silent = [replace(moment, relevant=moment.relevant[:0]) for moment in sheet.moments]
    for count in (count for count in FIRST_EVENTS if count <= most):
        moments, known_then = list(silent), list(sheet.profiles)
        states = [first_events(events, known, sheet.moments[at], count) for at in enough]
        for at, one in zip(enough, read(sheet.bundle, events, item_ids, states, tick), strict=True):
            moments[at], known_then[at] = sheet.moments[at], one
        mine = replace(sheet, moments=moments, profiles=known_then, variants=(variant,))
        served_as(mine, first_events_row(count), lambda: None, hide=variant.new_items, compared=False)


def staleness(sheet: Sheet, events: Events, part: Part, item_ids: Sequence[str], tick: Callable[[], None]) -> None:
    """Rows of states absorbed hourly, daily and never, as they would be served, and with what was had hidden besides.

    `served` itself absorbs every timestamp group. Ticks three times a moment and row of STALE.
    """
    for name, every_ms in STALE.items():
        moments = [known_since(events, part, moment, every_ms) for moment in sheet.moments]
        mine = replace(sheet, profiles=read(sheet.bundle, events, item_ids, moments, tick))
        served_as(mine, stale_row(name), tick)
        served_as(mine, stale_row(name) + HIDDEN, tick, hide=True)
