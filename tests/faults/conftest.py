"""What the fault suite shares: an instance, a long recording, and the table at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest

from tests.e2e.samples import Recipe, Sample
from tests.e2e.stage import Contention, Stage, start_stage
from tests.faults.table import PROPERTY, Line

Report = Callable[..., None]
SPOOL_QUOTA = 2 * 1024 * 1024 * 1024


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The instance that is broken again and again. Its grace window is 4 s."""
    data = tmp_path_factory.mktemp("faults") / "data"
    with start_stage(data, spool_quota_bytes=SPOOL_QUOTA) as running:
        yield running


@pytest.fixture(scope="session")
def sample() -> Sample:
    """A minute and a half of numbered pictures at 25 a second with a keyframe each, and a tone."""
    return Recipe(seconds=90, fps=25, gop=1, channels=1).make()


@pytest.fixture
def contention() -> Contention:
    """What promises come to on this machine, measured since the test's start."""
    return Contention()


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
        # Travels with the test's report, also from a worker process.
        line = Line(row, fault, recovered_s, lost, remark)
        request.node.user_properties.append((PROPERTY, asdict(line)))

    return add
