"""The services: thin shells that read a request, ask the parts, and hand bytes back; server/shell.py does the rest."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from plural.v1 import admin_pb2, catalogue_pb2, interests_pb2, recommendations_pb2

from interests.events import check_id
from server import requests
from server.bundles import Bundles
from server.catalogue import Catalogue, Changed
from server.feed import Feed
from server.item_log import ItemLog
from server.items import Item, upserts
from server.memo import Memo
from server.messages import interests_message, item_messages
from server.metrics import Metrics
from server.recorder import Recorder
from server.slates import Slates
from server.states import States, anonymous_state

RECOMMENDATIONS = recommendations_pb2.DESCRIPTOR.services_by_name["RecommendationService"]
INTERESTS = interests_pb2.DESCRIPTOR.services_by_name["InterestService"]
CATALOGUE = catalogue_pb2.DESCRIPTOR.services_by_name["CatalogueService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]

MEMO_BYTES_MAX = 32 * 1024 * 1024  # of requests read: about 30,000 of them


class Recommendations:
    """RecommendationService: bytes in, bytes out. Method names are those of the .proto."""

    def __init__(self, slates: Slates, states: States, feed: Feed) -> None:
        self._slates = slates
        self._states = states
        self._feed = feed
        self._recommend = Memo(_recommend, MEMO_BYTES_MAX)

    async def Recommend(self, data: bytes) -> bytes:
        """One slate."""
        asked = self._recommend(data)
        if asked.user_id:
            return (await self._slates.of(asked.user_id, asked.query)).body
        state = anonymous_state(asked.recent_item_ids, self._states.serving.bundle)
        return self._slates.make(self._states.fresh_view(state), asked.query).body

    def at_hand(self, data: bytes) -> bytes | None:
        """The answer to Recommend, where the cache has it. Raises InvalidRequest."""
        asked = self._recommend(data)
        return self._slates.at_hand(asked.user_id, asked.query) if asked.user_id else None

    async def Rerank(self, data: bytes) -> bytes:
        """The caller's candidates."""
        message = requests.parse(recommendations_pb2.RerankRequest, data)
        candidates, query = requests.rerank(message)
        view = self._states.view(await self._states.read(message.user_id))
        return self._slates.body(view.serving.ranker.rerank(view.profile, candidates, query), message.user_id)

    def StreamRecommendations(self, data: bytes, peer: str) -> AsyncGenerator[bytes, None]:
        """An endless feed. peer: names the client's connection"""
        message = requests.parse(recommendations_pb2.StreamRecommendationsRequest, data)
        return self._feed.stream(requests.stream(message), message.resume_token, peer)

    def Follow(self, data: bytes, peer: str) -> AsyncGenerator[bytes, None]:
        """Slates as interests move. peer: names the client's connection"""
        message = requests.parse(recommendations_pb2.FollowRequest, data)
        return self._feed.follow(requests.follow(message), message.resume_token, peer)

    async def Similar(self, data: bytes) -> bytes:
        """Items like one item."""
        message = requests.parse(recommendations_pb2.SimilarRequest, data)
        serving = self._states.serving
        found = serving.ranker.similar(message.item_id, requests.similar(message))
        items = item_messages(found, self._slates.prices)
        answer = recommendations_pb2.SimilarResponse(items=items, bundle_version=serving.bundle.version)
        return answer.SerializeToString()


def _recommend(data: bytes) -> requests.Asked:
    return requests.recommend(requests.parse(recommendations_pb2.RecommendRequest, data))


class Interests:
    """InterestService: bytes in, bytes out. Method names are those of the .proto."""

    def __init__(self, states: States, recorder: Recorder) -> None:
        self._states = states
        self._recorder = recorder

    async def RecordInteractions(self, data: bytes) -> bytes:
        """Takes interactions in."""
        taken = requests.interactions(requests.parse(interests_pb2.RecordInteractionsRequest, data))
        await self._recorder.record(taken)
        answer = interests_pb2.RecordInteractionsResponse(recorded=len(taken), absorbed=self._recorder.absorbed)
        return answer.SerializeToString()

    async def GetInterests(self, data: bytes) -> bytes:
        """Reads what is known of one user."""
        user_id = requests.parse(interests_pb2.GetInterestsRequest, data).user_id
        check_id("user_id", user_id)
        view = self._states.view(await self._states.read(user_id))
        return interests_message(view.state, view.profile, view.serving.bundle).SerializeToString()

    async def ForgetUser(self, data: bytes) -> bytes:
        """Erases one user."""
        user_id = requests.parse(interests_pb2.ForgetUserRequest, data).user_id
        check_id("user_id", user_id)
        await self._recorder.forget(user_id)
        return interests_pb2.ForgetUserResponse(erased=self._recorder.absorbed).SerializeToString()


class Items:
    """CatalogueService: bytes in, bytes out. Method names are those of the .proto."""

    def __init__(
        self, catalogue: Catalogue, item_log: ItemLog, metrics: Metrics, on_changed: Callable[[Changed], None]
    ) -> None:
        self._catalogue = catalogue
        self._log = item_log
        self._metrics = metrics
        self._on_changed = on_changed
        self._turn = asyncio.Lock()

    async def UpsertItems(self, data: bytes) -> bytes:
        """Takes over what changed of items."""
        said = upserts(requests.parse(catalogue_pb2.UpsertItemsRequest, data))
        # What became durable shall count, though its caller goes away in between.
        items = await asyncio.shield(self._take(said))
        self._metrics.items_changed.inc(len(items))
        standing = self._catalogue.standing(items)
        answer = catalogue_pb2.UpsertItemsResponse(
            live=standing.live,
            waiting_item_ids=standing.waiting,
            arriving=standing.arriving,
            unknown_categories=self._catalogue.unknown_categories(said),
        )
        return answer.SerializeToString()

    async def _take(self, said: list[Item]) -> list[Item]:
        async with self._turn:  # what is merged must not change until it is durable
            items = self._catalogue.merged(said)
            if not await asyncio.to_thread(self._log.append, items):
                self._on_changed(self._catalogue.take(items))
        return items


class Admin:
    """AdminService: bytes in, bytes out. Method names are those of the .proto."""

    def __init__(self, served: Bundles) -> None:
        self._bundles = served

    async def ReloadBundle(self, data: bytes) -> bytes:
        """Serves another bundle."""
        await asyncio.shield(self._bundles.reload(requests.parse(admin_pb2.ReloadBundleRequest, data).version))
        bundle, previous = self._versions()
        answer = admin_pb2.ReloadBundleResponse(bundle_version=bundle, previous_version=previous)
        return answer.SerializeToString()

    async def RollbackBundle(self, data: bytes) -> bytes:
        """Serves the bundle before."""
        requests.parse(admin_pb2.RollbackBundleRequest, data)
        await asyncio.shield(self._bundles.rollback())
        bundle, previous = self._versions()
        answer = admin_pb2.RollbackBundleResponse(bundle_version=bundle, previous_version=previous)
        return answer.SerializeToString()

    def _versions(self) -> tuple[str, str]:
        previous = self._bundles.previous
        return self._bundles.serving.bundle.version, previous.bundle.version if previous else ""
