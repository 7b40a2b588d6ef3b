from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.schedule import RETRY, Last, due

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("last", "interval", "wanted"),
    (
        (Last(NOON, NOON), DAY, NOON + DAY),
        # One that failed is tried again soon, but not more often than one is wanted.
        (Last(NOON - HOUR, NOON), DAY, NOON + RETRY),
        (Last(None, NOON), DAY, NOON + RETRY),
        (Last(NOON - HOUR, NOON), timedelta(minutes=1), NOON + timedelta(minutes=1)),
    ),
)
def test_when_the_next_is_due(last: Last, interval: timedelta, wanted: datetime) -> None:
    assert due(last, interval) == wanted


def test_a_first_one_is_due_at_once() -> None:
    assert due(Last(), DAY) < NOON
