"""What nginx (ingest) counts, beside ingest's own figures: it has no page that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.nginx import Stat


class NginxMetrics(Collector):
    """The last page of its statistics, which the reconciler asks for every few seconds anyway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stat: Stat | None = None
        registry.register(self)

    def answered(self, stat: Stat | None) -> None:
        """What it said; None: it does not answer."""
        self._stat = stat

    def collect(self) -> Iterator[Metric]:
        """Counts begin anew with nginx, which Prometheus takes for what it is: a counter's reset."""
        stat = self._stat
        yield GaugeMetricFamily(
            "footlight_rtmp_up", "Whether nginx (ingest) answers.", value=stat is not None
        )
        if stat is None:
            return
        players = sum(len(clients) for clients in stat.players.values())
        for name, text, value in (
            ("publishers", "Connections that publish.", len(stat.publishers)),
            ("players", "Connections that play: our own workers.", players),
            ("uptime_seconds", "Age of nginx (ingest).", stat.traffic.uptime_s),
        ):
            yield GaugeMetricFamily(f"footlight_rtmp_{name}", text, value=value)
        for name, text, value in (
            ("connections", "Connections that were accepted.", stat.traffic.accepted),
            ("received_bytes", "Bytes from streamers.", stat.traffic.received_bytes),
            ("sent_bytes", "Bytes to our workers.", stat.traffic.sent_bytes),
        ):
            yield CounterMetricFamily(f"footlight_rtmp_{name}", text, value=value)
