"""What videos take: shown to their owners and to admins, who also remove them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, names, pages
from api.admin.routes import admin
from api.channels.queries import find_channel
from api.operations import Call, Model, Query
from api.people import Person, people
from api.recorder import ask
from api.videos.area import NOT_FOUND, OWNERS, videos
from api.videos.queries import find_video, no_video, plan_anew, rows_of
from api.videos.queries import videos as select_videos
from api.videos.schemas import ManagedVideosQuery, MyVideo, MyVideoPage
from core.access import SiteAction, authorize_site
from core.db.models import Channel
from core.db.video_models import Clip, Video

MOST_CHANNELS = 100
REASON_LENGTH = 500


class Usage(Model):
    """How much there is of something."""

    count: int
    bytes: int
    duration_s: float


_NOTHING = Usage(count=0, bytes=0, duration_s=0)


class StorageView(Model):
    """What a channel's videos and clips take."""

    videos: Usage = Field(description="Those that are not in the trash.")
    trash: Usage
    clips: Usage = Field(description="Cut from this channel's videos, by whomever.")
    quota_bytes: int | None = Field(
        description="Most that it may be; past it the oldest broadcasts are removed. Null: no limit."
    )
    retention_days: int | None = Field(description="How long broadcasts are kept; null: for good.")
    trash_days: float


class ChannelStorage(Model):
    """What one channel's videos take."""

    channel: Person
    videos: int
    bytes: int


class SiteStorage(Model):
    """What all videos and clips take."""

    videos: Usage
    trash: Usage
    clips: Usage
    channels: list[ChannelStorage] = Field(description="Those with the most.")


async def _used(session: AsyncSession, *which: ColumnElement[bool]) -> Mapping[bool, Usage]:
    """Of videos, by whether they are in the trash."""
    trashed = Video.trashed_at.is_not(None).label("trashed")
    sums = (func.count(), func.sum(Video.size_bytes), func.sum(Video.duration_s))
    query = select(trashed, *sums).where(Video.purged_at.is_(None), *which).group_by(trashed)
    rows = await session.execute(query)
    return {row[0]: Usage(count=row[1], bytes=int(row[2]), duration_s=row[3]) for row in rows}


async def _used_by_clips(session: AsyncSession, *which: ColumnElement[bool]) -> Usage:
    sums = (
        func.count(),
        func.coalesce(func.sum(Clip.size_bytes), 0),
        func.coalesce(func.sum(Clip.duration_s), 0.0),
    )
    row = (await session.execute(select(*sums).where(Clip.deleted_at.is_(None), *which))).one()
    return Usage(count=row[0], bytes=int(row[1]), duration_s=row[2])


@videos.get("/me/storage", "What your videos take", answer=StorageView)
async def my_storage(call: Call[None, None]) -> StorageView:
    """With how long they are kept, and how much there may be."""
    settings = call.api.current.now
    async with call.api.database.session() as session:
        mine = await _used(session, Video.channel_id == call.actor.id)
        clips = await _used_by_clips(session, Clip.channel_id == call.actor.id)
        own_days = await retention_of(session, call.actor.id)
    return StorageView(
        videos=mine.get(False, _NOTHING),
        trash=mine.get(True, _NOTHING),
        clips=clips,
        quota_bytes=settings.video_channel_quota_bytes or None,
        retention_days=own_days or settings.video_retention_days or None,
        trash_days=settings.trash_days,
    )


@admin.get("/admin/storage", "What all videos take", answer=SiteStorage, errors=OWNERS)
async def site_storage(call: Call[None, None]) -> SiteStorage:
    """For admins."""
    authorize_site(call.actor, SiteAction.SEE_STORAGE)
    total = func.sum(Video.size_bytes)
    largest = (
        select(Video.channel_id, func.count(), total)
        .where(Video.purged_at.is_(None))
        .group_by(Video.channel_id)
        .order_by(total.desc(), Video.channel_id)
        .limit(MOST_CHANNELS)
    )
    async with call.api.database.session() as session:
        used = await _used(session)
        clips = await _used_by_clips(session)
        rows = (await session.execute(largest)).all()
        named = await people(session, (row[0] for row in rows))
    return SiteStorage(
        videos=used.get(False, _NOTHING),
        trash=used.get(True, _NOTHING),
        clips=clips,
        channels=[
            ChannelStorage(channel=named[row[0]], videos=row[1], bytes=int(row[2])) for row in rows
        ],
    )


class AdminVideosQuery(ManagedVideosQuery):
    """Which videos."""

    channel: str | None = Field(default=None, max_length=100, description="Of this login.")
    trashed: bool | None = Field(default=None, description="Whether it is in the trash.")


@admin.get(
    "/admin/videos",
    "All videos",
    query=AdminVideosQuery,
    answer=MyVideoPage,
    errors={**OWNERS, HTTPStatus.NOT_FOUND: ("channel_not_found",)},
)
async def list_all_videos(call: Call[None, AdminVideosQuery]) -> MyVideoPage:
    """Whoever may watch them, the newest first. For the site's moderators and admins, who may not
    watch private ones because of that: these have no addresses here.
    """
    authorize_site(call.actor, SiteAction.REMOVE_VIDEOS)
    asked = call.query
    query = select_videos().where(Video.purged_at.is_(None))
    if asked.trashed is not None:
        trashed = Video.trashed_at
        query = query.where(trashed.is_not(None) if asked.trashed else trashed.is_(None))
    query = asked.narrow(query)
    async with call.api.database.session() as session:
        if asked.channel is not None:
            channel = await find_channel(session, asked.channel)
            query = query.where(Video.channel_id == channel.id)
        await plan_anew(session)
        rows, cursor = await pages.fetch(
            session, query, asked, "all-videos", Video.created_at, Video.id
        )
        found = await rows_of(session, [row.Video for row in rows])
    now = datetime.now(UTC)
    book = call.api.addresses
    items = [MyVideo.of(row, book.for_anybody(row.video, row.channel.login, now)) for row in found]
    return MyVideoPage(items=items, next_cursor=cursor)


def _reason(text: str) -> str:
    return names.clean_words(text, REASON_LENGTH, "reason")


class RemovalQuery(Query):
    """Why a video is removed."""

    reason: Annotated[str, Field(max_length=REASON_LENGTH), AfterValidator(_reason)] = Field(
        default="", description="For the audit log."
    )


@admin.delete(
    "/admin/videos/{id}",
    "Remove a video",
    query=RemovalQuery,
    errors={**NOT_FOUND, **OWNERS, HTTPStatus.CONFLICT: ("video_live",)},
)
async def remove_video(call: Call[None, RemovalQuery]) -> None:
    """At once and for good, with all that is stored of it. For the site's moderators and admins. A
    running broadcast is ended first.
    """
    authorize_site(call.actor, SiteAction.REMOVE_VIDEOS)
    async with call.api.database.session() as session:
        video = (await find_video(session, call.id())).video
    if video.purged_at is not None:
        raise no_video()
    await ask(call, "video.remove", video_id=video.id)
    async with call.api.database.session() as session:
        audit.record(
            session,
            "video.removed",
            actor_id=call.actor.id,
            target=f"channel:{video.channel_id}",
            address=call.address,
            video_id=str(video.id),
            title=video.title,
            reason=call.query.reason,
        )


async def retention_of(session: AsyncSession, channel_id: int) -> int | None:
    """The days for which a channel keeps its broadcasts; None: as the site does."""
    days: int | None = await session.scalar(
        select(Channel.retention_days).where(Channel.id == channel_id)
    )
    return days
