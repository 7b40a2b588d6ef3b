"""Where a chat message belongs beside a video."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.replays import runs, windows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# Ten seconds, a gap of thirty, and twenty more.
SPANS = [(0.0, NOON, 10.0), (10.0, after(40), 20.0)]


def place(at: datetime) -> float | None:
    return next((w.at_s(at) for w in windows(SPANS) if w.wall <= at < w.until), None)


def test_a_gap_drops_out() -> None:
    assert place(after(0)) == 0
    assert place(after(9.5)) == 9.5
    assert place(after(41)) == 11
    assert place(after(-1)) is None
    assert place(after(60)) is None


def test_what_was_said_in_a_gap_stands_where_it_was_in_its_order() -> None:
    first, second, back = place(after(15)), place(after(39)), place(after(40))
    assert first is not None and second is not None and back is not None
    assert 10 < first < second < 10.001
    assert back == 10


def test_times_may_be_text() -> None:
    told = [[start, wall.isoformat(), length] for start, wall, length in SPANS]
    assert windows(told) == windows(SPANS)


def test_a_clock_that_was_set_back() -> None:
    first, second = windows([(0, NOON, 10), (10, after(-100), 10)])
    assert first.until == first.wall
    assert second.at_s(second.wall) == 10


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 100)), min_size=1, max_size=8),
    st.lists(st.floats(0, 1500), max_size=20),
)
def test_every_moment_has_one_place_and_keeps_its_order(
    lengths: list[tuple[float, float]], moments: list[float]
) -> None:
    spans = []
    start_s, wall = 0.0, NOON
    for length_s, gap_s in lengths:
        spans.append((start_s, wall, length_s))
        start_s, wall = start_s + length_s, wall + timedelta(seconds=length_s + gap_s)
    found = windows(spans)
    end = spans[-1][1] + timedelta(seconds=spans[-1][2])
    places = []
    for moment in sorted(moments):
        at = after(moment)
        here = [w.at_s(at) for w in found if w.wall <= at < w.until]
        assert len(here) == (NOON <= at < end)
        places += here
    assert all(0 <= place <= start_s + 0.001 for place in places)
    # A gap is pressed into microseconds: it may overlap what follows by that much.
    assert all(later - earlier > -0.001 for earlier, later in itertools.pairwise(places))


def test_runs_of_segments() -> None:
    segments = [
        (0.0, after(0), 2.0),
        (2.0, after(2.1), 2.0),
        (4.0, after(4), 2.0),
        (6.0, after(36), 2.0),
        (8.0, after(38), 2.0),
    ]
    assert runs(segments) == [(0.0, NOON, 6.0), (6.0, after(36), 4.0)]
    assert runs([]) == []
    # The first that is asked for may be in the middle.
    assert runs(segments[1:2]) == [(2.0, after(2.1), 2.0)]
