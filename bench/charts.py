"""Figures over time as an SVG: a small chart for each, all against the same minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.trend import Trend, short

WIDTH, HEIGHT = 300, 150
COLUMNS = 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 30, 22
_INK, _PALE, _LINE, _FIT = "#1f2430", "#8a90a0", "#3b6fd4", "#d4553b"


def charts(title: str, trends: Sequence[Trend]) -> str:
    """An SVG document. Warm-up is shaded, the line through the rounds after it is dashed."""
    rows = -(-len(trends) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="14" font-weight="600" fill="{_INK}">{escape(title)}</text>',
    ]
    for number, trend in enumerate(trends):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT + 30
        parts.append(f'<g transform="translate({x},{y})">{"".join(_chart(trend))}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _chart(trend: Trend) -> list[str]:
    points = [(x, y) for x, y in trend.points if y == y]
    right = max((x for x, _ in points), default=1.0) or 1.0
    top = _round_up(max((y for _, y in points), default=1.0))
    across, down = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> str:
        return f"{_LEFT + across * x / right:.1f},{_TOP + down * (1 - min(max(y / top, 0), 1)):.1f}"

    base = _TOP + down
    found = [
        f'<text x="{_LEFT}" y="18" fill="{_INK}" font-weight="600">{escape(trend.name)}</text>',
        f'<text x="{WIDTH - _RIGHT}" y="18" fill="{_PALE}" text-anchor="end">'
        f"{trend.growth:+.1%} over the run</text>",
        f'<rect x="{_LEFT}" y="{_TOP}" width="{across * min(trend.warm_up / right, 1):.1f}"'
        f' height="{down}" fill="#f0f1f5"/>',
        f'<path d="M{_LEFT},{_TOP}V{base}H{_LEFT + across}" fill="none" stroke="{_PALE}"/>',
        _label(_LEFT - 5, _TOP + 8, short(top), "end"),
        _label(_LEFT - 5, base, "0", "end"),
        _label(_LEFT, base + 14, "0", "middle"),
        _label(_LEFT + across, base + 14, f"{right:.3g} min", "end"),
    ]
    line = " ".join(place(x, y) for x, y in points)
    found.append(
        f'<polyline points="{line}" fill="none" stroke="{_LINE}" stroke-width="1.5"'
        ' stroke-linejoin="round"/>'
    )
    if counted := trend.counted:
        ends = " ".join(place(x, trend.line(x)) for x in (counted[0][0], counted[-1][0]))
        found.append(
            f'<polyline points="{ends}" fill="none" stroke="{_FIT}" stroke-width="1.5"'
            ' stroke-dasharray="4 3"/>'
        )
    return found


def _round_up(figure: float) -> float:
    """The next figure of two digits, a little above."""
    if figure <= 0:
        return 1.0
    unit = 10.0 ** (math.floor(math.log10(figure)) - 1)
    return math.ceil(figure * 1.05 / unit) * unit


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_PALE}" text-anchor="{anchor}">{text}</text>'
