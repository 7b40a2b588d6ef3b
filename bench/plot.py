"""Points and the straight line through them, drawn in characters."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 60
HEIGHT = 12


@dataclass(frozen=True)
class Plot:
    """``y`` against ``x``, both with their units; at least three points."""

    x: str
    y: str
    points: Sequence[tuple[float, float]]

    def line(self) -> tuple[float, float, float]:
        """Intercept and slope of the least-squares line, and the share of the variance it explains (R²)."""
        xs, ys = zip(*self.points, strict=True)
        slope, intercept = statistics.linear_regression(xs, ys)
        return intercept, slope, statistics.correlation(xs, ys) ** 2

    def __str__(self) -> str:
        intercept, slope, explained = self.line()
        right = max(x for x, _ in self.points)
        top = max(*(y for _, y in self.points), intercept + slope * right)
        grid = [[" "] * (WIDTH + 1) for _ in range(HEIGHT + 1)]
        for column in range(WIDTH + 1):
            _mark(grid, column, (intercept + slope * right * column / WIDTH) / top, "·")
        for x, y in self.points:
            _mark(grid, round(WIDTH * x / right), y / top, "●")
        left = max(len(f"{top:g}"), 1)
        rows = ["".join(cells).rstrip() for cells in reversed(grid)]
        labels = [f"{top:.4g}", *[""] * (HEIGHT - 1), "0"]
        drawn = [f"{label:>{left}} │{row}" for label, row in zip(labels, rows, strict=True)]
        axis = " " * left + " └" + "─" * (WIDTH + 1)
        scale = " " * (left + 2) + "0" + f"{right:g}".rjust(WIDTH)
        fit = f"{self.y} = {intercept:.3g} + {slope:.3g} · {self.x}, R² {explained:.4f}"
        return "\n".join([f"{self.y} against {self.x}", "", *drawn, axis, scale, "", fit])


def _mark(grid: list[list[str]], column: int, share: float, sign: str) -> None:
    row = round(HEIGHT * share)
    if 0 <= row <= HEIGHT:
        grid[row][column] = sign
