"""Prometheus metrics of one process.

Labels take their values from our own code only, so they stay few.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from core.version import RELEASE

# From a cached answer to the longest wait a client is left with, seconds.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# How late the event loop runs what is due: from nothing to what every stream and socket notices.
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


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

        self.dependencies = Gauge(
            "footlight_dependency_up",
            "Whether a server or service that this process needs answers: 1 or 0.",
            ("dependency",),
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "footlight_event_loop_lag_seconds",
            "How late the event loop woke what was due.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self._connections = Gauge(
            "footlight_database_connections",
            "Connections of the pool to PostgreSQL, by state.",
            ("state",),
            registry=self.registry,
        )
        self._disk = {
            "free": Gauge(
                "footlight_disk_free_bytes",
                "What a folder's file system has free for us.",
                ("folder",),
                registry=self.registry,
            ),
            "size": Gauge(
                "footlight_disk_size_bytes",
                "The size of a folder's file system.",
                ("folder",),
                registry=self.registry,
            ),
        }
        Gauge(
            "footlight_build_info", "The version that runs.", ("version",), registry=self.registry
        ).labels(RELEASE).set(1)

    def watch_pool(self, in_use: Callable[[], int], most: int) -> None:
        """Show how many connections to PostgreSQL are `in_use`, and the `most` there may be."""
        self._connections.labels("in_use").set_function(in_use)
        self._connections.labels("limit").set(most)

    def watch_disk(self, name: str, folder: Path) -> None:
        """Show how full the file system of a folder is, as `name`, one of few."""
        self._disk["free"].labels(name).set_function(lambda: _room(folder)[0])
        self._disk["size"].labels(name).set_function(lambda: _room(folder)[1])

    def exposition(self) -> bytes:
        """Everything, in OpenMetrics text."""
        text: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text


def _room(folder: Path) -> tuple[float, float]:
    """Free and total bytes of a folder's file system; not a number where it is not there."""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return float("nan"), float("nan")
    return float(stat.f_bavail * stat.f_frsize), float(stat.f_blocks * stat.f_frsize)
