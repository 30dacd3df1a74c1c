"""Interest states of past moments, absorbed and encoded by the code that serves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.absorb import absorb
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.events import Action, Interaction, LogEntry, LogPartition
from interests.profile import Profile, profile
from interests.state import InterestState
from trainer.data import Events

PARTITION = LogPartition("history", 0)
ENCODE_USERS = 256

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Case:
    """One user at one moment: what they were, and the rows of what they did next."""

    user: int
    state: InterestState
    relevant: Rows


def absorb_users(
    events: Events,
    item_ids: Sequence[str],
    users: Sequence[int],
    before: dict[int, InterestState] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[int, InterestState]:
    """States by user row after these events, on top of `before` where that has the user; 5 to 10 µs an event."""
    rows = np.asarray(users, dtype=np.int64)
    starts = np.searchsorted(events.users, rows)
    ends = np.searchsorted(events.users, rows, side="right")
    states = {}
    for user, start, end in zip(users, starts.tolist(), ends.tolist(), strict=True):
        state = (before or {}).get(user) or InterestState(events.user_ids[user])
        states[user] = absorb(state, _entries(events, item_ids, state, slice(start, end)))
        tick()
    return states


def profiles(cases: Sequence[Case], bundle: Bundle) -> list[Profile]:
    """What ranking sees of each case through this bundle."""
    encoder = Encoder(bundle)
    found = []
    for begin in range(0, len(cases), ENCODE_USERS):
        part = [case.state for case in cases[begin : begin + ENCODE_USERS]]
        vectors = encoder.vectors(part)
        found += [profile(state, bundle, mine) for state, mine in zip(part, vectors, strict=True)]
    return found


def _entries(events: Events, item_ids: Sequence[str], state: InterestState, part: slice) -> list[LogEntry]:
    offset = state.watermarks.get(PARTITION, -1) + 1
    columns = (events.items[part], events.actions[part], events.times_ms[part], events.values[part])
    entries = []
    for item, action, time_ms, value in zip(*(column.tolist() for column in columns), strict=True):
        amount = None if value != value else value  # NaN marks an unset value
        did = Interaction(state.user_id, item_ids[item], ACTIONS[action], time_ms, amount)
        entries.append(LogEntry(PARTITION, offset, time_ms, state.user_id, did))
        offset += 1
    return entries


ACTIONS = {int(action): action for action in Action}
