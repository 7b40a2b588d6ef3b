"""Where a chat message belongs beside a video: from wall clock to the video's own time.

A reconnect leaves a gap of which the video has nothing. What was said in it belongs where the gap was:
it is pressed together there, a second into a microsecond, so that it keeps its order and comes before
what was said when the picture was back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Double, cast, func, literal
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement

PRESSED = 1e-6
# Wall clock and media time of neighbouring segments may differ by so much without a gap between them.
GAP_S = 0.5


@dataclass(frozen=True)
class Window:
    """From `wall` until `until` (exclusive) on the clock, `duration_s` of which the video shows from
    `start_s` on; the rest is a gap.
    """

    start_s: float
    wall: datetime
    duration_s: float
    until: datetime

    def at_s(self, at: datetime) -> float:
        """Where a moment of this window belongs in the video."""
        passed_s = (at - self.wall).total_seconds()
        return self.start_s + min(passed_s, self.duration_s) + _pressed(passed_s, self.duration_s)

    def at_s_of(self, column: InstrumentedAttribute[datetime]) -> ColumnElement[float]:
        """The same of a column, computed by PostgreSQL."""
        passed = cast(func.extract("epoch", column - literal(self.wall)), Double)
        shown = literal(self.duration_s, Double)
        beyond = func.greatest(passed - shown, literal(0.0, Double)) * literal(PRESSED, Double)
        found: ColumnElement[float] = (
            literal(self.start_s, Double) + func.least(passed, shown) + beyond
        )
        return found


def _pressed(passed_s: float, duration_s: float) -> float:
    return max(passed_s - duration_s, 0.0) * PRESSED


def windows(spans: Iterable[Sequence[Any]]) -> list[Window]:
    """The windows of a video's `spans`: [start_s, wall clock there (a time, or its text), duration_s]."""
    runs = [(float(start), _time(wall), float(length)) for start, wall, length in spans]
    found = []
    for number, (start_s, wall, duration_s) in enumerate(runs):
        until = wall + timedelta(seconds=duration_s)
        if number + 1 < len(runs):
            # Clocks may have been set back in between: no moment is in two windows.
            until = max(runs[number + 1][1], wall)
        found.append(Window(start_s, wall, duration_s, until))
    return found


def _time(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def runs(segments: Iterable[Sequence[Any]]) -> list[tuple[float, datetime, float]]:
    """The spans of segments in order: (start_s, wall clock there, duration_s)."""
    found: list[tuple[float, datetime, float]] = []
    for start_s, wall, duration_s in segments:
        if found:
            first_s, began, length_s = found[-1]
            expected = began + timedelta(seconds=start_s - first_s)
            near = abs((wall - expected).total_seconds()) < GAP_S
            if near and abs(first_s + length_s - start_s) < GAP_S:
                found[-1] = (first_s, began, start_s + duration_s - first_s)
                continue
        found.append((start_s, wall, duration_s))
    return found
