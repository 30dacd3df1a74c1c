"""The history as arrays, and its split by timestamp group.

A group is what one user did at one time, such as a basket. Inside a group there is no order: nothing here lets one
item of a group be learned from another as if it had come before.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from interests.absorb import DEFAULT_RULE, MS_PER_DAY
from interests.errors import HistoryRejected
from interests.events import STARS_MAX, Action
from interests.history import History
from trainer.catalogue import Catalogue

TRAIN, VALIDATION, TEST = 0, 1, 2
GROUPS_TO_SPLIT_MIN = 3  # one to learn from, one to choose by, one to report on

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Events:
    """Interactions by user, then time, then place in the file; e of them.

    users, items (e,) int32 rows; times_ms (e,) int64; actions (e,) int32; values (e,) float64, NaN where unset
    groups (e,) int64: which timestamp group, ascending over the whole
    """

    users: Ints
    items: Ints
    times_ms: Longs
    actions: Ints
    values: Doubles
    groups: Longs
    user_ids: list[str]
    item_count: int

    def __len__(self) -> int:
        return len(self.users)

    @property
    def user_count(self) -> int:
        """How many users there are rows for, those without an event among them."""
        return len(self.user_ids)

    @property
    def cutoff_ms(self) -> int:
        """The latest event."""
        return int(self.times_ms.max())

    def where(self, mask: npt.NDArray[np.bool_]) -> "Events":
        """These events alone, of the same users and items."""
        names = ("users", "items", "times_ms", "actions", "values", "groups")
        return replace(self, **{name: getattr(self, name)[mask] for name in names})


def encode(history: History, catalogue: Catalogue) -> Events:
    """Rows instead of ids."""
    frame = history.frame
    user_ids = frame["user_id"].unique().sort()
    item_ids = pl.DataFrame({"item_id": catalogue.item_ids}).with_row_index("item")
    users = user_ids.to_frame("user_id").with_row_index("user")
    coded = (
        frame.join(users, on="user_id", how="left", maintain_order="left")
        .join(item_ids, on="item_id", how="left", maintain_order="left")
        .sort("user", "time_ms", maintain_order=True)
    )
    user, time_ms = coded["user"].to_numpy().astype(np.int32), coded["time_ms"].to_numpy().astype(np.int64)
    return Events(
        users=user,
        items=coded["item"].to_numpy().astype(np.int32),
        times_ms=time_ms,
        actions=coded["action"].to_numpy().astype(np.int32),
        values=coded["value"].fill_null(float("nan")).to_numpy().astype(np.float64),
        groups=np.cumsum(np.r_[False, (np.diff(user) != 0) | (np.diff(time_ms) != 0)]),
        user_ids=user_ids.to_list(),
        item_count=len(catalogue),
    )


def positive(events: Events) -> Events:
    """What speaks for an item: neither impressions nor dislikes. Raises HistoryRejected where nothing does."""
    mask = (events.actions != Action.IMPRESSION) & (events.actions != Action.DISLIKE)
    if not mask.any():
        raise HistoryRejected("the history holds impressions and dislikes alone; give views, clicks or purchases too")
    return events.where(mask)


def strengths(events: Events) -> Doubles:
    """What each event adds to a state, as interests/absorb.py has it."""
    table = np.zeros(max(Action) + 1)
    for action, strength in DEFAULT_RULE.strengths.items():
        table[action] = strength
    amounts = np.where(np.isnan(events.values), 1.0, np.minimum(np.log2(1.0 + np.nan_to_num(events.values)), 4.0))
    stars = np.nan_to_num(events.values) / STARS_MAX
    return table[events.actions] * np.where(events.actions == Action.RATING, stars, amounts)


def faded_strengths(events: Events) -> Doubles:
    """The same as it stands at its user's last event."""
    half_lives = np.ones(max(Action) + 1)
    for action, days in DEFAULT_RULE.half_life_days.items():
        half_lives[action] = days
    last = np.zeros(events.user_count, dtype=np.int64)
    np.maximum.at(last, events.users, events.times_ms)
    ages_days = (last[events.users] - events.times_ms) / MS_PER_DAY
    faded: Doubles = strengths(events) * 2.0 ** (-ages_days / half_lives[events.actions])
    return faded


def last_basket(events: Events) -> npt.NDArray[np.int8]:
    """Protocol B: TRAIN, VALIDATION or TEST for each event (e,).

    Each user's last timestamp group with something positive in it is the test, the one before it validation; what
    comes later than a user's test group is left in neither (it is marked TEST, and is not relevant). Users with fewer
    than three groups are learned from only.
    """
    speaks = (events.actions != Action.IMPRESSION) & (events.actions != Action.DISLIKE)
    groups, first = np.unique(events.groups[speaks], return_index=True)
    owner = events.users[speaks][first]
    count = np.bincount(owner, minlength=events.user_count)
    ends = np.cumsum(count)
    part = np.full(len(events), TRAIN, dtype=np.int8)
    split = np.flatnonzero(count >= GROUPS_TO_SPLIT_MIN)
    test_from = np.full(events.user_count, np.iinfo(np.int64).max)
    validation_from = test_from.copy()
    test_from[split], validation_from[split] = groups[ends[split] - 1], groups[ends[split] - 2]
    part[events.groups >= validation_from[events.users]] = VALIDATION
    part[events.groups >= test_from[events.users]] = TEST
    return part


def describe(events: Events) -> dict[str, Any]:
    """Counts for a report."""
    return {
        "events": len(events),
        "users": len(np.unique(events.users)),
        "items": len(np.unique(events.items)),
        "groups": len(np.unique(events.groups)),
    }
