"""Programs that are started: whoever is cancelled meanwhile leaves none behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.confined import Launcher, Reach
from ingest.process import Child


class Starts(Launcher):
    """Has something happen at the moment at which the program runs, or does not."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.running: list[subprocess.Popen[bytes]] = []

    async def start(
        self, argv: Sequence[str], reach: Reach, **given: Any
    ) -> subprocess.Popen[bytes]:
        if self.fails:
            raise OSError("no such program")
        given.pop("environment")
        # Waited for by the child.
        self.running.append(subprocess.Popen(argv, start_new_session=True, **given))  # noqa: ASYNC220
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return self.running[-1]


async def test_who_is_cancelled_as_it_starts_can_end_it() -> None:
    launcher = Starts()
    ended: list[int] = []

    async def work() -> None:
        child = await Child.start(launcher, ["sleep", "600"], "sleep", reach=Reach.NOTHING)
        try:
            await child.wait()
        finally:
            ended.append(await child.close())

    try:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(work())
        assert ended == [-signal.SIGKILL]
    finally:
        for process in launcher.running:
            process.kill()
            process.wait()


async def test_what_does_not_start_leaves_no_pipe() -> None:
    before = descriptors()
    with pytest.raises(OSError, match="no such program"):
        await Child.start(Starts(fails=True), ["nothing"], "nothing", reach=Reach.NOTHING)
    # The transport closes its end in the loop's next turn.
    await asyncio.sleep(0)
    assert descriptors() == before


def descriptors() -> set[str]:
    """The pipes that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = str(Path(f"/proc/self/fd/{name}").readlink())
        except FileNotFoundError:
            continue
        if target.startswith("pipe:"):
            found.add(target)
    return found
