"""A process that was started: its output, its end, and how it is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cli.logfile import LogFile

PAGE = os.sysconf("SC_PAGE_SIZE")
# What a process may write while nobody reads: minutes of its log. Beyond it stands still.
PIPE_BYTES = 1 << 19


class Leader(Protocol):
    """What subprocess.Popen and `preload.Forked` have in common."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def send_signal(self, number: int, /) -> None: ...


@contextlib.contextmanager
def output_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe: the one to read stays open unless starting the process failed."""
    reader, writer = os.pipe()
    # Of those of one user together the kernel allows 64 MiB (pipe(7)).
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        yield reader, writer
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)


class Child:
    """A running process, its output pumped from a pipe into a log file. Lives until the process is
    gone.
    """

    def __init__(self, leader: Leader, output: int, log: LogFile) -> None:
        self.started = time.monotonic()
        self.exited = asyncio.Event()
        self._leader = leader
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._output = output
        os.set_blocking(output, False)
        self._loop.add_reader(output, self._pump)

    @property
    def pid(self) -> int:
        return self._leader.pid

    @property
    def status(self) -> int | None:
        """How it ended; negative: the signal that killed it. None: it has not."""
        return self._leader.returncode

    def memory(self) -> int:
        """Bytes in memory that are its own, shared with no file; 0 when it is gone (proc_pid_statm(5))."""
        try:
            resident, shared = Path(f"/proc/{self.pid}/statm").read_text().split()[1:3]
        except OSError:
            return 0
        return (int(resident) - int(shared)) * PAGE

    def _pump(self) -> None:
        try:
            data = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return
        if data:
            self._log.write(data)
        else:
            self._close_output()

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    def poll(self) -> None:
        """Called on SIGCHLD. Ends the process group and wakes whoever waits when the leader is
        gone.
        """
        if self.exited.is_set() or self._leader.poll() is None:
            return
        # The group outlives its leader; its number cannot be taken again while a member lives.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        # What it said last is still in the pipe.
        while self._output >= 0:
            before = self._output
            with contextlib.suppress(BlockingIOError):
                data = os.read(before, 1 << 16)
                if data:
                    self._log.write(data)
                    continue
            self._close_output()
        self.exited.set()

    def send(self, number: signal.Signals) -> None:
        """Signal the leader, if it is still there."""
        if not self.exited.is_set():
            self._leader.send_signal(number)

    async def stop(self, number: signal.Signals, timeout_s: float) -> bool:
        """Ask with `number`, kill the group after `timeout_s`; True when asking was enough."""
        self.send(number)
        # A frozen process cannot obey.
        self.send(signal.SIGCONT)
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
            return True
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self.exited.wait()
            return False

    def describe_exit(self) -> str:
        """How it ended, in words."""
        status = self.status
        if status is not None and status < 0:
            return f"was killed ({signal.Signals(-status).name})"
        return f"ended with status {status}"
