"""Services without the wait for their imports: `python -m cli.preload FD`.

An instance on one machine runs half a dozen Python services that import nearly the same modules: 1.2 to
2.2 s of processor time and 60 MB each. This process imports them once; each service is a fork of it, up
in milliseconds, and shares the memory of what was imported.

`Preloader` asks for a service over a socket. The process answers with the pid of a grandchild whose
parent has ended, so that the kernel hands it to the supervisor (PR_SET_CHILD_SUBREAPER): it is the
supervisor's own child like any other, and outlives this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

from setproctitle import setproctitle

PRELOADED = ("api.app", "chat.app", "ingest.app", "recorder.app", "uvloop")
PR_SET_PDEATHSIG = 1
# A request: what a service's environment holds.
MOST_BYTES = 1 << 18


@dataclass(frozen=True)
class Request:
    """`python -m module`, in a folder and environment of its own."""

    module: str
    cwd: str
    environment: dict[str, str]
    # What it gets when the supervisor dies.
    death_signal: int


class Forked:
    """A fork's pid and end, as subprocess.Popen has them."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its status once it has ended: negative, the signal that killed it."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                # It ended before it was known to be ours, and was reaped as an orphan.
                self.returncode = 255
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Preloader:
    """The supervisor's end.

    `spawn(command, pass_fds)` starts the process, and again with the next request after it has died.
    """

    def __init__(self, spawn: Callable[[Sequence[str], Sequence[int]], None]) -> None:
        self._spawn = spawn
        self._lock = asyncio.Lock()
        self._channel: socket.socket | None = None

    def start(self) -> socket.socket:
        """Begin to import, while other things are started. The channel to it."""
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            fd = theirs.fileno()
            # -P: nothing in the working folder is imported.
            self._spawn((sys.executable, "-P", "-m", "cli.preload", str(fd)), (fd,))
        self._channel = ours
        return ours

    async def fork(self, request: Request, output: int) -> Forked:
        """That service, with stdout and stderr on `output`. Raises OSError."""
        async with self._lock:
            if self._channel is not None:
                with contextlib.suppress(OSError):
                    return await self._ask(self._channel, request, output)
            return await self._ask(self.start(), request, output)

    async def _ask(self, channel: socket.socket, request: Request, output: int) -> Forked:
        socket.send_fds(channel, [json.dumps(asdict(request)).encode()], [output])
        answer = await asyncio.get_running_loop().sock_recv(channel, 64)
        if not answer:
            raise ConnectionError("the process that has imported the services' modules ended")
        return Forked(int(answer))

    def close(self) -> None:
        """The process ends; what it has started stays."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


# --- the process ------------------------------------------------------------------------------------


def main(channel: socket.socket) -> None:
    """Import, then fork for whoever asks until nobody can any more."""
    # Before any environment is changed: it looks there for the room that a title has.
    setproctitle("footlight: preload")
    for module in PRELOADED:
        importlib.import_module(module)
    # What is there now stays: a collection would write to every page and share none of them.
    gc.collect()
    gc.freeze()
    while True:
        data, fds, _, _ = socket.recv_fds(channel, MOST_BYTES, 1)
        if not data:
            return
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            os.close(reader)
            _bear(channel, Request(**json.loads(data)), fds[0], writer)
        os.close(writer)
        for fd in fds:
            os.close(fd)
        # Its parent gone, the service has been handed on.
        os.waitpid(between, 0)
        with os.fdopen(reader, "rb") as pipe:
            channel.send(pipe.read())


def _bear(channel: socket.socket, request: Request, output: int, writer: int) -> NoReturn:
    """The service's parent, for a moment, and the service."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.write(writer, str(pid).encode())
        os._exit(0)
    os.close(writer)
    channel.close()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.setsid()
    _die_with_the_supervisor(parent, request.death_signal)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    setproctitle(f"footlight: {request.module}")
    sys.argv = [request.module]
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    sys.exit()


def _die_with_the_supervisor(parent: int, number: int) -> None:
    # Asked for sooner the signal would come as soon as the parent ends, in a few microseconds.
    while os.getppid() == parent:
        time.sleep(0.0001)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
