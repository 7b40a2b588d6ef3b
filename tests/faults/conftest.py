"""What the fault suite shares: an instance, a long recording, and the table at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.samples import Recipe, Sample
from tests.e2e.stage import Contention, Stage, start_stage


@dataclass(frozen=True)
class Line:
    """One row of the table: a provoked fault, how long until all was well, pictures nobody saw."""

    row: int
    fault: str
    recovered_s: float | None
    lost: int | None
    remark: str


Report = Callable[..., None]
_LINES: pytest.StashKey[list[Line]] = pytest.StashKey()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The instance that is broken again and again. Its grace window is 4 s."""
    with start_stage(tmp_path_factory.mktemp("faults") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def sample() -> Sample:
    """A minute and a half of numbered pictures at 25 a second with a keyframe each, and a tone."""
    return Recipe(seconds=90, fps=25, gop=1, channels=1).make()


@pytest.fixture
def contention() -> Contention:
    """What promises come to on this machine, measured since the test's start."""
    return Contention()


@pytest.fixture(autouse=True)
async def _no_debugging_loop() -> None:
    """The loop's debug mode costs more than a follower does, and what is measured here is time."""
    asyncio.get_running_loop().set_debug(False)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """`report(row, fault, recovered_s=…, lost=…, remark=…)`: a line of the table."""
    lines = request.config.stash.setdefault(_LINES, [])

    def add(
        row: int,
        fault: str,
        *,
        recovered_s: float | None = None,
        lost: int | None = None,
        remark: str = "",
    ) -> None:
        lines.append(Line(row, fault, recovered_s, lost, remark))

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The table of what was measured."""
    kept: list[Line] = config.stash.setdefault(_LINES, [])
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
