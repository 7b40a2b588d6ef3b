"""What the machine does, whoever does it: encoders, nginx, the servers and all else.

For the one service that runs once on each machine that carries streams. In a container /proc shows the machine's
processors, memory, load and pressure, but the container's own network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: Of the line "cpu" in /proc/stat (proc_stat(5)). What guests take is in "user" already.
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_PRESSURES = ("cpu", "memory", "io")
# Where received and sent bytes and errors stand in a line of /proc/net/dev, behind its name.
_BYTES = {"received": 0, "sent": 8}
_ERRORS = {"received": 2, "sent": 10}


class MachineMetrics(Collector):
    """Reads the kernel's files at each scrape. What a kernel does not have has no samples."""

    def __init__(
        self,
        registry: CollectorRegistry,
        proc: Path = Path("/proc"),
        interfaces: Path = Path("/sys/class/net"),
    ) -> None:
        self._proc = proc
        self._interfaces = interfaces
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Counters count from the machine's start."""
        yield from self._processors()
        yield from self._memory()
        yield self._pressure()
        yield from self._network()

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._proc / name).read_text().splitlines()
        except OSError:
            # No such file, or a kernel that was told to keep no such account.
            return []

    def _processors(self) -> Iterator[Metric]:
        seconds = CounterMetricFamily(
            "footlight_machine_cpu_seconds",
            "Time of all processors of the machine, by what they did.",
            labels=["mode"],
        )
        lines = [line.split() for line in self._lines("stat") if line.startswith("cpu")]
        hertz = os.sysconf("SC_CLK_TCK")
        for _, *ticks in lines[:1]:
            for mode, count in zip(_MODES, ticks, strict=False):
                seconds.add_metric([mode], int(count) / hertz)
        yield seconds
        yield GaugeMetricFamily(
            "footlight_machine_cpus", "Processors of the machine.", value=max(1, len(lines) - 1)
        )
        load = GaugeMetricFamily(
            "footlight_machine_load",
            "Processes that ran or waited to, the mean of a minute.",
            labels=[],
        )
        for line in self._lines("loadavg"):
            load.add_metric([], float(line.split()[0]))
        yield load

    def _memory(self) -> Iterator[Metric]:
        sizes = {line.partition(":")[0]: line.split()[1] for line in self._lines("meminfo")}
        for name, text, key in (
            ("size", "Memory of the machine.", "MemTotal"),
            ("available", "What programs could still have of it, without swap.", "MemAvailable"),
        ):
            family = GaugeMetricFamily(f"footlight_machine_memory_{name}_bytes", text, labels=[])
            if key in sizes:
                family.add_metric([], int(sizes[key]) * 1024)
            yield family

    def _pressure(self) -> Metric:
        waited = CounterMetricFamily(
            "footlight_machine_pressure_seconds",
            "Time in which something on the machine waited for a resource (PSI, some).",
            labels=["resource"],
        )
        for resource in _PRESSURES:
            for line in self._lines(f"pressure/{resource}"):
                if line.startswith("some "):
                    waited.add_metric([resource], int(line.rpartition("total=")[2]) / 1e6)
        return waited

    def _network(self) -> Iterator[Metric]:
        rows = [line.partition(":") for line in self._lines("net/dev")]
        known = {name.strip(): rest.split() for name, _, rest in rows if rest}
        counted = self._counted(known.keys() - {"lo"})
        for what, text, columns in (
            ("bytes", "Bytes over the machine's network interfaces.", _BYTES),
            ("errors", "Packets that they could not receive or send.", _ERRORS),
        ):
            family = CounterMetricFamily(
                f"footlight_machine_network_{what}", text, labels=["direction"]
            )
            for direction, column in columns.items():
                total = sum(int(known[name][column]) for name in counted)
                family.add_metric([direction], total)
            yield family

    def _counted(self, names: set[str]) -> set[str]:
        """Bridges, tunnels and the ends of containers carry again what a device carries. A container has no
        device of its own: there all count.
        """
        devices = {name for name in names if (self._interfaces / name / "device").exists()}
        return devices or names
