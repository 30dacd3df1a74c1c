"""The server's composition: builds every part, hands each what it needs, and takes them down again in turn."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health
from prometheus_client import start_http_server

from interests.errors import SettingsRejected
from interests.stores import open_store, without_credentials
from interests.stores.base import InterestStore
from server import listen
from server.bundles import Bundles, build
from server.cache import SlateCache
from server.catalogue import Catalogue, Changed
from server.changes import ChangeWatch
from server.event_log import EventLog
from server.feed import Feed
from server.impressions import Shown
from server.item_log import ItemFile, ItemLog
from server.item_topic import ItemTopic
from server.items import Item
from server.kafka_record import KafkaRecorder
from server.metrics import Metrics
from server.record import EmbeddedRecorder
from server.recorder import Recorder
from server.service import ADMIN, CATALOGUE, INTERESTS, RECOMMENDATIONS, Admin, Interests, Items, Recommendations
from server.settings import ServerSettings
from server.shell import Shell
from server.slates import Slates
from server.states import Serving, States
from server.streams import Limits, Moved, Streams

QUIET_S = 0.25  # without a new call, callers have seen that the server goes
ITEMS_S_MAX = 5.0  # how long the start may wait for the topic of items
FLUSH_S = 0.1  # from a handler's end until its status has left

log = logging.getLogger("server")


@asynccontextmanager
async def running(settings: ServerSettings, worker: int = 0) -> AsyncIterator[int]:
    """The whole server, serving; gives its port. Leaving drains it and stops it.

    worker: its number, where it is one of several
    Raises SettingsRejected, BundleRejected or StoreError where it cannot start.
    """
    async with AsyncExitStack() as stack:
        metrics, catalogue = Metrics(), Catalogue()
        serving = build(settings.bundle, settings.device)
        reads_only = settings.brokers is not None
        store = open_store(settings.store, read_only=reads_only, follow=reads_only)
        stack.callback(store.close)
        states = States(store, serving, metrics)
        stack.callback(states.close)
        cache = SlateCache(settings.cache_mib * 1024 * 1024)
        slates = Slates(states, cache, metrics, catalogue, settings.together_max)
        streams = Streams(_limits(settings), metrics)
        recorder = _recorder(settings, store, serving, metrics, stack)
        on_swap = _on_swap(states, recorder, streams, stack)
        on_place = _on_place(states, recorder, streams)
        served = Bundles(settings.bundle, settings.device, serving, catalogue, metrics, on_swap, on_place)
        on_changed = _on_changed(streams, served)
        item_log = await _item_log(settings, catalogue, on_changed, stack)
        await served.place()
        server = listen.make_server(settings, metrics)
        feed = Feed(slates, states, streams, settings.push_interval_ms_min, metrics)
        shell = Shell(metrics, settings.call_s_max)
        recommendations = Recommendations(slates, states, feed)
        items = Items(catalogue, item_log, metrics, on_changed)
        shown = Shown(recommendations, recorder) if settings.impressions else None
        if shown:
            stack.push_async_callback(shown.close)
        services: dict[ServiceDescriptor, object] = {
            RECOMMENDATIONS: shown or recommendations,
            INTERESTS: Interests(states, recorder),
            CATALOGUE: items,
        }
        if settings.admin:
            services[ADMIN] = Admin(served)
        for service, methods in services.items():
            at_hand = {"Recommend": recommendations.at_hand} if methods is recommendations else {}
            shell.register(server, service, methods, **at_hand)
        names = [service.full_name for service in services]
        health_servicer = listen.add_health(server)
        if settings.reflection:
            listen.add_reflection(server, names)
        port = listen.bind(server, settings)
        watch = ChangeWatch(store, metrics, _on_moved(slates, streams), _on_lost(slates, streams))
        watch.start()
        stack.push_async_callback(watch.stop)
        served.watch()
        stack.push_async_callback(served.stop)
        _serve_metrics(settings, worker, metrics, stack)
        await server.start()
        stack.push_async_callback(_drain, server, health_servicer, streams, shell, settings.drain_s)
        await listen.set_serving(health_servicer, names)
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


async def _item_log(
    settings: ServerSettings, catalogue: Catalogue, on_changed: Callable[[Changed], None], stack: AsyncExitStack
) -> ItemLog:
    """Where the live catalogue is kept, all that it held already taken."""
    if not settings.brokers:
        item_file = ItemFile(settings.catalogue_file())
        stack.callback(item_file.close)
        catalogue.take(item_file.items.values())
        return item_file
    loop = asyncio.get_running_loop()

    def on_items(items: list[Item]) -> None:
        loop.call_soon_threadsafe(lambda: on_changed(catalogue.take(items)))

    topic = ItemTopic(settings.addresses(), settings.items_topic, settings.security(), on_items)
    stack.push_async_callback(asyncio.to_thread, topic.close)
    if not await asyncio.to_thread(topic.start, ITEMS_S_MAX):
        log.warning("the topic of items could not be read in time; serving from the bundle's catalogue until it is")
    return topic


def _on_changed(streams: Streams, served: Bundles) -> Callable[[Changed], None]:
    def on_changed(changed: Changed) -> None:
        if changed.touched:
            streams.move_showing(changed.touched)
        served.place_soon()

    return on_changed


def _on_place(states: States, recorder: Recorder, streams: Streams) -> Callable[[Serving, frozenset[str]], None]:
    def on_place(serving: Serving, beside: frozenset[str]) -> None:
        _use(serving, states, recorder)
        streams.move_showing(beside)

    return on_place


def _on_swap(states: States, recorder: Recorder, streams: Streams, stack: AsyncExitStack) -> Callable[[Serving], None]:
    telling: set[asyncio.Task[None]] = set()

    def on_swap(serving: Serving) -> None:
        _use(serving, states, recorder)
        for task in telling:  # whoever was not told yet is told of this bundle
            task.cancel()
        task = asyncio.ensure_future(streams.move_slowly())
        telling.add(task)
        task.add_done_callback(telling.discard)

    stack.callback(lambda: [task.cancel() for task in telling])
    return on_swap


def _use(serving: Serving, states: States, recorder: Recorder) -> None:
    states.serving = serving
    recorder.use(serving.encoder)


def _limits(settings: ServerSettings) -> Limits:
    return Limits(settings.streams_max, settings.streams_per_connection_max, settings.streams_per_user_max)


def _on_moved(slates: Slates, streams: Streams) -> Callable[[Iterable[str], Mapping[str, Moved]], None]:
    def on_moved(user_ids: Iterable[str], wakes: Mapping[str, Moved]) -> None:
        for user_id in user_ids:
            slates.drop(user_id)
        streams.move(wakes)

    return on_moved


def _on_lost(slates: Slates, streams: Streams) -> Callable[[], None]:
    def on_lost() -> None:
        slates.clear()
        streams.move_all()

    return on_lost


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
