"""The loop closes: what shops send to Kafka is archived by the consumer, and the trainer learns from that as it is."""

import contextlib
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from consumer.archive import Archive
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.bundle import load
from interests.events import Action
from interests.history import read_interactions, to_interactions
from interests.stores.memory import MemoryStore
from tests.support import planted_history
from tests.support.consumers import ConsumerThread, until
from tests.support.kafka_broker import producer
from tests.support.records import event
from tests.support.soak import IS_LONG
from tests.support.topics import partitions_of


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return planted_history.write(tmp_path, users=60)


@pytest.mark.kafka
def test_a_topic_that_was_archived_reads_as_the_history_that_was_sent_to_it(kafka, topic, files, tmp_path):
    interactions, _ = files
    sent = list(to_interactions(read_interactions(interactions).frame))
    writer = producer(kafka)
    for one in sent:
        writer.send(
            topic, key=one.user_id.encode(), value=event(one.user_id, one.item_id, one.action, time_ms=one.time_ms)
        )
    writer.close()
    store, partitions = MemoryStore(), partitions_of(kafka, topic)
    for _ in range(2):  # the second one finds everything archived
        archive = Archive(tmp_path / "archive")
        with ConsumerThread(kafka, topic, store, archive=archive):
            until(lambda: sum(store.claim(partitions).values()) == len(sent), "all is absorbed")
        archive.close()
    found = read_interactions(tmp_path / "archive")
    assert found.report.rows_read == found.report.rows_kept == len(sent)
    assert _sorted(found.frame).equals(_sorted(read_interactions(interactions).frame))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not IS_LONG, reason="a whole fit; what it reads is shown above to be the same")
def test_the_trainer_learns_from_an_archive_by_its_directory_alone(files, tmp_path):
    interactions, items = files
    log = MemoryLog(1)
    for one in to_interactions(read_interactions(interactions).frame):
        value = event(one.user_id, one.item_id, Action.PURCHASE, time_ms=one.time_ms)
        log.append(0, one.user_id.encode(), value, one.time_ms or 0)
    archive = Archive(tmp_path / "archive")
    with contextlib.closing(archive):
        source = MemorySource(log)
        consumer = Consumer(source, MemoryStore(), MemoryDeadLetters(), pace=Pace(500, 0.0), archive=archive)
        consumer.run(lambda: sum(source.positions().values()) < len(log.records[0]))
    command = ["fit", "--interactions", tmp_path / "archive", "--items", items, "--out", tmp_path / "bundles"]
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *map(str, command), "--profile", "demo"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    sold = set(read_interactions(interactions).frame["item_id"])
    assert sold <= set(load(tmp_path / "bundles").item_ids)


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("user_id", "time_ms", "item_id", "event_id").select("user_id", "item_id", "time_ms", "action")
