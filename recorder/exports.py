"""Videos as files to keep: MP4 of the best rendition, MP3 of the sound.

Nothing is encoded for an MP4: its index is made of the segments' own (`recorder.movie`), in two passes
over the objects, so that it needs neither disk nor more memory than the index.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.video_models import Job, JobState, Video, VideoStatus, VideoTimeline
from core.errors import NotFound, Unavailable
from core.holding import removal
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.storage import Storage, Writer
from recorder import adts, fmp4, movie
from recorder.jobs import Failure, Kind, Outcome, Work
from recorder.refusals import Refused
from recorder.sandbox import Confined, Limits, TooLong, confined
from recorder.timeline import SOURCE, Entry, Timeline, file_name
from recorder.workers import Task

log = logger(__name__)

Format = Literal["mp4", "mp3"]
KINDS: dict[str, Kind] = {"mp4": Kind.EXPORT_MP4, "mp3": Kind.EXPORT_MP3}
#: Segments that are fetched ahead of the one that is worked on.
AHEAD = 6
AUDIO = "audio"
READ_BYTES = 256 * 1024
MP3_BITRATE = "192k"
SWEEP_S = 300.0


def object_key(video_id: int, job_id: int, ending: str) -> str:
    """Where an export is kept."""
    return f"videos/{video_id}/exports/{job_id}.{ending}"


@dataclass(frozen=True)
class Part:
    """A stored segment with what it needs to be read. `first`: it does not continue the one before."""

    init: bytes
    data: bytes
    first: bool
    duration_s: float


class Parts(Protocol):
    """Segments that a file is made of, as often as they are asked for."""

    def parts(self) -> AsyncIterator[Part]:
        """Every one, in order."""
        ...


class Source:
    """The objects of one rendition of a video, in order."""

    def __init__(
        self, storage: Storage, video_id: int, name: str, entries: Sequence[Entry]
    ) -> None:
        self.duration_s = sum(entry.duration_s for entry in entries)
        self._storage = storage
        self._folder = f"videos/{video_id}/{name}"
        # What a rendition has nothing of is passed over: its picture stands still until it goes on.
        self._entries = [entry for entry in entries if not entry.gap]
        self._inits: dict[str, bytes] = {}

    async def parts(self) -> AsyncIterator[Part]:
        """Every segment, some of them fetched ahead. Raises Refused when one is gone."""
        ahead: deque[tuple[Entry, asyncio.Task[bytes]]] = deque()
        waiting = iter(self._entries)
        began = False
        try:
            while True:
                while len(ahead) < AHEAD and (entry := next(waiting, None)) is not None:
                    key = self._key(entry, file_name(entry))
                    ahead.append((entry, asyncio.create_task(self._storage.get(key))))
                if not ahead:
                    return
                entry, fetching = ahead.popleft()
                init = await self._init(entry)
                yield Part(init, await fetching, entry.discontinuity or not began, entry.duration_s)
                began = True
        except NotFound as error:
            raise Refused("video_incomplete", "Parts of this video are gone.") from error
        finally:
            for _, fetching in ahead:
                fetching.cancel()
            await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)

    def _key(self, entry: Entry, name: str) -> str:
        return name if entry.key is not None else f"{self._folder}/{name}"

    async def _init(self, entry: Entry) -> bytes:
        key = self._key(entry, entry.init)
        if key not in self._inits:
            self._inits[key] = await self._storage.get(key)
        return self._inits[key]


@dataclass(frozen=True)
class Export:
    """The craft of one format."""

    ending: Format
    database: Database
    storage: Storage
    ffmpeg: str

    async def run(self, task: Task) -> Outcome:
        """Make the file and store it."""
        work = task.work
        if work.video_id is None:
            raise Refused("video_not_found", "There is no such video.")
        video, source = await self._source(work.video_id)
        key = object_key(video.id, work.id, self.ending)
        async with self.storage.writer(key) as writer:
            if self.ending == "mp4":
                await write_mp4(source, writer, _teller(task, source.duration_s, passes=2))
            else:
                tell = _teller(task, source.duration_s, passes=1)
                await write_mp3(source, writer, self.ffmpeg, video.title, tell)
            size = writer.size
        return Outcome({"key": key, "size": size, "format": self.ending})

    async def _source(self, video_id: int) -> tuple[Video, Source]:
        async with self.database.session() as session:
            video = await session.get(Video, video_id)
            stored = await session.get(VideoTimeline, video_id)
        if video is None or video.purged_at is not None:
            raise Refused("video_not_found", "There is no such video.")
        if video.status != VideoStatus.READY or stored is None:
            raise Refused("video_not_ready", "This video is not ready yet.")
        found = Timeline.decode(stored.entries).renditions
        # The best come first; sound alone is the least to read.
        names = [rendition["name"] for rendition in video.renditions]
        for name in (*((AUDIO,) if self.ending == "mp3" else ()), SOURCE, *names, *found):
            if any(not entry.gap for entry in found.get(name, ())):
                return video, Source(self.storage, video_id, name, found[name])
        raise Refused("video_empty", "There is nothing in this video.")

    async def undo(self, session: AsyncSession, work: Work, failure: Failure) -> None:
        """Nothing but the job itself was changed."""


def _teller(task: Task, duration_s: float, passes: int) -> Callable[[float], None]:
    """Adds media seconds that were worked on to the task's progress."""
    whole = max(duration_s * passes, 0.001)

    def tell(seconds: float) -> None:
        task.progress = min(0.99, task.progress + seconds / whole)

    return tell


async def write_mp4(source: Parts, writer: Writer, tell: Callable[[float], None]) -> None:
    """A progressive MP4 with its index in front."""
    index = movie.Movie()
    init = b""
    async for part in source.parts():
        try:
            if part.init != init:
                init = part.init
                index.use(init)
            if part.first:
                index.interrupt()
            # Hundreds of samples: not on the loop.
            await asyncio.to_thread(index.add, part.data)
        except ValueError as error:
            raise Refused("video_unreadable", "This video cannot be made into a file.") from error
        tell(part.duration_s)
    await writer.write([await asyncio.to_thread(index.header)])
    read = fmp4.read_init(init)
    async for part in source.parts():
        if part.init != read.data:
            read = fmp4.read_init(part.init)
        await writer.write(await asyncio.to_thread(movie.media, read, part.data))
        tell(part.duration_s)


def mp3_command(ffmpeg: str, title: str) -> list[str]:
    """ADTS on stdin, MP3 on stdout; of a constant rate, so that players know its length and seek in it."""
    return [
        ffmpeg,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"),
        *("-protocol_whitelist", "pipe", "-f", "aac", "-i", "pipe:0"),
        *("-map", "0:a:0", "-map_metadata", "-1", "-metadata", f"title={title}"),
        *("-c:a", "libmp3lame", "-b:a", MP3_BITRATE, "-ac", "2", "-write_xing", "0"),
        *("-id3v2_version", "3", "-f", "mp3", "pipe:1"),
    ]


async def write_mp3(
    source: Source, writer: Writer, ffmpeg: str, title: str, tell: Callable[[float], None]
) -> None:
    """The sound as MP3. Raises Refused where there is none."""
    limits = Limits(wall_s=600 + source.duration_s, cpu_s=int(600 + source.duration_s))
    pipe = asyncio.subprocess.PIPE
    try:
        async with confined(mp3_command(ffmpeg, title), limits, stdin=pipe, stdout=pipe) as encoder:
            feeding = asyncio.create_task(_feed(source, encoder, tell))
            try:
                while encoder.stdout is not None and (
                    data := await encoder.stdout.read(READ_BYTES)
                ):
                    await writer.write([data])
                await feeding
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            status = await encoder.wait()
    except TooLong as error:
        raise Refused("too_long", "Encoding this took too long.") from error
    if status != 0 or not writer.size:
        log.warning("mp3_failed", status=status, stderr=list(encoder.tail)[-3:])
        raise Refused("no_sound", "The sound of this video cannot be encoded.")


async def _feed(source: Source, encoder: Confined, tell: Callable[[float], None]) -> None:
    stdin = encoder.stdin
    if stdin is None:
        return
    read: fmp4.Init | None = None
    config = b""
    # An encoder that ended early is found out by its status; one that is fed no more, ends.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError), contextlib.closing(stdin):
        async for part in source.parts():
            try:
                if read is None or part.init != read.data:
                    read, config = fmp4.read_init(part.init), adts.configuration(part.init)
                frames = await asyncio.to_thread(adts.frames, read, config, part.data)
            except ValueError as error:
                raise Refused("no_sound", "This video has no sound to make an MP3 of.") from error
            stdin.write(frames)
            await stdin.drain()
            tell(part.duration_s)


async def sweep(database: Database, storage: Storage, keep_days: float) -> int:
    """Remove the files of exports whose time is over: how many there were. Raises Unavailable."""
    old = (
        Job.kind.in_(KINDS.values()),
        Job.state == JobState.DONE,
        Job.ended_at < func.now() - timedelta(days=keep_days),
        Job.result.has_key("key"),
    )
    async with database.session() as session:
        rows = (await session.execute(select(Job.id, Job.result["key"].astext).where(*old))).all()
    if rows:
        async with removal(database) as may:
            if not may:
                return 0
            await storage.delete(*(key for _, key in rows))
        async with database.session() as session:
            await session.execute(
                update(Job)
                .where(Job.id.in_([number for number, _ in rows]))
                .values(result=Job.result.op("-")("key"))
            )
    return len(rows)


async def keep_sweeping(database: Database, storage: Storage, current: CurrentSettings) -> None:
    """`sweep`, again and again; runs until cancelled."""
    while True:
        try:
            if removed := await sweep(database, storage, current.now.export_link_days):
                log.info("exports_removed", count=removed)
        except Unavailable as error:
            log.warning("exports_stay", reason=error.message)
        await asyncio.sleep(SWEEP_S)
