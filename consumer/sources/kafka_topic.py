"""Which topic a name stands for: a topic's identity is its id, and names are given again.

Fetches go by name, so a topic that was deleted and made again is found out by comparing ids after each poll. The ids
compared are at most `ID_AGE_S_MAX` old, also where this program was stopped in between.
"""

import logging
import time
from typing import Any

from kafka.errors import KafkaTimeoutError

ID_AGE_S_MAX = 3.0
REFRESH_TIMEOUT_S = 3.0
MISSING_LOG_S = 30.0
NO_ID = 0

log = logging.getLogger(__name__)


class TopicIdentity:
    """Follows the id of one topic in the client library's metadata, which refreshes itself in the background."""

    def __init__(self, topic: str) -> None:
        """Knows no id before `attach` and `follow`."""
        self._topic = topic
        self._cluster: Any = None
        self._seen_s = self._missing_logged_s = float("-inf")
        self.incarnation: str | None = None

    def attach(self, cluster: Any) -> None:
        """The client's metadata from now on."""
        self._cluster = cluster
        cluster.add_listener(self._on_metadata)

    def refresh(self, *, always: bool) -> None:
        """See that the id is fresh enough (or ask anew). Raises KafkaTimeoutError where the broker does not answer."""
        if not always and time.monotonic() - self._seen_s <= ID_AGE_S_MAX:
            return
        update, deadline_s = self._cluster.request_update(), time.monotonic() + REFRESH_TIMEOUT_S
        while not update.is_done:
            if time.monotonic() > deadline_s:
                raise KafkaTimeoutError("no metadata")
            time.sleep(0.002)

    def follow(self) -> str | None:
        """Take over the id of now; returns the id before it, where it was another."""
        if self._cluster.partitions_for_topic(self._topic) is None:
            self._log_missing()
            return None
        found = self._cluster.topic_id(self._topic)
        if found is None or found.int == NO_ID:
            # Brokers older than 2.8 have no ids: one that is made again cannot be told from the old one there.
            found = f"topic:{self._topic}"
            if self.incarnation is None:
                log.warning("the broker gives topics no ids: never delete and recreate the topic under this name")
        before, self.incarnation = self.incarnation, str(found)
        if before is None or before == self.incarnation:
            return None
        log.error(
            "the topic was deleted and made again: it is another log, and is read from its start",
            extra={"topic": self._topic, "before": before, "now": self.incarnation},
        )
        return before

    def _on_metadata(self, _: object) -> None:
        self._seen_s = time.monotonic()

    def _log_missing(self) -> None:
        now_s = time.monotonic()
        if now_s - self._missing_logged_s >= MISSING_LOG_S:
            self._missing_logged_s = now_s
            log.warning(
                "the topic does not exist, or may not be seen: create it (kafka-topics --create --topic %s); waiting",
                self._topic,
                extra={"topic": self._topic},
            )
