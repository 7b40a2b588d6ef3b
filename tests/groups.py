"""Which tests run in one worker, one after the other: they measure time, or they share what takes long to start."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

T = TypeVar("T")

#: The first that fits; the files of any other test are a group each.
GROUPS = {
    # On instances of their own, and none of them measures tenths of a second.
    "apart": (
        "tests/faults/test_backup.py",
        "tests/faults/test_clock.py",
        "tests/faults/test_whole_instance.py",
    ),
    # With the fixture `instance`.
    "instance": (
        "tests/e2e/test_files.py",
        "tests/integration/chat/test_tmi_js.py",
        "tests/integration/chat/test_twitchio.py",
        "tests/integration/cli/test_commands.py",
        "tests/integration/cli/test_instance_settings.py",
        "tests/integration/cli/test_up.py",
        "tests/integration/monitoring/",
    ),
    "ingest": ("tests/integration/ingest/",),
    # They watch streams play in a browser, or break things meanwhile: never two of them at once.
    "streams": ("tests/e2e/", "tests/faults/"),
}


def group_of(nodeid: str) -> str:
    """The group of a test."""
    file = nodeid.partition("::")[0]
    return next((name for name, files in GROUPS.items() if file.startswith(files)), file)


class Shared(Generic[T]):
    """What is started for the first test of a group that asks for it, and ended after the group's last one: left
    running, an instance costs a tenth of a core.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: T | None = None

    def running(self, start: AbstractContextManager[T]) -> T:
        """What runs, or else what `start` gives."""
        if self._running is None:
            self._running = self._stack.enter_context(start)
        return self._running

    def end(self) -> None:
        """End it, if it runs."""
        self._running = None
        self._stack.close()
