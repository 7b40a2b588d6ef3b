"""What the overview alerts of."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.admin.alerts import CRITICAL, LEAST, MOST, Figures, alerts_of
from api.probes import samples
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
    assert samples(text) == {"a": [1.5], "b_total": [2.0, 3.0]}
