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
from dataclasses import dataclass
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
from recorder.making import AUDIO, FETCHED, Making, Rendition
from recorder.probe import Probe
from recorder.refusals import Refused
from recorder.sandbox import Limits, TooLong, confined
from recorder.timeline import Timeline, bandwidth
from recorder.workers import Task

log = logger(__name__)

#: The clock on the wall also runs while a busy machine does something else.
PROBE = Limits(wall_s=300, cpu_s=60)
PROBE_LINES = 5000
#: What encoding may take for each second that there is of the video, and at least.
SLOWEST, LEAST_S = 30, 900
#: Left free on the disk beside the file.
SPARE_BYTES = 512 * 1024 * 1024
_NO_ROOM = "There is no room to process this file on the server just now."
#: ffmpeg's status when a signal ended it: the only one that it gets says that its processor time is up.
_BY_SIGNAL = 255
_NO_MEMORY = "Cannot allocate memory"
#: Failures that may have been the server's: after these another attempt may be asked for.
MAY_PASS = frozenset({"internal", "unavailable", "worker_died", "too_slow", "too_demanding"})


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
            making = Making(self.storage, task, video.id, video.created_at, found, planned)
            try:
                await self._encode(making, fd, forced)
                renditions = making.finished()
            except BaseException:
                await making.discard()
                raise
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
            raise Unavailable(_NO_ROOM)
        if not upload.size:
            raise Refused("empty_file", "This file is empty.")
        try:
            await self._put_together(task, upload, path)
        except OSError as error:
            raise Unavailable(_NO_ROOM) from error

    async def _put_together(self, task: Task, upload: Upload, path: Path) -> None:
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

    async def _encode(self, making: Making, fd: int, forced: str | None) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        longest = round(LEAST_S + SLOWEST * probe.LONGEST_S)
        limits = Limits(wall_s=LEAST_S, cpu_s=longest * (os.cpu_count() or 1))
        pipes = [os.pipe() for _ in range(making.plan.outputs)]
        writes = [write for _, write in pipes]
        words = encoding.command(self.ffmpeg, making.probe, making.plan, fd, forced, writes)
        readers: list[asyncio.Task[None]] = []
        try:
            async with confined(words, limits, pass_fds=(fd, *writes)) as encoder:
                making.on_seconds = lambda made: encoder.allow(LEAST_S + SLOWEST * made)
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
        if (refused := refusal(status, tail, making.seconds)) is not None:
            raise refused

    async def undo(self, session: AsyncSession, work: Work, failure: Failure) -> None:
        """The video has failed, and says why, and whether it may be tried again."""
        error = {**failure.as_json(), "retry": failure.code in MAY_PASS}
        await session.execute(
            update(Video)
            .where(Video.id == work.video_id, Video.status == VideoStatus.PROCESSING)
            .values(status=VideoStatus.FAILED, error=error)
        )


def refusal(status: int, tail: Sequence[str], seconds: float) -> Refused | None:
    """What an encoder's end means that made `seconds`: None for a video, of all or of what there is."""
    starved = status != 0 and any(_NO_MEMORY in line for line in tail)
    if status < 0 or status == _BY_SIGNAL or starved:
        return Refused("too_demanding", "Encoding this file takes more than this server gives.")
    if not seconds:
        return Refused("unreadable", "Nothing in this file could be decoded.")
    return None


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
