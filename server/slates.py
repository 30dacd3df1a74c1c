"""From a user and a query to a slate in bytes, through the exact cache.

The bytes are those of a message whose field 1 is the slate, so the same ones answer Recommend and, with a resume token
put behind them, Follow and StreamRecommendations: that field has the same number and type in all three.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from plural.v1 import recommendations_pb2

from interests.errors import StoreUnavailable
from ranking.identity import name_of, slate_id
from ranking.query import Query
from ranking.slate import Slate
from server.answers import Answer, Stored
from server.batches import BATCH_MAX, Batches
from server.cache import Made, SlateCache
from server.catalogue import Catalogue
from server.messages import slate_message
from server.metrics import Metrics
from server.states import Serving, States, View, state_of


class Served(NamedTuple):
    """A slate's bytes, what they were made from, and what is in them."""

    body: bytes
    state_version: int
    item_ids: tuple[str, ...]


class Answered(NamedTuple):
    """Answers out of what was served, with the catalogue as it was when they were begun."""

    serving: Serving
    revision: int
    fingerprint: int
    answers: list[Answer | None]


class Slates:
    """Makes slates, each once. Used from the event loop alone: equal calls that wait together share one computation."""

    def __init__(
        self,
        states: States,
        cache: SlateCache,
        metrics: Metrics,
        catalogue: Catalogue | None = None,
        together_max: int = BATCH_MAX,
    ) -> None:
        """together_max: how many calls are answered together at most"""
        self._states = states
        self._cache = cache
        self._metrics = metrics
        self._catalogue = Catalogue() if catalogue is None else catalogue  # an empty one is false
        self._batches: Batches[Query, Stored, Answered, Served] = Batches(self._begin, self._end, together_max)

    @property
    def prices(self) -> Mapping[str, float]:
        """By item id, of those that have one."""
        return self._catalogue.prices

    def at_hand(self, user_id: str, query: Query) -> bytes | None:
        """The slate of the user's newest state, if the cache has it and no wait is needed to know that it is.

        Whoever asks counts the hit.
        """
        try:
            version = self._states.version_now(user_id)
        except StoreUnavailable:
            return None  # whoever makes the slate knows what to do then
        found = None if version is None else self._cached(user_id, query, version)
        return None if found is None else found.body

    async def of(self, user_id: str, query: Query, *, newest: bool = False) -> Served:
        """The slate of the user's newest state. Raises StoreUnavailable as States.read does."""
        state = None
        if user_id in self._cache:
            try:
                version = await self._states.version(user_id)
            except StoreUnavailable as away:
                found = None if newest else self._last_sent(user_id, query)
                if found is not None:
                    return found
                state = self._states.last_served(user_id, away, newest=newest)
            else:
                made = self._cached(user_id, query, version)
                if made is not None:
                    self._metrics.cache_hits.inc()
                    return Served(made.body, version, made.item_ids)
        if state is None:
            try:
                stored = await self._states.stored(user_id)
            except StoreUnavailable as away:
                state = self._states.last_served(user_id, away, newest=newest)
            else:
                served = await self._together(query, stored)
                if served is not None:
                    return served
                state = state_of(user_id, stored)
        made = self._cached(user_id, query, state.version)
        if made is not None:
            self._metrics.cache_hits.inc()
        else:
            made = self._make(user_id, query, self._states.view(state))
        return Served(made.body, state.version, made.item_ids)

    async def _together(self, query: Query, stored: Stored | None) -> Served | None:
        """The slate of a state, made with those that others ask for; None where it is to be made step by step."""
        if stored is None or not self._states.serving.answerer.serves(query):
            return None
        return await self._batches.add(query, stored)

    def make(self, view: View, query: Query, skip: frozenset[str] = frozenset(), before: Sequence[str] = ()) -> Made:
        """A slate without the items of `skip`, going on from `before`, the latest of them in order; not cached."""
        choice = view.serving.ranker.choose(view.profile, query, skip, before)
        name = _named(slate_id(view.profile, query, sorted(skip)), self._catalogue.fingerprint)
        user_id = view.profile.user_id
        body = view.serving.writer.body(view.profile, choice, name, user_id, self._catalogue.prices)
        return Made(body, tuple(choice.chosen.item_ids), self._catalogue.revision)

    def body(self, slate: Slate, user_id: str) -> bytes:
        """A slate in field 1 of its message."""
        return body_of(slate, user_id, self._catalogue.prices)

    def drop(self, user_id: str) -> None:
        """Let go of everything made for a user who has moved on, or was erased."""
        self._cache.drop(user_id)
        self._states.drop(user_id)

    def clear(self) -> None:
        """Let go of everything: any user may have moved, and versions need not have."""
        self._cache.clear()
        self._states.clear()

    def _last_sent(self, user_id: str, query: Query) -> Served | None:
        """What stands in while the store is away: right a moment ago, and of this bundle and catalogue."""
        found = self._cache.latest(user_id, self._states.serving.bundle.version, query)
        if found is None or not self._catalogue.holds(found[1].item_ids, found[1].revision):
            return None
        self._metrics.at_hand.inc()
        return Served(found[1].body, found[0], found[1].item_ids)

    def _cached(self, user_id: str, query: Query, version: int) -> Made | None:
        made = self._cache.get(user_id, version, self._states.serving.bundle.version, query)
        if made is None or not self._catalogue.holds(made.item_ids, made.revision):
            return None
        made.revision = self._catalogue.revision
        return made

    def _begin(self, query: Query, users: Sequence[Stored]) -> Callable[[], Answered]:
        """The work of making these slates, for any thread."""
        serving, catalogue = self._states.serving, self._catalogue
        revision, fingerprint, prices = catalogue.revision, catalogue.fingerprint, catalogue.prices_by_row
        return lambda: Answered(serving, revision, fingerprint, serving.answerer.of(query, users, prices))

    def _end(self, query: Query, users: Sequence[Stored], done: Answered) -> list[Served | None]:
        """The slates, those kept that are still right."""
        return [self._finish(query, user, answer, done) for user, answer in zip(users, done.answers, strict=True)]

    def _finish(self, query: Query, user: Stored, answer: Answer | None, done: Answered) -> Served | None:
        if answer is None:
            return None
        bundle = done.serving.bundle
        item_ids = tuple([bundle.item_ids[row] for row in answer.rows])
        if not self._catalogue.holds(item_ids, done.revision):
            return None
        name = _named(name_of(user.user_id, user.version, bundle.version, query, (), ()), done.fingerprint)
        body = done.serving.writer.named(name, user.user_id, user.version, answer.rest)
        self._metrics.cache_misses.inc()
        if done.serving is self._states.serving and self._is_newest(user):
            self._keep(user.user_id, user.version, query, Made(body, item_ids, done.revision))
        return Served(body, user.version, item_ids)

    def _is_newest(self, user: Stored) -> bool:
        """Whether the user has not moved on meanwhile, or was erased."""
        try:
            now = self._states.version_now(user.user_id)
            return now is None or now == user.version  # where only waiting could tell, who asks next compares
        except StoreUnavailable:
            return False

    def _keep(self, user_id: str, version: int, query: Query, made: Made) -> None:
        self._cache.put(user_id, version, self._states.serving.bundle.version, query, made)
        self._metrics.cache_bytes.set(self._cache.bytes)

    def _make(self, user_id: str, query: Query, view: View) -> Made:
        self._metrics.cache_misses.inc()
        made = self.make(view, query)
        self._keep(user_id, view.state.version, query, made)
        return made


def _named(slate: str, fingerprint: int) -> str:
    """The catalogue is part of what a slate hangs on, and so of its name."""
    return f"{slate}-{fingerprint:08x}" if fingerprint else slate


def body_of(slate: Slate, user_id: str, prices: Mapping[str, float]) -> bytes:
    """A slate in field 1 of its message. prices: by item id, of those that have one"""
    message = slate_message(slate, user_id, prices)
    return recommendations_pb2.RecommendResponse(slate=message).SerializeToString()
