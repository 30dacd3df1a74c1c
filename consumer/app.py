"""`plural-consume`: reads settings, builds the parts, hands them over, handles signals.

Ends with 0 when it was told to stop or its file is absorbed, 1 for what cannot be gone on with, 2 for settings or files
that must be corrected, 3 where reading stands still and a supervisor should start it again.
"""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from prometheus_client import start_http_server
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from consumer.backoff import Backoff
from consumer.broker import Broker, check_codecs
from consumer.metrics import Metrics
from consumer.quiet import quiet_library_logs
from consumer.settings import ConsumerSettings
from consumer.watchdog import SourceStuck, Watchdog
from interests.absorb import DEFAULT_RULE
from interests.errors import BundleRejected, HistoryRejected, PluralError, SettingsRejected, StoreUnavailable
from interests.runtime import check_onnxruntime, configure_logs, rejected
from interests.stores import make_current, open_store

if TYPE_CHECKING:
    from interests.encoder import Encoder

T = TypeVar("T")

GARBAGE_OBJECTS = 50_000
STOPPED, FAILED, REJECTED, STUCK = 0, 1, 2, 3

log = logging.getLogger("consumer")


def main(argv: Sequence[str] | None = None) -> None:
    """The command. Does not return."""
    try:
        settings = read_settings(argv)
        configure_logs(settings.log_level, settings.log_format)
        stop = _stop_on_signals()
        if settings.make_current is not None:
            make_current(settings.store, settings.make_current)
            sys.stdout.write(
                f"{settings.make_current} is current; what runs on ?generation=current follows within a second\n"
            )
        elif settings.merge_archive is not None:
            merge_archive(settings.merge_archive)
        elif settings.from_file is not None:
            consume_file(settings, stop)
        else:
            consume_topic(settings, stop)
    except (SettingsRejected, HistoryRejected, BundleRejected) as error:
        _fail(REJECTED, error)
    except SourceStuck as error:
        _fail(STUCK, error)
    except PluralError as error:
        _fail(FAILED, error)
    sys.exit(STOPPED)


def read_settings(argv: Sequence[str] | None = None) -> ConsumerSettings:
    """Flags over environment over defaults. Raises SettingsRejected naming the flag."""
    try:
        settings = CliApp.run(ConsumerSettings, cli_args=list(sys.argv[1:] if argv is None else argv))
    except (ValidationError, SettingsError) as error:
        raise rejected(error, "plural-consume") from None
    settings.check()
    return settings


def consume_topic(settings: ConsumerSettings, stop: threading.Event) -> None:
    """Read the topic until `stop`."""
    check_onnxruntime()
    check_codecs()
    # Only now: these need the ONNX Runtime that was just looked for.
    from consumer.archive import MIB, Archive
    from consumer.dead_letters import KafkaDeadLetters
    from consumer.loop import Consumer
    from consumer.pace import Pace
    from consumer.sources.kafka import KafkaSource

    quiet_library_logs()
    broker = Broker(settings.addresses(), settings.security())
    metrics = Metrics()
    archive = None
    if settings.archive is not None:
        archive = Archive(settings.archive, settings.archive_mib * MIB, settings.archive_roll_s, metrics)
    encoder = load_encoder(settings)
    store = patiently(lambda: open_store(settings.store, follow=True), stop)
    if store is None:
        return
    source = KafkaSource(broker, settings.topic, settings.group, settings.session_timeout_s)
    dead_letters = KafkaDeadLetters(broker, settings.dead_letter_topic, settings.topic)
    consumer = Consumer(
        source,
        store,
        dead_letters,
        encoder,
        DEFAULT_RULE,
        Pace(
            settings.batch_records,
            settings.poll_s,
            catch_up_records=settings.catch_up_records,
            encode_behind=settings.encode_behind,
        ),
        metrics,
        Watchdog(settings.stuck_s),
        sleep_s=stop.wait,
        archive=archive,
        cached_entries=settings.cached_entries,
    )
    serve_metrics(settings, metrics)
    calm_collector()
    log.info("reading", extra={"topic": settings.topic, "group": settings.group})
    try:
        consumer.run(lambda: not stop.is_set())
        log.info("stopped: the last batch is in the store")
    finally:
        if archive is not None:
            archive.close()
        source.close()
        dead_letters.close()
        store.close()


def consume_file(settings: ConsumerSettings, stop: threading.Event) -> None:
    """Absorb the file, and say what became of its rows."""
    check_onnxruntime()
    from consumer.backfill import backfill
    from consumer.dead_letters import MemoryDeadLetters
    from consumer.loop import Consumer
    from consumer.pace import Pace
    from consumer.sources.file import FileSource

    assert settings.from_file is not None
    encoder = load_encoder(settings)
    source = FileSource(settings.from_file, settings.rejected_rows)
    for line in source.report.lines():
        sys.stdout.write(line + "\n")
    if source.report.dropped and settings.rejected_rows is None:
        sys.stdout.write("to have the rows that cannot be used: --rejected-rows FILE\n")
    store = open_store(settings.store)
    calm_collector()
    pace = Pace(settings.file_batch_records, settings.poll_s)
    try:
        consumer = Consumer(source, store, MemoryDeadLetters(), encoder, pace=pace, sleep_s=stop.wait)
        sys.stdout.write(backfill(consumer, source, lambda: not stop.is_set()) + "\n")
    finally:
        store.close()


def merge_archive(path: Path) -> None:
    """Tidy an archive, and say what was done. Raises SettingsRejected, StoreCorrupt or StoreUnavailable."""
    from consumer.archive_merge import merge

    try:
        done = merge(path, lambda line: log.info(line))
    except OSError as error:
        raise StoreUnavailable(f"archive {path}: {error.strerror or error}; run it again when that is mended") from None
    sys.stdout.write(
        f"{done.files_before:,} files became {done.files_after:,}; rows of erased users taken out: {done.erased:,}; "
        f"rows that stood twice: {done.doubles:,}\n"
    )


def load_encoder(settings: ConsumerSettings) -> "Encoder | None":
    """The encoder of the bundle named by the settings. Raises BundleRejected."""
    if settings.bundle is None:
        log.info("no --bundle: states are written without vectors, and readers encode them")
        return None
    from interests import bundle
    from interests.encoder import Encoder

    return Encoder(bundle.load(settings.bundle), settings.device)


def patiently(open_it: Callable[[], T], stop: threading.Event) -> T | None:
    """What `open_it` returns, once it does not raise StoreUnavailable any more; None where `stop` came first."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            return open_it()
        except StoreUnavailable as error:
            log.warning("the store is away; waiting for it", extra={"error": str(error)})
            stop.wait(backoff.next_s())
    return None


def serve_metrics(settings: ConsumerSettings, metrics: Metrics) -> None:
    """Start the metrics endpoint, where one is asked for. Raises SettingsRejected where its port is taken."""
    if settings.metrics_port is None:
        return
    try:
        server, _ = start_http_server(settings.metrics_port, settings.metrics_address, metrics.registry)
    except OSError as error:
        where = f"--metrics-port {settings.metrics_port} on {settings.metrics_address}"
        raise SettingsRejected(f"{where}: {error.strerror}; give another") from None
    log.info("metrics", extra={"url": f"http://{settings.metrics_address}:{server.server_port}/metrics"})


def calm_collector() -> None:
    """Look for garbage in cycles less often: each event makes dozens of objects that die without one, and walking over
    them took a third of the time. What was loaded until now is never walked over again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 50)


def _stop_on_signals() -> threading.Event:
    """Set by the first SIGTERM or SIGINT, which let the batch finish; the second ends the program at once."""
    stop = threading.Event()

    def on_signal(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


def _fail(code: int, error: Exception) -> NoReturn:
    """One line, and an exit code."""
    sys.stderr.write(f"plural-consume: {error}\n")
    sys.exit(code)
