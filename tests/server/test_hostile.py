"""What is no good request, or no request at all, gets its status, and the others are served all the while."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from plural.v1 import recommendations_pb2

from server.parts import running
from tests.support.server import REQUESTS, SERVICES, Client, connect, settings

SEED = 20_261_124
METHODS = [method for method in REQUESTS if method not in ("ReloadBundle", "RollbackBundle")]
"""Those that a server offers unasked."""
SILENT = 1_000
GREETINGS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand then no frame",
    random.Random(SEED).randbytes(4096),
)


@asynccontextmanager
async def well_behaved(client: Client) -> AsyncIterator[None]:
    """A good client calls all the while, and none of its calls fails."""
    stop, calls = asyncio.Event(), 0

    async def call() -> None:
        nonlocal calls
        while not stop.is_set():
            await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id="good"), timeout=10)
            calls += 1

    calling = asyncio.ensure_future(call())
    yield
    stop.set()
    await calling
    assert calls > 0


async def raw_code(channel: Any, method: str, data: bytes, metadata: Any = None) -> grpc.StatusCode:
    """The status that bytes get."""
    path = f"/{SERVICES[method]}/{method}"
    call = channel.unary_stream(path)(data, metadata=metadata, timeout=10)
    try:
        message = await call.read()
    except grpc.aio.AioRpcError as error:
        return error.code()
    call.cancel()
    assert message is not grpc.aio.EOF
    return grpc.StatusCode.OK


async def test_random_bytes_are_an_invalid_argument_or_a_request(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    codes: list[grpc.StatusCode] = []
    async with running(settings(tmp_path)) as port, connect(port) as good, connect(port) as bad, well_behaved(good):
        for method in [method for method in METHODS for _ in range(60)]:
            codes += [await raw_code(bad.channel, method, rng.randbytes(rng.randrange(1, 200)))]
    fine = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK}
    assert set(codes) <= fine and codes.count(grpc.StatusCode.INVALID_ARGUMENT) > 400, f"seed {SEED}"


async def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as port, connect(port) as good, connect(port) as bad, well_behaved(good):
        code = await raw_code(bad.channel, "Recommend", bytes(5 * 1024 * 1024))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        metadata = (("padding", "x" * 64 * 1024),)
        request = recommendations_pb2.RecommendRequest(user_id="ada").SerializeToString()
        assert await raw_code(bad.channel, "Recommend", request, metadata) is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_silent_connections_and_those_that_speak_no_http2_are_hung_up_on(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as port, connect(port) as good, well_behaved(good):
        greetings = (*GREETINGS, *[b""] * SILENT)
        await asyncio.wait_for(asyncio.gather(*(_greet(port, greeting) for greeting in greetings)), 10)


async def _greet(port: int, greeting: bytes) -> None:
    """Say something and nothing more; returns once the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(greeting)
        await writer.drain()
        await reader.read(-1)
    writer.close()


async def test_an_unknown_method_is_unimplemented(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as port, connect(port) as client:
        channel: Any = client.channel
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/plural.v1.RecommendationService/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
