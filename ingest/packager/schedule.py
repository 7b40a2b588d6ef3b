"""Where the segments of a session begin, the same for every rendition, and when that was by the clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_MSN = 1
KEPT = 128  # segments a follower may lag behind: some four minutes
WALL_SLEW_MS = 5


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a segment begins.

    `time` is the presentation time in ms on timeline `epoch`; `discontinuities` counts the
    discontinuities before and at this segment; `wall` is the wall clock at `time`.
    """

    msn: int
    epoch: int
    time: int
    discontinuity: bool
    discontinuities: int
    wall: datetime


class Schedule:
    """Numbers the segments and gives them their date-times.

    Within a period date-times advance as the media does, slewed to the wall clock by at most
    WALL_SLEW_MS a segment: the streamer's clock is not ours, and a player must not notice. They
    never go back, whatever the wall clock does.
    """

    def __init__(self) -> None:
        self._boundaries: deque[Boundary] = deque(maxlen=KEPT)
        self._durations: dict[int, int] = {}
        self._anchor: tuple[datetime, int] | None = None
        self._lag = 0.0
        self._wall: datetime | None = None
        self._wall_end: datetime | None = None
        self.start = 0

    @property
    def begun(self) -> int:
        """How many segments were begun (as far as they are kept)."""
        return len(self._boundaries)

    @property
    def newest_msn(self) -> int:
        """The sequence number of the segment that was begun last; 0 before the first."""
        return self._boundaries[-1].msn if self._boundaries else 0

    def period(self, epoch: int, start: int, time: int, now: datetime) -> tuple[Boundary, datetime]:
        """The first segment of a period, at decode time `start` and presentation time `time`, which
        is `now`. The boundary, and the wall clock at `start`.
        """
        wall = max(now, self._wall_end or now)
        self._anchor, self._lag = (wall, start), 0.0
        return self._add(epoch, start, time, 0, wall, bool(self._boundaries))

    def segment(
        self, epoch: int, start: int, time: int, delay: int, now: datetime
    ) -> tuple[Boundary, datetime]:
        """The next segment of the period. `delay` is from decoding to presentation: a part may begin
        a little off its first frame (see `assembler`), and followers go by the frame.
        """
        anchor, origin = self._anchor or (now, start)
        wall = anchor + timedelta(milliseconds=start - origin)
        error = (now - wall) / timedelta(milliseconds=1)
        step = max(-WALL_SLEW_MS, min(WALL_SLEW_MS, error, self._lag))
        self._lag = error
        self._anchor = (anchor + timedelta(milliseconds=step), origin)
        return self._add(epoch, start, time, time - start - delay, wall, False)

    def _add(
        self, epoch: int, start: int, time: int, ahead: int, wall: datetime, discontinuity: bool
    ) -> tuple[Boundary, datetime]:
        last = self._boundaries[-1] if self._boundaries else None
        msn = last.msn + 1 if last else FIRST_MSN
        count = (last.discontinuities if last else 0) + discontinuity
        at_time = wall + timedelta(milliseconds=ahead)
        boundary = Boundary(msn, epoch, time, discontinuity, count, at_time)
        self._boundaries.append(boundary)
        self.start, self._wall = start, wall
        return boundary, wall

    def closed(self, duration_us: int) -> None:
        """The newest segment is whole."""
        msn = self._boundaries[-1].msn
        if self._wall is not None:
            self._wall_end = self._wall + timedelta(microseconds=duration_us)
        self._durations[msn] = duration_us
        self._durations.pop(msn - KEPT, None)

    def at(self, epoch: int, time: float) -> Boundary | None:
        """The segment that holds presentation time `time` of timeline `epoch`."""
        for boundary in reversed(self._boundaries):
            if boundary.epoch == epoch and boundary.time <= time:
                return boundary
            if boundary.epoch < epoch:
                return None
        return None

    def between(self, after: int, before: int) -> list[Boundary]:
        """Segments whose numbers lie strictly between the two."""
        return [boundary for boundary in self._boundaries if after < boundary.msn < before]

    def after(self, msn: int) -> Boundary | None:
        """The segment that follows number `msn`."""
        return next((b for b in self._boundaries if b.msn == msn + 1), None)

    def duration_us(self, msn: int) -> int:
        """How long a whole segment is, 0 if that is not known."""
        return self._durations.get(msn, 0)
