"""What every call has in common: errors to statuses, counting, timing, and the end of the server.

Methods are registered from the .proto's own description with no serialiser, so that a cached slate goes out as the
bytes it is and a request that is not one gets a status that says so.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from server.errors import CallTooLong, to_failure
from server.metrics import Metrics

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[bytes, bytes]
Unary = Callable[[bytes], Awaitable[bytes]]
AtHand = Callable[[bytes], bytes | None]
Stream = Callable[[bytes, str], AsyncGenerator[bytes, None]]


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

    def register(self, server: grpc.aio.Server, service: ServiceDescriptor, methods: object, **at_hand: AtHand) -> None:
        """Add every method that the .proto names; `at_hand`, by method, gives answers that need no work."""
        handlers: dict[str, Any] = {}
        for method in service.methods:
            call = getattr(methods, method.name)
            # Reloading a bundle takes as long as its size asks for.
            limit_s = math.inf if service.name == "AdminService" else self._call_s_max
            if method.server_streaming:
                handlers[method.name] = grpc.unary_stream_rpc_method_handler(self._stream(method.name, call))
            else:
                unary = self._unary(method.name, call, limit_s, at_hand.get(method.name))
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

    def _unary(self, name: str, call: Unary, limit_s: float, at_hand: AtHand | None) -> Any:
        latency_s = self._metrics.latency_s.labels(name)
        tally = self._metrics.tally(name)

        async def handle(data: bytes, context: Context) -> bytes:
            started_s = time.perf_counter()
            # What is there already waits for nothing, so it needs no deadline and nothing can interrupt it.
            body = _look(at_hand, data) if at_hand else None
            if body is not None:
                self._begun += 1
                tally.add(time.perf_counter() - started_s)
                return body
            with self._running(name) as running:
                try:
                    async with asyncio.timeout(None if math.isinf(limit_s) else limit_s) as limit:
                        return await call(data)
                except Exception as error:
                    too_long = CallTooLong(f"took longer than this server's {limit_s:g} s")
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
                            try:
                                await context.write(body)
                            except Exception as error:
                                # gRPC's own error, which has no public class: there is nobody left to write to.
                                running.code = grpc.StatusCode.CANCELLED
                                log.debug("a stream's client has gone", extra={"method": name, "reason": repr(error)})
                                return
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
