"""Wakes the processes of one host that wait for a store's changes, so that none of them has to look all the time.

    after a commit ▶ one datagram to each listener's socket ▶ whoever waits looks into the change log

A datagram carries nothing and may be lost: the change log is the truth, and who waits looks now and then in any case.
Each listener has a socket of its own in one directory, by which a writer finds it; one that was killed leaves a file
behind, which the next writer removes.
"""

import contextlib
import os
import select
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIRECTORY = "wake"
RESCAN_S = 0.5  # how long a new listener may stay unknown to a writer that sees no change in the directory
_SUFFIX = ".sock"


class Listener:
    """One socket that wakes one waiter. Where the host has no such sockets, `wait` is a sleep."""

    def __init__(self, directory: Path) -> None:
        """Listens in `directory`, which it makes."""
        self._socket: socket.socket | None = None
        self._path = directory / f"{os.getpid()}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        self._others: list[Path] = []
        with contextlib.suppress(OSError, AttributeError):
            directory.mkdir(exist_ok=True)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.setblocking(False)
            with _short(directory) as short:
                made.bind(f"{short}/{self._path.name}")
            self._socket = made

    @property
    def hears(self) -> bool:
        """False where a wake-up cannot arrive, so that only looking helps."""
        return self._socket is not None

    def fileno(self) -> int:
        """The descriptor that becomes readable with a wake-up, for whoever waits for several things; -1 for none."""
        return -1 if self._socket is None else self._socket.fileno()

    def listen_in(self, directory: Path) -> None:
        """Be woken by writers that look in this directory too. Raises OSError where the host cannot do it."""
        if self._socket is not None:
            directory.mkdir(exist_ok=True)
            self._others.append(directory / self._path.name)
            self._others[-1].hardlink_to(self._path)

    def wait(self, seconds: float) -> bool:
        """Until a wake-up arrives, `seconds` at most; says whether one did. Wake-ups that came before count."""
        if self._socket is None:
            time.sleep(seconds)
            return False
        try:
            ready, _, _ = select.select([self._socket], [], [], seconds)
        except (OSError, ValueError):  # closed meanwhile
            return False
        if not ready:
            return False
        self.take()
        return True

    def take(self) -> None:
        """Take the wake-ups that wait; all of them count as one."""
        with contextlib.suppress(OSError):
            while self._socket is not None:
                self._socket.recv(1)

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()
            for path in (self._path, *self._others):
                path.unlink(missing_ok=True)


class Notifier:
    """Wakes all who listen in one directory. May be used from several threads; never blocks and never raises."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._descriptor = -1  # of the directory, where listeners are reached through it
        self._addresses: dict[str, str] = {}
        self._seen_ns = -1
        self._scanned_s = float("-inf")

    def notify(self) -> None:
        """Wake everyone who listens; about 10 µs a listener."""
        with self._lock, contextlib.suppress(OSError, AttributeError):
            self._scan()
            if self._addresses and self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            for name, address in self._addresses.items():
                self._send(name, address)

    def close(self) -> None:
        """Let go of the socket."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None
            self._forget()

    def _scan(self) -> None:
        """See who listens; the directory is read only where it has changed."""
        now_s = time.monotonic()
        try:
            changed_ns = self._directory.stat().st_mtime_ns
        except FileNotFoundError:
            self._forget()
            return
        if changed_ns == self._seen_ns and now_s - self._scanned_s <= RESCAN_S:
            return
        self._forget()
        names = [path.name for path in self._directory.iterdir() if path.suffix == _SUFFIX]
        if names:
            # Opened anew each time, because the directory may be another one now.
            self._descriptor, short = _open_short(self._directory)
            self._addresses = {name: f"{short}/{name}" for name in names}
        self._seen_ns, self._scanned_s = changed_ns, now_s

    def _forget(self) -> None:
        """Know of no listener."""
        self._addresses, self._seen_ns = {}, -1
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _send(self, name: str, address: str) -> None:
        assert self._socket is not None
        try:
            self._socket.sendto(b"\x01", address)
        except (ConnectionRefusedError, FileNotFoundError):  # killed, or gone since the directory was read
            with contextlib.suppress(OSError):
                (self._directory / name).unlink(missing_ok=True)
        except BlockingIOError:
            pass  # full of wake-ups that wait already


@contextmanager
def _short(directory: Path) -> Iterator[str]:
    """A name of the directory that fits into a socket's address (108 bytes), where the host has one."""
    descriptor, short = _open_short(directory)
    try:
        yield short
    finally:
        os.close(descriptor)


def _open_short(directory: Path) -> tuple[int, str]:
    """An open descriptor of the directory, and a name that is good while it is open."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    short = f"/proc/self/fd/{descriptor}"
    return descriptor, short if Path(short).exists() else str(directory)
