"""How a soak decides whether something grows."""

from __future__ import annotations

import pytest

from bench.prometheus import Query
from bench.soak import growth


@pytest.mark.parametrize(
    ("points", "share"),
    [
        ([(0, 100.0), (1, 100.0), (2, 100.0)], 0.0),
        ([(0, 90.0), (1, 100.0), (2, 110.0)], 0.2),
        ([(0, 110.0), (1, 100.0), (2, 90.0)], -0.2),
        ([(0, 0.0), (1, 0.0), (2, 0.0)], 0.0),
        ([(0, 1.0), (1, 5.0)], 0.0),
    ],
)
def test_growth_is_of_the_line_through_all_points(
    points: list[tuple[float, float]], share: float
) -> None:
    assert growth(points) == pytest.approx(share)


def test_names_in_labels_and_functions_are_no_metrics() -> None:
    query = Query(
        "p", 'sum by (up) (rate(footlight_a_total{job="process_x"}[1m])) / up + max(process_open_fds)'
    )
    assert query.metrics == {"footlight_a_total", "up", "process_open_fds"}
