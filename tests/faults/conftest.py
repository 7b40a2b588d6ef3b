"""What the fault suite shares: an instance under load, a long recording, and how a test's load is judged."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict

import pytest
import pytest_asyncio

from tests.chat_kit import World, world_of
from tests.e2e.samples import Recipe, Sample
from tests.e2e.stage import Contention, Stage, start_stage
from tests.faults.disk import mounting
from tests.faults.load import Load, strained
from tests.faults.table import STRAIN, Report
from tests.harness import RunningInstance

__all__ = ["SPOOL_QUOTA", "Loaded", "Report"]

Loaded = Callable[[Stage], AbstractContextManager[Load]]
#: A machine on which a promise of a second comes to so many has no time for us.
STARVED = 5.0
#: Messages that the load says within the second between two flushes of the history.
FLUSH = 4
SPOOL_QUOTA = 2 * 1024 * 1024 * 1024


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The instance that is broken again and again. Its grace window is 4 s."""
    folder = tmp_path_factory.mktemp("faults")
    with start_stage(
        folder / "data",
        behind=mounting(folder / "small"),
        spool_quota_bytes=SPOOL_QUOTA,
        chat_processes=2,
        request_timeout_s=2,
    ) as running:
        yield running


@pytest.fixture(scope="package")
def load(stage: Stage) -> Iterator[Load]:
    """Who keeps it busy meanwhile."""
    with Load(stage) as running:
        yield running
        assert running.uploaded(), "no upload got through"


@pytest.fixture
def unnoticed() -> None:
    """For tests of faults of which nobody else may notice anything: no request of the load may fail."""


@pytest.fixture
def live_unnoticed() -> None:
    """For tests of faults of which nobody who watches may notice anything."""


@pytest.fixture
def loses_a_flush() -> None:
    """For tests of faults that may lose what was said within the last flush of the chat's history."""


@pytest.fixture
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """`with loaded(stage):` puts a load on an instance of the test's own, and judges it as the shared one's."""

    @contextmanager
    def begin(stage: Stage) -> Iterator[Load]:
        with Load(stage) as running, _judged(request, running):
            yield running

    return begin


@pytest.fixture(autouse=True)
def _load_of_the_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test on the shared instance is under load, and says what became of it."""
    if "stage" not in request.fixturenames:
        yield
        return
    with _judged(request, request.getfixturevalue("load")):
        yield


@contextmanager
def _judged(request: pytest.FixtureRequest, load: Load) -> Iterator[None]:
    """Count what the load comes to during the block: into the table, and against what is allowed."""
    began, contention = time.monotonic(), Contention()
    with strained(load) as found:
        yield
    request.node.user_properties.append((STRAIN, asdict(found[0])))
    most = FLUSH if "loses_a_flush" in request.fixturenames else 0
    assert found[0].missed <= most, f"{found[0].missed} acknowledged messages were lost"
    assert load.doubled() == []
    starved = contention.limit(1.0) > STARVED
    if "unnoticed" in request.fixturenames:
        assert _noticed(load.failures(since=began), starved) == []
    if "live_unnoticed" in request.fixturenames:
        assert _noticed(load.failures("viewer", "encoder", since=began), starved) == []


def _noticed(failures: list[str], starved: bool) -> list[str]:
    """What has to do with a fault: where others have the processors, answers are late without any."""
    late = ("TimeoutError", " 503 ") if starved else ()
    return [failure for failure in failures if not any(word in failure for word in late)]


@pytest.fixture(scope="session")
def sample() -> Sample:
    """A minute and a half of numbered pictures at 25 a second with a keyframe each, and a tone."""
    return Recipe(seconds=90, fps=25, gop=1, channels=1).make()


@pytest.fixture
def contention() -> Contention:
    """What promises come to on this machine, measured since the test's start."""
    return Contention()


@pytest.fixture
def place(stage: Stage) -> RunningInstance:
    """The shared instance, which has two chat processes."""
    return stage.instance


@pytest_asyncio.fixture
async def world(place: RunningInstance) -> AsyncIterator[World]:
    """Its accounts."""
    async with world_of(place) as found:
        yield found
