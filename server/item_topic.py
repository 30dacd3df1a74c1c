"""The live catalogue in a compacted topic: what any server is told, every server reads.

    UpsertItems ▶ topic `items` (key: item id, value: CatalogueItem, whole) ▶ a reading thread in each server ▶ take

A record without a value takes back all that was said of its item. One that cannot be read is logged and passed over:
compaction leaves the latest of each item, so the next one puts it right.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from plural.v1 import catalogue_pb2

from interests.errors import BrokerUnavailable, InvalidRequest
from server.items import Item, from_message, to_message

SEND_S_MAX = 4.0
READ_BACK_S_MAX = 4.0
POLL_MS = 250
BATCH_MAX = 1000
RETRY_S = 1.0

log = logging.getLogger(__name__)


class ItemTopic:
    """The contract is that of ItemLog. `on_items` is called on the reading thread, with items in the topic's order."""

    def __init__(
        self, brokers: Sequence[str], topic: str, security: dict[str, Any], on_items: Callable[[list[Item]], None]
    ) -> None:
        self._topic = topic
        self._on_items = on_items
        self._options: dict[str, Any] = {
            "bootstrap_servers": list(brokers),
            "client_id": "plural-serve-items",
            "allow_auto_create_topics": False,
            "reconnect_backoff_max_ms": 1000,
            "metrics_enabled": False,
            "bootstrap_timeout_ms": 2000,
            **security,
        }
        self._producer: KafkaProducer | None = None
        self._sending = threading.Lock()
        self._stopping = threading.Event()
        self._caught_up = threading.Event()
        self._told = False
        self._read_news = threading.Condition()
        self._position: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="items", daemon=True)

    def start(self, wait_s: float) -> bool:
        """Begin to read; True once all that was there at the start has been taken, False where that takes longer."""
        self._thread.start()
        return self._caught_up.wait(wait_s)

    def append(self, items: Sequence[Item]) -> bool:
        """See ItemLog: returns once this server has read them back, so that the topic's order is everybody's.

        Some of the items may be in the topic after an error; saying them again is harmless.
        """
        try:
            with self._sending:
                if self._producer is None:
                    self._producer = KafkaProducer(
                        **self._options, acks="all", linger_ms=0, max_block_ms=2000, delivery_timeout_ms=4000,
                        request_timeout_ms=2000,
                    )  # fmt: skip
                sent = [
                    self._producer.send(
                        self._topic, key=item.item_id.encode(), value=to_message(item).SerializeToString()
                    )
                    for item in items
                ]
            written = [each.get(timeout=SEND_S_MAX) for each in sent]
        except (KafkaError, OSError) as error:
            raise BrokerUnavailable(f"topic {self._topic}: {type(error).__name__}: {error}") from None
        with self._read_news:
            up_to = {record.partition: record.offset for record in written}
            if not self._read_news.wait_for(lambda: self._has_read(up_to), READ_BACK_S_MAX):
                raise BrokerUnavailable(f"topic {self._topic}: it has the items, but is not read; they will count")
        return True

    def _has_read(self, up_to: dict[int, int]) -> bool:
        return all(self._position.get(partition, 0) > offset for partition, offset in up_to.items())

    def close(self) -> None:
        """See ItemLog."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._producer is not None:
            self._producer.close(timeout=SEND_S_MAX)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except (KafkaError, OSError) as error:
                if not self._told:
                    log.warning(
                        "the topic of items cannot be read; the catalogue stays as it is",
                        extra={"topic": self._topic, "reason": f"{type(error).__name__}: {error}"},
                    )
                self._told = True
                self._stopping.wait(RETRY_S)

    def _read(self) -> None:
        """Read the topic from its start for as long as that goes well."""
        consumer = KafkaConsumer(**self._options, enable_auto_commit=False, isolation_level="read_committed")
        try:
            partitions = self._partitions(consumer)
            if not partitions:
                return
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            while not self._stopping.is_set():
                records = consumer.poll(timeout_ms=POLL_MS, max_records=BATCH_MAX)
                items = [item for batch in records.values() for record in batch if (item := _item(record)) is not None]
                if items:
                    self._on_items(items)
                if records:
                    with self._read_news:
                        self._position = {p.partition: consumer.position(p) for p in partitions}
                        self._read_news.notify_all()
                if not self._caught_up.is_set() and all(consumer.position(p) >= ends[p] for p in partitions):
                    self._caught_up.set()
                if self._told:
                    log.info("the topic of items is read", extra={"topic": self._topic})
                    self._told = False
        finally:
            consumer.close()

    def _partitions(self, consumer: Any) -> list[TopicPartition]:
        numbers = consumer.partitions_for_topic(self._topic)
        if numbers:
            return [TopicPartition(self._topic, number) for number in sorted(numbers)]
        if not self._told:
            log.warning(
                "there is no topic of items: the catalogue is the bundle's. Create it with cleanup.policy=compact to "
                "change items live",
                extra={"topic": self._topic},
            )
        self._told = True
        self._caught_up.set()
        self._stopping.wait(5 * RETRY_S)
        return []


def _item(record: Any) -> Item | None:
    try:
        item_id = (record.key or b"").decode()
        if not record.value:
            return Item(item_id)
        item = from_message(catalogue_pb2.CatalogueItem.FromString(record.value))
        if item.item_id != item_id:
            raise InvalidRequest("item_id", "is not the record's key")
    except (UnicodeDecodeError, DecodeError, InvalidRequest) as error:
        place = {"partition": record.partition, "offset": record.offset}
        log.warning("a record of items cannot be used", extra={**place, "reason": str(error)[:200]})
        return None
    return item
