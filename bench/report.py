"""The table a benchmark prints, with the conditions it was measured under; or the same as JSON."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.plot import Plot


class Report:
    """Rows of one benchmark. Cells are plain values; the columns are the union of the rows' keys, in order."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.rows: list[dict[str, object]] = []
        self.plots: list[Plot] = []
        # What rows were made of, for the JSON alone.
        self.series: Sequence[Mapping[str, object]] = []
        # Lines below the table.
        self.notes: list[str] = []
        self.conditions = [
            machine(),
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load before {os.getloadavg()[0]:.2f}",
        ]

    def condition(self, text: str) -> None:
        """State something the figures depend on."""
        self.conditions.append(text)

    def row(self, row: dict[str, object]) -> None:
        self.rows.append(row)

    def plot(self, x: str, y: str, rows: Sequence[Mapping[str, object]] | None = None) -> None:
        """Draw one column of numbers against another under the table, of all rows or some of them.

        Nothing with fewer than three rows.
        """
        chosen = self.rows if rows is None else rows
        points = [(float(str(row[x])), float(str(row[y]))) for row in chosen]
        if len(points) >= 3:
            self.plots.append(Plot(x, y, points))

    def show(self, options: argparse.Namespace) -> None:
        """Print as the command line asked."""
        print(self.as_json() if options.json else self.as_markdown())

    def as_json(self) -> str:
        return json.dumps(
            {
                "bench": self.name,
                "title": self.title,
                "conditions": self.conditions,
                "rows": self.rows,
                "notes": self.notes,
                **({"series": self.series} if self.series else {}),
            },
            indent=2,
        )

    def as_markdown(self) -> str:
        """A Markdown table, padded so that it reads well in a terminal too."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        cells = [columns, *([_cell(row.get(column)) for column in columns] for row in self.rows)]
        widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
        lines = [_line(line, widths) for line in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        heading = [f"## {self.title}", "", *(f"- {text}" for text in self.conditions), ""]
        plots = [line for plot in self.plots for line in ("```", str(plot), "```", "")]
        return "\n".join([*heading, *lines, "", *plots, *self.notes])


def machine() -> str:
    """The machine in one line: processor, cores, memory, kernel."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo")
            .read_text(encoding="ascii", errors="replace")
            .splitlines()
            if line.startswith(("model name", "Model"))
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}"


def arguments(name: str, description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(prog=f"footlight bench {name}", description=description)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _line(cells: list[str], widths: list[int]) -> str:
    return (
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        + " |"
    )
