"""What can be seen from outside: Prometheus metrics. No user ids, no item ids, no tokens."""

import threading
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from interests.stores.base import Moments

_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
TALLIED_MAX = 64
STAGES = ("polled", "written", "seen", "scored", "sent")  # each counts from the one before, the first from the log
LIVE_EVENT_AGE_S_MAX = 60.0  # an event older than this when its slate is sent is a replay; its age says nothing of us


class Tally:
    """Answers at hand of one method, counted in a list: into the metrics once there are many, or when those are read.

    Counting each by itself costs as much as finding the answer.
    """

    def __init__(self, answered: Counter, hits: Counter, latency_s: Histogram) -> None:
        self._answered, self._hits, self._latency_s = answered, hits, latency_s
        self._took_s: list[float] = []
        self._turn = threading.Lock()

    def add(self, took_s: float) -> None:
        """One more."""
        self._took_s.append(took_s)
        if len(self._took_s) >= TALLIED_MAX:
            self.settle()

    def settle(self) -> None:
        """Bring the metrics up to date; from any thread."""
        with self._turn:
            count = len(self._took_s)  # calls go on adding behind these
            self._answered.inc(count)
            self._hits.inc(count)
            for took_s in self._took_s[:count]:
                self._latency_s.observe(took_s)
            del self._took_s[:count]


class _Tallies(Collector):
    """Stands first in a registry, so that what is read after it is up to date."""

    def __init__(self) -> None:
        self.all: list[Tally] = []

    def collect(self) -> Iterable[Metric]:
        """Nothing of its own."""
        for tally in self.all:
            tally.settle()
        return ()


class Metrics:
    """All metrics of the server, in a registry of their own so that two servers fit into one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._tallies = _Tallies()
        registry.register(self._tallies)
        self.requests = Counter("plural_requests", "Calls ended", ["method", "code"], registry=registry)
        self.latency_s = Histogram(
            "plural_request_seconds", "Duration of unary calls", ["method"], buckets=_BUCKETS_S, registry=registry
        )
        self.unauthenticated = Counter(
            "plural_unauthenticated", "Calls refused for want of a good token", registry=registry
        )
        self.streams = Gauge("plural_streams", "Streams open now", registry=registry)
        self.pushes = Counter("plural_pushes", "Slates sent to followers after their first", registry=registry)
        cache = Counter("plural_slate_cache", "Looks into the slate cache", ["result"], registry=registry)
        self.cache_hits, self.cache_misses = cache.labels("hit"), cache.labels("miss")
        self.cache_bytes = Gauge("plural_slate_cache_bytes", "What the slate cache holds", registry=registry)
        self.at_hand = Counter(
            "plural_served_without_store", "Calls answered from memory while the store was away", registry=registry
        )
        self.bundle_swaps = Counter("plural_bundle_swaps", "Times that another bundle took over", registry=registry)
        self.bundles_refused = Counter(
            "plural_bundles_refused", "Bundles that were refused while another served", registry=registry
        )
        self.items_changed = Counter("plural_items_changed", "Items that the live catalogue changed", registry=registry)
        self.recorded = Counter("plural_interactions_recorded", "Interactions taken in", registry=registry)
        self.record_groups = Counter("plural_record_groups", "Group commits of the embedded log", registry=registry)
        self.change_lag_s = Histogram(
            "plural_change_lag_seconds",
            "From the change log to the event loop",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.changes_lost = Counter(
            "plural_changes_lost", "Times that the change log had been trimmed or was away", registry=registry
        )
        self.push_s = Histogram(
            "plural_push_seconds", "From a change seen to its slate written", buckets=_BUCKETS_S, registry=registry
        )
        self.event_to_push_s = Histogram(
            "plural_event_to_push_seconds",
            "From a live event's own time, by its log, to its slate written",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        stages = Histogram(
            "plural_push_stage_seconds",
            "What each stage of a live event took: until it was polled, written, seen, scored, sent",
            ["stage"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    def tally(self, method: str) -> Tally:
        """Counts the answers of one method that the slate cache has at hand."""
        tally = Tally(self.requests.labels(method, "OK"), self.cache_hits, self.latency_s.labels(method))
        self._tallies.all.append(tally)
        return tally

    def count_push(self, moments: Moments | None, seen_s: float, scored_s: float, sent_s: float) -> None:
        """One slate pushed. All times are seconds since 1970, by the clocks of whoever was there.

        "written" ends where the put began, so that "seen" holds the durable write and the way from there to here.
        """
        self.pushes.inc()
        self.push_s.observe(max(sent_s - seen_s, 0.0))
        self._stages["scored"].observe(max(scored_s - seen_s, 0.0))
        self._stages["sent"].observe(max(sent_s - scored_s, 0.0))
        if moments is None or not 0.0 <= sent_s - moments.produced_s <= LIVE_EVENT_AGE_S_MAX:
            return
        self.event_to_push_s.observe(sent_s - moments.produced_s)
        passed_s = (*moments, seen_s)
        for stage, before_s, then_s in zip(STAGES, passed_s, passed_s[1:], strict=False):
            self._stages[stage].observe(max(then_s - before_s, 0.0))
