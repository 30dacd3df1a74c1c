"""The name of a slate: the same state, bundle and request give the same."""

import hashlib
from collections.abc import Iterable

from interests.profile import Profile
from ranking.query import Query


def slate_id(profile: Profile, query: Query, *more: Iterable[object]) -> str:
    """A hash of user, state version, bundle version and query; `more` is what else the slate hangs on.

    A caller without an id has no state that a version could name: their items stand in.
    """
    anonymous = () if profile.user_id else profile.recent_rows.tolist()
    return name_of(profile.user_id, profile.state_version, profile.bundle_version, query, anonymous, *more)


def name_of(user_id: str, state_version: int, bundle_version: str, query: Query, *more: Iterable[object]) -> str:
    """The same from what a profile has of it; the first of `more` are the items of a caller without an id."""
    filters = (query.exclude_items, query.only_items, query.exclude_categories, query.only_categories)
    asked = (query.size, query.diversity, query.repeats, [sorted(names) for names in filters])
    told = (user_id, state_version, bundle_version, asked, *map(list, more))
    return hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()
