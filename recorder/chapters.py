"""Chapters of broadcasts: where title or category changed while they ran."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.video_models import Video, VideoKind, VideoSegment, VideoStatus
from core.events import ChannelUpdated, Event
from recorder.timeline import SOURCE, Span, media_time

Chapter = dict[str, Any]

#: A change so soon after another corrects it: nobody looks for a chapter of so little.
CORRECTION_S = 10.0
#: More than somebody can look through.
MOST = 200
#: A change in the last moments of a broadcast may come when its video is ready already.
LATE = timedelta(seconds=5)


def with_change(
    chapters: Sequence[Chapter], first: Chapter, at_s: float, title: str, category: str | None
) -> list[Chapter]:
    """Chapters with a change at `at_s`; `first` is what the broadcast began as.

    The same change twice, or one that changes nothing, leaves them as they are. A video of one chapter
    has none.
    """
    known = [dict(each) for each in chapters] or [first]
    added = {"at_s": round(at_s, 3), "title": title, "category": category}
    before = [each for each in known if each["at_s"] < added["at_s"]]
    after = [each for each in known if each["at_s"] >= added["at_s"]]
    if before and before[-1]["at_s"] > at_s - CORRECTION_S and (len(before) > 1 or at_s <= 0):
        before.pop()
    if any(each["at_s"] == added["at_s"] for each in after):
        after = [each for each in after if each["at_s"] != added["at_s"]]
    kept: list[Chapter] = []
    for each in (*before, added, *after):
        if not kept or (each["title"], each["category"]) != (
            kept[-1]["title"],
            kept[-1]["category"],
        ):
            kept.append(each)
    return kept[:MOST] if len(kept) > 1 else []


class Chapters:
    """Keeps the chapters of videos."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def happened(self, event: Event) -> None:
        """A consumer of ChannelUpdated."""
        if not isinstance(event, ChannelUpdated) or event.at is None:
            return
        async with self._database.session() as session:
            video = await _broadcast_at(session, event.channel_id, event.at)
            if video is None:
                return
            at_s = await _media_time(session, video, event.at)
            if at_s is None:
                return
            # What it began as was written down with its first segment; its owner may have renamed the
            # video since, and then the first chapter has the new name.
            first = {"at_s": 0.0, "title": video.title, "category": video.category}
            video.chapters = with_change(video.chapters, first, at_s, event.title, event.category)


async def _broadcast_at(session: AsyncSession, channel_id: int, at: datetime) -> Video | None:
    """The channel's recording that ran at a time."""
    query = (
        select(Video)
        .where(
            Video.channel_id == channel_id,
            Video.kind == VideoKind.BROADCAST,
            Video.started_at <= at,
            Video.purged_at.is_(None),
            or_(Video.status == VideoStatus.LIVE, Video.ready_at >= at - LATE),
        )
        .order_by(Video.started_at.desc())
        .limit(1)
        .with_for_update()
    )
    found: Video | None = await session.scalar(query)
    return found


async def _media_time(session: AsyncSession, video: Video, at: datetime) -> float | None:
    """Where in the video a time is: at the end of what is stored when it is later."""
    if video.status != VideoStatus.LIVE:
        spans = [
            Span(start, datetime.fromisoformat(wall), length) for start, wall, length in video.spans
        ]
        return media_time(spans, at) if spans else None
    query = (
        select(VideoSegment.start_s, VideoSegment.pdt)
        .where(
            VideoSegment.video_id == video.id,
            VideoSegment.rendition == SOURCE,
            VideoSegment.pdt <= at,
        )
        .order_by(VideoSegment.msn.desc())
        .limit(1)
    )
    row = (await session.execute(query)).first()
    if row is None:
        return 0.0
    # Not cut at that segment's end: the next one, which is not stored yet, goes on there.
    return float(row.start_s + (at - row.pdt).total_seconds())
