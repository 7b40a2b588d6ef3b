"""What tests start and how they wait: whole instances as subprocesses, and polling with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cli.instance import free_port, read_instance
from core.service import Build, Service, serve
from core.settings import Settings
from tests.first_start import FirstStart

SOURCE = Path(__file__).resolve().parent.parent
# What every stream key looks like (core.stream_keys), those that only tests make up included.
STREAM_KEY = re.compile(rb"live_[0-9]{1,19}_[A-Za-z0-9]{16,}")
#: A name for this machine in the tests' browser. It is not this machine's own: there browsers hide what they keep
#: for secure contexts.
PLAIN_HOST = "footlight.test"
T = TypeVar("T")
_taken_ports: set[int] = set()


def eventually(check: Callable[[], T], *, within_s: float = 10.0, what: str = "condition") -> T:
    """The first true answer of `check`, asked again and again for `within_s` seconds.

    Assertion errors inside `check` count as "not yet"; the last one is the reason when time is up.
    """
    deadline = time.monotonic() + within_s
    pause = 0.01
    while True:
        reason: AssertionError | None = None
        try:
            if answer := check():
                return answer
        except AssertionError as error:
            reason = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s} s") from reason
        time.sleep(pause)
        pause = min(0.2, pause * 1.5)


async def eventually_async(
    check: Callable[[], Awaitable[T]], *, within_s: float = 10.0, what: str = "condition"
) -> T:
    """As `eventually`, for a coroutine function."""
    deadline = time.monotonic() + within_s
    pause = 0.01
    while True:
        reason: AssertionError | None = None
        try:
            if answer := await check():
                return answer
        except AssertionError as error:
            reason = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s} s") from reason
        await asyncio.sleep(pause)
        pause = min(0.2, pause * 1.5)


@dataclass
class RunningInstance:
    """A started `up`: its process, its data folder, and what instance.json said when it was ready."""

    process: subprocess.Popen[bytes]
    data: Path
    output: Path
    ready_after_s: float

    @property
    def info(self) -> dict[str, Any]:
        """instance.json as it is now (pids change when a service is started again)."""
        content: dict[str, Any] = json.loads((self.data / "instance.json").read_text())
        return content

    @property
    def url(self) -> str:
        """The public HTTP address, such as http://127.0.0.1:23456."""
        return str(self.info["http"])

    def pid(self, service: str) -> int:
        """The pid of a supervised process now."""
        return int(self.info["services"][service]["pid"])

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        """Signal `up` and wait for it to end: its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


class RunningServers:
    """The servers of an instance that was started with --servers-only."""

    def __init__(self, data: Path) -> None:
        self.data = data

    @cached_property
    def environment(self) -> dict[str, str]:
        """FOOTLIGHT_ variables for a service that is to use these servers."""
        content: dict[str, dict[str, str]] = json.loads((self.data / "instance.json").read_text())
        return content["environment"]

    def settings(self, **changes: Any) -> Settings:
        """For these servers, with `changes` (field=value)."""
        values: dict[str, Any] = {}
        for name, value in self.environment.items():
            field = name.removeprefix("FOOTLIGHT_").lower()
            if field.endswith("_file"):
                field, value = field.removesuffix("_file"), Path(value).read_text().strip()
            values[field] = json.loads(value) if value.startswith("[") else value
        return Settings(**{**values, **changes})


@contextlib.asynccontextmanager
async def running_service(
    name: str, build: Build, settings: Settings
) -> AsyncIterator[tuple[Service, asyncio.Task[None]]]:
    """A service, ready, in this process, and its life; stopped in the end."""
    ready: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(serve(name, build, settings, started=ready.set_result, signals=()))
    await asyncio.wait((ready, life), return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        life.result()
    service = ready.result()
    try:
        yield service, life
    finally:
        service.stop()
        await life


@contextlib.contextmanager
def start_instance(
    data: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    within_s: float = 60.0,
    behind: Sequence[str] = (),
) -> Iterator[RunningInstance]:
    """`up` on `data` and free ports as a subprocess, ready; ended when the context is left.

    `arguments` come last and win: `"--http-port", "8080"`. `behind` is a command that runs the one after it
    in its own place. Rate limits are a thousand times higher than a
    user's unless `environment` says otherwise. What it leaves is searched for stream keys: none may ever
    reach a log or a file name. Raises AssertionError with the terminal's text when it does not get ready.
    """
    first_start.give_to(data)
    process, output = launch_instance(data, *arguments, environment=environment, behind=behind)
    began = time.monotonic()
    try:
        wait_until_ready(process, data, output, within_s)
        yield RunningInstance(process, data, output, time.monotonic() - began)
    finally:
        end(process)
    found = stream_keys_in_logs(data, output)
    assert not found, f"stream keys were written down: {found}"


def launch_instance(
    data: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    behind: Sequence[str] = (),
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start `up` on `data` without waiting: the process, and the file with what it prints."""
    data.parent.mkdir(parents=True, exist_ok=True)
    output = data.parent / f"{data.name}.out"
    web, rtmp = free_port(_taken_ports), free_port(_taken_ports)
    ports = ("--http-port", str(web), "--rtmp-port", str(rtmp))
    command = [*behind, sys.executable, "-P", "-m", "cli", "up", "--data", str(data)]
    command += [*ports, *arguments]
    settings = {"FOOTLIGHT_RATE_LIMIT_FACTOR": "1000", **(environment or {})}
    with output.open("ab") as file:
        process = subprocess.Popen(
            command,
            cwd=data.parent,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **settings},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    return process, output


def _start_and_stop(data: Path) -> None:
    process, output = launch_instance(data, "--servers-only")
    try:
        wait_until_ready(process, data, output, within_s=120)
    finally:
        end(process)


first_start = FirstStart(_start_and_stop)


def wait_until_ready(
    process: subprocess.Popen[bytes], data: Path, output: Path, within_s: float = 60.0
) -> None:
    """Until this very `up` has written instance.json. Raises AssertionError with what it printed."""

    def is_ready() -> bool:
        if process.poll() is not None:
            text = output.read_text()
            pytest.fail(f"`up` ended with status {process.returncode}:\n{text}", pytrace=False)
        content = read_instance(data)
        return content is not None and content["pid"] == process.pid

    try:
        eventually(is_ready, within_s=within_s, what="`up` is ready")
    except AssertionError as late:
        raise AssertionError(f"{late}; it printed:\n{output.read_text()}") from None


def end(process: subprocess.Popen[bytes]) -> None:
    """End `up`, by force when it does not obey."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def stream_keys_in_logs(data: Path, *more: Path) -> list[str]:
    """Where below `data` a log's text or a file's name holds something that looks like a stream key."""
    found = [
        str(path.relative_to(data))
        for path in data.rglob("*")
        if STREAM_KEY.search(os.fsencode(path.name))
    ]
    logs = [*(data / "logs").glob("*"), *more]
    found += [log.name for log in logs if log.is_file() and STREAM_KEY.search(log.read_bytes())]
    return found


def processes_of(data: Path) -> list[int]:
    """Pids of living processes that have `data` in their command line, working folder or environment."""
    wanted = os.fsencode(data)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if entry.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            texts = [entry.joinpath(name).read_bytes() for name in ("cmdline", "environ")]
            texts.append(os.fsencode(os.readlink(entry / "cwd")))
            if any(wanted in text for text in texts):
                found.append(int(entry.name))
    return found
