"""An encoder as a streamer would run it: ffmpeg with x264 and AAC, fed with clock frames, pushing RTMP."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bench.clockframes import ClockSource


@dataclass(frozen=True)
class Profile:
    """How the encoder is set; ``x264`` is what OBS would pass to it."""

    name: str
    width: int = 1280
    height: int = 720
    fps: int = 30
    bitrate_kbps: int = 3000
    x264: tuple[str, ...] = ()

    def output(self) -> list[str]:
        """ffmpeg's encoding arguments: constant bitrate as OBS's simple output mode sets it, 160 kb/s AAC."""
        rate = f"{self.bitrate_kbps}k"
        return [
            *("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", *self.x264),
            *(
                "-b:v",
                rate,
                "-minrate",
                rate,
                "-maxrate",
                rate,
                "-bufsize",
                rate,
                "-x264-params",
                "nal-hrd=cbr",
            ),
            *("-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2"),
        ]


ZEROLATENCY_1S = Profile(
    "x264 veryfast, zerolatency, 1 s GOP", x264=("-tune", "zerolatency", "-g", "30")
)
ZEROLATENCY_2S = Profile(
    "x264 veryfast, zerolatency, 2 s GOP", x264=("-tune", "zerolatency", "-g", "60")
)
OBS_DEFAULTS = Profile("OBS defaults: x264 veryfast, keyint 250, no tune", x264=("-g", "250"))


def encoder_argv(ffmpeg: str, profile: Profile, target: str) -> list[str]:
    """ffmpeg's command line: raw clock frames on standard input and a tone, pushed to ``target``."""
    return [
        *(ffmpeg, "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{profile.width}x{profile.height}"),
        *("-framerate", str(profile.fps), "-i", "pipe:0"),
        *("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"),
        *(
            "-map",
            "0:v",
            "-map",
            "1:a",
            *profile.output(),
            "-f",
            "flv",
            "-flvflags",
            "no_duration_filesize",
            target,
        ),
    ]


@contextlib.asynccontextmanager
async def encoding(
    ffmpeg: str, profile: Profile, target: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Push clock frames in real time to ``target`` while the block runs; leaving it is OBS's Stop."""
    process = await asyncio.create_subprocess_exec(
        *encoder_argv(ffmpeg, profile, target),
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    drawing = asyncio.create_task(_draw(process, profile))
    try:
        yield process
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        await _stop(process)


async def _draw(process: asyncio.subprocess.Process, profile: Profile) -> None:
    source = ClockSource(profile.width, profile.height)
    assert process.stdin is not None
    began = time.monotonic()
    number = 0
    while process.returncode is None:
        # A frame is due at a multiple of the frame time since the start, so that a late one is not followed by more.
        await asyncio.sleep(max(0.0, began + number / profile.fps - time.monotonic()))
        process.stdin.write(source.frame(number, time.time_ns() // 1_000_000))
        try:
            await process.stdin.drain()
        except ConnectionError:
            return
        number += 1


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError):
            process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


async def make_sample(ffmpeg: str, path: str, profile: Profile, seconds: int) -> None:
    """Encode ``seconds`` of clock frames into an FLV file, for pushes that only copy."""
    argv = encoder_argv(ffmpeg, profile, path)
    argv.remove("-re")
    argv[argv.index("-map") : argv.index("-map")] = ["-t", str(seconds)]
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE)
    source = ClockSource(profile.width, profile.height)
    assert process.stdin is not None
    for number in range(seconds * profile.fps):
        process.stdin.write(source.frame(number, number * 1000 // profile.fps))
        await process.stdin.drain()
    process.stdin.close()
    if await process.wait() != 0:
        raise RuntimeError(f"ffmpeg could not encode the sample {path}")


def copy_argv(ffmpeg: str, sample: str, target: str) -> Sequence[str]:
    """ffmpeg's command line that pushes a sample in real time, over and over, without encoding."""
    return [
        *(ffmpeg, "-hide_banner", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", sample),
        *("-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", target),
    ]
