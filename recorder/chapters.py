"""Chapters of broadcasts: where title or category changed while they ran.

Where in the video a change is can only be guessed while the segment of that moment is not stored: its
wall clock is kept beside it, and when the video is ready its place is found by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.video_models import Video, VideoKind, VideoSegment, VideoStatus
from core.events import ChannelUpdated, Event, VideoReady
from recorder.timeline import SOURCE, Span, media_time

Chapter = dict[str, Any]

#: A change so soon after another corrects it: nobody looks for a chapter of so little.
CORRECTION_S = 10.0
#: More than somebody can look through.
MOST = 200
#: A change in the last moments of a broadcast may come when its video is ready already.
LATE = timedelta(seconds=5)
#: A segment is stored at most so long after it was shown, as a rule.
UNSTORED_S = 6.0


def with_change(chapters: Sequence[Chapter], first: Chapter, change: Chapter) -> list[Chapter]:
    """Chapters with a change; `first` is what the broadcast began as.

    The same change twice, or one that changes nothing, leaves them as they are. A video of one chapter
    has none.
    """
    known = [dict(each) for each in chapters] or [first]
    added = {**change, "at_s": round(change["at_s"], 3)}
    at_s = added["at_s"]
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


def settled(chapters: Sequence[Chapter], spans: Sequence[Span]) -> list[Chapter]:
    """Chapters at their places in a video that is whole."""
    kept: list[Chapter] = []
    for each in chapters:
        wall = each.get("wall")
        place = media_time(spans, datetime.fromisoformat(wall)) if wall else each["at_s"]
        first = kept[0] if kept else each
        kept = with_change(kept, first, {**each, "at_s": place}) or [first]
    return kept if len(kept) > 1 else []


class Chapters:
    """Keeps the chapters of videos."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def happened(self, event: Event) -> None:
        """A consumer of ChannelUpdated and VideoReady."""
        if isinstance(event, ChannelUpdated) and event.at is not None:
            await self._changed(event, event.at)
        elif isinstance(event, VideoReady) and event.spans:
            await self._settle(event)

    async def _changed(self, event: ChannelUpdated, at: datetime) -> None:
        async with self._database.session() as session:
            video = await _broadcast_at(session, event.channel_id, at)
            place = None if video is None else await _media_time(session, video, at)
            if video is None or place is None:
                return
            # What it began as was written down with its first segment; its owner may have renamed the
            # video since, and then the first chapter has the new name.
            first = {"at_s": 0.0, "title": video.title, "category": video.category}
            change = {
                "at_s": place,
                "title": event.title,
                "category": event.category,
                "wall": at.isoformat(),
            }
            video.chapters = with_change(video.chapters, first, change)

    async def _settle(self, event: VideoReady) -> None:
        async with self._database.session() as session:
            video = await session.get(Video, event.video_id, with_for_update=True)
            if video is not None and video.chapters:
                video.chapters = settled(video.chapters, [Span(*span) for span in event.spans])


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
    """Where in the video a time is, as far as one can know yet; None when it has nothing."""
    if video.status != VideoStatus.LIVE:
        spans = [
            Span(start, datetime.fromisoformat(wall), length) for start, wall, length in video.spans
        ]
        return media_time(spans, at) if spans else None
    query = (
        select(VideoSegment.start_s, VideoSegment.duration_s, VideoSegment.pdt)
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
    # The next one is not stored yet, or there is a gap.
    since_s = min((at - row.pdt).total_seconds(), row.duration_s + UNSTORED_S)
    return float(row.start_s + since_s)
