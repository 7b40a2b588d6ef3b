"""What goes: videos from the trash, those whose time is over, and those of accounts that are gone.

A video's row stays when its objects go, so that its address says so. What a clip or a highlight shows of
it stays, too: both outlive the video that they were cut from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Integer, cast, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import obey_cancellation
from core.db.engine import Database
from core.db.models import Channel
from core.db.video_models import Clip, Video, VideoKind, VideoSegment, VideoStatus, VideoTimeline
from core.errors import Unavailable
from core.events import Event, UserDeleted, VideoReady, VideoRemoved
from core.holding import may_remove
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.outbox import emit
from core.settings import Settings
from core.storage import Storage
from recorder.borrowed import left_over, named

log = logger(__name__)

#: Videos that are purged in one round.
BATCH = 20
#: Held while videos are purged, so that one recorder of several does it. Any number of our own.
_LOCK = 0x0F00_91D0


class Retention:
    """Removes videos when their time has come."""

    def __init__(
        self, database: Database, storage: Storage, settings: Settings, current: CurrentSettings
    ) -> None:
        self._database = database
        self._storage = storage
        self._current = current
        self._every_s = settings.retention_interval_s
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Something may be due now."""
        self._wake.set()

    async def happened(self, event: Event) -> None:
        """What an account leaves behind goes with it; a channel's oldest go when it has too much."""
        if isinstance(event, VideoReady) and self._current.now.video_channel_quota_bytes:
            async with self._database.session() as session:
                await self._mark_surplus(session, event.channel_id)
        if isinstance(event, UserDeleted):
            now = datetime.now(UTC)
            async with self._database.session() as session:
                await session.execute(
                    update(Video)
                    .where(Video.channel_id == event.user_id, Video.purged_at.is_(None))
                    .values(trashed_at=func.coalesce(Video.trashed_at, now), purge_at=now)
                )
                await session.execute(
                    update(Clip)
                    .where(Clip.channel_id == event.user_id, Clip.deleted_at.is_(None))
                    .values(deleted_at=now)
                )
        self.look()

    async def run(self) -> None:
        """Look at everything now and then, until cancelled."""
        while True:
            obey_cancellation()
            self._wake.clear()
            try:
                await self.mark()
                while await self.purge():
                    pass
            except Unavailable as error:
                log.warning("retention_waits", reason=error.message)
            try:
                await asyncio.wait_for(self._wake.wait(), self._every_s)
            except TimeoutError:
                continue

    # What has to go

    async def mark(self) -> None:
        """Broadcasts that are older than their channel keeps them."""
        async with self._database.session() as session:
            await self._mark_old(session)

    async def _mark_old(self, session: AsyncSession) -> None:
        days = cast(
            func.coalesce(Channel.retention_days, self._current.now.video_retention_days), Integer
        )
        old = (
            select(Video.id)
            .join(Channel, Channel.id == Video.channel_id)
            .where(
                Video.kind == VideoKind.BROADCAST,
                Video.status != VideoStatus.LIVE,
                Video.purge_at.is_(None),
                Video.purged_at.is_(None),
                days > 0,
                func.coalesce(Video.ready_at, Video.created_at)
                < func.now() - func.make_interval(0, 0, 0, days),
            )
            .limit(1000)
        )
        await self._mark(session, list(await session.scalars(old)), "old")

    async def _mark_surplus(self, session: AsyncSession, channel_id: int) -> None:
        """The oldest broadcasts of a channel that takes more than it may."""
        newer = func.sum(Video.size_bytes).over(order_by=(Video.created_at.desc(), Video.id.desc()))
        kept = (
            select(Video.id, Video.kind, Video.status, newer.label("newer"))
            .where(
                Video.channel_id == channel_id,
                Video.purge_at.is_(None),
                Video.purged_at.is_(None),
            )
            .subquery()
        )
        surplus = select(kept.c.id).where(
            kept.c.newer > self._current.now.video_channel_quota_bytes,
            kept.c.kind == VideoKind.BROADCAST,
            kept.c.status == VideoStatus.READY,
        )
        await self._mark(session, list(await session.scalars(surplus)), "surplus")

    async def _mark(self, session: AsyncSession, ids: Sequence[int], why: str) -> None:
        if ids:
            log.info("videos_expire", why=why, count=len(ids))
            await session.execute(
                update(Video).where(Video.id.in_(ids)).values(purge_at=func.now())
            )

    # Going

    async def purge(self) -> bool:
        """Remove a batch of what is due; whether there may be more. Raises Unavailable."""
        due = (
            select(Video.id)
            .where(
                Video.purged_at.is_(None),
                Video.purge_at <= func.now(),
                or_(Video.status != VideoStatus.LIVE, Video.session.is_(None)),
            )
            .order_by(Video.purge_at)
            .limit(BATCH)
        )
        async with self._database.session() as session:
            ids = list(await session.scalars(due))
        for video_id in ids:
            if not await self._purge(video_id):
                return False
        return len(ids) == BATCH

    async def _purge(self, video_id: int) -> bool:
        """Out of sight first, then the objects; what a kill leaves is found again by `purged_at`. False
        while a backup copies them.
        """
        async with self._database.session() as session:
            await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            video = await session.get(Video, video_id, with_for_update=True)
            if video is None or video.purged_at is not None or video.purge_at is None:
                return True
            if not await may_remove(session):
                return False
            kept = await named(session, video_id)
            entries = await session.scalar(
                select(VideoTimeline.entries).where(VideoTimeline.video_id == video_id)
            )
            # Of a highlight: what it took from a video that is gone already.
            alone = await left_over(session, entries or b"", video_id=video_id)
            await self._delete_objects(video_id, kept)
            await self._storage.delete(*sorted(alone))
            await session.execute(delete(VideoSegment).where(VideoSegment.video_id == video_id))
            await session.execute(delete(VideoTimeline).where(VideoTimeline.video_id == video_id))
            video.purged_at = datetime.now(UTC)
            video.trashed_at = video.trashed_at or video.purged_at
            video.title = video.description = ""
            video.size_bytes = 0
            video.poster, video.storyboard, video.chapters = {}, {}, []
            await emit(
                session,
                VideoRemoved(video_id=video_id, channel_id=video.channel_id, purged=True),
            )
        log.info("video_purged", video_id=video_id, kept=len(kept))
        return True

    async def _delete_objects(self, video_id: int, kept: set[str]) -> None:
        stored = await self._storage.list(f"videos/{video_id}/")
        await self._storage.delete(*(each.key for each in stored if each.key not in kept))
