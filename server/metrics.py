"""What can be seen from outside: Prometheus metrics. No user ids, no item ids, no tokens."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LIVE_EVENT_AGE_S_MAX = 60.0  # an event older than this when its slate is sent is a replay; its age says nothing of us


class Metrics:
    """All metrics of the server, in a registry of their own so that two servers fit into one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
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
            "From a live event's own time to its slate written",
            buckets=_BUCKETS_S,
            registry=registry,
        )
