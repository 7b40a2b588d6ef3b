"""A poster that a video's owner chose: a moment of it, or a picture that was uploaded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from core.bus import Bus
from core.db.engine import Database
from core.db.models import Json
from core.db.video_models import Video, VideoStatus, VideoTimeline
from core.errors import Conflict, Invalid, NotFound
from core.events import VideoUpdated, recorder_question
from core.outbox import emit
from core.storage import Storage
from recorder import pictures
from recorder.timeline import Entry, Timeline, file_name


def object_key(video_id: int) -> str:
    """Where a poster is kept."""
    return f"videos/{video_id}/poster.jpg"


@dataclass(frozen=True)
class Posters:
    """Answers `video.poster`."""

    database: Database
    storage: Storage
    ffmpeg: str

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        await bus.respond(recorder_question("video.poster"), self.choose, queue="recorder")

    async def choose(self, question: dict[str, Any]) -> dict[str, Any]:
        """{video_id, at_s} or, of a picture that is stored already, {video_id, width, height} →
        {poster}. Raises NotFound, Conflict (`video_not_ready`), Invalid (`no_picture`).
        """
        video_id = int(question["video_id"])
        if "at_s" in question:
            width, height = await self._moment(video_id, float(question["at_s"]))
        else:
            width, height = int(question["width"]), int(question["height"])
        return {"poster": await self._chosen(video_id, width, height)}

    async def _moment(self, video_id: int, at_s: float) -> tuple[int, int]:
        """The keyframe at or before a moment as the poster: its size."""
        name, entry = await self._entry(video_id, at_s)
        folder = f"videos/{video_id}/{name}/"
        keys = [entry.init, file_name(entry)]
        if entry.key is None:
            keys = [folder + key for key in keys]
        init, data = await asyncio.gather(*(self.storage.get(key) for key in keys))
        try:
            frame = await asyncio.to_thread(pictures.keyframe, init, data)
        except pictures.Unreadable as error:
            raise _no_picture() from error
        jpeg = await asyncio.to_thread(pictures.poster, self.ffmpeg, frame)
        if not jpeg:
            raise _no_picture()
        await self.storage.put(object_key(video_id), jpeg)
        return pictures.jpeg_size(jpeg)

    async def _entry(self, video_id: int, at_s: float) -> tuple[str, Entry]:
        async with self.database.session() as session:
            query = (
                select(Video.status, VideoTimeline.entries)
                .outerjoin(VideoTimeline, VideoTimeline.video_id == Video.id)
                .where(Video.id == video_id, Video.purged_at.is_(None))
            )
            row = (await session.execute(query)).one_or_none()
        if row is None:
            raise NotFound("There is no such video.", code="video_not_found")
        if row.status != VideoStatus.READY or row.entries is None:
            raise Conflict("This video is not ready yet.", code="video_not_ready")
        timeline = Timeline.decode(row.entries)
        for name, entries in timeline.renditions.items():
            if entries is timeline.main:
                there = [e for e in entries if not e.gap and e.start_s <= at_s]
                if there:
                    return name, there[-1]
        raise _no_picture()

    async def _chosen(self, video_id: int, width: int, height: int) -> Json:
        async with self.database.session() as session:
            query = select(Video).where(Video.id == video_id, Video.purged_at.is_(None))
            video = await session.scalar(query.with_for_update())
            if video is None:
                raise NotFound("There is no such video.", code="video_not_found")
            poster: Json = {
                "width": width,
                "height": height,
                # Another version is another address, for whoever keeps the old picture.
                "version": int(video.poster.get("version", 0)) + 1,
                "chosen": True,
            }
            await session.execute(update(Video).where(Video.id == video_id).values(poster=poster))
            await emit(session, VideoUpdated(video_id=video_id, channel_id=video.channel_id))
        return poster


def _no_picture() -> Invalid:
    return Invalid("There is no picture at this moment.", code="no_picture", field="at_s")
