"""Which part of a history teaches, which chooses and which is reported on: one function a protocol.

    last-out      a user's last event is the test, the one before it validation
    last-basket   the same by timestamp group: what a user did at one time stays together
    time-split    one moment for everybody: 80% of the events before it, 10% up to the next, 10% after
    prequential   models from the first half (its last fifth validates), then the rest is replayed in time order

Events are in order of user, time and place in the file, so a tie is broken by that place. Only what speaks for an item
counts as an event here: impressions and dislikes go with the part that they fall into, and are nobody's answer.
Time: Ji, Sun, Zhang, Li, "A critical study on data leakage in recommender system offline evaluation", TOIS 2023.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from interests.errors import HistoryRejected
from trainer.data import Events, speaks

TRAIN, VALIDATION, TEST = 0, 1, 2
TO_SPLIT_MIN = 3  # events or groups of a user: one to learn from, one to choose by, one to report on

Part = npt.NDArray[np.int8]
Longs = npt.NDArray[np.int64]
Protocol = Literal["last-out", "last-basket", "time-split", "prequential"]


def split(events: Events, protocol: Protocol) -> Part:
    """TRAIN, VALIDATION or TEST for each event (e,). Raises HistoryRejected where one of them would be empty."""
    part = SPLITS[protocol](events)
    known = speaks(events)
    for which, name in ((TRAIN, "learn from"), (VALIDATION, "choose by"), (TEST, "report on")):
        if not (known & (part == which)).any():
            raise HistoryRejected(f"--protocol {protocol}: {_NEEDS[protocol]}; there is nothing to {name}")
    return part


def natural(events: Events) -> Protocol:
    """last-out where the median timestamp group holds one event, else last-basket, where ties cannot be ordered."""
    _, sizes = np.unique(events.groups[speaks(events)], return_counts=True)
    return "last-out" if len(sizes) and np.median(sizes) <= 1 else "last-basket"


def last_out(events: Events) -> Part:
    """Each user's last event is TEST, the one before VALIDATION; users with fewer than three are learned from only."""
    places = np.flatnonzero(speaks(events))
    return _last_two(events, places, events.users[places], np.arange(len(events)))


def last_basket(events: Events) -> Part:
    """Each user's last timestamp group is TEST whole, the one before VALIDATION; fewer than three: learned from only.

    What is no answer but comes later than a user's test group is marked TEST too.
    """
    known = speaks(events)
    groups, first = np.unique(events.groups[known], return_index=True)
    return _last_two(events, groups, events.users[known][first], events.groups)


def time_split(events: Events) -> Part:
    """80%, 10% and 10% of the events by time; what happened at one time is never cut.

    A user's answers are all that they did in the test period, asked once, of their state at its start.
    """
    return _by_time(events, 0.8, 0.9)


def prequential(events: Events) -> Part:
    """The first half to learn (its last fifth to choose by); the second half is TEST, to be replayed."""
    return _by_time(events, 0.4, 0.5)


SPLITS: dict[Protocol, Callable[[Events], Part]] = {
    "last-out": last_out,
    "last-basket": last_basket,
    "time-split": time_split,
    "prequential": prequential,
}
_NEEDS: dict[Protocol, str] = {
    "last-out": "needs users with three events or more",
    "last-basket": "needs users with three timestamp groups or more",
    "time-split": "needs events at three times or more",
    "prequential": "needs events at three times or more",
}


def _last_two(events: Events, places: Longs, owners: npt.NDArray[np.int32], place_of: Longs) -> Part:
    """Cut before the last and the last but one of each owner's places, which ascend by owner."""
    count = np.bincount(owners, minlength=events.user_count)
    ends = np.cumsum(count)
    enough = np.flatnonzero(count >= TO_SPLIT_MIN)
    test_from = np.full(events.user_count, np.iinfo(np.int64).max)
    validation_from = test_from.copy()
    test_from[enough], validation_from[enough] = places[ends[enough] - 1], places[ends[enough] - 2]
    part = np.full(len(events), TRAIN, dtype=np.int8)
    part[place_of >= validation_from[events.users]] = VALIDATION
    part[place_of >= test_from[events.users]] = TEST
    return part


def _by_time(events: Events, validation_share: float, test_share: float) -> Part:
    times = np.sort(events.times_ms[speaks(events)])
    part = np.full(len(events), TRAIN, dtype=np.int8)
    for share, which in ((validation_share, VALIDATION), (test_share, TEST)):
        part[events.times_ms >= times[int(share * len(times))]] = which
    return part
