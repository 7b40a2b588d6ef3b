"""Whether a figure stays what it is: the line through its rounds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Point = tuple[float, float]


@dataclass(frozen=True)
class Trend:
    """A figure over minutes, and by what share of its median it may grow from the first round that counts to
    the last; less than `slack`, in its own unit, is never growth. No `limit`: what is kept, and so grows.
    """

    name: str
    points: Sequence[Point]
    warm_up: float
    limit: float | None = None
    slack: float = 0.0

    @property
    def counted(self) -> list[Point]:
        """Rounds after the warm-up that have a figure."""
        return [(x, y) for x, y in self.points if x > self.warm_up and y == y]

    @property
    def slope(self) -> float:
        """A minute: the median of the slopes between all pairs of rounds (Theil and Sen), which a few rounds
        in which the machine did something else do not turn. 0 with fewer than three.
        """
        counted = self.counted
        if len(counted) < 3:
            return 0.0
        return statistics.median(
            (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(counted, 2)
        )

    @property
    def level(self) -> float:
        """The median of what counts."""
        counted = self.counted
        return statistics.median(y for _, y in counted) if counted else float("nan")

    @property
    def growth(self) -> float:
        """By what share of its level it grew over the rounds that count."""
        counted = self.counted
        if len(counted) < 3 or not self.level:
            return 0.0
        return self.slope * (counted[-1][0] - counted[0][0]) / self.level

    def line(self, x: float) -> float:
        """Where the line is at a minute: it goes through the middle of what counts."""
        middle = statistics.median(x for x, _ in self.counted)
        return self.level + self.slope * (x - middle)

    @property
    def is_flat(self) -> bool:
        """Whether it did not grow further than it may."""
        if self.limit is None:
            return True
        least = self.slack / self.level if self.level else 0.0
        return self.growth <= max(self.limit, least)

    def row(self) -> Mapping[str, object]:
        """For a report's table."""
        first, last = (self.points[0][1], self.points[-1][1]) if self.points else (0.0, 0.0)
        verdict = "kept" if self.limit is None else "flat" if self.is_flat else "GROWS"
        return {
            "figure": self.name,
            "first": short(first),
            "last": short(last),
            "median": short(self.level),
            "an hour": f"{self.slope * 60:+.3g}",
            "over the run": f"{self.growth:+.1%}",
            "may": "" if self.limit is None else f"{self.limit:+.0%}",
            "is": verdict,
        }


def short(figure: float) -> str:
    """Three digits, or all before the point."""
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"
