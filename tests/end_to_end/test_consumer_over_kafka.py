"""The consumer over a real Kafka: what producers send becomes states, and what cannot be used is kept apart."""

import logging
import uuid

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from interests.bundle import load
from interests.encoder import Encoder
from interests.events import Action
from interests.stores import open_store
from interests.stores.memory import MemoryStore
from tests.support import tiny_bundle
from tests.support.consumers import ConsumerProcess, ConsumerThread, until
from tests.support.entries import bits
from tests.support.kafka_broker import Broker, create_topic, producer
from tests.support.records import JSON, event
from tests.support.topics import dead_letters, expected_states, headers_of, topic_id

pytestmark = pytest.mark.kafka


@pytest.fixture
def writer(kafka: Broker):
    made = producer(kafka)
    yield made
    made.close()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def count(store: MemoryStore, user_id: str) -> int:
    found = store.get([user_id])
    return found[user_id].interaction_count if found else 0


def send(writer: KafkaProducer, topic: str, user_id: str, times: int = 1, **fields) -> None:
    for _ in range(times):
        writer.send(topic, key=user_id.encode(), value=event(user_id, **fields))
    writer.flush()


def test_a_malformed_event_goes_to_the_dead_letters_with_its_place_and_its_neighbours_are_applied(
    kafka, topic, writer, store
):
    writer.send(topic, key=b"ada", value=event("ada"), partition=1)
    writer.send(topic, key=b"ada", value=b"\xffnonsense", partition=1, headers=[("trace", b"t-1")])
    writer.send(topic, key=b"bob", value=event("ada"), partition=1)
    writer.send(topic, key=None, value=event("ada"), partition=1)
    writer.send(topic, key=b"ada", value=event("ada"), partition=1)
    writer.flush()
    with ConsumerThread(kafka, topic, store):
        until(lambda: count(store, "ada") == 2, "both good events are applied")
    letters = dead_letters(kafka, topic)
    said = [headers_of(letter) for letter in letters]
    assert [one["dead-letter-reason"] for one in said] == [b"unparsable", b"key_mismatch", b"missing_key"]
    assert [one["dead-letter-offset"] for one in said] == [b"1", b"2", b"3"]
    assert {one["dead-letter-partition"] for one in said} == {b"1"}
    assert {one["dead-letter-topic"] for one in said} == {topic.encode()}
    assert {one["dead-letter-schema-version"] for one in said} == {b"plural.v1.Interaction"}
    assert (letters[0].key, letters[0].value, said[0]["trace"]) == (b"ada", b"\xffnonsense", b"t-1")
    assert bits(store.get(["ada", "bob"])) == bits(expected_states(kafka, topic))


def test_json_and_every_compression_are_read(kafka, topic, store):
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        writer = KafkaProducer(bootstrap_servers=kafka.address, compression_type=codec)
        send(writer, topic, "ada", times=20)
        text = b'{"userId": "ada", "itemId": "tea", "action": "ACTION_PURCHASE", "value": 2}'
        writer.send(topic, key=b"ada", value=text, headers=list(JSON))
        writer.close()
    with ConsumerThread(kafka, topic, store):
        until(lambda: count(store, "ada") == 5 * 21, "all are applied")
    assert bits(store.get(["ada"])) == bits(expected_states(kafka, topic))


def test_a_null_value_erases_its_user_in_the_order_of_the_log(kafka, topic, writer, store):
    send(writer, topic, "ada", item_id="secret")
    writer.send(topic, key=b"ada", value=None)
    send(writer, topic, "bob")
    writer.flush()
    with ConsumerThread(kafka, topic, store):
        until(lambda: len(store.get(["ada", "bob"])) == 2 and store.get(["ada"])["ada"].erased, "ada is erased")
        assert not store.get(["ada"])["ada"].memories
        send(writer, topic, "ada", item_id="tea")
        until(lambda: count(store, "ada") == 1, "ada came back")
    assert {item for item, _ in store.get(["ada"])["ada"].memories} == {"tea"}


def test_records_of_an_aborted_transaction_are_never_seen(kafka, topic, store):
    writer = KafkaProducer(bootstrap_servers=kafka.address, transactional_id=f"tx-{topic}")
    writer.init_transactions()
    for item, commit in (("kept", True), ("aborted", False), ("kept too", True)):
        writer.begin_transaction()
        writer.send(topic, key=b"ada", value=event("ada", item))
        writer.flush()
        if commit:
            writer.commit_transaction()
        else:
            writer.abort_transaction()
    writer.close()
    with ConsumerThread(kafka, topic, store) as running:
        until(lambda: count(store, "ada") == 2, "both committed events are applied")
        until(
            lambda: running.value("lag_records", partition="0") + running.value("lag_records", partition="1") == 0,
            "no lag",
        )
    assert {item for item, _ in store.get(["ada"])["ada"].memories} == {"kept", "kept too"}


def test_a_record_too_large_for_the_dead_letter_topic_is_kept_there_without_its_value(kafka, writer, store):
    topic = f"large-{uuid.uuid4().hex[:8]}"
    create_topic(kafka, topic, 1)
    create_topic(kafka, f"{topic}.dead-letters", 1, max_message_bytes="2000")
    writer.send(topic, key=b"ada", value=b"x" * 100_000)
    send(writer, topic, "ada")
    with ConsumerThread(kafka, topic, store):
        until(lambda: count(store, "ada") == 1, "the neighbour is applied")
    (letter,) = dead_letters(kafka, topic)
    assert letter.value is None
    assert headers_of(letter)["dead-letter-reason"] == b"oversize"
    assert headers_of(letter)["dead-letter-omitted-bytes"] == b"100000"


def test_without_its_dead_letter_topic_the_consumer_waits_and_loses_nothing(kafka, writer, store, caplog):
    topic = f"waits-{uuid.uuid4().hex[:8]}"
    create_topic(kafka, topic, 1)
    writer.send(topic, key=b"ada", value=b"\xff")
    send(writer, topic, "ada")
    with ConsumerThread(kafka, topic, store) as running:
        until(lambda: running.value("retries_total", what="broker") >= 1, "it has tried")
        assert count(store, "ada") == 0
        create_topic(kafka, f"{topic}.dead-letters", 1)
        until(lambda: count(store, "ada") == 1, "it goes on")
    assert f"{topic}.dead-letters cannot be written" in "".join(str(one.__dict__) for one in caplog.records)
    assert len(dead_letters(kafka, topic)) == 1


def test_a_missing_topic_is_waited_for_with_a_word_on_what_to_do(kafka, writer, store, caplog):
    topic = f"later-{uuid.uuid4().hex[:8]}"
    with caplog.at_level(logging.WARNING), ConsumerThread(kafka, topic, store):
        until(lambda: "create it" in caplog.text, "it says what to do")
        create_topic(kafka, topic, 2)
        send(writer, topic, "ada")
        until(lambda: count(store, "ada") == 1, "it reads the topic once it is there")


def test_partitions_added_later_are_read(kafka, topic, writer, store):
    with ConsumerThread(kafka, topic, store):
        send(writer, topic, "ada")
        until(lambda: count(store, "ada") == 1, "the first event is applied")
        admin = KafkaAdminClient(bootstrap_servers=kafka.address)
        admin.create_partitions({topic: 3})
        admin.close()
        fresh = producer(kafka)
        until(lambda: len(fresh.partitions_for(topic)) == 3, "the producer sees it")
        fresh.send(topic, key=b"cleo", value=event("cleo"), partition=2)
        fresh.close()
        until(lambda: count(store, "cleo") == 1, "the new partition is read")


def test_a_topic_that_is_deleted_and_made_again_is_noticed_and_read_from_its_start(kafka, topic, writer, store, caplog):
    with caplog.at_level(logging.ERROR), ConsumerThread(kafka, topic, store):
        send(writer, topic, "ada", times=5)
        until(lambda: count(store, "ada") == 5, "the first log is applied")
        before = topic_id(kafka, topic)
        admin = KafkaAdminClient(bootstrap_servers=kafka.address)
        admin.delete_topics([topic])
        until(lambda: topic not in admin.list_topics(), "it is deleted")
        admin.close()
        create_topic(kafka, topic, 2)
        assert topic_id(kafka, topic) != before
        fresh = producer(kafka)
        send(fresh, topic, "ada", times=7)
        fresh.close()
        until(lambda: count(store, "ada") == 12, "every event of the second log is applied")
    assert "deleted and made again" in caplog.text


def test_states_are_stored_encoded_where_there_is_a_bundle(kafka, topic, writer, store, tmp_path):
    bundle = load(tiny_bundle.write(tmp_path / "bundles"))
    send(writer, topic, "ada", item_id=tiny_bundle.item(2, 3), action=Action.PURCHASE)
    with ConsumerThread(kafka, topic, store, encoder=Encoder(bundle)):
        until(lambda: count(store, "ada") == 1, "it is applied")
    vectors = store.get(["ada"])["ada"].vectors
    assert vectors is not None
    assert vectors.bundle_version == bundle.version
    assert vectors.interests.shape == (2, tiny_bundle.DIM)


def test_two_members_share_the_topic_and_one_that_leaves_hands_over_at_once(kafka, topic, writer, store):
    with ConsumerThread(kafka, topic, store.handle(), session_timeout_s=60) as first:
        until(lambda: len(first.source.assignment()) == 2, "the first has both partitions")
        with ConsumerThread(kafka, topic, store.handle(), session_timeout_s=60) as second:
            until(lambda: len(second.source.assignment()) == len(first.source.assignment()) == 1, "each has one")
            for number in range(40):
                send(writer, topic, f"user-{number}")
            until(lambda: store.count() == 40, "all are applied")
            assert first.value("absorbed_total") + second.value("absorbed_total") == 40
            assert first.value("absorbed_total") > 0
            assert second.value("absorbed_total") > 0
        # Its session would have lasted a minute: it has left instead.
        until(lambda: len(first.source.assignment()) == 2, "the first has both again", wait_s=15)
    assert bits(store.get(f"user-{n}" for n in range(40))) == bits(expected_states(kafka, topic))


def test_the_command_stops_at_sigterm_with_0_and_the_last_batch_in_the_store(kafka, topic, writer, store_url, tmp_path):
    process = ConsumerProcess(kafka, topic, store_url, tmp_path / "out", "--metrics-port", "0")
    store = open_store(store_url, read_only=True)
    send(writer, topic, "ada", times=10)
    until(lambda: count(store, "ada") == 10, "the events are applied")
    assert process.stop() == 0
    assert "the last batch is in the store" in process.said()
    assert "Traceback" not in process.said()
    store.close()
