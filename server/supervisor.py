"""Several server processes on one port: starts them, restarts one that dies, and stops them all together.

    supervisor ▶ spawn N workers, each a whole server ▶ the kernel spreads connections over them (SO_REUSEPORT)

Workers are spawned and never forked: gRPC does not survive a fork. They share what is read-only by memory-mapping it,
and hear of changes from the store, so nothing passes between them. A worker whose supervisor has died stops by itself.
"""

import logging
import multiprocessing
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import SpawnProcess

from interests.errors import SettingsRejected
from server.settings import ServerSettings

BACKOFF_S_MIN, BACKOFF_S_MAX = 0.2, 10.0
STEADY_S = 60.0  # after so long alive, a worker's next death is its first again
KILL_AFTER_S = 5.0  # beyond the drain

log = logging.getLogger("server")

Work = Callable[[ServerSettings, int, connection.Connection], None]
"""What one worker does: serve until SIGTERM, and send its port through the connection once it serves."""


@dataclass
class _Worker:
    """One place among the workers, and the process that fills it now."""

    number: int
    process: SpawnProcess | None = None
    ready: connection.Connection | None = None
    serving: bool = False
    started_s: float = 0.0
    deaths: int = 0
    due_s: float = field(default_factory=time.monotonic)


class Supervisor:
    """Runs `work` in `settings.workers` processes until `stop` is called. Belongs to the main thread."""

    def __init__(self, settings: ServerSettings, work: Work) -> None:
        self._settings = settings
        self._work = work
        self._spawn = multiprocessing.get_context("spawn")
        self._workers = [_Worker(number) for number in range(settings.workers)]
        self._stopping = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe()
        self._first_serves = self._told = False

    def stop(self, *_: object) -> None:
        """Ask for the end; may be called from a signal handler."""
        self._stopping.set()
        with suppress(OSError):
            os.write(self._wake_writer, b"x")

    def run(self) -> int:
        """Returns 0 after `stop`, or the code of a worker that could not even start once."""
        # Bound and never listening: it keeps the port ours, whatever happens to the workers.
        with _reserved(self._settings.listen) as place:
            listen = f"{self._settings.listen.rpartition(':')[0]}:{place.getsockname()[1]}"
            self._settings = self._settings.model_copy(update={"listen": listen})
            try:
                while not self._stopping.is_set():
                    self._start_due()
                    self._wait()
                    failed = self._reap()
                    if failed is not None:
                        return failed
            finally:
                self._end()
        return 0

    def _start_due(self) -> None:
        for worker in self._workers:
            # The first one goes ahead alone: what keeps it from serving would keep all, and is said once.
            held_back = worker.number > 0 and not self._first_serves
            if worker.process is None and worker.due_s <= time.monotonic() and not held_back:
                theirs, ours = self._pipe()
                process = self._spawn.Process(
                    target=self._work, args=(self._settings, worker.number, theirs), name=f"worker-{worker.number}"
                )
                process.start()
                theirs.close()
                worker.process, worker.ready, worker.serving = process, ours, False
                worker.started_s = time.monotonic()

    def _pipe(self) -> tuple[connection.Connection, connection.Connection]:
        ours, theirs = self._spawn.Pipe(duplex=False)
        return theirs, ours

    def _wait(self) -> None:
        """Until a worker dies or gets ready, one is due, or the end is asked for."""
        now_s = time.monotonic()
        due_s = [worker.due_s - now_s for worker in self._workers if worker.process is None and self._first_serves]
        waited: list[int | connection.Connection] = [self._wake_reader]
        for worker in self._workers:
            if worker.process is not None:
                waited.append(worker.process.sentinel)
                if worker.ready is not None:
                    waited.append(worker.ready)
        found = connection.wait(waited, timeout=max(min(due_s), 0.0) if due_s else None)
        for worker in self._workers:
            if worker.ready is not None and worker.ready in found:
                with suppress(EOFError):
                    worker.ready.recv()
                    worker.serving = self._first_serves = True
                worker.ready.close()
                worker.ready = None
        if not self._told and all(worker.serving for worker in self._workers):
            self._told = True
            log.info("all workers serve", extra={"workers": len(self._workers), "listen": self._settings.listen})

    def _reap(self) -> int | None:
        """Take note of workers that died; the code to end with where they will never start."""
        for worker in self._workers:
            process = worker.process
            if process is None or process.is_alive():
                continue
            process.join()
            if not self._first_serves and process.exitcode is not None and process.exitcode > 0:
                return process.exitcode  # it has said why
            now_s = time.monotonic()
            worker.deaths = 1 if now_s - worker.started_s > STEADY_S else worker.deaths + 1
            wait_s = min(BACKOFF_S_MIN * 2.0 ** (worker.deaths - 1), BACKOFF_S_MAX) * random.uniform(0.8, 1.2)
            worker.process, worker.due_s = None, now_s + wait_s
            if not self._stopping.is_set():
                said = {"worker": worker.number, "exit_code": process.exitcode, "again_in_s": round(wait_s, 2)}
                log.error("a worker died and is started again", extra=said)
        return None

    def _end(self) -> None:
        """Tell all workers to drain, and end those that do not."""
        processes = [worker.process for worker in self._workers if worker.process is not None]
        for process in processes:
            process.terminate()
        deadline_s = time.monotonic() + self._settings.drain_s + KILL_AFTER_S
        for process in processes:
            process.join(max(deadline_s - time.monotonic(), 0.0))
            if process.is_alive():
                log.error("a worker did not stop in time and is killed", extra={"worker": process.name})
                process.kill()
                process.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)


def supervise(settings: ServerSettings, work: Work) -> int:
    """Run workers until SIGTERM or SIGINT; returns the exit code."""
    supervisor = Supervisor(settings, work)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    return supervisor.run()


def _reserved(listen: str) -> socket.socket:
    """A socket bound to HOST:PORT so that others of ours may listen there. Raises SettingsRejected."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not hasattr(socket, "SO_REUSEPORT"):
        raise SettingsRejected("--workers: this system has no SO_REUSEPORT; run one server a port behind a balancer")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        place = socket.socket(family, kind, protocol)
        # Without it first: a port that another server has taken must not be shared with it.
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind(address)
    except OSError as error:
        raise SettingsRejected(f"--listen {listen}: cannot be served on: {error.strerror or error}") from None
    return place
