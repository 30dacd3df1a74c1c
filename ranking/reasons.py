"""Which earlier interactions brought the items of a slate: all its items at once.

    REPEAT     the item itself
    NEIGHBOUR  the items whose links reach it, by how much of it each gave; both kinds of link on scales of their own
    INTEREST   the nearest of the items had that belong to the same interest, or of all where none does

None for what is popular, fresh or given.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.events import Action
from interests.profile import Profile
from ranking.chosen import Chosen
from ranking.fast.causes import causes
from ranking.nearest import nearest_interests
from ranking.pull import Asked, Asks, asks_of
from ranking.slate import Cause, Source

ITEM_CAUSES_MAX = 3

Rows = npt.NDArray[np.int64]


class Reasons:
    """What one user did, as reasons for items; prepared once a slate."""

    def __init__(self, bundle: Bundle, profile: Profile, asks: Asks | None = None) -> None:
        """asks: `asks_of(bundle, profile)`, where the caller has it already"""
        self._bundle, self._profile, self._asks = bundle, profile, asks

    @cached_property
    def _place_of(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self._profile.item_rows.tolist())}

    @cached_property
    def _latest(self) -> dict[int, int]:
        return {row: at for at, row in enumerate(self._profile.recent_rows.tolist())}

    def of(self, chosen: Chosen) -> Rows:
        """For each item the rows of up to ITEM_CAUSES_MAX interactions that brought it, strongest first, -1 padded
        (n, ITEM_CAUSES_MAX)."""
        found = np.full((len(chosen), ITEM_CAUSES_MAX), -1, dtype=np.int64)
        if self._profile.is_cold:
            return found
        if (fast := causes()) is not None:
            return self._brought(fast, chosen)
        places_of: dict[int, list[int]] = {}
        for place, (row, source) in enumerate(zip(chosen.rows.tolist(), chosen.sources.tolist(), strict=True)):
            if row >= 0:
                places_of.setdefault(source, []).append(place)
        for place in places_of.get(Source.REPEAT, ()):
            row = int(chosen.rows[place])
            if row in self._place_of or row in self._latest:
                found[place, 0] = row
        for source, causing in ((Source.NEIGHBOUR, self._linked), (Source.INTEREST, self._alike)):
            places = places_of.get(source)
            if places:
                found[places] = causing(chosen.rows.take(places), chosen.interests.take(places))
        return found

    def _brought(self, fast: Callable[..., Rows], chosen: Chosen) -> Rows:
        profile, arrays, told = self._profile, self._bundle.arrays, self._profile.told_interests
        first, second = self._asks or asks_of(self._bundle, profile)
        return fast(
            chosen.rows, chosen.sources, chosen.interests, profile.item_rows, profile.recent_rows,
            told.vectors, told.shares, arrays.item_vectors,
            *first, arrays.transition_rows, arrays.transition_weights,
            *second, arrays.neighbour_rows, arrays.neighbour_weights, ITEM_CAUSES_MAX,
        )  # fmt: skip

    def told(self, row: int) -> tuple[int, int]:
        """What was done to an item of these, and when (ms): the number of an action, and the time."""
        profile, place = self._profile, self._place_of.get(row)
        if place is not None:
            return int(profile.item_actions[place]), int(profile.item_times_ms[place])
        at = self._latest[row]
        return int(profile.recent_actions[at]), int(profile.recent_times_ms[at])

    def cause(self, row: int) -> Cause:
        """The same with the item's id."""
        action, time_ms = self.told(row)
        return Cause(self._bundle.item_ids[row], Action(action), time_ms)

    def _linked(self, rows: Rows, _: Rows) -> Rows:
        arrays, asks = self._bundle.arrays, self._asks or asks_of(self._bundle, self._profile)
        strengths: list[dict[int, float]] = [{} for _ in rows]
        place_of = np.full(self._bundle.manifest.item_count + 1, -1, dtype=np.int16)  # row -1 falls on the last
        place_of[rows] = np.arange(len(rows))
        for query, reached, weights in (
            (asks.by_transition, arrays.transition_rows, arrays.transition_weights),
            (asks.by_neighbour, arrays.neighbour_rows, arrays.neighbour_weights),
        ):
            asked = _merged(query)
            given = weights[asked.rows] * asked.weights[:, None]
            # Either kind counts by its own largest; where one kind alone asks, nothing is to be compared.
            largest = (float(given.max(initial=0.0)) or 1.0) if all(len(kind.rows) for kind in asks) else 1.0
            places = place_of[reached[asked.rows]]
            by, column = np.nonzero(places >= 0)
            shares = (given[by, column] / largest).tolist()
            hits = zip(places[by, column].tolist(), asked.rows[by].tolist(), shares, strict=True)
            for place, cause, share in hits:
                strengths[place][cause] = strengths[place].get(cause, 0.0) + share
        return _padded([_strongest(strength) for strength in strengths])

    def _alike(self, rows: Rows, interests: Rows) -> Rows:
        vectors, had = self._bundle.arrays.item_vectors, self._profile.item_rows
        serves = nearest_interests(self._profile, vectors[had])
        mine = serves[None, :] == interests[:, None]
        mine |= (interests < 0)[:, None]
        mine |= ~mine.any(axis=1)[:, None]  # the interest speaks for none of the items had
        likeness = np.where(mine, vectors[rows] @ vectors[had].T, -np.inf)
        nearest = had[np.argsort(-likeness, axis=1, kind="stable")[:, :ITEM_CAUSES_MAX]]
        counts = mine.sum(axis=1).tolist()
        return _padded([causes[:count] for causes, count in zip(nearest.tolist(), counts, strict=True)])


def _padded(causes: list[list[int]]) -> Rows:
    return np.array([rows + [-1] * (ITEM_CAUSES_MAX - len(rows)) for rows in causes], dtype=np.int64)


def _strongest(strength: dict[int, float]) -> list[int]:
    ranked = sorted(strength, key=lambda cause: (-strength[cause], cause))
    return [cause for cause in ranked if strength[cause] > 0][:ITEM_CAUSES_MAX]


def _merged(asked: Asked) -> Asked:
    """Each row once, with all its weight."""
    rows, at = np.unique(asked.rows, return_inverse=True)
    return Asked(rows, np.bincount(at, weights=asked.weights, minlength=len(rows)).astype(np.float32))
