"""A picture of the running stream, and how loud it is: one short ffmpeg on a finished segment."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from typing import IO

from core.logs import logger
from ingest import ffmpeg
from ingest.confined import Launcher, Reach

log = logger(__name__)

#: At once over all streams: it is never worth a stall of one of them.
AT_ONCE = 2
TIMEOUT_S = 5.0
MAX_BYTES = 2 * 1024 * 1024
FILE_NAME = "thumbnail.jpg"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a segment gave: a JPEG (None without picture), mean and peak in dBFS."""

    picture: bytes | None
    levels: tuple[float, float] | None


class Photographer:
    """Takes pictures, a few at a time."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._places = asyncio.Semaphore(AT_ONCE)

    async def look(self, media: bytes, *, has_video: bool, has_audio: bool) -> Look | None:
        """Decode `media` (initialization section and segment); None when ffmpeg could not."""
        if not has_video and not has_audio:
            return None
        argv = (
            ffmpeg.thumbnail(self._launcher.program, has_audio=has_audio)
            if has_video
            else ffmpeg.level(self._launcher.program)
        )
        async with self._places:
            output, stderr = await self._run(argv, media)
        levels = ffmpeg.volume(stderr) if has_audio else None
        # A JPEG begins and ends with its markers; anything else is a picture cut short.
        whole = output.startswith(b"\xff\xd8") and output.endswith(b"\xff\xd9")
        if has_video and not whole:
            log.debug("thumbnail_failed", stderr=stderr[-300:])
        picture = output if whole and len(output) <= MAX_BYTES else None
        return Look(picture, levels) if picture or levels else None

    async def _run(self, argv: list[str], media: bytes) -> tuple[bytes, str]:
        with _memory_file() as stdin, _memory_file() as stdout, _memory_file() as stderr:
            stdin.write(media)
            stdin.seek(0)
            process = await self._launcher.start(
                argv,
                Reach.NOTHING,
                stdin=stdin.fileno(),
                stdout=stdout.fileno(),
                stderr=stderr.fileno(),
                environment=ffmpeg.LARGE_PAGES,
            )
            try:
                await asyncio.to_thread(process.wait, TIMEOUT_S)
            except subprocess.TimeoutExpired:
                return b"", "took too long"
            finally:
                # Also when nobody waits for the picture any more.
                process.kill()
                process.wait()
            stdout.seek(0)
            stderr.seek(0)
            return stdout.read(MAX_BYTES + 1), stderr.read().decode("utf-8", "replace")


def _memory_file() -> IO[bytes]:
    return os.fdopen(os.memfd_create("look"), "w+b", buffering=0)
