"""Load on a gRPC server, as seen by two clients: h2load (nghttp2), which costs little, and Python's own.

A Python client stops at about 2,000 calls a second whatever the server does, so its ratios flatter; both are told.
"""

import asyncio
import gc
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import grpc
import grpc.aio

CONNECTIONS, STREAMS, IN_FLIGHT = 4, 8, 32


def h2load_is_there() -> bool:
    """True where h2load is installed (Debian: nghttp2-client)."""
    return shutil.which("h2load") is not None


def h2load(address: str, method: str, request: bytes, calls: int) -> float:
    """Calls a second; raises RuntimeError where any of them failed."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\x00" + len(request).to_bytes(4, "big") + request)
        body.flush()
        command = ["h2load", "-n", str(calls), "-c", str(CONNECTIONS), "-m", str(STREAMS), "-d", body.name]
        headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        done = subprocess.run(
            [*command, *headers, f"http://{address}{method}"], check=True, capture_output=True, text=True
        )
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    succeeded = re.search(r"(\d+) succeeded", done.stdout)
    if not rate or not succeeded or int(succeeded[1]) != calls:
        raise RuntimeError(f"h2load against {address}: {done.stdout[-400:]}")
    return float(rate[1])


def python_client(
    address: str, method: str, requests: Sequence[bytes], calls: int, connections: int = 1
) -> tuple[float, list[float]]:
    """Calls a second and each call's latency in ms, with IN_FLIGHT calls at a time, going round the requests."""
    return asyncio.run(_python_client(address, method, requests, calls, connections))


async def _python_client(
    address: str, method: str, requests: Sequence[bytes], calls: int, connections: int
) -> tuple[float, list[float]]:
    latencies_ms: list[float] = []
    numbers = iter(range(calls))
    async with AsyncExitStack() as stack:
        # Channels of one address share a connection unless they are told not to.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            for _ in range(connections)
        ]
        callables = [channel.unary_unary(method) for channel in channels]
        for call in callables:
            await call(requests[0])

        async def worker(call: grpc.aio.UnaryUnaryMultiCallable) -> None:
            for number in numbers:
                started_s = time.perf_counter()
                await call(requests[number % len(requests)])
                latencies_ms.append((time.perf_counter() - started_s) * 1000)

        started_s = time.perf_counter()
        await asyncio.gather(*(worker(callables[place % connections]) for place in range(IN_FLIGHT)))
        return calls / (time.perf_counter() - started_s), latencies_ms


def paced(address: str, method: str, requests: Sequence[bytes], rate: float, seconds: float) -> list[float]:
    """Each call's latency in ms, from when it was due, at `rate` calls a second whatever the server does."""
    return asyncio.run(_paced(address, method, requests, rate, seconds))


async def _paced(address: str, method: str, requests: Sequence[bytes], rate: float, seconds: float) -> list[float]:
    latencies_ms: list[float] = []
    gc.collect()
    gc.freeze()  # a pause of this client's own collector would be counted as the server's
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(method)
        await call(requests[0])

        async def one(number: int, due_s: float) -> None:
            await call(requests[number % len(requests)])
            latencies_ms.append((time.perf_counter() - due_s) * 1000)

        started_s, calls = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            due_s = started_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            calls.append(asyncio.ensure_future(one(number, due_s)))
        await asyncio.gather(*calls)
    return latencies_ms
