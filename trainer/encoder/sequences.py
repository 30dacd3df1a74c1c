"""Histories cut into windows for the encoder, and what came after each moment of them.

Every position of a window is asked for an item of its user's next timestamp group, never of its own: what happens at
one time is not known before it.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from trainer.data import Events

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

NOTHING = -1


@dataclass(frozen=True, eq=False)
class Windows:
    """w windows of length L, oldest first, padded in front.

    items (w, L) int32 rows, 0 where padded; ages_days (w, L) float32 before the window's end; actions (w, L) int32;
    mask (w, L) float32; moments (w, L) int32: timestamp groups as numbers, the window's last 0, earlier ones below:
    ages alone would merge groups that are seconds apart after months; targets (w, t) int32 rows, NOTHING for none
    """

    items: Ints
    ages_days: Floats
    actions: Ints
    mask: Floats
    moments: Ints
    targets: Ints

    def __len__(self) -> int:
        return len(self.items)

    def once(self) -> Floats:
        """The mask (w, L) with the latest place of each item alone."""
        mask = self.mask.copy()
        for items, mine in zip(self.items, mask, strict=True):
            places = np.flatnonzero(mine)[::-1]
            _, first = np.unique(items[places], return_index=True)
            mine[np.delete(places, first)] = 0.0
        return mask

    def take(self, rows: Longs) -> "Windows":
        """These windows alone."""
        return Windows(
            items=self.items[rows],
            ages_days=self.ages_days[rows],
            actions=self.actions[rows],
            mask=self.mask[rows],
            moments=self.moments[rows],
            targets=self.targets[rows],
        )


class Sequences:
    """One set of positive events, ready to be cut. Events must be sorted as `Events` says."""

    def __init__(self, events: Events, length: int) -> None:
        self._events, self._length = events, length
        _, self._group_start, group = np.unique(events.groups, return_index=True, return_inverse=True)
        self._group_end = np.r_[self._group_start[1:], len(events)]
        self._group = group
        self._group_user = events.users[self._group_start]
        self._user_start = np.searchsorted(events.users, np.arange(events.user_count))
        self._user_end = np.searchsorted(events.users, np.arange(events.user_count), side="right")

    def every_position(self, rng: np.random.Generator) -> Windows:
        """All events, cut at places drawn anew; targets (w, L), one a position.

        A user's newest window is always whole, so its events may be in a second one too.
        """
        ends = [np.zeros(0, dtype=np.int64)]
        for start, end in zip(self._user_start.tolist(), self._user_end.tolist(), strict=True):
            first = end - int(rng.integers(1, self._length + 1))
            if end - start > 1:
                ends.append(np.r_[end, np.arange(first, start, -self._length)])
        places = np.concatenate(ends)
        starts = self._user_start[self._events.users[places - 1]]
        return self._cut(places, starts, self._targets_after(rng))

    def whole_moments(self, count: int, targets: int, rng: np.random.Generator) -> Windows:
        """Up to `count` windows that end with a whole group; targets (w, targets): items of the next group."""
        has_next = np.r_[self._group_user[1:] == self._group_user[:-1], False] if len(self._group_user) else []
        groups = np.flatnonzero(has_next)
        if len(groups) > count:
            groups = np.sort(rng.choice(groups, count, replace=False))
        following = self._sample_group(np.repeat(groups + 1, targets), rng).reshape(-1, targets)
        places = self._group_end[groups]
        windows = self._cut(places, self._user_start[self._group_user[groups]], None)
        return replace(windows, targets=following)

    def latest(self, users: Ints) -> Windows:
        """The newest window of each of these users, who must have events; targets (w, 0)."""
        return self._cut(self._user_end[users], self._user_start[users], None)

    def _targets_after(self, rng: np.random.Generator) -> Ints:
        """For each event an item of its user's next group, (e,)."""
        following = self._group + 1
        known = following < len(self._group_start)
        known[known] &= self._group_user[following[known]] == self._events.users[known]
        targets = np.full(len(self._events), NOTHING, dtype=np.int32)
        targets[known] = self._sample_group(following[known], rng)
        return targets

    def _sample_group(self, groups: Longs, rng: np.random.Generator) -> Ints:
        sizes = self._group_end[groups] - self._group_start[groups]
        drawn = (rng.random(len(groups)) * sizes).astype(np.int64)
        items: Ints = self._events.items[self._group_start[groups] + drawn]
        return items

    def _cut(self, ends: Longs, starts: Longs, targets: Ints | None) -> Windows:
        place = ends[:, None] - self._length + np.arange(self._length)
        inside = place >= starts[:, None]
        place = np.where(inside, place, ends[:, None] - 1)
        times, groups = self._events.times_ms[place], self._group[place]
        ages = np.where(inside, (times[:, -1:] - times) / MS_PER_DAY, 0.0)
        wanted = targets[place] if targets is not None else np.zeros((len(ends), 0), dtype=np.int32)
        if targets is not None:
            wanted = np.where(inside, wanted, NOTHING).astype(np.int32)
        return Windows(
            items=np.where(inside, self._events.items[place], 0).astype(np.int32),
            ages_days=ages.astype(np.float32),
            actions=np.where(inside, self._events.actions[place], 0).astype(np.int32),
            mask=inside.astype(np.float32),
            moments=(groups - groups[:, -1:]).astype(np.int32),
            targets=wanted,
        )


def one_by_one(events: Events, rng: np.random.Generator) -> Events:
    """The same events, each a moment of its own, those of one timestamp group in an order drawn anew.

    For logs whose groups are ticks of a coarse clock: what shares a second with the past is asked for too, and still
    nothing is learned of an order that the history does not have.
    """
    order = np.lexsort((rng.random(len(events)), events.groups))
    shuffled = {name: getattr(events, name)[order] for name in ("items", "actions", "values")}
    return replace(events, groups=np.arange(len(events), dtype=np.int64), **shuffled)
