"""Questions to recorder about videos: what other services want changed (core.events.recorder_question).

Whether somebody may has been decided by whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus
from core.db.engine import Database
from core.db.models import Visibility
from core.db.video_models import Video, VideoKind, VideoStatus
from core.errors import Conflict, Invalid, NotFound
from core.events import VideoRemoved, VideoUpdated, recorder_question
from core.instance_settings import CurrentSettings
from core.outbox import emit

Json = dict[str, Any]

#: What `video.update` changes, and `video.create` sets.
CHANGEABLE = (
    "title", "description", "category", "tags", "language", "visibility", "published_at",
)  # fmt: skip


@dataclass(frozen=True)
class VideoRequests:
    """Answers `video.…`."""

    database: Database
    current: CurrentSettings
    # Called when something is to go at once.
    due: Callable[[], None]

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        operations = {
            "update": self.update,
            "trash": self.trash,
            "restore": self.restore,
            "remove": self.remove,
            "create": self.create,
        }
        for name, answer in operations.items():
            subject = recorder_question(f"video.{name}")
            await bus.respond(subject, answer, queue="recorder", lane=_lane)

    async def update(self, question: Json) -> Json:
        """{video_id, changes} → {}: sets what is given of CHANGEABLE. Raises Invalid, NotFound."""
        changes = _changes(question.get("changes", {}))
        async with self.database.session() as session:
            video = await _video(session, question)
            for name, value in changes.items():
                setattr(video, name, value)
            await emit(session, VideoUpdated(video_id=video.id, channel_id=video.channel_id))
        return {}

    async def trash(self, question: Json) -> Json:
        """{video_id} → {purge_at}: into the trash. Raises NotFound, Conflict (`video_live`)."""
        now = datetime.now(UTC)
        async with self.database.session() as session:
            video = await _finished(session, question)
            if video.trashed_at is None:
                video.trashed_at = now
                video.purge_at = now + timedelta(days=self.current.now.trash_days)
                await emit(session, VideoRemoved(video_id=video.id, channel_id=video.channel_id))
            purge_at = video.purge_at or now
        return {"purge_at": purge_at.isoformat()}

    async def restore(self, question: Json) -> Json:
        """{video_id} → {}: out of the trash. Raises NotFound, Conflict (`not_trashed`)."""
        async with self.database.session() as session:
            video = await _video(session, question)
            if video.trashed_at is None:
                raise Conflict("This video is not in the trash.", code="not_trashed")
            video.trashed_at = video.purge_at = None
            await emit(session, VideoUpdated(video_id=video.id, channel_id=video.channel_id))
        return {}

    async def remove(self, question: Json) -> Json:
        """{video_id} → {}: at once and for good. Raises NotFound, Conflict (`video_live`)."""
        now = datetime.now(UTC)
        async with self.database.session() as session:
            video = await _finished(session, question)
            video.trashed_at = video.trashed_at or now
            video.purge_at = now
            await emit(session, VideoRemoved(video_id=video.id, channel_id=video.channel_id))
        self.due()
        return {}

    async def create(self, question: Json) -> Json:
        """{channel_id, changes} → {video_id}: a video that is still to be made of an upload."""
        values = _changes(question.get("changes", {}))
        async with self.database.session() as session:
            video = Video(
                channel_id=int(question["channel_id"]),
                kind=VideoKind.UPLOAD,
                status=VideoStatus.PROCESSING,
                **values,
            )
            session.add(video)
            await session.flush()
        return {"video_id": str(video.id)}


def _lane(question: Mapping[str, Any]) -> object:
    """What is about one video keeps its order."""
    return question.get("video_id")


def _query(question: Mapping[str, Any]) -> Select[Video]:
    found = select(Video).where(Video.id == int(question["video_id"]), Video.purged_at.is_(None))
    return found.with_for_update()


async def _video(session: AsyncSession, question: Mapping[str, Any]) -> Video:
    video: Video | None = await session.scalar(_query(question))
    if video is None:
        raise NotFound("There is no such video.", code="video_not_found")
    return video


async def _finished(session: AsyncSession, question: Mapping[str, Any]) -> Video:
    video = await _video(session, question)
    if video.status == VideoStatus.LIVE:
        raise Conflict("This broadcast is still running. End it first.", code="video_live")
    return video


def _changes(given: Mapping[str, Any]) -> Json:
    """Raises Invalid for what cannot be changed."""
    unknown = set(given) - set(CHANGEABLE)
    if unknown:
        raise Invalid("That cannot be changed.", field=min(unknown))
    changes = dict(given)
    if "visibility" in changes and changes["visibility"] not in list(Visibility):
        raise Invalid("There is no such visibility.", field="visibility")
    if changes.get("published_at") is not None:
        changes["published_at"] = datetime.fromisoformat(changes["published_at"])
    return changes
