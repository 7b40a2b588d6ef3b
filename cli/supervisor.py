"""Starts processes, keeps them running, and ends them: the shell around `process.py`.

One asyncio loop in the main thread owns everything. Children are found dead by SIGCHLD; each leads
a session and process group of its own, which is killed whole after its leader exits (a killed nginx
master leaves a worker that holds the port, a killed postmaster leaves backends). The kernel signals
every child when we die ourselves, and orphans of our children are handed to us
(PR_SET_CHILD_SUBREAPER) instead of to init.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from cli.child import Child, output_pipe
from cli.logfile import LogFile
from cli.preload import Preloader, Request
from cli.process import Backoff, Probe, ProcessSpec

PR_SET_CHILD_SUBREAPER = 36
PROBE_INTERVAL_S = 5.0
# A process that has not answered for a minute is as good as dead and is started again.
PROBES_UNTIL_RESTART = 12

Report = Callable[[str, str], None]


class State(Enum):
    """Where a managed process stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    UNRESPONSIVE = "not answering"
    WAITING = "waiting to restart"
    STOPPING = "stopping"


class StartFailed(Exception):
    """A process ended, or did not answer in time, at its first start. `tail` holds its last lines."""

    def __init__(self, spec: ProcessSpec, reason: str, log: LogFile) -> None:
        super().__init__(f"{spec.title} {reason}")
        self.tail = list(log.tail)
        self.log = log.path


class CommandFailed(Exception):
    """A command that has to run once ended with another status than 0. `tail` holds its last lines."""

    def __init__(self, title: str, status: int, log: LogFile) -> None:
        super().__init__(f"{title} failed with status {status}")
        self.tail = list(log.tail)
        self.log = log.path


class ManagedProcess:
    """One ProcessSpec kept running from `start()` to `stop()`."""

    def __init__(self, spec: ProcessSpec, supervisor: Supervisor, log: LogFile) -> None:
        self.spec = spec
        self.state = State.STOPPED
        self.log = log
        self.restarts = 0
        self._supervisor = supervisor
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._supervisor.changed()

    async def start(self) -> None:
        """Start it and wait until it is ready; from then on it is kept running. Raises StartFailed."""
        began = time.monotonic()
        child = await self._spawn()
        if not await self._wait_ready(child):
            reason = (
                child.describe_exit()
                if child.exited.is_set()
                else f"did not answer within {self.spec.ready_timeout_s:.0f} s"
            )
            await child.stop(self.spec.stop_signal, 1.0)
            self._enter(State.STOPPED)
            raise StartFailed(self.spec, reason, self.log)
        self._enter(State.READY)
        self._supervisor.report(self.spec.title, f"ready ({time.monotonic() - began:.1f} s)")
        self._task = asyncio.create_task(self._keep_running(child), name=f"keep {self.spec.name}")
        self._task.add_done_callback(self._supervisor.keeper_done)

    async def _spawn(self) -> Child:
        self._enter(State.STARTING)
        if self.spec.before_start is not None:
            await self.spec.before_start()
        self._child = await self._supervisor.launch(self.spec, self.log)
        return self._child

    async def _wait_ready(self, child: Child) -> bool:
        if self.spec.ready is None:
            return not child.exited.is_set()
        deadline = time.monotonic() + self.spec.ready_timeout_s
        pause = 0.02
        while time.monotonic() < deadline and not child.exited.is_set():
            if await self.asked(self.spec.ready):
                return not child.exited.is_set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await child.exited.wait()
            pause = min(0.25, pause * 1.3)
        return False

    async def _keep_running(self, child: Child) -> None:
        backoff = Backoff()
        while True:
            await self._watch(child)
            uptime = time.monotonic() - child.started
            backoff, delay = backoff.after_exit(uptime)
            self._enter(State.WAITING)
            self.restarts += 1
            self._supervisor.report(
                self.spec.title, f"{child.describe_exit()}; starting it again, log: {self.log.path}"
            )
            await asyncio.sleep(delay)
            try:
                child = await self._spawn()
            except OSError as error:
                self._supervisor.report(self.spec.title, f"cannot be started: {error}")
                continue
            if await self._wait_ready(child):
                self._enter(State.READY)
                took = time.monotonic() - child.started
                self._supervisor.report(self.spec.title, f"ready again ({took:.1f} s)")

    async def _watch(self, child: Child) -> None:
        """Until `child` is gone. One that stops answering is reported, and killed when that lasts; one that
        has outgrown its limit is ended at once.
        """
        probe = self.spec.alive or self.spec.ready
        silent = 0
        while not child.exited.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_INTERVAL_S):
                    await child.exited.wait()
                    return
            if probe is None or await self.asked(probe):
                if self.state is State.UNRESPONSIVE:
                    self._supervisor.report(self.spec.title, "answers again")
                silent = 0
                self._enter(State.READY)
                if self.spec.most_memory is not None and child.memory() > self.spec.most_memory:
                    self._supervisor.report(self.spec.title, "has outgrown its memory")
                    await child.stop(self.spec.stop_signal, self.spec.stop_timeout_s)
                continue
            silent += 1
            if silent == 2:
                self._enter(State.UNRESPONSIVE)
                self._supervisor.report(self.spec.title, "does not answer")
            if silent >= PROBES_UNTIL_RESTART:
                await child.stop(self.spec.stop_signal, 1.0)

    async def asked(self, probe: Probe) -> bool:
        """What a probe answers; False when it fails."""
        # Whatever goes wrong in asking one process must not end all of them.
        try:
            return await probe()
        except Exception as error:
            self._supervisor.report(self.spec.title, f"cannot be asked: {error!r}")
            return False

    async def stop(self) -> None:
        """End it and stop keeping it running. Never raises for a process that is already gone."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._enter(State.STOPPING)
        if self._child is not None:
            if not await self._child.stop(self.spec.stop_signal, self.spec.stop_timeout_s):
                self._supervisor.report(
                    self.spec.title, f"did not stop within {self.spec.stop_timeout_s:.0f} s; killed"
                )
            self._child = None
        self._enter(State.STOPPED)


class Supervisor:
    """The processes of one instance. Use as an async context manager: leaving it stops everything.

    `source` is the folder of our own modules. `report(title, event)` writes one line for the user.
    `on_change` is called when any process's state or pid changes.
    """

    def __init__(
        self,
        logs: Path,
        source: Path,
        report: Report,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.report = report
        self.changed = on_change
        self.failed = asyncio.Event()
        self._logs = logs
        self._source = source
        self._preloader = Preloader(self._spawn_preloader)
        self._groups: list[list[ManagedProcess]] = []
        self._children: set[Child] = set()
        self._open_logs: dict[str, LogFile] = {}

    async def __aenter__(self) -> Supervisor:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        return self

    async def __aexit__(self, *_: object) -> None:
        # Shielded by nothing: whoever leaves has stopped listening to signals, and stop() has
        # deadlines.
        for group in reversed(self._groups):
            await asyncio.gather(*(process.stop() for process in group))
        self._groups.clear()
        self._preloader.close()
        for child in list(self._children):
            await child.stop(signal.SIGKILL, 1.0)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        for log in self._open_logs.values():
            log.close()

    @property
    def processes(self) -> list[ManagedProcess]:
        return [process for group in self._groups for process in group]

    async def start(self, specs: Iterable[ProcessSpec]) -> None:
        """Start `specs` side by side, and wait until all are ready. Raises StartFailed for the
        first.
        """
        group = [ManagedProcess(spec, self, self.log(spec.name)) for spec in specs]
        self._groups.append(group)
        try:
            async with asyncio.TaskGroup() as tasks:
                for process in group:
                    tasks.create_task(process.start())
        except ExceptionGroup as failures:
            # One reason is enough for the user, and the first is the cause of the others.
            raise failures.exceptions[0] from None

    async def run(
        self,
        title: str,
        argv: Sequence[str],
        *,
        log: str,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command to its end. Raises CommandFailed, or OSError when it cannot be started."""
        file = self.log(log)
        argv = ("setpriv", "--pdeathsig", "TERM", "--", *argv)
        child = self.spawn(argv, cwd, environment or {}, file)
        try:
            await child.exited.wait()
        except asyncio.CancelledError:
            await child.stop(signal.SIGTERM, 2.0)
            raise
        if child.status:
            raise CommandFailed(title, child.status, file)

    async def launch(self, spec: ProcessSpec, log: LogFile) -> Child:
        """What `spec` describes. Raises OSError when it cannot be started."""
        if not spec.module:
            return self.spawn(spec.command(), spec.cwd, spec.environment, log)
        environment = {**os.environ, **spec.environment}
        request = Request(spec.module, str(spec.cwd), environment, spec.death_signal)
        with output_pipe() as (output, writer):
            forked = await self._preloader.fork(request, writer)
        return self._known(Child(forked, output, log))

    def preload(self) -> None:
        """Import what services need while something else is done; they start sooner."""
        self._preloader.start()

    def spawn(
        self,
        argv: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        log: LogFile,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """A command as a child of ours, known to the reaper."""
        with output_pipe() as (output, writer):
            popen = subprocess.Popen(  # noqa: S603
                argv,
                cwd=cwd,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        return self._known(Child(popen, output, log))

    def _known(self, child: Child) -> Child:
        self._children.add(child)
        return child

    def _spawn_preloader(self, command: Sequence[str], pass_fds: Sequence[int]) -> None:
        argv = ("setpriv", "--pdeathsig", "TERM", "--", *command)
        environment = {"PYTHONPATH": str(self._source)}
        self.spawn(argv, self._source, environment, self.log("preload"), pass_fds)

    def keeper_done(self, task: asyncio.Task[None]) -> None:
        """A keeper ends by being cancelled; anything else is a defect that ends the instance, with
        its trace.
        """
        if not task.cancelled():
            task.get_loop().call_exception_handler(
                {"message": f"{task.get_name()} ended", "exception": task.exception(), "task": task}
            )
            self.failed.set()

    def log(self, name: str) -> LogFile:
        """The log file of that name."""
        if name not in self._open_logs:
            self._open_logs[name] = LogFile(self._logs / f"{name}.log")
        return self._open_logs[name]

    def _reap(self) -> None:
        for child in list(self._children):
            child.poll()
            if child.exited.is_set():
                self._children.discard(child)
        ours = {child.pid for child in self._children}
        for pid in child_pids():
            if pid not in ours:
                # An orphan of one of ours; not a zombie yet means that it dies of its own pace.
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def child_pids() -> list[int]:
    """Pids of this process's children, adopted ones included."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += (int(pid) for pid in (thread / "children").read_text().split())
    return found
