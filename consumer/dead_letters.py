"""Where records go that cannot be used, written before their offset moves, so that none is lost.

A dead letter is the raw record (key, value, headers) with what is wrong with it beside it. Reading it again after its
producer was repaired is a matter of sending it to the topic once more. A replay may write one twice; its topic,
partition and offset tell.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from consumer.broker import Broker
from consumer.decode import SCHEMA_VERSION
from consumer.sources.base import Record
from interests.errors import BrokerUnavailable
from interests.events import Interaction, to_message

WRITE_TIMEOUT_S = 10.0
HEADER_PREFIX = "dead-letter-"


class DeadLetter(NamedTuple):
    """A record and what is wrong with it. `reason` is one fixed word; neither it nor `message` holds user data."""

    record: Record
    reason: str
    message: str


class DeadLetters(Protocol):
    """Takes records that cannot be used."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Durably, before returning. Raises BrokerUnavailable: wait and write them again."""

    def close(self) -> None:
        """Let go of files and connections."""


class MemoryDeadLetters:
    """Keeps them in a list."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def write(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letters)

    def close(self) -> None:
        pass


class KafkaDeadLetters:
    """A topic. A letter has the record's own key, value and headers, and these headers beside them, each beginning with
    `dead-letter-`: reason, message, topic, incarnation, partition, offset, timestamp-ms, schema-version, and
    omitted-bytes where the broker refused the value for its size.
    """

    def __init__(self, broker: Broker, topic: str, source_topic: str, timeout_s: float = WRITE_TIMEOUT_S) -> None:
        """Needs no broker yet. A write gives up after `timeout_s`, or twice that."""
        self._timeout_s = timeout_s
        self._broker, self._topic, self._source_topic = broker, topic, source_topic
        self._producer: KafkaProducer | None = None

    def write(self, letters: Sequence[DeadLetter]) -> None:
        try:
            producer = self._connected()
            sent = [(letter, self._send(producer, letter, letter.record.value)) for letter in letters]
            producer.flush(timeout=self._timeout_s)
            for letter, future in sent:
                self._settle(producer, letter, future)
        except KafkaError as error:
            self._disconnect()  # after some errors a producer refuses all that follows
            raise BrokerUnavailable(
                f"the dead-letter topic {self._topic} cannot be written ({type(error).__name__}); "
                f"see that the broker is up, and that the topic exists and may be written"
            ) from None

    def close(self) -> None:
        self._disconnect()

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1.0)

    def _connected(self) -> KafkaProducer:
        # Most consumers never meet a bad record: they need no second connection.
        if self._producer is None:
            self._producer = KafkaProducer(
                **self._broker.options(),
                acks="all",
                # A copy does no harm here, and an idempotent producer is of no more use after a refusal.
                enable_idempotence=False,
                linger_ms=0,
                max_block_ms=int(self._timeout_s * 1000),
                request_timeout_ms=int(self._timeout_s * 500),
                delivery_timeout_ms=int(self._timeout_s * 1000),
                # The broker is the judge of sizes; a record that passed it once grows by these headers.
                max_request_size=16 * 1024 * 1024,
            )
        return self._producer

    def _settle(self, producer: KafkaProducer, letter: DeadLetter, future: object) -> None:
        try:
            future.get(timeout=self._timeout_s)  # type: ignore[attr-defined]
        except MessageSizeTooLargeError:
            # Refused for its size, it would be refused for ever: keep all but the value.
            without = self._send(producer, letter, None)
            without.get(timeout=self._timeout_s)  # type: ignore[attr-defined]

    def _send(self, producer: KafkaProducer, letter: DeadLetter, value: bytes | Interaction | None) -> object:
        record = letter.record
        raw = to_message(value).SerializeToString() if isinstance(value, Interaction) else value
        said: dict[str, str | int] = {
            "reason": letter.reason,
            "message": letter.message,
            "topic": self._source_topic,
            "incarnation": record.partition.incarnation,
            "partition": record.partition.partition,
            "offset": record.offset,
            "timestamp-ms": record.timestamp_ms,
            "schema-version": SCHEMA_VERSION,
        }
        if raw is None and isinstance(record.value, bytes):
            said["omitted-bytes"] = len(record.value)
        headers = [*record.headers, *((HEADER_PREFIX + name, str(text).encode()) for name, text in said.items())]
        # The client library refuses a record with neither key nor value.
        value_sent = b"" if raw is None and record.key is None else raw
        return producer.send(self._topic, key=record.key, value=value_sent, headers=headers)
