"""What the chat service counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from core.metrics import LATENCY_BUCKETS, Metrics


class ChatMetrics:
    """Counters of one process. `dropped`: readers that were too slow; `lost`: messages that Redis
    had not handed to PostgreSQL when it was emptied, or that the cap took.
    """

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self.connections = Gauge("footlight_chat_connections", "Open sockets.", registry=registry)
        self.rooms = Gauge("footlight_chat_rooms", "Open rooms.", registry=registry)
        self.messages = Counter(
            "footlight_chat_messages", "Messages that were accepted.", registry=registry
        )
        self.refused = Counter(
            "footlight_chat_refused",
            "Messages that were refused, by code.",
            ("code",),
            registry=registry,
        )
        self.deliveries = Counter(
            "footlight_chat_deliveries", "Events written to sockets.", registry=registry
        )
        self.writes = Counter(
            "footlight_chat_writes",
            "Writes to sockets that carried events; deliveries divided by them is the coalescing factor.",
            registry=registry,
        )
        self.flushes = Counter(
            "footlight_chat_flushes", "Times a group of sockets was written to.", registry=registry
        )
        self.dropped = Counter(
            "footlight_chat_dropped",
            "Sockets that were dropped, by reason.",
            ("reason",),
            registry=registry,
        )
        # From nothing on: the first of its kind is an increase, too.
        for reason in ("slow", "flood", "silent", "crowded"):
            self.dropped.labels(reason)
        self.lost = Counter(
            "footlight_chat_lost", "Messages that were accepted and then lost.", registry=registry
        )
        self.unpersisted = Gauge(
            "footlight_chat_unpersisted",
            "Messages that PostgreSQL does not hold yet.",
            registry=registry,
        )
        self.decisions = Counter(
            "footlight_chat_decisions",
            "Moderation decisions, by operation.",
            ("op",),
            registry=registry,
        )
        self.accept_seconds = Histogram(
            "footlight_chat_accept_seconds",
            "From a message's frame to its place in the room.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
