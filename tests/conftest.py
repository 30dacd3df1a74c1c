"""What tests of every package share: one real Kafka and one real Redis a session, started when first asked for."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import kafka_broker
from tests.support.kafka_broker import Broker

# How long an example takes says something of the machine, and speed belongs to bench/.
settings.register_profile("plural", deadline=None)
settings.load_profile("plural")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Kafka, shared: use topics and groups of your own."""
    broker = kafka_broker.shared_broker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.stop()


@pytest.fixture
def topic(kafka: Broker) -> str:
    """A topic of one test's own, with two partitions, and its dead letters beside it as `<topic>.dead-letters`."""
    name = f"interactions-{uuid.uuid4().hex[:8]}"
    kafka_broker.create_topic(kafka, name, 2)
    kafka_broker.create_topic(kafka, f"{name}.dead-letters", 1)
    return name


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """An LMDB store of one test's own."""
    return f"lmdb:{tmp_path / 'interests'}"
