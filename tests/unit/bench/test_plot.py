from __future__ import annotations

import pytest

from bench.plot import HEIGHT, WIDTH, Plot


def test_a_straight_line_is_found_and_drawn() -> None:
    plot = Plot("streams", "cores", [(1, 3.0), (5, 11.0), (20, 41.0)])
    assert plot.line() == pytest.approx((1.0, 2.0, 1.0))
    text = str(plot)
    assert "cores = 1 + 2 · streams, R² 1.0000" in text
    assert text.count("●") == 3
    drawn = [line.partition("│")[2] for line in text.splitlines() if "│" in line]
    assert len(drawn) == HEIGHT + 1
    # The last point stands in the upper right corner, the first near the origin.
    assert drawn[0].index("●") == WIDTH
    assert "●" in drawn[-2] and drawn[-2].index("●") == WIDTH // 20


def test_points_off_the_line_are_not_hidden() -> None:
    plot = Plot("n", "s", [(1, 1.0), (2, 1.0), (3, 9.0), (4, 1.0)])
    assert plot.line()[2] < 0.2
    assert str(plot).count("●") == 4
