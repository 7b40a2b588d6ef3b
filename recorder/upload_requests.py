"""Questions about uploads: the video that one becomes, and the job that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus
from core.db.models import Json
from core.db.video_models import Job, JobState, Video, VideoKind, VideoStatus
from core.errors import Conflict, NotFound
from core.events import recorder_question
from recorder import jobs
from recorder.jobs import Kind, Priority, Queue, Undo

#: What its owner says of a video before there is one.
FIELDS = ("title", "description", "category", "language", "visibility", "tags")


@dataclass(frozen=True)
class UploadRequests:
    """Answers `upload.begin`, `upload.complete`, `upload.retry`, `upload.forget` and `upload.abandon`."""

    queue: Queue
    undo: Mapping[str, Undo]

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        for op, answer in (
            ("upload.begin", self.begin),
            ("upload.complete", self.complete),
            ("upload.retry", self.retry),
            ("upload.forget", self.forget),
            ("upload.abandon", self.abandon),
        ):
            await bus.respond(recorder_question(op), answer, queue="recorder")

    async def begin(self, question: dict[str, Any]) -> dict[str, Any]:
        """{actor, fields} → {video_id}: a video of the actor's channel that is still to come."""
        fields: Json = question["fields"]
        row = Video(
            channel_id=int(question["actor"]["id"]),
            kind=VideoKind.UPLOAD,
            status=VideoStatus.PROCESSING,
            published_at=_moment(fields),
            **{name: fields[name] for name in FIELDS if fields.get(name) is not None},
        )
        async with self.queue.database.session() as session:
            session.add(row)
            await session.flush()
            return {"video_id": str(row.id)}

    async def complete(self, question: dict[str, Any]) -> dict[str, Any]:
        """{upload_id, video_id} → {job_id}: the file is whole. Asked twice, there is one job."""
        video_id = int(question["video_id"])
        async with self.queue.database.session() as session:
            video = await _uploaded(session, video_id)
            there = select(Job.id).where(Job.video_id == video_id, Job.kind == Kind.TRANSCODE)
            known = await session.scalar(there.limit(1))
            if known is not None:
                return {"job_id": str(known)}
            row = await _job(session, video, question)
        await self.queue.wake(row)
        return {"job_id": str(row.id)}

    async def retry(self, question: dict[str, Any]) -> dict[str, Any]:
        """{upload_id, video_id} → {job_id}: another attempt at one that failed. Raises NotFound, Conflict
        (`video_not_failed`), also for the second of two that ask at once.
        """
        video_id = int(question["video_id"])
        async with self.queue.database.session() as session:
            video = await _uploaded(session, video_id)
            if video.status != VideoStatus.FAILED or video.trashed_at is not None:
                raise Conflict("This video has not failed.", code="video_not_failed")
            video.status, video.error = VideoStatus.PROCESSING, None
            row = await _job(session, video, question)
            # Objects that a worker left who died over the job before keep their names to themselves.
            claims = func.coalesce(Job.result["claims"].as_integer(), 0)
            before = select(func.sum(claims)).where(
                Job.video_id == video_id, Job.kind == Kind.TRANSCODE
            )
            row.result = {"claims": int(await session.scalar(before) or 0)}
        await self.queue.wake(row)
        return {"job_id": str(row.id)}

    async def forget(self, question: dict[str, Any]) -> dict[str, Any]:
        """{video_id} → {}: the file is not kept any longer, so one that failed cannot be tried again."""
        async with self.queue.database.session() as session:
            video = await session.get(Video, int(question["video_id"]), with_for_update=True)
            if video is not None and video.error is not None:
                video.error = {**video.error, "retry": False}
        return {}

    async def abandon(self, question: dict[str, Any]) -> dict[str, Any]:
        """{video_id} → {abandoned}: nothing will come of it; false when there is a video already."""
        video_id = int(question["video_id"])
        async with self.queue.database.session() as session:
            running = select(Job.id).where(
                Job.video_id == video_id, Job.state.in_((JobState.QUEUED, JobState.RUNNING))
            )
            for job_id in (await session.scalars(running)).all():
                await jobs.cancel(session, job_id, self.undo)
            unmade = (VideoStatus.PROCESSING, VideoStatus.FAILED)
            gone = await session.scalar(
                delete(Video)
                .where(
                    Video.id == video_id,
                    Video.kind == VideoKind.UPLOAD,
                    Video.status.in_(unmade),
                )
                .returning(Video.id)
            )
            return {"abandoned": gone is not None}


async def _uploaded(session: AsyncSession, video_id: int) -> Video:
    """The video of an upload, locked. Raises NotFound."""
    query = select(Video).where(
        Video.id == video_id, Video.kind == VideoKind.UPLOAD, Video.purged_at.is_(None)
    )
    video = await session.scalar(query.with_for_update())
    if video is None:
        raise NotFound("There is no such video.", code="video_not_found")
    return video


async def _job(session: AsyncSession, video: Video, question: dict[str, Any]) -> Job:
    """A new job that makes a video of its upload."""
    return await jobs.add(
        session,
        Kind.TRANSCODE,
        priority=Priority.LATER,
        video_id=video.id,
        user_id=video.channel_id,
        params={"upload_id": str(question["upload_id"])},
    )


def _moment(fields: Json) -> datetime | None:
    """From when on others may watch it: once it is ready, unless its owner says otherwise."""
    if "published_at" not in fields:
        return datetime.now(UTC)
    at = fields["published_at"]
    return None if at is None else datetime.fromisoformat(at)
