"""The server's composition: builds every part, hands each what it needs, and takes them down again in turn."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from grpc_health.v1 import health
from prometheus_client import start_http_server

from interests import bundle as bundles
from interests.encoder import Encoder
from interests.errors import SettingsRejected
from interests.stores import open_store, without_credentials
from interests.stores.base import InterestStore
from ranking.recommend import Ranker
from server import listen
from server.cache import SlateCache
from server.changes import ChangeWatch
from server.event_log import EventLog
from server.feed import Feed
from server.kafka_record import KafkaRecorder
from server.metrics import Metrics
from server.record import EmbeddedRecorder
from server.recorder import Recorder
from server.service import Interests, Recommendations, Shell
from server.settings import ServerSettings
from server.slates import Slates
from server.states import Serving, States
from server.streams import Limits, Moved, Streams

QUIET_S = 0.25  # without a new call, callers have seen that the server goes
FLUSH_S = 0.1  # from a handler's end until its status has left

log = logging.getLogger("server")


@asynccontextmanager
async def running(settings: ServerSettings, worker: int = 0) -> AsyncIterator[int]:
    """The whole server, serving; gives its port. Leaving drains it and stops it.

    Raises SettingsRejected, BundleRejected or StoreError where it cannot start.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        serving = _load(settings)
        store = open_store(settings.store, read_only=settings.brokers is not None)
        stack.callback(store.close)
        states = States(store, serving, metrics)
        stack.callback(states.close)
        slates = Slates(states, SlateCache(settings.cache_mib * 1024 * 1024), metrics)
        streams = Streams(_limits(settings), metrics)
        recorder = _recorder(settings, store, serving, metrics, stack)
        server = listen.make_server(settings, metrics)
        feed = Feed(slates, states, streams, settings.push_interval_ms_min, metrics)
        shell = Shell(metrics, settings.call_s_max)
        shell.register(server, Recommendations(slates, states, feed), Interests(states, recorder))
        health_servicer = listen.add_health(server)
        if settings.reflection:
            listen.add_reflection(server)
        port = listen.bind(server, settings)
        watch = ChangeWatch(store, metrics, _on_moved(slates, streams), streams.move_all)
        watch.start()
        stack.push_async_callback(watch.stop)
        _serve_metrics(settings, worker, metrics, stack)
        await server.start()
        stack.push_async_callback(_drain, server, health_servicer, streams, shell, settings.drain_s)
        await listen.set_serving(health_servicer)
        _log_start(settings, worker, serving, port)
        yield port


async def _drain(
    server: grpc.aio.Server, health_servicer: health.aio.HealthServicer, streams: Streams, shell: Shell, drain_s: float
) -> None:
    """Tell balancers and streams, go on serving until the callers have left, then stop; `drain_s` at most."""
    deadline_s = time.monotonic() + drain_s
    goodbye = asyncio.ensure_future(health_servicer.enter_graceful_shutdown())  # a watcher who never reads blocks it
    streams.drain()
    await shell.wait_quiet(min(QUIET_S, drain_s / 20), deadline_s)
    # What is open now will not end by itself: watchers of the health service, streams that nobody reads.
    await server.stop(FLUSH_S)
    goodbye.cancel()


def _load(settings: ServerSettings) -> Serving:
    bundle = bundles.load(settings.bundle)
    return Serving(bundle, Encoder(bundle, settings.device), Ranker(bundle))


def _recorder(
    settings: ServerSettings, store: InterestStore, serving: Serving, metrics: Metrics, stack: AsyncExitStack
) -> Recorder:
    recorder: Recorder
    if settings.brokers:
        recorder = KafkaRecorder(settings.addresses(), settings.topic, metrics, settings.security())
    else:
        event_log = EventLog(settings.log)
        stack.callback(event_log.close)
        recorder = EmbeddedRecorder(event_log, store, serving.encoder, metrics, _now_ms)
        recorder.start()
    stack.push_async_callback(recorder.close)
    return recorder


def _limits(settings: ServerSettings) -> Limits:
    return Limits(settings.streams_max, settings.streams_per_connection_max, settings.streams_per_user_max)


def _on_moved(slates: Slates, streams: Streams) -> Callable[[Iterable[str], Mapping[str, Moved]], None]:
    def on_moved(user_ids: Iterable[str], wakes: Mapping[str, Moved]) -> None:
        for user_id in user_ids:
            slates.drop(user_id)
        streams.move(wakes)

    return on_moved


def _serve_metrics(settings: ServerSettings, worker: int, metrics: Metrics, stack: AsyncExitStack) -> None:
    if settings.metrics_port is None:
        return
    wanted = settings.metrics_port and settings.metrics_port + worker
    address = f"{settings.metrics_address}:{wanted}"
    try:
        http, _ = start_http_server(wanted, settings.metrics_address, metrics.registry)
    except OSError as error:
        raise SettingsRejected(f"--metrics-port {address}: cannot be served on: {error.strerror}") from None
    stack.callback(http.server_close)
    stack.callback(http.shutdown)
    log.info("metrics", extra={"address": settings.metrics_address, "port": http.server_port})


def _log_start(settings: ServerSettings, worker: int, serving: Serving, port: int) -> None:
    if settings.insecure_listen:
        log.warning("serving without TLS on an address that is not loopback", extra={"listen": settings.listen})
    manifest = serving.bundle.manifest
    about = {
        "bundle": serving.bundle.version,
        "items": manifest.item_count,
        "store": without_credentials(settings.store),
        **({"worker": worker} if settings.workers > 1 else {}),
    }
    log.info("serving", extra={"listen": settings.listen, "port": port, "tls": settings.tls_cert is not None, **about})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
