"""The history as arrays.

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

    def where(self, mask: npt.NDArray[np.bool_] | slice) -> "Events":
        """These events alone, of the same users and items; a slice copies nothing."""
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
    mask = speaks(events)
    if not mask.any():
        raise HistoryRejected("the history holds impressions and dislikes alone; give views, clicks or purchases too")
    return events.where(mask)


def speaks(events: Events) -> npt.NDArray[np.bool_]:
    """Which events speak for their item (e,)."""
    mask: npt.NDArray[np.bool_] = (events.actions != Action.IMPRESSION) & (events.actions != Action.DISLIKE)
    return mask


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


def describe(events: Events) -> dict[str, Any]:
    """Counts for a report."""
    return {
        "events": len(events),
        "users": len(np.unique(events.users)),
        "items": len(np.unique(events.items)),
        "groups": len(np.unique(events.groups)),
    }
