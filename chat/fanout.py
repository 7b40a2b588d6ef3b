"""When a room's messages go out: at once while it is quiet, bundled while it is busy.

One flush is one write per socket, which is nearly all of what fan-out costs; ten messages in a
write cost a tenth. So flushes are what is rationed. The policy is the generic cell rate algorithm:
one flush per interval on average, and a few at once, so that a room with a message every now and
then never waits.
"""

from __future__ import annotations

# Flushes that may follow each other at once. Two people who answer each other are not a busy room.
BURST = 4


class Coalescer:
    """Says when what waits is to be flushed. Times are monotonic seconds, given by the caller."""

    __slots__ = ("_due", "_interval")

    def __init__(self, interval_s: float) -> None:
        self._interval = interval_s
        # When the flushes so far are paid for.
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next flush may be; 0: now."""
        return max(0.0, self._due - (BURST - 1) * self._interval - now)

    def flushed(self, now: float) -> None:
        """A flush was made."""
        self._due = max(self._due, now) + self._interval
