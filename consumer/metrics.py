"""What the consumer tells Prometheus. All names begin with `plural_consumer_`."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from interests.events import LogPartition

STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters and gauges of one consumer, in a registry of its own unless one is given."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._latest_s = 0.0
        prefix = "plural_consumer_"

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(prefix + name, text, labels, registry=self.registry)

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(prefix + name, text, labels, registry=self.registry)

        self.records = counter("records_total", "Records read, those read again among them")
        self.absorbed = counter("absorbed_total", "Log entries that moved a state's version")
        self.duplicates = counter(
            "duplicates_total", "Log entries skipped because their state had absorbed them before"
        )
        self.users = counter("states_written_total", "States written to the store")
        self.dead_letters = counter("dead_letters_total", "Records written to the dead letters", ("reason",))
        self.assigned = counter("partitions_assigned_total", "Partitions that became this reader's")
        self.revoked = counter("partitions_revoked_total", "Partitions that became another reader's")
        self.rebalances = counter("rebalances_total", "Times that partitions were assigned or revoked")
        self.fenced = counter(
            "fenced_total", "Batches dropped because another writer had moved their partition or state"
        )
        self.retries = counter("retries_total", "Waits for a store, broker or archive that was away", ("what",))
        self.lost_records = counter("lost_records_total", "Records the log had deleted before they were absorbed")
        self.unencoded = counter("left_to_readers_total", "States written without vectors because much was waiting")
        self.archived = counter("archived_total", "Log entries written to archive files")
        self.unarchived = counter("unarchived_total", "Records the log had deleted before they were archived")
        self.archive_waiting = gauge("archive_waiting_bytes", "Memory held by what is in no archive file yet")
        self.partitions = gauge("partitions", "Partitions that are this reader's")
        self.held = gauge("partitions_held", "Partitions that wait for an operator; see the log")
        self.stuck = gauge("partitions_stuck", "Partitions that stand still though their log grows")
        self.lag_records = gauge("lag_records", "Records in the log behind the position", ("partition",))
        self.lag_seconds = gauge("lag_seconds", "Age of the latest record read where more are waiting, else 0")
        self.last_event_seconds = gauge("last_event_timestamp_seconds", "The log's time of the latest record absorbed")
        self.stage_seconds = Histogram(
            prefix + "stage_seconds",
            "How long each stage of a batch took",
            ("stage",),
            buckets=STAGE_SECONDS,
            registry=self.registry,
        )
        self._stages: dict[str, Histogram] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of a batch, whether or not it fails."""
        found = self._stages.get(name)
        if found is None:
            found = self._stages[name] = self.stage_seconds.labels(name)
        start_s = time.perf_counter()
        try:
            yield
        finally:
            found.observe(time.perf_counter() - start_s)

    def applied_up_to(self, timestamp_ms: int) -> None:
        """Note the log's time of the latest record absorbed."""
        self._latest_s = timestamp_ms / 1000
        self.last_event_seconds.set(self._latest_s)

    def lag(self, positions: Mapping[LogPartition, int], ends: Mapping[LogPartition, int], now_s: float) -> None:
        """Note how far the positions are behind the ends. now_s: seconds since 1970."""
        self.lag_records.clear()
        behind = 0
        for partition, end in ends.items():
            left = max(end - positions.get(partition, end), 0)
            behind += left
            self.lag_records.labels(str(partition.partition)).set(left)
        self.lag_seconds.set(max(now_s - self._latest_s, 0.0) if behind and self._latest_s else 0.0)
