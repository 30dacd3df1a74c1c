"""RecordInteractions with Kafka: into the topic that the consumer absorbs, for backends without a Kafka client."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from interests.encoder import Encoder
from interests.errors import BrokerUnavailable
from interests.events import Interaction, to_message
from server.metrics import Metrics

BLOCK_MS_MAX = 2000
DELIVERY_MS_MAX = 4000

log = logging.getLogger(__name__)


class KafkaRecorder:
    """The contract is that of Recorder. The broker may be away at the start: calls fail until it is there."""

    absorbed = False

    def __init__(self, brokers: Sequence[str], topic: str, metrics: Metrics, security: dict[str, Any]) -> None:
        self._topic = topic
        self._metrics = metrics
        self._options = {
            "bootstrap_servers": list(brokers),
            "client_id": "plural-serve",
            "acks": "all",
            "linger_ms": 0,
            "max_block_ms": BLOCK_MS_MAX,
            "bootstrap_timeout_ms": BLOCK_MS_MAX,
            "request_timeout_ms": DELIVERY_MS_MAX // 2,
            "delivery_timeout_ms": DELIVERY_MS_MAX,
            "reconnect_backoff_max_ms": 1000,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            **security,
        }
        self._producer: KafkaProducer | None = None
        self._failed_s = float("-inf")
        # One thread, because sending may block on metadata and because a user's records must keep their order.
        self._thread = ThreadPoolExecutor(1, "kafka-recorder")
        self._loop = asyncio.get_running_loop()

    def use(self, encoder: Encoder) -> None:
        """See Recorder: the consumer encodes."""

    async def record(self, interactions: Sequence[Interaction]) -> None:
        """See Recorder."""
        await self._send([(each.user_id.encode(), to_message(each).SerializeToString()) for each in interactions])
        self._metrics.recorded.inc(len(interactions))

    async def forget(self, user_id: str) -> None:
        """See Recorder: a record with the key alone."""
        await self._send([(user_id.encode(), None)])

    async def close(self) -> None:
        """See Recorder."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._loop.run_in_executor(self._thread, lambda: producer.close(timeout=DELIVERY_MS_MAX / 1000))
        self._thread.shutdown(wait=False)

    async def _send(self, records: list[tuple[bytes, bytes | None]]) -> None:
        delivered: list[asyncio.Future[None]] = [self._loop.create_future() for _ in records]
        asked_s = time.monotonic()
        try:
            await self._loop.run_in_executor(self._thread, self._hand_over, records, delivered, asked_s)
            await asyncio.gather(*delivered)
        finally:
            for future in delivered:
                future.cancel()

    def _hand_over(
        self, records: list[tuple[bytes, bytes | None]], delivered: list["asyncio.Future[None]"], asked_s: float
    ) -> None:
        if asked_s <= self._failed_s:  # waited behind a call that found the broker away: no need to find out again
            raise BrokerUnavailable(f"no broker took the records for topic {self._topic}")
        try:
            producer = self._producer or KafkaProducer(**self._options)
            self._producer = producer
            for (key, value), future in zip(records, delivered, strict=True):
                sent = producer.send(self._topic, key=key, value=value)
                sent.add_callback(self._settle(future, None))
                sent.add_errback(self._settle(future, BrokerUnavailable("no broker acknowledged a record in time")))
        except (KafkaError, OSError) as error:
            self._failed_s = time.monotonic()
            raise BrokerUnavailable(f"topic {self._topic}: {type(error).__name__}: {error}") from None

    def _settle(self, future: "asyncio.Future[None]", error: Exception | None) -> Callable[[object], object]:
        def settle() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        return lambda _: self._loop.call_soon_threadsafe(settle)
