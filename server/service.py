"""Both services: a thin shell that reads a request, asks the parts, and hands bytes back.

Registered from the .proto's own description with no serialiser, so that a cached slate goes out as the bytes it is and
a request that is not one gets a status that says so. All that is the same for every method happens once, here:
errors to statuses, counting, timing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import grpc
from plural.v1 import interests_pb2, recommendations_pb2

from interests.events import check_id
from server import requests
from server.errors import CallTooLong, to_failure
from server.feed import Feed
from server.memo import Memo
from server.messages import interests_message, item_messages
from server.metrics import Metrics
from server.recorder import Recorder
from server.slates import Slates, to_body
from server.states import States, anonymous_state

RECOMMENDATIONS = recommendations_pb2.DESCRIPTOR.services_by_name["RecommendationService"]
INTERESTS = interests_pb2.DESCRIPTOR.services_by_name["InterestService"]
SERVICE_NAMES = (RECOMMENDATIONS.full_name, INTERESTS.full_name)

MEMO_BYTES_MAX = 32 * 1024 * 1024  # of requests read: about 30,000 of them

Context = grpc.aio.ServicerContext[bytes, bytes]
Unary = Callable[[bytes], Awaitable[bytes]]
AtHand = Callable[[bytes], bytes | None]
Stream = Callable[[bytes, str], AsyncGenerator[bytes, None]]


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
        return to_body(self._slates.make(self._states.fresh_view(state), asked.query), "")

    def at_hand(self, data: bytes) -> bytes | None:
        """The answer to Recommend, where the cache has it. Raises InvalidRequest."""
        asked = self._recommend(data)
        return self._slates.at_hand(asked.user_id, asked.query) if asked.user_id else None

    async def Rerank(self, data: bytes) -> bytes:
        """The caller's candidates."""
        message = requests.parse(recommendations_pb2.RerankRequest, data)
        candidates, query = requests.rerank(message)
        view = self._states.view(await self._states.read(message.user_id))
        return to_body(view.serving.ranker.rerank(view.profile, candidates, query), message.user_id)

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
        answer = recommendations_pb2.SimilarResponse(items=item_messages(found), bundle_version=serving.bundle.version)
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


class Shell:
    """Puts the services onto a gRPC server, and counts and answers every call in one way.

    call_s_max: what any unary call may take, whatever deadline its client sets or leaves out
    """

    def __init__(self, metrics: Metrics, call_s_max: float) -> None:
        self._metrics = metrics
        self._call_s_max = call_s_max
        self._calls = self._begun = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def register(self, server: grpc.aio.Server, recommendations: Recommendations, interests: Interests) -> None:
        """Add every method that the .proto files name."""
        at_hand = {"Recommend": recommendations.at_hand}
        for service, methods in ((RECOMMENDATIONS, recommendations), (INTERESTS, interests)):
            handlers: dict[str, Any] = {}
            for method in service.methods:
                call = getattr(methods, method.name)
                if method.server_streaming:
                    handlers[method.name] = grpc.unary_stream_rpc_method_handler(self._stream(method.name, call))
                else:
                    unary = self._unary(method.name, call, at_hand.get(method.name))
                    handlers[method.name] = grpc.unary_unary_rpc_method_handler(unary)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))

    async def wait_quiet(self, quiet_s: float, deadline_s: float) -> None:
        """Until no call, streams included, is running or has begun for `quiet_s`; not beyond `deadline_s` (monotonic).

        A call that arrives while the server stops is cut off, so callers need time to see that it is going.
        """
        while (left_s := deadline_s - time.monotonic()) > 0:
            begun = self._begun
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), left_s)
            await asyncio.sleep(min(quiet_s, left_s))
            if self._begun == begun and self._idle.is_set():
                return

    def _unary(self, name: str, call: Unary, at_hand: AtHand | None = None) -> Any:
        latency_s = self._metrics.latency_s.labels(name)
        fine = self._metrics.requests.labels(name, grpc.StatusCode.OK.name)

        async def handle(data: bytes, context: Context) -> bytes:
            started_s = time.perf_counter()
            # What is there already waits for nothing, so it needs no deadline and nothing can interrupt it.
            body = _look(at_hand, data) if at_hand else None
            if body is not None:
                self._begun += 1
                fine.inc()
                latency_s.observe(time.perf_counter() - started_s)
                return body
            with self._running(name) as running:
                try:
                    async with asyncio.timeout(self._call_s_max) as limit:
                        return await call(data)
                except Exception as error:
                    too_long = CallTooLong(f"took longer than this server's {self._call_s_max:g} s")
                    await running.abort(context, too_long if limit.expired() else error)
                    raise  # not reached: abort raises
                finally:
                    latency_s.observe(time.perf_counter() - started_s)

        return handle

    def _stream(self, name: str, call: Stream) -> Any:
        async def handle(data: bytes, context: Context) -> None:
            with self._running(name) as running:
                try:
                    async with aclosing(call(data, context.peer())) as bodies:
                        async for body in bodies:
                            await context.write(body)
                except Exception as error:
                    await running.abort(context, error)

        return handle

    @contextmanager
    def _running(self, name: str) -> Iterator["_Running"]:
        running = _Running(name)
        self._calls += 1
        self._begun += 1
        self._idle.clear()
        try:
            yield running
        except asyncio.CancelledError:
            running.code = grpc.StatusCode.CANCELLED
            raise  # a handler that swallows it leaks its call
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
            self._metrics.requests.labels(name, running.code.name).inc()


def _look(at_hand: AtHand, data: bytes) -> bytes | None:
    try:
        return at_hand(data)
    except Exception:
        return None  # the call itself meets it again, and answers it as it answers everything


class _Running:
    """One call, and the code it ends with."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.code = grpc.StatusCode.OK

    async def abort(self, context: Context, error: Exception) -> None:
        """End the call with the status for `error`."""
        failure = to_failure(error, self._name)
        self.code = failure.code
        await context.abort(failure.code, failure.message, failure.trailing_metadata)
