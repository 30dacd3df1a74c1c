"""The two streams: slates pushed as interests move, and an endless feed in which nothing repeats.

Both are paced by the client: the next message is made when the former has been written. Both end with a drain message
and OK when the server goes, and each message carries a token that goes on after it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence

from plural.v1 import recommendations_pb2

from interests.bundle import Bundle
from interests.errors import StoreUnavailable
from server import resume
from server.cache import Made
from server.metrics import Metrics
from server.requests import Asked
from server.slates import Served, Slates
from server.states import States, View, anonymous_state
from server.streams import Slot, Streams

RETRY_AFTER_MS = 1000  # told to the clients of a server that goes
STORE_RETRY_S = 0.25
BEFORE = 100  # items of a feed that its next chunk goes on from

log = logging.getLogger(__name__)


class Feed:
    """Makes the messages of both streams, as bytes. Used from the event loop alone."""

    def __init__(
        self, slates: Slates, states: States, streams: Streams, push_interval_ms_min: float, metrics: Metrics
    ) -> None:
        self._slates = slates
        self._states = states
        self._streams = streams
        self._push_interval_s_min = push_interval_ms_min / 1000.0
        self._metrics = metrics
        self._turn = asyncio.Lock()

    async def follow(self, asked: Asked, token: str, peer: str) -> AsyncGenerator[bytes, None]:
        """A slate now, and one for each later state that a wake-up tells of, at most one a push interval.

        The token says who follows and not what they saw: the current slate comes first in any case.
        """
        who = resume.who(asked.user_id, ())
        resume.read(resume.FOLLOW, who, token)
        tail = _token_field(resume.write(resume.FOLLOW, who))
        with self._streams.open(asked.user_id, peer) as slot:
            slot.take()
            sent = await self._slates.of(asked.user_id, asked.query)
            slot.shows(sent.item_ids)
            yield sent.body + tail
            while await _moved(slot):
                moved = slot.take()
                if moved is None or moved.version <= sent.state_version:
                    continue  # what was sent has it already, and whatever came since is no reason to push
                served = await self._newest(asked, slot)
                if served is None or served.body == sent.body:
                    continue
                slot.shows(served.item_ids)
                scored_s = time.time()
                yield served.body + tail
                self._metrics.count_push(moved.moments, moved.seen_s, scored_s, time.time())
                sent = served
                await slot.pause(self._push_interval_s_min)
        yield recommendations_pb2.FollowResponse(drain=_drain()).SerializeToString() + tail

    async def stream(self, asked: Asked, token: str, peer: str) -> AsyncGenerator[bytes, None]:
        """Chunks without an item twice, each from the newest state, until no item is left or the client ends."""
        who = resume.who(asked.user_id, asked.recent_item_ids)
        hashes = resume.read(resume.FEED, who, token)
        bundle = self._states.serving.bundle
        shown = await asyncio.to_thread(_items_of, bundle, hashes) if hashes else []
        with self._streams.open(asked.user_id, peer) as slot:
            while not slot.draining:
                chunk = await self._chunk(asked, shown)
                if not chunk.item_ids:
                    return
                shown.extend(chunk.item_ids)
                hashes.extend(map(resume.item_hash, chunk.item_ids))
                yield chunk.body + _token_field(resume.write(resume.FEED, who, hashes))
        drain = recommendations_pb2.StreamRecommendationsResponse(drain=_drain())
        yield drain.SerializeToString() + _token_field(resume.write(resume.FEED, who, hashes))

    async def _chunk(self, asked: Asked, shown: Sequence[str]) -> Made:
        """One chunk at a time, whoever asks: many eager readers wait for each other and not other calls for them."""
        view = await self._view(asked)
        async with self._turn:
            chunk = self._slates.make(view, asked.query, frozenset(shown), shown[-BEFORE:])
            await asyncio.sleep(0)  # with the turn kept, so that the loop serves others before the next chunk
        return chunk

    async def _newest(self, asked: Asked, slot: Slot) -> Served | None:
        """The newest slate, however long the store is away; None once the server goes."""
        while not slot.draining:
            try:
                return await self._slates.of(asked.user_id, asked.query, newest=True)
            except StoreUnavailable:
                await slot.pause(STORE_RETRY_S)
        return None

    async def _view(self, asked: Asked) -> View:
        if asked.user_id:
            return self._states.view(await self._states.read(asked.user_id))
        return self._states.fresh_view(anonymous_state(asked.recent_item_ids, self._states.serving.bundle))


async def _moved(slot: Slot) -> bool:
    """Wait for a change; False once the server goes."""
    await slot.wait()
    return not slot.draining


def _items_of(bundle: Bundle, hashes: Sequence[int]) -> list[str]:
    """What was shown, in its order; what this bundle does not know is left out."""
    wanted = dict.fromkeys(hashes, "")
    for item_id in bundle.item_ids:
        if (known := resume.item_hash(item_id)) in wanted:
            wanted[known] = item_id
    return [item_id for item_id in wanted.values() if item_id]


def _drain() -> recommendations_pb2.Drain:
    return recommendations_pb2.Drain(retry_after_ms=RETRY_AFTER_MS)


def _token_field(token: str) -> bytes:
    """Field 3 alone: put behind a body it makes a whole message, as protobuf merges what stands one after another."""
    return recommendations_pb2.FollowResponse(resume_token=token).SerializeToString()
