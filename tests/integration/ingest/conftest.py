"""An instance with one small rung, and encoders of every kind of source."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, start_stage

Push = Callable[..., contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]]
Made = Callable[..., Path]

#: The rung of the shared instance: small enough for two busy cores.
RUNG = "144p"
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
VIDEO = {
    "h264": ("libx264", "-preset", "ultrafast", "-tune", "zerolatency"),
    "h264-b": ("libx264", "-preset", "veryfast", "-bf", "2"),
    "h264-10": ("libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p10le"),
    "hevc": ("libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-x265-params", "log-level=none"),
    "av1": ("libsvtav1", "-preset", "12"),
}  # fmt: skip
AUDIO = {"aac": ("aac",), "mp3": ("libmp3lame", "-ar", "44100")}


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole instance with a ladder of one rung."""
    data = tmp_path_factory.mktemp("ingest") / "data"
    with start_stage(data, ladder=RUNG) as running:
        yield running


@pytest.fixture(scope="package")
def made(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """`made("hevc", "aac", seconds=8)`: an FLV file with these codecs and a keyframe a second."""
    folder = tmp_path_factory.mktemp("sources")
    program = stage.environment["FOOTLIGHT_FFMPEG_PATH"]

    def make(video: str, audio: str | None = "aac", seconds: int = 8) -> Path:
        path = folder / f"{video}-{audio}-{seconds}.flv"
        if not path.exists():
            sound = (*SOUND, "-c:a", *AUDIO[audio], "-b:a", "64k") if audio else ()
            inputs = (*PICTURE, *(SOUND if audio else ()))
            codecs = ("-c:v", *VIDEO[video], "-b:v", "500k", "-g", "30")
            command = (program, "-v", "error", *inputs, "-t", str(seconds), *codecs, *sound[4:])
            subprocess.run([*command, "-f", "flv", str(path)], check=True, capture_output=True)
        return path

    return make


@pytest.fixture(scope="package")
def noise(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of snow, more than 12 Mb/s of it."""
    path = tmp_path_factory.mktemp("noise") / "noise.flv"
    program = stage.environment["FOOTLIGHT_FFMPEG_PATH"]
    snow = "color=gray:size=320x180:rate=15,noise=alls=80:allf=t"
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-g", "15")
    command = (program, "-v", "error", "-f", "lavfi", "-i", snow, "-t", "2", *codec)
    subprocess.run([*command, "-f", "flv", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def push(stage: Stage) -> Push:
    """`async with push(url, path)`: ffmpeg publishes the file in real time, until the block ends."""
    program = stage.environment["FOOTLIGHT_FFMPEG_PATH"]

    @contextlib.asynccontextmanager
    async def pushing(
        url: str, path: Path, *options: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        read = ("-v", "error", "-re", *options, "-i", str(path))
        process = await asyncio.create_subprocess_exec(
            *(program, *read, "-c", "copy", "-f", "flv", url),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return pushing
