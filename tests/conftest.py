"""Fixtures and rules of the whole suite.

`servers`        private PostgreSQL (migrated), Redis, NATS and S3; gives `settings()`
`instance`       a whole `up` on free ports that the tests of a group (tests/groups.py) share
`make_instance`  a factory for instances of a test's own, to break or to set up differently
`browser`        Chromium, which all tests of a worker share

Servers, instances and browsers cannot be used under tests/unit, where sockets are disabled.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from cli.toolchain import Toolchain
from tests.faults.table import (  # noqa: F401 (a hook, and fixtures)
    pytest_terminal_summary,
    report,
    strained_by,
)
from tests.groups import Shared, group_of
from tests.harness import (
    PLAIN_HOST,
    RunningInstance,
    RunningServers,
    first_start,
    start_instance,
)

# What `./footlight` tells the programs that it starts; everything else with our prefix is a setting.
TOOLCHAIN_VARIABLES = ("FOOTLIGHT_TOOLCHAIN", "FOOTLIGHT_TOOLCHAIN_VIEW")
# What takes a worker longest, and cannot be shared by two.
LONG = (
    *("tests/e2e/", "tests/faults/", "tests/integration/ingest/", "tests/integration/web/"),
    "tests/unit/test_style.py",
)
_INSTANCE: Shared[RunningInstance] = Shared()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Settings of the developer's shell do not reach the tests."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith("FOOTLIGHT_") and name not in TOOLCHAIN_VARIABLES:
            patch.delenv(name)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _first_start_is_shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Between the workers, of which each has a folder of its own below that of the run."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        first_start.folder = tmp_path_factory.getbasetemp().parent / "first-start"


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """Where ffmpeg, ffprobe, Chromium and the servers' programs are."""
    return Toolchain.from_environment()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServers]:
    """The four servers, empty but for the schema, for tests that build a service themselves."""
    data = tmp_path_factory.mktemp("servers") / "data"
    with start_instance(data, "--servers-only") as running:
        yield RunningServers(running.data)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> RunningInstance:
    """One whole instance that the tests of a group share; tests that break things make their own."""
    return _INSTANCE.running(start_instance(tmp_path_factory.mktemp("instance") / "data"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """The last test of a group ends what the group shares."""
    try:
        yield
    finally:
        if nextitem is None or group_of(nextitem.nodeid) != group_of(item.nodeid):
            _INSTANCE.end()


def pytest_sessionfinish() -> None:
    """Also after an interrupt."""
    _INSTANCE.end()


@pytest.fixture
def make_instance(tmp_path: Path) -> Iterator[Callable[..., RunningInstance]]:
    """`make_instance(*arguments, data=…, environment={…})`: an instance that ends with the test.

    It may be stopped or killed before. `data` defaults to a new folder of the test's own.
    """
    with ExitStack() as stack:
        count = 0

        def make(*arguments: str, data: Path | None = None, **options: Any) -> RunningInstance:
            nonlocal count
            count += 1
            folder = data or tmp_path / f"instance{count}" / "data"
            return stack.enter_context(start_instance(folder, *arguments, **options))

        yield make


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder with a short path: that of a unix socket may have 107 bytes, and pytest's own are long."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        yield Path(folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(toolchain: Toolchain) -> AsyncIterator[Callable[[], Awaitable[Browser]]]:
    """`await chromium()`: the one Chromium of this worker, started again if it has ended. It plays without
    being clicked.
    """
    async with async_playwright() as playwright:
        started: list[Browser] = []

        async def running() -> Browser:
            if not started or not started[-1].is_connected():
                arguments = (
                    "--autoplay-policy=no-user-gesture-required",
                    "--disable-gpu",
                    f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1",
                )
                started.append(
                    await playwright.chromium.launch(
                        executable_path=str(toolchain.chromium()), args=list(arguments)
                    )
                )
            return started[-1]

        yield running
        for each in started:
            await each.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Callable[[], Awaitable[Browser]]) -> AsyncIterator[Browser]:
    """Chromium without any page. Its tests run in the session's loop, as it does."""
    found = await chromium()
    yield found
    for context in found.contexts:
        # Of a test that failed: nothing may go on playing.
        await context.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """asyncio's debug mode where nothing waits for servers: it doubles what the rest costs."""
    item.config.option.asyncio_debug = item.nodeid.startswith("tests/unit/")


LOST = "Exception ignored in. <socket.socket"
UNRAISABLE = "pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs only when it is asked for by that name, also beside another `-m`. Of the rest, what
    takes long goes first, the many small files of unit tests last: no worker waits for long at the end.
    """
    if "long" not in config.option.markexpr:
        left = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    for item in items:
        if item.nodeid.startswith(("tests/e2e", "tests/faults")):
            # Viewers that leave while they dial: aiohttp loses the socket when it is cancelled just then. It
            # is found in whichever test is running.
            item.add_marker(pytest.mark.filterwarnings(f"ignore:{LOST}:{UNRAISABLE}"))


class GroupsTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Of several workers, whichever is free takes the next group, whole."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupsTogether:
    config.option.loadscopereorder = False
    return GroupsTogether(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the whole suite has to pass (CI=true) a test that skips itself has failed."""
    found = yield
    if os.environ.get("CI") == "true" and found.skipped and not hasattr(found, "wasxfail"):
        found.outcome = "failed"
        found.longrepr = f"{item.nodeid} skipped itself: {found.longrepr}"
    return found
