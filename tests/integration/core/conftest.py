"""Servers that tests may kill, freeze and wipe."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.leftovers import processes_in
from core.settings import Settings
from tests.harness import RunningInstance, RunningServers, eventually, start_instance


class Breakable:
    """The four servers of a test module, and ways to hurt them.

    The supervisor starts them again.
    """

    def __init__(self, running: RunningInstance) -> None:
        self.running = running
        self.data: Path = running.data
        self.settings: Settings = RunningServers(running.data).settings(request_timeout_s=1.5)

    def kill(self, server: str, *, wiping: Path | None = None) -> None:
        """kill -9, and wait until another process stands in its place. `wiping` is a folder that is gone by then:
        nobody writes there any more when it goes.
        """
        old = self.running.pid(server)
        if wiping is not None:
            os.kill(old, signal.SIGSTOP)
            shutil.rmtree(wiping)
        os.kill(old, signal.SIGKILL)
        eventually(lambda: self._other(server, old), within_s=30, what=f"{server} is back")

    def _other(self, server: str, old: int) -> bool:
        pid = self.running.info["services"][server]["pid"]
        return pid is not None and pid != old

    @contextmanager
    def frozen(self, server: str) -> Iterator[None]:
        """Stopped, with its sockets open, for as long as the block lasts."""
        pids = processes_in(self.data / "postgres") if server == "postgres" else []
        pids = pids or [self.running.pid(server)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """Servers of this module's own."""
    data = tmp_path_factory.mktemp("breakable") / "data"
    with start_instance(data, "--servers-only") as running:
        yield Breakable(running)


class Stopwatch:
    """How long something took, in seconds of a clock that does not jump."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began
