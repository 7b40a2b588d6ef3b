"""Programs that read what strangers sent: confined, watched by a clock, their last words kept.

`core.confine` takes network and files away from them; what they read comes in as an open descriptor
and what they make leaves through pipes. The wall clock is kept here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core import confine
from core.logs import logger
from core.stderr import lines

log = logger(__name__)

_SHIM = confine.__file__
_TAIL_LINES = 60
_LINE_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What a program may use. `wall_s` is of the clock on the wall, `cpu_s` of all its threads.

    `nice` is how far it stands back; 0 is for what somebody waits for and takes a moment only.
    """

    wall_s: float
    cpu_s: int
    memory: int = 6 * 1024**3
    files: int = 64
    nice: int = 10


class TooLong(Exception):
    """A program was ended because its time was up."""


def argv(command: Sequence[str], limits: Limits, pass_fds: Sequence[int]) -> list[str]:
    """`command` so that it runs confined."""
    program = shutil.which(command[0]) or command[0]
    readable = (*confine.SYSTEM, program, os.path.realpath(program))
    return [
        # -I -S: nothing but the standard library, and nothing from the environment.
        *(sys.executable, "-I", "-S", _SHIM),
        *("--cpu", str(limits.cpu_s), "--memory", str(limits.memory), "--files", str(limits.files)),
        *("--nice", str(limits.nice)),
        *(word for path in readable for word in ("--read", path)),
        *(word for number in pass_fds for word in ("--fd", str(number))),
        *("--", program, *command[1:]),
    ]


class Confined:
    """A running program. `tail` holds the last lines of its stderr."""

    def __init__(self, process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.pid = process.pid
        self.stdin = process.stdin
        self.stdout = process.stdout
        self._process = process
        self._on_line = on_line
        self._clock = asyncio.timeout(None)
        self._began = asyncio.get_running_loop().time()
        self._reading = asyncio.create_task(self._read_stderr(), name="confined-stderr")

    async def _read_stderr(self) -> None:
        async for line in lines(self._process.stderr, 1000):
            self.tail.append(line)
            self._on_line(line)

    def clock(self, wall_s: float) -> asyncio.Timeout:
        """What ends the block in which it runs."""
        self._clock = asyncio.timeout_at(self._began + wall_s)
        return self._clock

    def allow(self, wall_s: float) -> None:
        """It may take so long in all, instead of what it was given before."""
        if not self._clock.expired():
            self._clock.reschedule(self._began + wall_s)

    async def wait(self) -> int:
        """Its exit status, once its stderr has been read to the end."""
        status = await self._process.wait()
        await asyncio.wait({self._reading}, timeout=1)
        return status

    async def close(self) -> None:
        """End it and whatever it started, now."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self.wait()
        self._reading.cancel()


@asynccontextmanager
async def confined(
    command: Sequence[str],
    limits: Limits,
    *,
    pass_fds: Sequence[int] = (),
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.DEVNULL,
    on_line: Callable[[str], None] = lambda _line: None,
) -> AsyncIterator[Confined]:
    """Run `command` while the block lasts. Raises OSError when it cannot be started, and TooLong from the
    block when its time is up.
    """
    process = await asyncio.create_subprocess_exec(
        *argv(command, limits, pass_fds),
        stdin=stdin,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        limit=_LINE_LIMIT,
    )
    running = Confined(process, on_line)
    try:
        async with running.clock(limits.wall_s) as clock:
            yield running
    except TimeoutError:
        if not clock.expired():
            raise
        raise TooLong("its time is up") from None
    finally:
        await running.close()
