"""Each record becomes an entry or a reason."""

import json
import random

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from plural.v1 import events_pb2

from consumer.dead_letters import MemoryDeadLetters
from consumer.decode import VALUE_BYTES_MAX, decode
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.base import Record
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import BadRecord
from interests.events import Action, Interaction, LogPartition, to_message
from interests.stores.memory import MemoryStore
from tests.support.entries import START_MS, bits
from tests.support.records import JSON, event, oracle

LOG = LogPartition("log", 0)


def record(key: bytes | None, value: bytes | None, timestamp_ms: int = START_MS, headers=()) -> Record:
    return Record(LOG, 7, timestamp_ms, key, value, headers)


def message(**fields) -> bytes:
    said = {"user_id": "ada", "item_id": "tea", "action": events_pb2.ACTION_LIKE} | fields
    return events_pb2.Interaction(**{k: v for k, v in said.items() if v is not None}).SerializeToString()


def as_json(**fields) -> bytes:
    return json.dumps({"userId": "ada", "itemId": "tea", "action": "ACTION_LIKE"} | fields).encode()


GOOD = Interaction("ada", "tea", Action.RATING, START_MS - 5, 4.5, "e1", "s1", 3)


def test_protobuf_and_json_say_the_same():
    binary = to_message(GOOD).SerializeToString()
    text = json_format.MessageToJson(to_message(GOOD)).encode()
    found = [decode(record(b"ada", binary)), decode(record(b"ada", text, headers=JSON))]
    assert [entry.interaction for entry in found] == [GOOD, GOOD]
    assert {(entry.partition, entry.offset, entry.received_ms, entry.user_id) for entry in found} == {
        (LOG, 7, START_MS, "ada")
    }


def test_a_null_value_erases_the_user_of_its_key():
    entry = decode(record("åsa".encode(), None))
    assert (entry.user_id, entry.interaction) == ("åsa", None)


def test_fields_of_a_newer_producer_are_ignored():
    newer = message() + b"\xa2\x06\x05hello"  # field 100, bytes
    assert decode(record(b"ada", newer)).interaction == Interaction("ada", "tea", Action.LIKE)
    assert decode(record(b"ada", as_json(mood="good"), headers=JSON)).interaction == Interaction(
        "ada", "tea", Action.LIKE
    )


def test_the_content_type_may_carry_parameters_and_any_case():
    headers = (("Content-Type", b"Application/JSON; charset=utf-8"),)
    assert decode(record(b"ada", as_json(), headers=headers)).user_id == "ada"


def test_a_log_without_times_takes_the_event_s_own():
    assert decode(record(b"ada", event("ada", time_ms=START_MS - 9), timestamp_ms=-1)).received_ms == START_MS - 9


BAD = {
    "no key": (record(None, message()), "missing_key"),
    "empty key": (record(b"", message()), "missing_key"),
    "no key and no value": (record(None, None), "missing_key"),
    "key not UTF-8": (record(b"\xff\xfe", message()), "invalid_key"),
    "key too long": (record(b"k" * 257, None), "invalid_key"),
    "another user's key": (record(b"bob", message()), "key_mismatch"),
    "key in another case": (record(b"Ada", message()), "key_mismatch"),
    "too large": (record(b"ada", b"x" * (VALUE_BYTES_MAX + 1)), "oversize"),
    "empty value": (record(b"ada", b""), "invalid_field"),
    "not protobuf": (record(b"ada", b"\xff\xff\xff"), "unparsable"),
    "protobuf cut short": (record(b"ada", message()[:-1]), "unparsable"),
    "text not UTF-8 inside": (record(b"ada", b"\x12\x02\xff\xfe"), "unparsable"),
    "JSON without its header": (record(b"ada", as_json()), "unparsable"),
    "not JSON": (record(b"ada", b"{", headers=JSON), "unparsable"),
    "JSON of another shape": (record(b"ada", b"[1, 2]", headers=JSON), "unparsable"),
    "JSON with a wrong type": (record(b"ada", as_json(itemId=7), headers=JSON), "unparsable"),
    "JSON not UTF-8": (record(b"ada", b'{"userId": "\xff"}', headers=JSON), "unparsable"),
    "JSON nested without end": (record(b"ada", b"[" * 50_000, headers=JSON), "unparsable"),
    "JSON with an unknown action": (record(b"ada", as_json(action="ACTION_DANCE"), headers=JSON), "invalid_field"),
    "unknown content type": (record(b"ada", message(), headers=(("content-type", b"text/csv"),)), "content_type"),
    "no action": (record(b"ada", message(action=0)), "invalid_field"),
    "action of the future": (record(b"ada", message(action=99)), "invalid_field"),
    "no item": (record(b"ada", message(item_id=None)), "invalid_field"),
    "item too long": (record(b"ada", message(item_id="i" * 257)), "invalid_field"),
    "rating without stars": (record(b"ada", message(action=events_pb2.ACTION_RATING)), "invalid_field"),
    "six stars": (record(b"ada", message(action=events_pb2.ACTION_RATING, value=6)), "invalid_field"),
    "not a number": (record(b"ada", message(value=float("nan"))), "invalid_field"),
    "endless": (record(b"ada", message(value=float("inf"))), "invalid_field"),
    "negative": (record(b"ada", message(value=-1)), "invalid_field"),
    "time in microseconds": (
        record(b"ada", message(time={"seconds": START_MS * 1000})),
        "invalid_field",
    ),
    "no time anywhere": (record(b"ada", message(), timestamp_ms=-1), "no_time"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_malformed_record_has_a_reason_and_its_message_tells_nothing_of_the_user(bad, reason):
    with pytest.raises(BadRecord) as raised:
        decode(bad)
    assert raised.value.reason == reason
    assert "ada" not in str(raised.value)
    assert "bob" not in str(raised.value)


def test_malformed_records_among_good_ones_are_dead_lettered_by_count_and_their_neighbours_applied():
    log, letters, store = MemoryLog(), MemoryDeadLetters(), MemoryStore()
    for number, (bad, _) in enumerate(BAD.values()):
        user = f"user-{number % 5}"
        log.append(0, user.encode(), event(user, f"item-{number}"), START_MS)
        log.append(0, bad.key, bad.value, bad.timestamp_ms, bad.headers)
    consume_all(log, store, letters)
    assert [letter.reason for letter in letters.letters] == [reason for _, reason in BAD.values()]
    assert [letter.record.offset for letter in letters.letters] == list(range(1, 2 * len(BAD), 2))
    expected = oracle(log)
    assert len(expected) == 5
    assert bits(store.get(expected)) == bits(expected)


@settings(max_examples=300, deadline=None)
@given(
    key=st.one_of(st.none(), st.binary(max_size=300), st.just(b"ada")),
    value=st.one_of(st.none(), st.binary(max_size=200), st.text().map(str.encode)),
    timestamp_ms=st.integers(-(2**63), 2**63 - 1),
    headers=st.sampled_from([(), JSON, (("content-type", b"\xff"),)]),
)
def test_any_bytes_become_an_entry_or_a_reason(key, value, timestamp_ms, headers):
    decides(Record(LOG, 0, timestamp_ms, key, value, headers))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_events_become_an_entry_or_a_reason(seed):
    rng = random.Random(seed)
    outcomes = set()
    for _ in range(2500):
        is_json = rng.random() < 0.5
        raw = bytearray(as_json(value=1.5, eventId="e") if is_json else message(value=1.5, event_id="e"))
        damage(raw, rng)
        outcomes.add(decides(record(b"ada", bytes(raw), headers=JSON if is_json else ())))
    assert outcomes >= {"applied", "unparsable", "key_mismatch", "invalid_field"}


def damage(raw: bytearray, rng: random.Random) -> None:
    """Drop, change or insert a few bytes."""
    for _ in range(rng.randint(1, 4)):
        place, kind = rng.randrange(len(raw)), rng.randrange(3)
        if kind == 0:
            del raw[place]
        elif kind == 1:
            raw[place] = rng.randrange(256)
        else:
            raw.insert(place, ord('"'))


def decides(given_record: Record) -> str:
    """`applied`, or the reason; anything else escapes."""
    try:
        entry = decode(given_record)
    except BadRecord as bad:
        return bad.reason
    assert entry.user_id.encode() == given_record.key
    return "applied"


def consume_all(log: MemoryLog, store: MemoryStore, letters: MemoryDeadLetters) -> None:
    consumer = Consumer(MemorySource(log), store, letters, pace=Pace(batch_records=7, poll_s=0))
    for _ in range(len(log.records[0]) + 3):
        consumer.step()
