"""How a soak decides whether something grows, and what it draws."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bench.charts import charts
from bench.figures import FLAT, amounts, latency, processor, trends
from bench.holdings import Holding, Holdings
from bench.prometheus import Query
from bench.trend import Point, Trend


@pytest.mark.parametrize(
    ("points", "share"),
    [
        ([(0, 100.0), (1, 100.0), (2, 100.0)], 0.0),
        ([(0, 90.0), (1, 100.0), (2, 110.0)], 0.2),
        ([(0, 110.0), (1, 100.0), (2, 90.0)], -0.2),
        ([(0, 0.0), (1, 0.0), (2, 0.0)], 0.0),
        ([(0, 1.0), (1, 5.0)], 0.0),
        # One round in which the machine did something else.
        ([(0, 100.0), (1, 100.0), (2, 900.0), (3, 100.0), (4, 100.0), (5, 100.0)], 0.0),
        ([(0, float("nan")), (1, 90.0), (2, 100.0), (3, 110.0)], 0.2),
    ],
)
def test_growth_is_of_the_line_through_all_points(points: list[Point], share: float) -> None:
    trend = Trend("f", points, -1, 0.1)
    assert trend.growth == pytest.approx(share)
    assert trend.is_flat is (share <= 0.1)


def test_what_warms_up_does_not_count() -> None:
    points = [(1.0, 10.0), (2.0, 90.0), (3.0, 100.0), (4.0, 100.0), (5.0, 100.0)]
    assert Trend("f", points, 2, 0.1).is_flat
    assert not Trend("f", points, 0, 0.1).is_flat


def test_little_is_no_growth() -> None:
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert not Trend("f", points, 0, 0.1).is_flat
    assert Trend("f", points, 0, 0.1, slack=2.5).is_flat
    kept = Trend("f", points, 0)
    assert kept.is_flat and kept.row()["is"] == "kept" and kept.row()["an hour"] == "+60"


def rounds(memory: float) -> list[dict[str, float]]:
    """Five minutes in which one service takes `memory` bytes more in each."""
    found = []
    before = Holdings({"api": Holding(cpu_s=1.0)}, {})
    for minute in range(1, 6):
        now = Holdings(
            {"api": Holding(int(100e6 + memory * minute), 5, 30, 1.0 + 30 * minute)},
            {"spool": 1_000_000, "videos": 5_000_000 * minute},
        )
        found.append(
            {
                "minutes": float(minute),
                **amounts(now),
                **processor(before, now, 60),
                **latency("part", [0.02, 0.03]),
                **latency("chat", []),
            }
        )
        before = now
    return found


def test_a_service_that_grows_is_named() -> None:
    flat = {trend.name: trend for trend in trends(rounds(memory=0), 1)}
    assert all(trend.is_flat for trend in flat.values())
    assert flat["processor, cores"].level == pytest.approx(0.5)
    assert flat["videos, MB"].growth > 0
    # What was never seen has no line.
    assert "chat p50, ms" in FLAT and "chat p50, ms" not in flat
    grown = [trend.name for trend in trends(rounds(memory=8e6), 1) if not trend.is_flat]
    assert grown == ["memory, MB", "memory of api, MB"]


def test_charts_are_a_picture_of_all() -> None:
    shown = trends(rounds(memory=1e6), 1)
    root = ET.fromstring(charts("What & how", shown))  # noqa: S314 (our own)
    space = {"s": "http://www.w3.org/2000/svg"}
    assert root.findtext("s:title", namespaces=space) == "What & how"
    assert len(root.findall("s:g", space)) == len(shown)
    for group in root.findall("s:g", space):
        assert len(group.findall("s:polyline", space)) == 2


def test_names_in_labels_and_functions_are_no_metrics() -> None:
    query = Query(
        "p",
        'sum by (up) (rate(footlight_a_total{job="process_x"}[1m])) / up + max(process_open_fds)',
    )
    assert query.metrics == {"footlight_a_total", "up", "process_open_fds"}
