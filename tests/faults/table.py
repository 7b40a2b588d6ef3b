"""The table that the fault suite prints at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pytest

Report = Callable[..., None]


@dataclass(frozen=True)
class Line:
    """One row of the table: a provoked fault, how long until all was well, pictures nobody saw."""

    row: int
    fault: str
    recovered_s: float | None
    lost: int | None
    remark: str


@dataclass(frozen=True)
class Strain:
    """What the load beside a test came to: messages acknowledged and those of them that a reader never got,
    requests and those that failed.
    """

    said: int
    missed: int
    asked: int
    failed: int


#: Under these names lines and their load travel with the test's reports, also from a worker process.
LINE, STRAIN = "fault", "load"


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """`report(row, fault, recovered_s=…, lost=…, remark=…)`: a line of the table."""

    def add(
        row: int,
        fault: str,
        *,
        recovered_s: float | None = None,
        lost: int | None = None,
        remark: str = "",
    ) -> None:
        line = Line(row, fault, recovered_s, lost, remark)
        request.node.user_properties.append((LINE, asdict(line)))

    return add


@pytest.fixture
def strained_by(request: pytest.FixtureRequest) -> Callable[[Strain], None]:
    """For tests that are a load themselves: `strained_by(Strain(…))`."""

    def add(strain: Strain) -> None:
        request.node.user_properties.append((STRAIN, asdict(strain)))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was measured."""
    # The load is counted when a test is over: only the report on its teardown has all.
    reports = [
        report
        for kind in terminalreporter.stats
        for report in terminalreporter.getreports(kind)
        if getattr(report, "when", None) == "teardown"
    ]
    lines = sorted(_lines(reports), key=lambda pair: pair[0].row)
    if not lines:
        return
    terminalreporter.section("faults")
    for words in _laid_out([HEAD, *(_cells(*pair) for pair in lines)]):
        terminalreporter.write_line(words)


HEAD = ("#", "fault", "well after", "frames lost", "messages lost", "requests failed", "remark")


def _lines(reports: Iterable[Any]) -> Iterable[tuple[Line, Strain | None]]:
    """Every line with the load of its test; of a test that was run again only the last run's."""
    last: dict[tuple[str, int, str], tuple[Line, Strain | None]] = {}
    for report in reports:
        found = dict(report.user_properties)
        strain = Strain(**found[STRAIN]) if STRAIN in found else None
        for name, values in report.user_properties:
            if name == LINE:
                line = Line(**values)
                last[report.nodeid, line.row, line.fault] = line, strain
    return last.values()


def _cells(line: Line, strain: Strain | None) -> tuple[str, ...]:
    """A line as texts."""
    return (
        str(line.row),
        line.fault,
        "" if line.recovered_s is None else f"{line.recovered_s:.2f} s",
        "" if line.lost is None else str(line.lost),
        f"{strain.missed} of {strain.said}" if strain is not None and strain.said else "",
        f"{strain.failed} of {strain.asked}" if strain is not None and strain.asked else "",
        line.remark,
    )


def _laid_out(rows: list[tuple[str, ...]]) -> Iterable[str]:
    """A table in Markdown, which can be read as it is, too."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rows = [rows[0], tuple("-" * width for width in widths), *rows[1:]]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(cells)} |"
