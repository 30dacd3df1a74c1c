"""Where a user's past leads: how strongly transitions and neighbours pull towards each item.

    transition[j] = sum over recent r of w(r) * transition_weight[r, j]
    neighbour[j]  = sum over items i of q(i) * neighbour_weight[i, j]
    q             = (1 - had) * w of recent + had * root of the weights of items had, each part summing to 1
    w(r)          = strength(action) * 2^(-age / query_half_life_days) * 2^(-places back / half-life in places)

Both are divided by their own largest entry, so that the strongest is 1 for every user; what is pulled away is below 0.
Ages count from the profile's last event. Places back count events; those of one moment stand at their mean place, so
the order inside a basket never enters. Half-lives and `had` are the manifest's, chosen on validation.
Fading by time: Ding & Li, "Time weight collaborative filtering", CIKM 2005.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.absorb import DEFAULT_RULE, MS_PER_DAY
from interests.bundle import Bundle
from interests.events import Action
from interests.profile import Profile
from ranking.fast.links import links

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SPARSE_FROM = 100_000  # items
QUERY_ITEMS_MAX = 256  # of the items had: the rest weighs little and costs the same

STRENGTH_OF_ACTION = np.zeros(max(Action) + 1, dtype=np.float32)
for _action, _strength in DEFAULT_RULE.strengths.items():
    STRENGTH_OF_ACTION[_action] = max(_strength, 0.0)


class Asked(NamedTuple):
    """Rows that ask for what goes with them, and how loudly; a row may come more than once."""

    rows: Rows
    weights: Floats


class Asks(NamedTuple):
    """What asked for transitions, and what for neighbours."""

    by_transition: Asked
    by_neighbour: Asked


class Sparse(NamedTuple):
    """Numbers of some of a large catalogue's items, 0 for all others.

    rows (r,) int64 ascending, values (r,) float32
    """

    rows: Rows
    values: Floats

    def of(self, rows: npt.NDArray[np.integer]) -> Floats:
        """The numbers of these rows."""
        if not len(self.rows):
            return np.zeros(len(rows), dtype=np.float32)
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        found: Floats = np.where(self.rows[at] == rows, self.values[at], np.float32(0.0))
        return found


Pulls = Floats | Sparse
Weights = Mapping[str, float]

_NOTHING = Sparse(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


class Pull(NamedTuple):
    """How strongly a user's past pulls towards each of the bundle's n items: at most 1; see `pulls_of`.

    reached: rows with a pull of either kind, ascending
    by_transition, by_neighbour: what asked
    """

    transition: Pulls
    neighbour: Pulls
    reached: Rows
    by_transition: Asked
    by_neighbour: Asked

    @property
    def asks(self) -> Asks:
        """What asked."""
        return Asks(self.by_transition, self.by_neighbour)


_NOBODY = Asked(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


def asks_of(bundle: Bundle, profile: Profile, weights: Weights | None = None) -> Asks:
    """What asks, before anything is spread; nothing does for a kind of link that does not count (see `counts`)."""
    return Asks(
        transition_query(bundle, profile) if counts(bundle, weights, "transition") else _NOBODY,
        neighbour_query(bundle, profile) if counts(bundle, weights, "neighbour") else _NOBODY,
    )


def counts(bundle: Bundle, weights: Weights | None, signal: str) -> bool:
    """Whether a signal has a weight: among `weights`, or for items that nobody ever turned to. None: each has."""
    return weights is None or any(some.get(signal, 0.0) for some in (weights, bundle.manifest.cold_weights))


def pull(bundle: Bundle, profile: Profile, weights: Weights | None = None) -> Pull:
    """Both pulls over all items; zeros where nothing pulls, or what does has no weight (see `counts`).

    O(asking rows * neighbours) beside room for n numbers.
    """
    arrays, count = bundle.arrays, bundle.manifest.item_count
    by_transition, by_neighbour = asks_of(bundle, profile, weights)
    if (fast := links()) is not None:
        first = (*by_transition, arrays.transition_rows, arrays.transition_weights)
        second = (*by_neighbour, arrays.neighbour_rows, arrays.neighbour_weights)
        if count < SPARSE_FROM:
            return Pull(*fast.spread_both(*first, *second, count), by_transition, by_neighbour)
        to, by, reached, _ = fast.spread_sparse(*first, *second)
        return Pull(Sparse(reached, to), Sparse(reached, by), reached, by_transition, by_neighbour)
    transition = _spread(by_transition, arrays.transition_rows, arrays.transition_weights, count)
    neighbour = _spread(by_neighbour, arrays.neighbour_rows, arrays.neighbour_weights, count)
    if isinstance(transition, Sparse) and isinstance(neighbour, Sparse):
        reached = np.union1d(transition.rows, neighbour.rows)
        kinds = (Sparse(reached, transition.of(reached)), Sparse(reached, neighbour.of(reached)))
        return Pull(*kinds, reached, by_transition, by_neighbour)
    reached = np.flatnonzero((np.asarray(transition) != 0) | (np.asarray(neighbour) != 0))
    return Pull(transition, neighbour, reached, by_transition, by_neighbour)


def pulls_of(pulls: Pulls, rows: npt.NDArray[np.integer]) -> Floats:
    """One kind of pull on these rows."""
    return pulls.of(rows) if isinstance(pulls, Sparse) else pulls[rows]


def transition_query(bundle: Bundle, profile: Profile) -> Asked:
    """Recent items, faded."""
    weights = _recent_weights(profile, bundle.manifest.query_half_life_days, bundle.manifest.transition_half_life)
    return Asked(profile.recent_rows.astype(np.int64), weights)


def neighbour_query(bundle: Bundle, profile: Profile) -> Asked:
    """Recent items, faded, and the items had, each part by its share of the query."""
    manifest = bundle.manifest
    recent = _recent_weights(profile, manifest.query_half_life_days, manifest.neighbour_half_life)
    if not manifest.neighbour_had:
        return Asked(profile.recent_rows.astype(np.int64), recent)
    had, had_weights = profile.item_rows[:QUERY_ITEMS_MAX], np.sqrt(profile.item_weights[:QUERY_ITEMS_MAX])
    rows = np.concatenate([profile.recent_rows, had]).astype(np.int64)
    parts = [_summing_to(recent, 1.0 - manifest.neighbour_had), _summing_to(had_weights, manifest.neighbour_had)]
    return Asked(rows, np.concatenate(parts))


def _recent_weights(profile: Profile, half_life_days: float, half_life: float) -> Floats:
    if not len(profile.recent_rows):
        return np.zeros(0, dtype=np.float32)
    if (fast := links()) is not None:
        recent = (profile.recent_rows, profile.recent_times_ms, profile.recent_actions, profile.blocked_rows)
        half_life_ms = half_life_days * MS_PER_DAY
        return fast.recent_weights(*recent, profile.last_event_ms, STRENGTH_OF_ACTION, half_life_ms, half_life)
    ages_days = np.maximum(profile.last_event_ms - profile.recent_times_ms, 0) / MS_PER_DAY
    _, moment, size = np.unique(profile.recent_times_ms, return_inverse=True, return_counts=True)
    place = np.cumsum(size) - (size + 1) / 2.0
    back = (place[-1] - place)[moment]
    weights: Floats = np.exp2(-ages_days / half_life_days - back / half_life).astype(np.float32)
    weights *= STRENGTH_OF_ACTION[profile.recent_actions]
    if len(profile.blocked_rows):
        weights[np.isin(profile.recent_rows, profile.blocked_rows)] = 0.0  # bought, then disliked: it asks for nothing
    return weights


def _summing_to(weights: Floats, share: float) -> Floats:
    total = weights.sum()
    return weights * np.float32(share / total) if total > 0 else weights


def _spread(asked: Asked, rows: npt.NDArray[np.int32], weights: Floats, count: int) -> Pulls:
    """Sum what each asking row gives to each item, over the largest sum."""
    if not len(asked.rows):
        return np.zeros(count, dtype=np.float32) if count < SPARSE_FROM else _NOTHING
    reached = rows[asked.rows].ravel() + 1  # 0 takes the padding
    given = (weights[asked.rows] * asked.weights[:, None]).ravel()
    if count < SPARSE_FROM:
        total = np.bincount(reached, weights=given, minlength=count + 1)[1:].astype(np.float32)
        return total / (total.max(initial=0.0) or np.float32(1.0))
    once, at = np.unique(reached, return_inverse=True)
    sums = np.bincount(at, weights=given, minlength=len(once)).astype(np.float32)
    known = slice(1, None) if once[0] == 0 else slice(None)
    largest = sums[known].max(initial=0.0) or np.float32(1.0)
    return Sparse(once[known].astype(np.int64) - 1, sums[known] / largest)
