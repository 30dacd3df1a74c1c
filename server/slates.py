"""From a user and a query to a slate in bytes, through the exact cache.

The bytes are those of a message whose field 1 is the slate, so the same ones answer Recommend and, with a resume token
put behind them, Follow and StreamRecommendations: that field has the same number and type in all three.
"""

from typing import NamedTuple

from plural.v1 import recommendations_pb2

from interests.errors import StoreUnavailable
from ranking.query import Query
from ranking.slate import Slate
from server.cache import SlateCache
from server.messages import slate_message
from server.metrics import Metrics
from server.states import States, View


class Served(NamedTuple):
    """A slate's bytes and what they were made from."""

    body: bytes
    state_version: int
    bundle_version: str


class Slates:
    """Makes slates, each once. Used from the event loop alone: equal calls at one time share one computation."""

    def __init__(self, states: States, cache: SlateCache, metrics: Metrics) -> None:
        self._states = states
        self._cache = cache
        self._metrics = metrics

    def at_hand(self, user_id: str, query: Query) -> bytes | None:
        """The slate of the user's newest state, if the cache has it and no wait is needed to know that it is."""
        try:
            version = self._states.version_now(user_id)
        except StoreUnavailable:
            return None  # whoever makes the slate knows what to do then
        if version is None:
            return None
        body = self._cache.get(user_id, version, self._states.serving.bundle.version, query)
        if body is not None:
            self._metrics.cache_hits.inc()
        return body

    async def of(self, user_id: str, query: Query, *, newest: bool = False) -> Served:
        """The slate of the user's newest state. Raises StoreUnavailable as States.read does."""
        state = None
        if user_id in self._cache:
            try:
                found = self._cached(user_id, query, await self._states.version(user_id))
            except StoreUnavailable as away:
                state = self._states.last_served(user_id, away, newest=newest)
            else:
                if found is not None:
                    self._metrics.cache_hits.inc()
                    return found
        view = self._states.view(state or await self._states.read(user_id, newest=newest))
        return self._made(user_id, query, view)

    def _made(self, user_id: str, query: Query, view: View) -> Served:
        state = view.state
        bundle_version = view.serving.bundle.version
        body = self._cache.get(user_id, state.version, bundle_version, query)
        if body is None:
            self._metrics.cache_misses.inc()
            body = to_body(self.make(view, query), user_id)
            self._cache.put(user_id, state.version, bundle_version, query, body)
            self._metrics.cache_bytes.set(self._cache.bytes)
        else:
            self._metrics.cache_hits.inc()
        return Served(body, state.version, bundle_version)

    def _cached(self, user_id: str, query: Query, version: int) -> Served | None:
        bundle_version = self._states.serving.bundle.version
        body = self._cache.get(user_id, version, bundle_version, query)
        return Served(body, version, bundle_version) if body is not None else None

    def make(self, view: View, query: Query, skip: frozenset[str] = frozenset()) -> Slate:
        """A slate without the items of `skip`; not cached."""
        return view.serving.ranker.recommend(view.profile, query, skip)

    def drop(self, user_id: str) -> None:
        """Let go of everything made for a user who has moved on, or was erased."""
        self._cache.drop(user_id)
        self._states.drop(user_id)


def to_body(slate: Slate, user_id: str) -> bytes:
    """A slate in field 1 of its message."""
    return recommendations_pb2.RecommendResponse(slate=slate_message(slate, user_id)).SerializeToString()
