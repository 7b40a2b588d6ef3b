"""The table that the fault suite prints at its end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Line:
    """One row of the table: a provoked fault, how long until all was well, pictures nobody saw."""

    row: int
    fault: str
    recovered_s: float | None
    lost: int | None
    remark: str


#: Under this name a line travels with its test's report, also from a worker process.
PROPERTY = "fault"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was measured."""
    reports = [
        report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)
    ]
    kept = [
        Line(**line)
        for report in reports
        if report.when == "call"
        for name, line in report.user_properties
        if name == PROPERTY
    ]
    lines = sorted(kept, key=lambda line: line.row)
    if not lines:
        return
    terminalreporter.section("faults")
    width = max(len(line.fault) for line in lines)
    terminalreporter.write_line(f"{'#':>2}  {'fault':<{width}}  {'well after':>10}  {'lost':>5}")
    for line in lines:
        after = "" if line.recovered_s is None else f"{line.recovered_s:.2f} s"
        lost = "" if line.lost is None else str(line.lost)
        words = f"{line.row:>2}  {line.fault:<{width}}  {after:>10}  {lost:>5}  {line.remark}"
        terminalreporter.write_line(words.rstrip())
