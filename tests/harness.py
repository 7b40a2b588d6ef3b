"""What tests start and how they wait: whole instances as subprocesses, and polling with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cli.instance import free_port

SOURCE = Path(__file__).resolve().parent.parent
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

    def settings(self, **changes: Any) -> Any:
        """core.settings.Settings for these servers, with `changes` (field=value)."""
        from core.settings import Settings

        values: dict[str, Any] = {}
        for name, value in self.environment.items():
            field = name.removeprefix("FOOTLIGHT_").lower()
            if field.endswith("_file"):
                field, value = field.removesuffix("_file"), Path(value).read_text().strip()
            values[field] = json.loads(value) if value.startswith("[") else value
        return Settings(**{**values, **changes})


@contextlib.contextmanager
def start_instance(
    data: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    within_s: float = 60.0,
) -> Iterator[RunningInstance]:
    """`up` on `data` and free ports as a subprocess, ready; ended when the context is left.

    Raises AssertionError with the terminal's text when it ends before it is ready.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    output = data.parent / f"{data.name}.out"
    ports = (
        "--http-port",
        str(free_port(_taken_ports)),
        "--rtmp-port",
        str(free_port(_taken_ports)),
    )
    command = [sys.executable, "-m", "cli", "up", "--data", str(data), *ports, *arguments]
    began = time.monotonic()
    with output.open("ab") as file:
        process = subprocess.Popen(
            command,
            cwd=SOURCE,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        ready = data / "instance.json"

        def is_ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(
                    f"`up` ended with status {process.returncode}:\n{output.read_text()}"
                )
            return ready.exists() and json.loads(ready.read_text())["pid"] == process.pid

        try:
            eventually(is_ready, within_s=within_s, what="`up` is ready")
        except AssertionError:
            print(output.read_text())
            raise
        yield RunningInstance(process, data, output, time.monotonic() - began)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
