"""What ingest counts and measures, for /metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from core.metrics import Metrics
from ingest.nginx_metrics import NginxMetrics

#: Shares of real time: below 0.85 a streamer is told.
_ARRIVAL = (0.25, 0.5, 0.75, 0.85, 0.95, 1.05, 1.25)
#: From parts on time to those a low-latency player stalls on, seconds.
_LATENESS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class IngestMetrics:
    """Ingest's own metrics on the process's registry."""

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self.nginx = NginxMetrics(registry)
        self.publishes = Counter(
            "footlight_ingest_publishes",
            "Publish attempts by outcome (accepted, or the code of the refusal).",
            ("outcome",),
            registry=registry,
        )
        self.sessions = Gauge(
            "footlight_ingest_sessions", "Running sessions by phase.", ("phase",), registry=registry
        )
        self.parts = Counter("footlight_ingest_parts", "Parts published.", registry=registry)
        self.part_lateness = Histogram(
            "footlight_ingest_part_lateness_seconds",
            "How much later than the best so far on its timeline a part was published.",
            buckets=_LATENESS,
            registry=registry,
        )
        self.worker_restarts = Counter(
            "footlight_ingest_ffmpeg_restarts",
            "ffmpeg processes that ended without reason and were started again.",
            ("role",),
            registry=registry,
        )
        self.edge_seconds = Histogram(
            "footlight_ingest_edge_post_seconds",
            "Time until an edge had acknowledged a playlist or state.",
            buckets=_LATENESS,
            registry=registry,
        )
        self.ladder_speed = Gauge(
            "footlight_ingest_ladder_speed_ratio",
            "Media seconds per second of the slowest rung of all ladders; 1 keeps up. 1 without any.",
            registry=registry,
        )
        self.ladder_speed.set_function(lambda: min(self._speeds.values(), default=1.0))
        self._speeds: dict[str, float] = {}
        self.arrival = Histogram(
            "footlight_ingest_arrival_ratio",
            "Media seconds that a source sent per second, a sample of some seconds each; 1 keeps up.",
            buckets=_ARRIVAL,
            registry=registry,
        )
        self.rungs_dropped = Counter(
            "footlight_ingest_rungs_dropped",
            "Rungs ended because the machine was too slow.",
            registry=registry,
        )
        self.media_bytes = Gauge(
            "footlight_ingest_media_bytes", "Live media held in memory.", registry=registry
        )
        self.takeovers = Counter(
            "footlight_ingest_takeovers",
            "Running streams taken over by a newer publisher.",
            registry=registry,
        )
        self.spool_bytes = Gauge(
            "footlight_ingest_spool_bytes",
            "Segments that wait for the object storage.",
            registry=registry,
        )
        self.spool_age = Gauge(
            "footlight_ingest_spool_age_seconds",
            "Age of the oldest segment that waits for the object storage; 0 when none does.",
            registry=registry,
        )
        self.spool_seconds = Histogram(
            "footlight_ingest_spool_seconds",
            "Time until a segment was on the spool's disk.",
            buckets=_LATENESS,
            registry=registry,
        )
        self.spool_limit = Gauge(
            "footlight_ingest_spool_limit_bytes",
            "Most that may wait for the object storage: the quota, or what the disk has room for.",
            registry=registry,
        )
        self.recordings_cut = Counter(
            "footlight_ingest_recordings_cut",
            "Recordings that ended before their broadcast because the spool was full.",
            registry=registry,
        )
        self.recordings_refused = Counter(
            "footlight_ingest_recordings_refused",
            "Broadcasts that are not recorded because the spool is nearly full.",
            registry=registry,
        )

    def pace(self, session: str, speed: float | None) -> None:
        """Note how fast a session's slowest rung is encoded; None: it has none any more."""
        if speed is None:
            self._speeds.pop(session, None)
        else:
            self._speeds[session] = speed
