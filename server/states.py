"""From a user id to what ranking needs: the newest state, its vectors, its profile.

    store.get ▶ vectors (the state's own, or encoded again where another bundle made them) ▶ profile

A few users' last views are kept. They spare the encoder and the profile when a user asks again, and they still serve
while the store is away: a slate that was right a moment ago is worth more than an error.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from interests.absorb import absorb
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.errors import StoreUnavailable
from interests.events import Action, Interaction, LogEntry, LogPartition
from interests.profile import Profile, profile
from interests.state import InterestState
from interests.stores import record
from interests.stores.base import InterestStore, Record, Snapshot, Snapshots
from ranking.recommend import Ranker
from server.answers import Answerer, Stored
from server.gather import Gather
from server.metrics import Metrics
from server.wire import SlateWriter

VIEWS_MAX = 256  # about 30 KB each
READS_MAX = 32  # at one time, from a store that is not embedded
READ_S_MAX = 2.0
SNAPSHOT_S_MAX = 0.05  # that one is held where nothing is written

T = TypeVar("T")

_ANONYMOUS = LogPartition("anonymous", 0)
_STEP_MS = 60_000  # between the synthetic clicks of a caller without an id


@dataclass(frozen=True)
class Serving:
    """One bundle with what was built from it: these are only ever replaced together."""

    bundle: Bundle
    encoder: Encoder
    ranker: Ranker

    @cached_property
    def writer(self) -> SlateWriter:
        """Writes this bundle's slates."""
        return SlateWriter(self.bundle)

    @cached_property
    def answerer(self) -> Answerer:
        """Answers out of this bundle."""
        return Answerer(self.bundle, self.ranker)


@dataclass(frozen=True, slots=True)
class View:
    """One state as one bundle sees it."""

    state: InterestState
    profile: Profile
    serving: Serving


class States:
    """Reads states and views them through the bundle that is served. Used from the event loop alone."""

    def __init__(self, store: InterestStore, serving: Serving, metrics: Metrics, views_max: int = VIEWS_MAX) -> None:
        self.serving = serving
        self._store = store
        self._metrics = metrics
        self._views_max = views_max
        self._views: OrderedDict[str, View] = OrderedDict()
        self._latest: OrderedDict[str, Stored] = OrderedDict()  # of a store that may be away
        self._snapshots = store if isinstance(store, Snapshots) else None
        self._snapshot: Snapshot | None = None
        self._versions: dict[str, int] = {}  # read from this snapshot
        self._letting_go: asyncio.TimerHandle
        self._threads = ThreadPoolExecutor(READS_MAX, "store-read")
        self._records = Gather(store.records, self._threads)
        self._known_versions = Gather(store.versions, self._threads)

    async def read(self, user_id: str, *, newest: bool = False) -> InterestState:
        """The state of one user, empty for one never seen.

        Where the store is away: the last one served, if it is still at hand and `newest` does not forbid it.
        Raises StoreUnavailable otherwise.
        """
        try:
            return state_of(user_id, await self.stored(user_id))
        except StoreUnavailable as away:
            return self.last_served(user_id, away, newest=newest)

    async def stored(self, user_id: str) -> Stored | None:
        """The user's newest state as it is stored, None for one never seen. Raises StoreUnavailable."""
        if self._snapshots is not None:
            return self._stored_now(user_id)
        if self._store.embedded:
            found = self._store.records((user_id,)).get(user_id)
            return None if found is None else Stored(user_id, *found)
        found = await _in_time(self._records.of(user_id))
        if found is None:
            return None
        stored = self._latest[user_id] = Stored(user_id, *found)
        _shorten(self._latest, user_id, self._views_max)
        return stored

    def last_served(self, user_id: str, away: StoreUnavailable, *, newest: bool) -> InterestState:
        """What stands in while the store is away; raises `away` where nothing may."""
        view, stored = self._views.get(user_id), self._latest.get(user_id)
        if newest or (view is None and stored is None):
            raise away
        self._metrics.at_hand.inc()
        if view is None or (stored is not None and stored.version > view.state.version):
            return state_of(user_id, stored)
        return view.state

    def version_now(self, user_id: str) -> int | None:
        """The version of the user's newest state, 0 for one never seen; None where only waiting could tell.

        Raises StoreUnavailable.
        """
        if self._snapshots is None:
            return self._store.versions((user_id,)).get(user_id, 0) if self._store.embedded else None
        if self._snapshot is None or not self._snapshot.is_newest():
            self._let_go()
            self._snapshot = self._snapshots.snapshot()
            self._letting_go = asyncio.get_running_loop().call_later(SNAPSHOT_S_MAX, self._let_go)
        version = self._versions.get(user_id)
        if version is None:
            version = self._versions[user_id] = self._snapshot.version(user_id)
        return version

    async def version(self, user_id: str) -> int:
        """The same, waiting where it must. Raises StoreUnavailable."""
        if self._store.embedded:
            return self._store.versions((user_id,)).get(user_id, 0)
        return await _in_time(self._known_versions.of(user_id)) or 0

    def view(self, state: InterestState) -> View:
        """The state with its profile; O(1) where this user's last view is of the same state and bundle."""
        view = self._last(state.user_id, state.version)
        return self._remember(self.fresh_view(state)) if view is None else view

    def fresh_view(self, state: InterestState) -> View:
        """The same without remembering it, for a state that no store holds."""
        return fresh_view(state, self.serving)

    def _last(self, user_id: str, version: int) -> View | None:
        view = self._views.get(user_id)
        if view is None or view.profile.state_version != version or view.serving is not self.serving:
            return None
        self._views.move_to_end(user_id)
        return view

    def _remember(self, view: View) -> View:
        user_id = view.profile.user_id
        self._views[user_id] = view
        _shorten(self._views, user_id, self._views_max)
        return view

    def drop(self, user_id: str) -> None:
        """Forget the last view of a user who has moved on, or was erased."""
        self._views.pop(user_id, None)
        self._latest.pop(user_id, None)

    def clear(self) -> None:
        """Forget every view, and what was read of the store as it was."""
        self._views.clear()
        self._latest.clear()
        self._let_go()

    def close(self) -> None:
        """Let go of the threads that read."""
        self._let_go()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _let_go(self) -> None:
        if self._snapshot is not None:
            self._letting_go.cancel()
            self._snapshot.close()
            self._snapshot = None
            self._versions.clear()

    def _stored_now(self, user_id: str) -> Stored | None:
        version = self.version_now(user_id)
        data = self._snapshot.stored(user_id) if version and self._snapshot is not None else None
        return None if data is None or version is None else Stored(user_id, version, data)


async def _in_time(read: "asyncio.Future[T]") -> T:
    try:
        return await asyncio.wait_for(read, READ_S_MAX)
    except TimeoutError:
        raise StoreUnavailable(f"the store has not answered within {READ_S_MAX:g} s") from None


def _shorten(kept: OrderedDict[str, T], latest: str, most: int) -> None:
    """Let go of what was unused longest, now that `latest` was used."""
    kept.move_to_end(latest)
    while len(kept) > most:
        kept.popitem(last=False)


def state_of(user_id: str, stored: Stored | None) -> InterestState:
    """The state that is stored, empty for a user never seen. Raises StoreCorrupt."""
    return InterestState(user_id) if stored is None else record.state_of(Record(stored.version, stored.data))


def fresh_view(state: InterestState, serving: Serving) -> View:
    """A state as a bundle sees it, encoded again where another bundle made its vectors."""
    vectors = state.vectors
    if vectors is None or vectors.bundle_version != serving.bundle.version:
        vectors = serving.encoder.vectors([state])[0]
    return View(state, profile(state, serving.bundle, vectors), serving)


def anonymous_state(recent_item_ids: tuple[str, ...], bundle: Bundle) -> InterestState:
    """What is known of a caller without an id: one click an item, in that order, up to the bundle's cut-off.

    A pure function of its arguments, so equal calls get equal slates. Its user id is empty and no store takes it.
    """
    count = len(recent_item_ids)
    entries = []
    for offset, item_id in enumerate(recent_item_ids):
        time_ms = max(bundle.manifest.cutoff_ms - (count - 1 - offset) * _STEP_MS, 0)
        entries.append(LogEntry(_ANONYMOUS, offset, time_ms, "", Interaction("", item_id, Action.CLICK, time_ms)))
    return absorb(InterestState(""), entries)
