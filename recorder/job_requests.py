"""Questions about jobs: what other services ask for, and take back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus
from core.db.video_models import Job, JobState, Video, VideoStatus
from core.errors import Conflict, Invalid, NotFound
from core.events import recorder_question
from core.instance_settings import CurrentSettings
from recorder import jobs
from recorder.jobs import Kind, Priority, Queue, Undo

#: What may be asked for from outside, and how soon it is done.
ASKED: Mapping[str, Priority] = {
    Kind.EXPORT_MP4: Priority.NORMAL,
    Kind.EXPORT_MP3: Priority.NORMAL,
}


@dataclass(frozen=True)
class JobRequests:
    """Answers `job.create` and `job.cancel`."""

    queue: Queue
    undo: Mapping[str, Undo]
    current: CurrentSettings

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        await bus.respond(recorder_question("job.create"), self.create, queue="recorder")
        await bus.respond(recorder_question("job.cancel"), self.cancel, queue="recorder")

    async def create(self, question: dict[str, Any]) -> dict[str, Any]:
        """{actor, kind, video_id} → {job_id}: a new job, or the one that does the same for the same.

        Raises Invalid, NotFound, Conflict (`video_not_ready`).
        """
        kind, video_id = question["kind"], int(question["video_id"])
        user_id = int(question["actor"]["id"])
        if kind not in ASKED:
            raise Invalid("There is no such kind of job.", field="kind")
        async with self.queue.database.session() as session:
            await _claim_video(session, video_id)
            same = await self._same(session, kind, video_id, user_id)
            if same is not None:
                return {"job_id": str(same)}
            row = await jobs.add(
                session, kind, priority=ASKED[kind], video_id=video_id, user_id=user_id
            )
        await self.queue.wake(row)
        return {"job_id": str(row.id)}

    async def _same(
        self, session: AsyncSession, kind: str, video_id: int, user_id: int
    ) -> int | None:
        """An export that is being made for this user, or that will be there for another while."""
        # Not one whose link is over in a moment.
        young = func.now() - timedelta(days=self.current.now.export_link_days / 2)
        there = (Job.state == JobState.DONE) & Job.result.has_key("key") & (Job.ended_at > young)
        found: int | None = await session.scalar(
            select(Job.id)
            .where(
                Job.video_id == video_id,
                Job.kind == kind,
                Job.user_id == user_id,
                or_(Job.state.in_((JobState.QUEUED, JobState.RUNNING)), there),
            )
            .order_by(Job.id.desc())
            .limit(1)
        )
        return found

    async def cancel(self, question: dict[str, Any]) -> dict[str, Any]:
        """{job_id} → {cancelled}: false when it was over already."""
        async with self.queue.database.session() as session:
            return {"cancelled": await jobs.cancel(session, int(question["job_id"]), self.undo)}


async def _claim_video(session: AsyncSession, video_id: int) -> None:
    """Lock a video that is ready, so that two who ask at once get one job."""
    query = select(Video.status).where(Video.id == video_id, Video.purged_at.is_(None))
    status = await session.scalar(query.with_for_update())
    if status is None:
        raise NotFound("There is no such video.", code="video_not_found")
    if status != VideoStatus.READY:
        raise Conflict("This video is not ready yet.", code="video_not_ready")
