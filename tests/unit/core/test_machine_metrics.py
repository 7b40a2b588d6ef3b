"""What is told of the machine, from the kernel's files as they are and as they may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from core.machine_metrics import MachineMetrics

FILES = {
    "stat": (
        "cpu  1000 200 300 40000 500 60 70 80 9 0\n"
        "cpu0 500 100 150 20000 250 30 35 40 5 0\n"
        "cpu1 500 100 150 20000 250 30 35 40 4 0\n"
        "intr 12345\n"
    ),
    "loadavg": "1.50 1.20 0.90 3/456 7890\n",
    "meminfo": "MemTotal:  4000 kB\nMemFree:  100 kB\nMemAvailable:  1000 kB\nHugePages_Total: 0\n",
    "pressure/cpu": "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\n",
    "pressure/memory": (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=100000\n"
    ),
    "net/dev": (
        "Inter-|   Receive                          |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo\n"
        "    lo: 9000 90 0 0 0 0 0 0 9000 90 0 0 0 0 0 0\n"
        "  eth0: 1000 10 1 0 0 0 0 0 2000 20 2 0 0 0 0 0\n"
        "docker0: 700 7 0 0 0 0 0 0 700 7 0 0 0 0 0 0\n"
    ),
}


@pytest.fixture
def registry(tmp_path: Path) -> CollectorRegistry:
    """A machine with two processors and without an account of input and output."""
    for name, text in FILES.items():
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "net/eth0/device").mkdir(parents=True)
    (tmp_path / "net/docker0").mkdir()
    registry = CollectorRegistry()
    MachineMetrics(registry, tmp_path / "proc", tmp_path / "net")
    return registry


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("cpu_seconds_total", {"mode": "user"}, 10.0),
        ("cpu_seconds_total", {"mode": "steal"}, 0.8),
        # What a guest took is in "user".
        ("cpu_seconds_total", {"mode": "guest"}, None),
        ("cpus", {}, 2),
        ("load", {}, 1.5),
        ("memory_size_bytes", {}, 4_096_000),
        ("memory_available_bytes", {}, 1_024_000),
        ("pressure_seconds_total", {"resource": "cpu"}, 2.5),
        ("pressure_seconds_total", {"resource": "memory"}, 0.5),
        ("pressure_seconds_total", {"resource": "io"}, None),
        ("network_bytes_total", {"direction": "received"}, 1000),
        ("network_bytes_total", {"direction": "sent"}, 2000),
        ("network_errors_total", {"direction": "sent"}, 2),
    ],
)
def test_each_figure(
    registry: CollectorRegistry, name: str, labels: dict[str, str], value: float | None
) -> None:
    assert registry.get_sample_value(f"footlight_machine_{name}", labels) == value


def test_a_container_counts_its_own_interfaces(registry: CollectorRegistry, tmp_path: Path) -> None:
    (tmp_path / "net/eth0/device").rmdir()
    received = {"direction": "received"}
    assert registry.get_sample_value("footlight_machine_network_bytes_total", received) == 1700


def test_without_files_there_are_no_figures(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    MachineMetrics(registry, tmp_path, tmp_path)
    names = {sample.name for family in registry.collect() for sample in family.samples}
    assert not names & {"footlight_machine_load", "footlight_machine_memory_size_bytes"}


def test_this_machine_has_them_all() -> None:
    registry = CollectorRegistry()
    MachineMetrics(registry)
    value = registry.get_sample_value
    size = value("footlight_machine_memory_size_bytes")
    available = value("footlight_machine_memory_available_bytes")
    assert size and available and 0 < available < size
    assert value("footlight_machine_cpu_seconds_total", {"mode": "user"})
