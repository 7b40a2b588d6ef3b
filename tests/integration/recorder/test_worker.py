"""The worker as a process: killed in the middle of a job, the job is begun anew and done once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.toolchain import Toolchain
from core.db.video_models import Video
from tests.harness import SOURCE, RunningServers, eventually_async
from tests.integration.recorder.lab import Lab, new_channel, pictures
from tests.job_kit import jobs_of

SECONDS = 12


@contextlib.contextmanager
def worker(servers: RunningServers, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process."""
    folder.mkdir()
    own = {
        "PYTHONPATH": str(SOURCE),
        "FOOTLIGHT_WORKER_LISTEN": f"unix:{folder}/worker.sock",
        "FOOTLIGHT_DATA_DIR": str(folder),
        "FOOTLIGHT_JOB_LEASE_S": "3",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "recorder.worker"],
            env={**os.environ, **servers.environment, **own},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def children_of(folder: Path) -> list[str]:
    """Command lines of programs that still read something below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                names = [os.readlink(link) for link in (entry / "fd").iterdir()]
                if (
                    any(str(folder) in name for name in names)
                    and b"ffmpeg" in (entry / "cmdline").read_bytes()
                ):
                    found.append(entry.name)
    return found


@pytest.mark.timeout(180)
async def test_killed_in_the_middle_the_job_is_done_once(
    servers: RunningServers, socket_folder: Path, tmp_path: Path, toolchain: Toolchain
) -> None:
    async with jobs_of(servers.settings()) as running:
        channel_id = await new_channel(running)
        lab = Lab(running, tmp_path, str(toolchain.ffmpeg()), channel_id)
        words = ("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=30:duration={SECONDS}")
        data = lab.make("a.mp4", *words, "-c:v", "libx264", "-preset", "ultrafast").read_bytes()
        job_id = await lab.upload(data)
        first = socket_folder / "1"
        with worker(servers, first) as process:

            async def is_encoding() -> bool:
                video_id = (await running.job(job_id)).video_id
                return bool(await running.storage.list(f"videos/{video_id}/source/"))

            await eventually_async(is_encoding, within_s=60)
            assert await asyncio.to_thread(children_of, first)
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)

            async def nothing_is_left() -> bool:
                return not await asyncio.to_thread(children_of, first)

            await eventually_async(nothing_is_left)
        assert (await running.job(job_id)).state == "running"
        with worker(servers, socket_folder / "2"):
            made = await lab.result(job_id)
        assert made.job.state == "done", made.job.error
        assert made.job.attempts == 2
        folder = f"videos/{made.video.id}/source/"
        there = {found.key.removeprefix(folder) for found in await running.storage.list(folder)}
        wanted = {f"{entry.msn}.m4s" for entry in made.timeline["source"]}
        assert there == {*wanted, "init-1.mp4"}
        assert len(pictures(await made.file("source"))) == SECONDS * 30
        async with running.database.session() as session:
            video = await session.get(Video, made.video.id)
        assert video is not None
        assert video.status == "ready"
