"""Uploads made into videos: fetched, looked at, encoded to the ladder, stored as a broadcast's segments are.

Nothing is kept between two attempts, and nothing of an attempt is seen before the transaction that ends
it: its objects have names that no other attempt uses, and what an earlier one left goes at the end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.models import Json
from core.db.video_models import Upload, Video, VideoStatus, VideoTimeline
from core.errors import NotFound, Unavailable
from core.events import VideoReady
from core.logs import logger
from core.outbox import emit
from core.rungs import Rung
from core.storage import Storage
from recorder import encoding, probe
from recorder.encoding import Plan
from recorder.jobs import Failure, Outcome, Work
from recorder.probe import Probe
from recorder.refusals import Refused
from recorder.sandbox import Limits, TooLong, confined
from recorder.splitter import Assembler, Splitter, codecs
from recorder.timeline import Entry, Timeline, bandwidth
from recorder.workers import Task

log = logger(__name__)

AUDIO = "audio"
#: Of the way: fetching, then encoding.
FETCHED = 0.1
#: Segments of one rendition that are on their way to the storage; more make ffmpeg wait.
AT_ONCE = 4
READ_BYTES = 256 * 1024
PROBE = Limits(wall_s=60, cpu_s=60)
PROBE_LINES = 5000
#: What encoding may take for each second of the file, and at least.
SLOWEST, LEAST_S = 30, 900
#: For a file that does not say how long it is.
UNKNOWN_S = 2 * 3600
#: Left free on the disk beside the file.
SPARE_BYTES = 512 * 1024 * 1024
#: Numbers of an attempt's segments; no video of ours has as many.
ATTEMPT_SEGMENTS = 1_000_000


@dataclass
class Rendition:
    """One rendition as far as it is made."""

    name: str
    codecs: str = ""
    entries: list[Entry] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        """Its length so far."""
        return self.entries[-1].end_s if self.entries else 0.0


@dataclass(frozen=True)
class Transcode:
    """The craft."""

    database: Database
    storage: Storage
    ffmpeg: str

    async def run(self, task: Task) -> Outcome:
        """Make a video of an upload."""
        upload, video = await self._load(task.work)
        path = task.scratch / "upload"
        await self._fetch(task, upload, path)
        with path.open("rb") as file:
            fd = file.fileno()
            forced = probe.demuxer(os.pread(fd, 512, 0))
            found = await self._look(fd, forced)
            planned = encoding.plan(found)
            making = _Making(self.storage, task, video.id, video.created_at, found, planned)
            await self._encode(making, fd, forced)
        renditions = making.finished()
        await _tidy(self.storage, video.id, task.work.generation, renditions)
        result = {"duration_s": renditions[0].end_s, "renditions": [r.name for r in renditions]}

        async def commit(session: AsyncSession) -> None:
            await _publish(session, video, found, planned, renditions)

        return Outcome(result, commit)

    async def _load(self, work: Work) -> tuple[Upload, Video]:
        async with self.database.session() as session:
            upload = await session.get(Upload, UUID(work.params["upload_id"]))
            video = await session.get(Video, work.video_id or 0)
        if upload is None or video is None or video.purged_at is not None:
            raise Refused("upload_gone", "The uploaded file is gone.")
        return upload, video

    async def _fetch(self, task: Task, upload: Upload, path: Path) -> None:
        """The uploaded file, put together on disk. Raises Unavailable where there is no room for it."""
        if shutil.disk_usage(task.scratch).free < upload.size + SPARE_BYTES:
            raise Unavailable("There is no room to process this file on the server just now.")
        if not upload.size:
            raise Refused("empty_file", "This file is empty.")
        with path.open("wb") as file:
            for chunk in upload.chunks:
                try:
                    data = await self.storage.get(chunk["key"])
                except NotFound as error:
                    raise Refused("upload_gone", "The uploaded file is gone.") from error
                await asyncio.to_thread(file.write, data)
                task.progress = FETCHED * file.tell() / upload.size
            if file.tell() != upload.size:
                raise Refused("upload_gone", "Parts of the uploaded file are gone.")

    async def _look(self, fd: int, forced: str | None) -> Probe:
        """What the file is. Raises Refused."""
        os.lseek(fd, 0, os.SEEK_SET)
        # Its beginning is what counts, however much a file says of itself.
        lines: deque[str] = deque()

        def keep(line: str) -> None:
            if len(lines) < PROBE_LINES:
                lines.append(line)

        words = probe.command(self.ffmpeg, fd, forced)
        try:
            async with confined(words, PROBE, pass_fds=(fd,), on_line=keep) as looking:
                await looking.wait()
            found = probe.parse(lines)
        except TooLong as error:
            raise probe.reason(()) from error
        probe.check(found)
        return found

    async def _encode(self, making: _Making, fd: int, forced: str | None) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        length_s = making.probe.duration_s or UNKNOWN_S
        longest = round(LEAST_S + SLOWEST * length_s)
        limits = Limits(wall_s=longest, cpu_s=longest * (os.cpu_count() or 1))
        pipes = [os.pipe() for _ in range(making.plan.outputs)]
        writes = [write for _, write in pipes]
        words = encoding.command(self.ffmpeg, making.probe, making.plan, fd, forced, writes)
        readers: list[asyncio.Task[None]] = []
        try:
            async with confined(words, limits, pass_fds=(fd, *writes)) as encoder:
                for write in writes:
                    os.close(write)
                writes.clear()
                readers += [
                    asyncio.create_task(making.read(name, read), name=f"rendition-{name}")
                    for name, (read, _) in zip(making.plan.names, pipes, strict=True)
                ]
                pipes.clear()
                await asyncio.gather(*readers)
                status = await encoder.wait()
                tail = list(encoder.tail)
        except TooLong as error:
            raise Refused("too_slow", "Encoding this file took too long.") from error
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            for number in (*writes, *(read for read, _ in pipes)):
                os.close(number)
        log.info("encoded", job=making.task.work.id, status=status, stderr=tail[-3:])
        if status < 0 or status > 128:
            raise Refused("too_demanding", "Encoding this file takes more than this server gives.")
        if not making.seconds:
            raise Refused("unreadable", "Nothing in this file could be decoded.")

    async def undo(self, session: AsyncSession, work: Work, failure: Failure) -> None:
        """The video has failed, and says why."""
        await session.execute(
            update(Video)
            .where(Video.id == work.video_id, Video.status == VideoStatus.PROCESSING)
            .values(status=VideoStatus.FAILED, error=failure.as_json())
        )


class _Making:
    """The renditions of one attempt while they are made."""

    def __init__(
        self,
        storage: Storage,
        task: Task,
        video_id: int,
        created_at: datetime,
        found: Probe,
        planned: Plan,
    ) -> None:
        self.task = task
        self.probe = found
        self.plan = planned
        self._storage = storage
        self._video_id = video_id
        self._created_at = created_at
        self._first = task.work.generation * ATTEMPT_SEGMENTS
        self._init_name = f"init-{task.work.generation}.mp4"
        self._renditions = {name: Rendition(name) for name in planned.names}
        if planned.rungs and planned.has_sound:
            self._renditions[AUDIO] = Rendition(AUDIO)

    @property
    def seconds(self) -> float:
        """How much the best rendition has."""
        return self._renditions[self.plan.names[0]].end_s

    def finished(self) -> list[Rendition]:
        """All of them, in the order of the plan. Raises Refused when something is missing."""
        found = [each for each in self._renditions.values() if each.entries]
        lengths = {round(each.end_s) for each in found if each.name != AUDIO}
        if len(lengths) > 1 or not all(self._renditions[name].entries for name in self.plan.names):
            raise Refused("unreadable", "This file could not be decoded to its end.")
        return found

    async def read(self, name: str, pipe: int) -> None:
        """Store what comes out of a rendition's pipe, which is this task's to close."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=READ_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", 0)
        )
        splitter = Splitter()
        assembler: Assembler | None = None
        storing: set[asyncio.Task[None]] = set()
        try:
            while data := await stream.read(READ_BYTES):
                for segment in splitter.feed(data):
                    if assembler is None:
                        assembler = await self._begin(name, splitter.init)
                    while len(storing) >= AT_ONCE:
                        storing = await _settled(storing, asyncio.FIRST_COMPLETED)
                    puts = await asyncio.to_thread(self._take, name, assembler, segment)
                    storing |= {asyncio.create_task(self._storage.put(*put)) for put in puts}
                    self._tell(name)
            if storing:
                await _settled(storing, asyncio.ALL_COMPLETED)
        except ValueError as error:
            raise Refused("unreadable", "This file could not be encoded.") from error
        finally:
            transport.close()
            for put in storing:
                put.cancel()
            await asyncio.gather(*storing, return_exceptions=True)

    async def _begin(self, name: str, init: bytes) -> Assembler:
        assembler = Assembler(init)
        self._renditions[name].codecs = codecs(assembler.init)
        await self._storage.put(self._key(name, self._init_name), init)
        if self._has_sibling(name) and assembler.sound_init:
            self._renditions[AUDIO].codecs = "mp4a.40.2"
            await self._storage.put(self._key(AUDIO, self._init_name), assembler.sound_init)
        return assembler

    def _has_sibling(self, name: str) -> bool:
        """The sound alone is made of the best rendition's segments, so that they are cut alike."""
        return name == self.plan.names[0] and AUDIO in self._renditions

    def _key(self, rendition: str, file: str) -> str:
        return f"videos/{self._video_id}/{rendition}/{file}"

    def _take(self, name: str, assembler: Assembler, segment: bytes) -> list[tuple[str, bytes]]:
        """A segment into the timeline: the objects to store for it."""
        sound, length_s = assembler.take(segment)
        puts = [self._add(name, segment, length_s)]
        if self._has_sibling(name) and sound:
            puts.append(self._add(AUDIO, sound, length_s))
        return puts

    def _add(self, name: str, data: bytes, length_s: float) -> tuple[str, bytes]:
        rendition = self._renditions[name]
        msn = self._first + len(rendition.entries)
        wall = self._created_at + timedelta(seconds=rendition.end_s)
        rendition.entries.append(
            Entry(msn, rendition.end_s, length_s, len(data), self._init_name, False, wall)
        )
        return self._key(name, f"{msn}.m4s"), data

    def _tell(self, name: str) -> None:
        if name == self.plan.names[0] and self.probe.duration_s:
            share = min(1.0, self.seconds / self.probe.duration_s)
            self.task.progress = FETCHED + (0.99 - FETCHED) * share


async def _settled(tasks: set[asyncio.Task[None]], when: str) -> set[asyncio.Task[None]]:
    """Wait for some of `tasks`: those that are left. Raises what one of them did."""
    done, left = await asyncio.wait(tasks, return_when=when)
    for task in done:
        task.result()
    return left


async def _tidy(
    storage: Storage, video_id: int, generation: int, renditions: Sequence[Rendition]
) -> None:
    """Remove what earlier attempts left."""
    if generation == 0:
        return
    kept = {f"{each.name}/{entry.msn}.m4s" for each in renditions for entry in each.entries}
    kept |= {f"{each.name}/{each.entries[0].init}" for each in renditions}
    folder = f"videos/{video_id}/"
    there = [found.key for found in await storage.list(folder)]
    names = {each.name for each in renditions} | {AUDIO}
    left = [
        key
        for key in there
        if (path := key.removeprefix(folder)) not in kept and path.partition("/")[0] in names
    ]
    await storage.delete(*left)


async def _publish(
    session: AsyncSession, video: Video, found: Probe, planned: Plan, made: Sequence[Rendition]
) -> None:
    """The video is ready: in the transaction that ends the job."""
    timeline = Timeline({each.name: tuple(each.entries) for each in made})
    encoded = timeline.encode()
    stored = insert(VideoTimeline).values(video_id=video.id, entries=encoded)
    await session.execute(
        stored.on_conflict_do_update(index_elements=["video_id"], set_={"entries": encoded})
    )
    rungs = {rung.name: rung for rung in planned.rungs}
    best = planned.rungs[0] if planned.rungs else None
    values: dict[str, Any] = {
        "status": VideoStatus.READY,
        "ready_at": func.now(),
        # One that was to be published at once is new now; another when its owner says.
        "published_at": case(
            (Video.published_at < func.now(), func.now()), else_=Video.published_at
        ),
        "duration_s": timeline.duration_s,
        "size_bytes": timeline.size,
        "width": best.width if best else 0,
        "height": best.height if best else 0,
        "has_audio": found.sound is not None,
        "renditions": [_described(each, rungs.get(each.name), found) for each in made],
        "error": None,
    }
    await session.execute(update(Video).where(Video.id == video.id).values(values))
    await emit(session, VideoReady(video_id=video.id, channel_id=video.channel_id))


def _described(made: Rendition, rung: Rung | None, found: Probe) -> Json:
    peak, average = bandwidth(made.entries)
    rate = min(found.picture.frame_rate, encoding.MOST_FPS) if found.picture and rung else 0.0
    return {
        "name": made.name,
        "codecs": made.codecs,
        "width": rung.width if rung else 0,
        "height": rung.height if rung else 0,
        "frame_rate": rate,
        "bandwidth": peak,
        "average_bandwidth": average,
    }
