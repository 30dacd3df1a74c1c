"""A whole server in this process, on a free port of loopback, and clients of it."""

import asyncio
import atexit
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status
from plural.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    catalogue_pb2,
    catalogue_pb2_grpc,
    events_pb2,
    interests_pb2,
    interests_pb2_grpc,
    recommendations_pb2,
    recommendations_pb2_grpc,
)

from server.parts import running
from server.settings import ServerSettings
from tests.support import tiny_bundle

WAIT_S = 10.0
"""How long a test waits for what must happen: liveness, never speed."""

SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535))
"""Options of a client that takes 64 KiB before it reads; by default its library takes megabytes."""


QUIET_S = 0.4
"""Longer than a push takes here by far: what has not come by then is not coming."""

REQUESTS = {
    "Recommend": recommendations_pb2.RecommendRequest,
    "StreamRecommendations": recommendations_pb2.StreamRecommendationsRequest,
    "Follow": recommendations_pb2.FollowRequest,
    "Similar": recommendations_pb2.SimilarRequest,
    "Rerank": recommendations_pb2.RerankRequest,
    "RecordInteractions": interests_pb2.RecordInteractionsRequest,
    "GetInterests": interests_pb2.GetInterestsRequest,
    "ForgetUser": interests_pb2.ForgetUserRequest,
    "UpsertItems": catalogue_pb2.UpsertItemsRequest,
    "ReloadBundle": admin_pb2.ReloadBundleRequest,
    "RollbackBundle": admin_pb2.RollbackBundleRequest,
}
"""The request of each method."""

SERVICES = {method: kind.DESCRIPTOR.file.services_by_name.values()[0].full_name for method, kind in REQUESTS.items()}
"""The service that each method belongs to, by its full name."""


class Client(NamedTuple):
    """The services of one server."""

    channel: grpc.aio.Channel
    recommendations: Any
    interests: Any
    catalogue: Any
    admin: Any

    def method(self, name: str) -> Any:
        """One method of whichever service has it."""
        stubs = (self.recommendations, self.interests, self.catalogue, self.admin)
        return next(getattr(stub, name) for stub in stubs if hasattr(stub, name))


def settings(directory: Path, **changes: Any) -> ServerSettings:
    """Settings of a server that keeps everything in `directory`, but for its bundle, which the tests share."""
    said: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "bundle": shared_bundle(),
        "store": f"lmdb:{directory / 'store'}?map_gib=1",
    }
    if "brokers" not in changes:
        said["log"] = directory / "interactions.jsonl"
    return ServerSettings(**(said | {"push_interval_ms_min": 0.0, "drain_s": 1.0} | changes))


@cache
def shared_bundle() -> Path:
    """A tiny bundle, made once a session; nothing ever changes it."""
    directory = Path(tempfile.mkdtemp(prefix="plural-bundle-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return tiny_bundle.write(directory)


@asynccontextmanager
async def serving(directory: Path, **changes: Any) -> AsyncIterator[Client]:
    """A server and a client of it."""
    async with running(settings(directory, **changes)) as port, connect(port) as client:
        yield client


@asynccontextmanager
async def connect(port: int, options: Sequence[tuple[str, Any]] = ()) -> AsyncIterator[Client]:
    """A client of a server that runs without TLS."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=list(options)) as channel:
        yield client_of(channel)


def client_of(channel: grpc.aio.Channel) -> Client:
    """The services over a channel."""
    return Client(
        channel,
        recommendations_pb2_grpc.RecommendationServiceStub(channel),
        interests_pb2_grpc.InterestServiceStub(channel),
        catalogue_pb2_grpc.CatalogueServiceStub(channel),
        admin_pb2_grpc.AdminServiceStub(channel),
    )


def event(user_id: str, item_id: str, action: str = "CLICK", **fields: Any) -> events_pb2.Interaction:
    """One interaction."""
    number = events_pb2.Action.Value(f"ACTION_{action}")
    return events_pb2.Interaction(user_id=user_id, item_id=item_id, action=number, **fields)


async def record(client: Client, *events: events_pb2.Interaction) -> interests_pb2.RecordInteractionsResponse:
    """Record interactions through the server."""
    request = interests_pb2.RecordInteractionsRequest(interactions=events)
    answer: interests_pb2.RecordInteractionsResponse = await client.interests.RecordInteractions(request)
    return answer


async def read(stream: Any) -> Any:
    """The next message of a stream, or grpc.aio.EOF; fails after WAIT_S."""
    return await asyncio.wait_for(stream.read(), WAIT_S)


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]], wait_s: float = WAIT_S) -> None:
    """Wait until something holds. Raises AssertionError after `wait_s`."""
    deadline_s = time.monotonic() + wait_s
    while True:
        found = holds()
        if await found if isinstance(found, Awaitable) else found:
            return
        assert time.monotonic() < deadline_s, "waited in vain"
        await asyncio.sleep(0.01)


def follow(client: Client, user_id: str, **fields: Any) -> Any:
    """A stream of one user's slates."""
    return client.recommendations.Follow(recommendations_pb2.FollowRequest(user_id=user_id, **fields))


async def is_quiet(*streams: Any) -> bool:
    """True where no message comes. A read that was given up is lost, so this is the last look at these streams."""
    reads = [asyncio.ensure_future(stream.read()) for stream in streams]
    done, pending = await asyncio.wait(reads, timeout=QUIET_S)
    for one in pending:
        one.cancel()
    return not done


async def refused_for_now(call: Any) -> bool:
    """True where a call is UNAVAILABLE with a RetryInfo; an error of another kind is raised."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error
        details = details_of(error)
        retry = error_details_pb2.RetryInfo()
        assert details[0].Unpack(retry) and retry.retry_delay.ToMilliseconds() > 0
        return True
    return False


def details_of(error: grpc.aio.AioRpcError) -> list[Any]:
    """The packed details of an error; there must be some."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # has what it needs of a call
    assert status is not None
    return list(status.details)


def health(client: Client) -> Any:
    """The standard health service of the same server."""
    return health_pb2_grpc.HealthStub(client.channel)
