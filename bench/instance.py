"""A private instance of Footlight in a temporary folder, on free ports, for one benchmark."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.instance import free_port, read_instance
from cli.toolchain import Toolchain

READY_DEADLINE_S = 60.0
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Instance:
    """A running instance, and the programs a benchmark needs beside it."""

    data: Path
    ffmpeg: str
    chromium: str

    @property
    def facts(self) -> dict[str, Any]:
        """instance.json as it is now."""
        facts = read_instance(self.data)
        if facts is None:
            raise RuntimeError("the instance has stopped")
        return facts

    @property
    def http(self) -> str:
        return str(self.facts["http"])

    @property
    def rtmp(self) -> str:
        return str(self.facts["rtmp"])

    @property
    def rtmp_port(self) -> int:
        return int(self.rtmp.rpartition(":")[2].split("/")[0])

    def pid(self, service: str) -> int:
        """The process id of one of our services or servers."""
        return int(self.facts["services"][service]["pid"])


@contextlib.asynccontextmanager
async def running_instance(
    settings: Mapping[str, str], kept: Path | None = None
) -> AsyncIterator[Instance]:
    """Run `up` with further ``FOOTLIGHT_`` settings until the block is left; its terminal text is shown if it fails.

    Its data are removed afterwards, unless they are in the folder `kept`.
    """
    taken: set[int] = set()
    with tempfile.TemporaryDirectory(prefix="footlight-bench-") as folder:
        data = kept or Path(folder) / "data"
        output = Path(folder) / "up.out"
        ports = ("--http-port", str(free_port(taken)), "--rtmp-port", str(free_port(taken)))
        with output.open("wb") as terminal:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", "up", "--no-setup", "--data", str(data), *ports),
                cwd=ROOT,
                # All of a benchmark's clients are at one address.
                env={"FOOTLIGHT_RATE_LIMIT_FACTOR": "1000", **os.environ, **settings},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
            )
        try:
            await _ready(process, data, output)
            toolchain = Toolchain.from_environment()
            yield Instance(data, str(toolchain.ffmpeg()), str(toolchain.chromium()))
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, data: Path, output: Path) -> None:
    def words() -> str:
        return output.read_text(errors="replace")

    try:
        async with asyncio.timeout(READY_DEADLINE_S):
            while True:
                if process.returncode is not None:
                    raise RuntimeError(f"the instance did not start:\n{words()}")
                with contextlib.suppress(json.JSONDecodeError):
                    if read_instance(data) is not None:
                        return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise RuntimeError(f"the instance was not ready in time:\n{words()}") from None
