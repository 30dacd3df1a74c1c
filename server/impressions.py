"""What was shown, recorded as it is served: for applications that send no impressions of their own.

Impressions take the way of every event, behind the answer, which never waits for them. A slate served twice from one
state counts once: the event id is the slate's id and the place. A caller without a user id leaves nothing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from plural.v1 import recommendations_pb2

from interests.errors import PluralError
from interests.events import Action, Interaction
from server.recorder import Recorder
from server.service import Recommendations

PENDING_MAX = 1_000  # slates whose impressions wait to be recorded

log = logging.getLogger(__name__)


class Shown:
    """RecommendationService that tells the log what its slates showed. Used from the event loop alone."""

    def __init__(self, served: Recommendations, recorder: Recorder) -> None:
        self._served = served
        self._recorder = recorder
        self._telling: set[asyncio.Task[None]] = set()
        self._lost = 0
        self.Similar = served.Similar  # of no user

    async def Recommend(self, data: bytes) -> bytes:
        """One slate."""
        return self._tell(await self._served.Recommend(data))

    async def Rerank(self, data: bytes) -> bytes:
        """The caller's candidates."""
        return self._tell(await self._served.Rerank(data))

    async def StreamRecommendations(self, data: bytes, peer: str) -> AsyncGenerator[bytes, None]:
        """An endless feed; a chunk counts as shown once the client has taken it."""
        async with aclosing(self._served.StreamRecommendations(data, peer)) as bodies:
            async for body in bodies:
                yield body
                self._tell(body)

    async def Follow(self, data: bytes, peer: str) -> AsyncGenerator[bytes, None]:
        """Slates as interests move; the same."""
        async with aclosing(self._served.Follow(data, peer)) as bodies:
            async for body in bodies:
                yield body
                self._tell(body)

    async def close(self) -> None:
        """Wait for what was told to be recorded."""
        await asyncio.gather(*self._telling)

    def _tell(self, body: bytes) -> bytes:
        slate = recommendations_pb2.RecommendResponse.FromString(body).slate  # field 1 in the messages of streams too
        if slate.user_id and slate.items:
            if len(self._telling) >= PENDING_MAX:
                self._lose(len(slate.items), "too many wait to be recorded")
                return body
            task = asyncio.ensure_future(self._record(impressions(slate)))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        return body

    async def _record(self, shown: list[Interaction]) -> None:
        try:
            await self._recorder.record(shown)
        except PluralError as error:
            self._lose(len(shown), str(error))

    def _lose(self, count: int, reason: str) -> None:
        self._lost += count
        log.warning("%d impressions could not be recorded, %d since the start: %s", count, self._lost, reason)


def impressions(slate: recommendations_pb2.Slate) -> list[Interaction]:
    """One of each item, in its place."""
    return [
        Interaction(
            slate.user_id,
            item.item_id,
            Action.IMPRESSION,
            event_id=f"{slate.slate_id}:{item.position}",
            slate_id=slate.slate_id,
            position=item.position,
        )
        for item in slate.items
    ]
