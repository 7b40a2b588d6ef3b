"""Processes that a dead instance left behind: finding and ending them.

The kernel signals every child of an `up` that dies; this is for what outlives that, such as the
backends of a killed postmaster. Only called under the lock of the data folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from cli.instance import SetupError


async def end_processes_in(folder: Path, number: signal.Signals, timeout_s: float = 10.0) -> None:
    """Signal every process of ours that works in `folder`, and wait until they are gone; then kill.

    A postmaster killed with SIGKILL leaves backends that may still commit, and a shared memory
    block that keeps the next one from starting until they are gone. Raises SetupError when they
    cannot be ended.
    """
    deadline = time.monotonic() + timeout_s
    while pids := processes_in(folder):
        late = time.monotonic() > deadline
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if late else number)
        if time.monotonic() > deadline + 5:
            raise SetupError(f"Processes {pids} work in {folder} and cannot be ended.")
        await asyncio.sleep(0.05)


async def end_leftovers(data: Path, folders: Iterable[str]) -> None:
    """End what still works in the named folders of `data`, or in them was started by an earlier
    `up`.
    """
    for name in folders:
        number = signal.SIGQUIT if name == "postgres" else signal.SIGTERM
        await end_processes_in(data / name, number, timeout_s=4.0)


def processes_in(folder: Path) -> list[int]:
    """Pids of our user's processes without a terminal whose working folder is `folder`.

    Every server and service works in a folder of its own below the data folder. A shell that
    somebody has open there has a terminal.
    """
    wanted = os.path.realpath(folder)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.readlink(entry / "cwd") == wanted and _is_a_leftover(entry):
                    found.append(int(entry.name))
    return found


def _is_a_leftover(entry: Path) -> bool:
    # After the name in parentheses: state, ppid, pgrp, session, tty.
    fields = entry.joinpath("stat").read_text().rpartition(")")[2].split()
    state, terminal = fields[0], fields[4]
    return state != "Z" and terminal == "0"
