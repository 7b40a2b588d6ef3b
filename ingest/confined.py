"""Programs that decode what an encoder sent: started with next to nothing in their reach.

Landlock and seccomp hold for the thread that asks for them and for what it starts. So there are threads that
have given up files and network for good, and a program is started by one of them: that costs no time at all,
which a wrapper would, on every start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from types import MappingProxyType
from urllib.parse import urlsplit

from core import confine
from core.logs import logger

log = logger(__name__)

_SETPRIV = shutil.which("setpriv")
#: Names of machines, for a worker whose nginx has one.
_NAMES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf")
#: Of our environment: no setting, as some are secrets.
_ENVIRONMENT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "LIBVA_DRIVER_NAME",
    "LIBVA_DRIVERS_PATH",
    "CUDA_VISIBLE_DEVICES",
)
_MEMORY = 6 * 1024**3
_FILES = 64
#: A picture, into memory: there is no file that it may write.
_FILE_BYTES = 8 * 1024**2
_RTMP_PORT = 1935


class Reach(Enum):
    """What a program needs besides its open files."""

    NOTHING = "nothing"
    RTMP = "rtmp"
    #: Drivers, which open what they like: limits only.
    HARDWARE = "hardware"


def guarded(argv: Sequence[str]) -> list[str]:
    """`argv` so that the kernel kills it when this process dies, however that happens.

    By util-linux's setpriv rather than a function run between fork and exec, which could deadlock in
    a process with threads.
    """
    if _SETPRIV is None:
        return list(argv)
    return [_SETPRIV, "--pdeathsig", "KILL", "--", *argv]


class Launcher:
    """Starts `program`. `pull_url` is where it may subscribe, when that is what it is for."""

    def __init__(self, program: str, pull_url: str) -> None:
        self.program = shutil.which(program) or program
        self._port = urlsplit(pull_url).port or _RTMP_PORT
        # One thread each, for as long as this lives: a program dies with the thread that has started it.
        self._threads = {
            reach: ThreadPoolExecutor(1, f"starts-{reach.value}", self._confine, (reach,))
            for reach in Reach
        }

    def _confine(self, reach: Reach) -> None:
        """Of the thread that calls this."""
        if reach is Reach.HARDWARE:
            return
        programs = (self.program, os.path.realpath(self.program), _SETPRIV or self.program)
        libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
        readable = [*confine.SYSTEM, *programs, *filter(None, libraries)]
        families: tuple[int, ...] = ()
        ports: tuple[int, ...] = ()
        if reach is Reach.RTMP:
            readable += _NAMES
            families, ports = (socket.AF_INET, socket.AF_INET6), (self._port,)
        for close in (
            confine.give_up_privileges,
            lambda: confine.close_the_files(readable, ports),
            lambda: confine.close_the_sockets(families),
        ):
            try:
                close()
            except OSError as error:
                # A kernel without it: the rest holds.
                log.warning("not_confined", what=reach.value, error=str(error))

    async def start(
        self,
        argv: Sequence[str],
        reach: Reach,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.Popen[bytes]:
        """Start `argv` in a process group of its own; descriptors are the caller's to close. Raises OSError."""
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603 - an argument list of our own
                guarded(argv),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
                env={**kept, "LC_ALL": "C", **environment},
            )

        starting = asyncio.get_running_loop().run_in_executor(self._threads[reach], start)
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # It is started all the same, and nobody's.
            starting.add_done_callback(_end)
            raise
        _limit(process.pid, reach)
        return process


def _end(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        process = starting.result()
        process.kill()
        process.wait()


def _limit(pid: int, reach: Reach) -> None:
    """Set from outside, as a wrapper would cost time: it has not loaded its libraries yet."""
    limits = {
        resource.RLIMIT_FSIZE: _FILE_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _FILES,
    }
    if reach is Reach.HARDWARE:
        # Drivers map whole devices, and some write caches of what they have compiled.
        limits = {resource.RLIMIT_CORE: 0}
    else:
        limits[resource.RLIMIT_AS] = _MEMORY
    with contextlib.suppress(OSError):
        for number, value in limits.items():
            resource.prlimit(pid, number, (value, value))
        # It need not interrupt anybody to hand a packet from one of its threads to the next.
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
