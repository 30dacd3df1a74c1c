"""What a consumer group's rebalances did to one member, kept until its next poll asks."""

import contextlib
import threading
from collections.abc import Iterable
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition


class Moves(ConsumerRebalanceListener):  # type: ignore[misc]
    """Called on the client library's own thread, which also sends the heartbeats: it must not wait for a store.

    So it stops what was assigned where it stands and takes a note; where to read on is settled after the poll.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._assigned: set[int] = set()
        self._revoked: set[int] = set()
        self._consumer: Any = None

    def attach(self, consumer: KafkaConsumer) -> None:
        """The consumer whose partitions these are."""
        self._consumer = consumer

    def take(self) -> tuple[frozenset[int], frozenset[int]]:
        """Partitions assigned and revoked since the last call; those moved away and back are in both."""
        with self._lock:
            assigned, revoked = frozenset(self._assigned), frozenset(self._revoked)
            self._assigned.clear()
            self._revoked.clear()
            return assigned, revoked

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Stop them, with a position of their own so that the broker's committed offset is never asked for."""
        for tp in assigned:
            with contextlib.suppress(KeyError, ValueError):
                self._consumer.pause(tp)
                self._consumer.seek(tp, 0)
        with self._lock:
            self._assigned.update(tp.partition for tp in assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Note them."""
        with self._lock:
            self._revoked.update(tp.partition for tp in revoked)
            self._assigned.difference_update(tp.partition for tp in revoked)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Note them: somebody else may have them already, and the store will fence us."""
        self.on_partitions_revoked(lost)
