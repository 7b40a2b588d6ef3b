"""Highlights: a longer cut of a video becomes a video of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func

from core.bus import Bus
from core.db.video_models import Video, VideoKind, VideoStatus
from core.errors import Conflict, Invalid, NotFound
from core.events import recorder_question
from recorder import jobs
from recorder.jobs import Kind, Priority, Queue

SHORTEST_S = 1.0
#: Asked for with the player's time, which rounds.
BEYOND_S = 0.5


@dataclass(frozen=True)
class Highlights:
    """Answers `highlight.create`."""

    queue: Queue

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        await bus.respond(recorder_question("highlight.create"), self.create, queue="recorder")

    async def create(self, question: dict[str, Any]) -> dict[str, Any]:
        """{actor, video_id, start_s, duration_s, title} → {video_id}: of a video that is being made.

        Raises NotFound, Conflict (`video_not_ready`), Invalid (`not_recorded`, `clip_too_short`).
        """
        start_s, duration_s = float(question["start_s"]), float(question["duration_s"])
        async with self.queue.database.session() as session:
            source = await session.get(Video, int(question["video_id"]))
            if source is None or source.purged_at is not None or source.trashed_at is not None:
                raise NotFound("There is no such video.", code="video_not_found")
            if source.status != VideoStatus.READY:
                raise Conflict("This video is not ready yet.", code="video_not_ready")
            length_s = min(duration_s, source.duration_s - start_s)
            if start_s + duration_s > source.duration_s + BEYOND_S:
                raise Invalid(
                    "The video does not go that far.", code="not_recorded", field="start_s"
                )
            if length_s < SHORTEST_S:
                raise Invalid(
                    "A highlight is at least a second long.",
                    code="clip_too_short", field="duration_s",
                )  # fmt: skip
            video = Video(
                channel_id=source.channel_id,
                kind=VideoKind.HIGHLIGHT,
                status=VideoStatus.PROCESSING,
                title=str(question["title"]),
                category=source.category,
                tags=source.tags,
                language=source.language,
                visibility=source.visibility,
                source_video_id=source.id,
                published_at=func.now(),
                duration_s=length_s,
                has_audio=source.has_audio,
            )
            session.add(video)
            await session.flush()
            params = {
                "source_video_id": source.id, "start_s": start_s, "duration_s": length_s
            }  # fmt: skip
            job = await jobs.add(
                session,
                Kind.HIGHLIGHT,
                priority=Priority.SOON,
                video_id=video.id,
                user_id=int(question["actor"]["id"]),
                params=params,
            )
            video_id = video.id
        await self.queue.wake(job)
        return {"video_id": str(video_id)}
