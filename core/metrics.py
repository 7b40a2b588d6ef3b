"""Prometheus metrics of one process.

Labels take their values from our own code only, so they stay few.
"""

from __future__ import annotations

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Histogram,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

# From a cached answer to the longest wait a client is left with, seconds.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The registry of a process, with rate, errors and duration of every HTTP route.

    A service adds its own: `Counter("footlight_…", "…", registry=metrics.registry)`.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self.http_requests = Counter(
            "footlight_http_requests",
            "HTTP requests by route template and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "footlight_http_request_seconds",
            "Time from the request's head to the answer's end.",
            ("method", "route"),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Everything, in OpenMetrics text."""
        text: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text
