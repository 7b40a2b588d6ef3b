"""What the overview alerts of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.admin.alerts import CRITICAL, LEAST, MOST, Figures, alerts_of
from api.admin.overview import addresses_of, disks_of
from api.probes import samples
from core.metrics import Metrics
from core.settings import Settings
from tests.harness import SOURCE

RULES = (SOURCE / "infra/prometheus/alerts.yml").read_text()


def rule(name: str) -> str:
    """The text of a rule."""
    found = re.search(rf"- alert: {name}\n.*?(?=- alert:|- name:|\Z)", RULES, re.DOTALL)
    assert found is not None, name
    return found[0]


@pytest.mark.parametrize("name", [*MOST, *LEAST])
def test_limits_are_those_of_the_rules(name: str) -> None:
    found = re.search(r"([<>]) ([0-9.e]+)\n\s+for:", rule(name))
    assert found is not None
    sign, limits = (">", MOST) if name in MOST else ("<", LEAST)
    assert (found[1], float(found[2])) == (sign, limits[name])


@pytest.mark.parametrize("name", sorted({*MOST, *LEAST, *CRITICAL}))
def test_urgency_is_that_of_the_rules(name: str) -> None:
    assert ("severity: critical" in rule(name)) == (name in CRITICAL)


def test_nothing_is_wrong_with_nothing() -> None:
    assert alerts_of(Figures(disks={"data": 0.5}, backup_ok=True)) == []


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ({"silent": ("chat",)}, "ServiceDown"),
        ({"missed": ("s3",)}, "DependencyDown"),
        ({"rtmp": False}, "RtmpDown"),
        ({"values": {"OutboxWaits": 31.0, "SpoolOld": 60.0}}, "OutboxWaits"),
        ({"values": {"EdgeMemoryLow": 1e6}}, "EdgeMemoryLow"),
        ({"disks": {"data": 0.14}}, "DiskLow"),
        ({"disks": {"data": 0.04}}, "DiskNearlyFull"),
        ({"values": {"Overloaded": 1.6}}, "Overloaded"),
        ({"values": {"MemoryLow": 0.09}}, "MemoryLow"),
        ({"values": {"EdgeConnectionsRunOut": 0.81}}, "EdgeConnectionsRunOut"),
        ({"backup_ok": False}, "BackupFailed"),
        ({"values": {"BackupOld": 2.1}}, "BackupOld"),
        ({"values": {"BackupMissing": 86_401.0}}, "BackupMissing"),
    ],
)
def test_each_condition(figures: dict[str, Any], code: str) -> None:
    assert [alert.code for alert in alerts_of(Figures(**figures))] == [code]


def test_the_critical_ones_come_first() -> None:
    found = alerts_of(Figures(values={"OutboxWaits": 99.0}, backup_ok=False))
    assert [alert.severity for alert in found] == ["critical", "warning"]


def test_samples_are_collected_by_name() -> None:
    text = (
        '# TYPE a gauge\na 1.5\nb_total{x="1 {",y="2"} 2.0 # {} 1\nb_total{x="3"} 3\nc NaN\n# EOF\n'
    )
    assert samples(text) == {
        "a": [1.5],
        "b_total": [2.0, 3.0],
        'b_total{x="1 {",y="2"}': [2.0],
        'b_total{x="3"}': [3.0],
    }


def test_disks_are_those_of_the_services_that_use_them() -> None:
    metrics = Metrics()
    metrics.watch_disk("spool", SOURCE)
    metrics.watch_disk("media", SOURCE / "never")
    seen = samples(metrics.exposition().decode())
    (spool,) = disks_of({"ingest": seen, "recorder": None})
    assert spool.name == "spool" and 0 < spool.free_bytes < spool.total_bytes


def test_a_worker_is_asked_where_there_is_one(tmp_path: Path) -> None:
    def asked(listen: str) -> bool:
        settings = Settings.model_validate({"secret_key": "0" * 64, "worker_listen": listen})
        return "worker" in addresses_of(settings)

    socket = tmp_path / "worker.sock"
    assert not asked(f"unix:{socket}")
    socket.touch()
    assert asked(f"unix:{socket}") and asked("10.0.0.2:9000")
