"""What the overview alerts of."""

from __future__ import annotations

from typing import Any

import pytest

from api.admin.alerts import Figures, alerts_of
from api.probes import samples

GB = 1024**3


def test_nothing_is_wrong_with_nothing() -> None:
    assert alerts_of(Figures(disks={"data": (GB, GB)}, backup_ok=True, backup_age_s=60)) == []


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ({"down": ("s3",)}, "down"),
        ({"outbox_age_s": 31.0}, "outbox_waits"),
        ({"jobs_age_s": 1801.0}, "jobs_wait"),
        ({"spool_age_s": 121.0}, "spool_waits"),
        ({"spool_bytes": 81, "spool_limit_bytes": 100}, "spool_full"),
        ({"disks": {"data": (14, 100)}}, "disk_low"),
        ({"disks": {"data": (4, 100)}}, "disk_full"),
        ({"load": 1.6}, "overloaded"),
        ({"backup_ok": False, "backup_age_s": 1.0}, "backup_failed"),
        ({"backup_ok": True, "backup_age_s": 130_000.0}, "backup_old"),
    ],
)
def test_each_condition(figures: dict[str, Any], code: str) -> None:
    assert [alert.code for alert in alerts_of(Figures(**figures))] == [code]


def test_the_critical_ones_come_first() -> None:
    found = alerts_of(Figures(outbox_age_s=99, backup_ok=False))
    assert [alert.severity for alert in found] == ["critical", "warning"]


def test_samples_of_one_name_are_added_up() -> None:
    text = '# TYPE a gauge\na 1.5\nb_total{x="1 {",y="2"} 2.0 # {} 1\nb_total{x="3"} 3\n# EOF\n'
    assert samples(text) == {"a": 1.5, "b_total": 5.0}
