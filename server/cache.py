"""Slates as the bytes that were sent, for as long as they are still the right answer.

A slate is a function of (state version, bundle version, catalogue, query), so this cache is exact: it never needs to
expire. States move forward only, so of each user the newest state alone is kept. The catalogue's part of it is told by
`holds` of server/catalogue.py. Bounded in bytes; the user whose slates were unused longest goes first.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from ranking.query import Query

ENTRY_OVERHEAD_BYTES = 700  # of the objects around one slate's bytes, measured


@dataclass(slots=True)
class Made:
    """One slate as it is sent, and what it is held against.

    item_ids: what is in it, as the bundle's own strings
    revision: the catalogue's, up to which it is known to be right
    """

    body: bytes
    item_ids: tuple[str, ...]
    revision: int


@dataclass(slots=True)
class _User:
    """One user's slates, all made from one state and one bundle."""

    state_version: int
    bundle_version: str
    slates: dict[Query, Made] = field(default_factory=dict)


class SlateCache:
    """Serialised slates. Used from the event loop alone, so it needs no lock."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._users: OrderedDict[str, _User] = OrderedDict()
        self.bytes = 0

    def get(self, user_id: str, state_version: int, bundle_version: str, query: Query) -> Made | None:
        """Exactly this slate, if it is here."""
        user = self._users.get(user_id)
        if user is None or user.state_version != state_version or user.bundle_version != bundle_version:
            return None
        self._users.move_to_end(user_id)
        return user.slates.get(query)

    def latest(self, user_id: str, bundle_version: str, query: Query) -> tuple[int, Made] | None:
        """The state version that the user's slates here were made from, and this one of them."""
        user = self._users.get(user_id)
        if user is None or user.bundle_version != bundle_version or query not in user.slates:
            return None
        return user.state_version, user.slates[query]

    def put(self, user_id: str, state_version: int, bundle_version: str, query: Query, made: Made) -> None:
        """Keep a slate, and let go of what the user had from another state or bundle."""
        user = self._users.get(user_id)
        if user is not None and (user.state_version != state_version or user.bundle_version != bundle_version):
            self.drop(user_id)
            user = None
        if user is None:
            user = self._users[user_id] = _User(state_version, bundle_version)
        before = user.slates.get(query)
        user.slates[query] = made
        self.bytes += _cost(user_id, query, made) - (_cost(user_id, query, before) if before else 0)
        self._users.move_to_end(user_id)
        self._shrink()

    def drop(self, user_id: str) -> None:
        """Let go of all slates of one user."""
        user = self._users.pop(user_id, None)
        if user is not None:
            self.bytes -= sum(_cost(user_id, query, made) for query, made in user.slates.items())

    def clear(self) -> None:
        """Let go of everything."""
        self._users.clear()
        self.bytes = 0

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._users

    def __len__(self) -> int:
        return sum(len(user.slates) for user in self._users.values())

    def _shrink(self) -> None:
        while self.bytes > self._bytes_max:
            user_id, user = next(iter(self._users.items()))
            query = next(iter(user.slates))
            self.bytes -= _cost(user_id, query, user.slates.pop(query))
            if not user.slates:
                del self._users[user_id]


def _cost(user_id: str, query: Query, made: Made) -> int:
    filters = (query.exclude_items, query.only_items, query.exclude_categories, query.only_categories)
    filter_bytes = sum(len(entry) + 120 for entries in filters for entry in entries)
    return len(made.body) + 8 * len(made.item_ids) + len(user_id) + filter_bytes + ENTRY_OVERHEAD_BYTES
