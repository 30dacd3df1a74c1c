"""A real Apache Kafka on this machine, from Maven Central, without Docker: one node, kept in a directory.

    python -m examples.kafka_broker [DIRECTORY]     runs it until Ctrl-C

Needs Java 17 and Maven. The jars (54 MB) are fetched once, into ~/.cache/plural/kafka-<version>.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

VERSION = "4.3.1"
POM = Path(__file__).parent / "kafka" / "pom.xml"
START_S = 60.0
STOP_S = 30.0
CLUSTER_ID = "cGx1cmFsLXRlc3QtMDEyMw"


class BrokerFailed(Exception):
    """Kafka could not be fetched or started; says what to do."""


class KafkaBroker:
    """One KRaft node over one directory, on two free ports of the loopback that stay the same over restarts."""

    def __init__(self, directory: Path, **properties: str) -> None:
        """Does not start it. Further server properties by their names, with `_` for `.`."""
        self._directory = directory
        self._port, self._controller_port = _free_ports(2)
        self._properties = {name.replace("_", "."): value for name, value in properties.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """HOST:PORT for clients."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> "KafkaBroker":
        """Start, or start again on the same log, and wait until it answers. Raises BrokerFailed."""
        jars = fetch_jars()
        config = self._directory / "server.properties"
        if not config.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            config.write_text("".join(f"{name}={value}\n" for name, value in self._config().items()))
            tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
            self._run(jars, tool).wait()
        self._process = self._run(jars, ["kafka.Kafka", str(config)])
        self._await_answer()
        return self

    def stop(self) -> None:
        """Shut it down in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, as a power switch would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same log."""
        self.stop()
        self.start()

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """Create a topic and wait until it can be used. Topic settings by their names, with `_` for `.`."""
        configs = {key.replace("_", "."): value for key, value in config.items()}
        admin = self.admin()
        try:
            admin.create_topics(
                {name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}},
                wait_for_metadata=True,
            )
        finally:
            admin.close()

    def admin(self) -> KafkaAdminClient:
        """A client that may do everything; close it after use."""
        return KafkaAdminClient(bootstrap_servers=self.address)

    def log_tail(self, lines: int = 20) -> str:
        """The end of what it wrote about itself."""
        path = self._directory / "kafka.out"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _config(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._directory / "log"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "auto.create.topics.enable": "false",
            "log.retention.check.interval.ms": "1000",
            "file.delete.delay.ms": "100",
            "num.network.threads": "2",
            "num.io.threads": "2",
            **self._properties,
        }

    def _run(self, jars: Path, command: list[str]) -> subprocess.Popen[bytes]:
        log4j = self._directory / "log4j2.yaml"
        log4j.write_text(LOG4J)
        java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={log4j}"]
        with (self._directory / "kafka.out").open("ab") as out:
            return subprocess.Popen(
                [*java, "-cp", f"{jars}/*", *command], stdout=out, stderr=out, preexec_fn=_die_with_parent
            )

    def _await_answer(self) -> None:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            if self._process is not None and self._process.poll() is not None:
                break
            with suppress(OSError, KafkaError):
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                KafkaAdminClient(bootstrap_servers=self.address, bootstrap_timeout_ms=2000).close()
                return
            time.sleep(0.1)
        raise BrokerFailed(f"Kafka did not start in {self._directory}; it said:\n{self.log_tail()}")

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


LOG4J = """\
Configuration:
  Appenders:
    Console:
      name: out
      PatternLayout: {pattern: "%d %p %c: %m%n"}
  Loggers:
    Root:
      level: WARN
      AppenderRef: {ref: out}
"""


def fetch_jars() -> Path:
    """The folder of Kafka's jars, fetched by Maven where they are not there yet. Raises BrokerFailed."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        raise BrokerFailed(f"{' and '.join(missing)} not found: install Java 17 and Maven")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "plural" / f"kafka-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / "libs"
    with (cache / "lock").open("w") as lock:  # several programs may begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, complete = POM.read_text(), cache / "complete"
        if not complete.exists() or complete.read_text() != wanted:
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}", f"-Dkafka.version={VERSION}"]
            done = subprocess.run(["mvn", "-q", "-B", "-f", str(POM), *goal], capture_output=True, text=True)
            if done.returncode:
                raise BrokerFailed(
                    f"Maven could not fetch Kafka {VERSION}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
                )
            complete.write_text(wanted)
    return jars


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _die_with_parent() -> None:
    """Linux: a broker never outlives the program that started it, however that ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    """Run one in the foreground."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "data/kafka").resolve()
    broker = KafkaBroker(directory)
    try:
        broker.start()
    except BrokerFailed as error:
        sys.exit(str(error))
    print(f"Kafka {VERSION} answers at {broker.address}; Ctrl-C stops it")
    with suppress(KeyboardInterrupt):
        signal.pause()
    broker.stop()


if __name__ == "__main__":
    main()
