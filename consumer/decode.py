"""From a raw record to a log entry, or to the reason why not.

    key    the user id in UTF-8; required, because order and ownership hang on it
    value  one Interaction in protobuf, or in proto3 JSON where the header `content-type` is `application/json`;
           null erases the key's user

Fields that this program does not know are ignored, so that newer producers can be read.
"""

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from plural.v1 import events_pb2

from consumer.sources.base import Record
from interests.errors import BadRecord, InvalidRequest
from interests.events import ID_BYTES_MAX, TIME_MS_MAX, Interaction, LogEntry, check_id, from_message

SCHEMA_VERSION = "plural.v1.Interaction"
VALUE_BYTES_MAX = 64 * 1024  # an interaction is about a hundred bytes; this leaves room for fields of other programs
CONTENT_TYPE = "content-type"
PROTOBUF_TYPES = frozenset({"application/protobuf", "application/x-protobuf", "application/octet-stream"})
JSON_TYPE = "application/json"


def decode(record: Record) -> LogEntry:
    """The entry that a record means. Raises BadRecord, whose message holds nothing of what the user sent."""
    if isinstance(record.value, Interaction):
        return _entry(record, record.value)  # read from a file, and checked there
    user_id = _user_id(record.key)
    if record.value is None:
        return LogEntry(record.partition, record.offset, _log_time_ms(record) or 0, user_id, None)
    interaction = _interaction(record.value, _content_type(record))
    if interaction.user_id != user_id:
        raise BadRecord("key_mismatch", "the key is not the value's user_id; produce with the user id as key")
    return _entry(record, interaction)


def _entry(record: Record, interaction: Interaction) -> LogEntry:
    received_ms = _log_time_ms(record)
    if received_ms is None:
        # Not the clock of this program: a replay must see the same time.
        received_ms = interaction.time_ms
    if received_ms is None:
        raise BadRecord("no_time", "neither the log nor the event says when; set the event's time")
    return LogEntry(record.partition, record.offset, received_ms, interaction.user_id, interaction)


def _log_time_ms(record: Record) -> int | None:
    return record.timestamp_ms if 0 <= record.timestamp_ms <= TIME_MS_MAX else None


def _user_id(key: bytes | None) -> str:
    if not key:
        raise BadRecord("missing_key", "the record has no key; produce with the user id as key")
    if len(key) > ID_BYTES_MAX:
        raise BadRecord("invalid_key", f"the key is {len(key)} bytes long; a user id has 1 to {ID_BYTES_MAX}")
    try:
        user_id = key.decode()
    except UnicodeDecodeError:
        raise BadRecord("invalid_key", "the key is not UTF-8; produce with the user id as key") from None
    check_id("key", user_id)
    return user_id


def _content_type(record: Record) -> str:
    for name, value in reversed(record.headers):
        if name.lower() == CONTENT_TYPE:
            return (value or b"").decode("latin-1").partition(";")[0].strip().lower()
    return "application/protobuf"


def _interaction(value: bytes, content_type: str) -> Interaction:
    if len(value) > VALUE_BYTES_MAX:
        raise BadRecord("oversize", f"the value is {len(value)} bytes long; at most {VALUE_BYTES_MAX} are read")
    try:
        return from_message(_message(value, content_type))
    except InvalidRequest as error:
        raise BadRecord("invalid_field", str(error)) from None


def _message(value: bytes, content_type: str) -> events_pb2.Interaction:
    if content_type == JSON_TYPE:
        try:
            return json_format.Parse(value, events_pb2.Interaction(), ignore_unknown_fields=True)
        except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            raise BadRecord("unparsable", f"the value is not proto3 JSON of {SCHEMA_VERSION}") from None
    if content_type not in PROTOBUF_TYPES:
        raise BadRecord("content_type", f"the header {CONTENT_TYPE} is neither protobuf nor {JSON_TYPE}")
    try:
        return events_pb2.Interaction.FromString(value)
    except DecodeError:
        raise BadRecord("unparsable", f"the value is not protobuf of {SCHEMA_VERSION}") from None
