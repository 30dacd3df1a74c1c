"""What may be in a slate, decided before anything is retrieved, so that a narrow filter still fills it.

Never relaxed: what is unavailable, what the user disliked, what the request excludes or does not keep to, what a feed
has shown. Relaxed, and said so: items the user had, where they are filtered and too little else is left.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.query import Query

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Allowed:
    """What may be shown.

    rows (n,): items that may enter
    last_resort (k,): rows of others, which may fill what those leave empty: items the user had, where repeats are
        filtered
    """

    rows: Mask
    last_resort: npt.NDArray[np.int32]


def allow(bundle: Bundle, profile: Profile, query: Query, skip: frozenset[str] = frozenset()) -> Allowed:
    """The items that may answer a query; `skip` are ids a feed has shown already."""
    rows = permitted(bundle, query)
    rows[profile.blocked_rows] = False
    if skip:
        rows[known_rows(bundle, skip)] = False
    last_resort = profile.item_rows[:0]
    if (query.repeats or bundle.manifest.repeats_default) == "filter":
        last_resort = profile.item_rows[rows[profile.item_rows]]
        rows[last_resort] = False
    return Allowed(rows, last_resort)


def permitted(bundle: Bundle, query: Query) -> Mask:
    """What is available and passes the request's own filters, whoever asks (n,)."""
    rows = np.array(bundle.arrays.available, dtype=np.bool_)
    if query.only_items:
        only = np.zeros(len(rows), dtype=np.bool_)
        only[known_rows(bundle, query.only_items)] = True
        rows &= only
    if query.only_categories:
        rows &= in_categories(bundle, query.only_categories)
    if query.exclude_categories:
        rows &= ~in_categories(bundle, query.exclude_categories)
    if query.exclude_items:
        rows[known_rows(bundle, query.exclude_items)] = False
    return rows


def in_categories(bundle: Bundle, names: frozenset[str]) -> Mask:
    """Which items carry one of these topics (n,). A name that no topic has matches nothing."""
    # One topic more: -1, the padding, points at it.
    wanted = np.array([*(name in names for name in bundle.topic_names), False], dtype=np.bool_)
    carried = wanted[bundle.arrays.item_topic_ids] & (bundle.arrays.item_topic_shares > 0)
    return np.asarray(carried.any(axis=1), dtype=np.bool_)


def known_rows(bundle: Bundle, item_ids: Iterable[str]) -> list[int]:
    """Rows of the ids that the bundle knows."""
    row_of = bundle.row_of
    return [row_of[item_id] for item_id in item_ids if item_id in row_of]
