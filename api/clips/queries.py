"""What is read about clips. `recorder` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer, load_only

from api.clips.schemas import ClipsQuery, ClipView
from api.people import people
from api.videos.sight import is_open, not_suspended
from core.db.models import ChatBan
from core.db.video_models import LISTED_CLIP, Clip, Video, VideoStatus
from core.errors import NotFound

_SEEN = (
    *(Video.id, Video.title, Video.category, Video.visibility, Video.status),
    *(Video.trashed_at, Video.purged_at, Video.published_at, Video.channel_id, Video.suspended),
)


def listed_clips(
    asked: ClipsQuery, *, channel_id: int | None, creator_id: int | None
) -> Select[Clip]:
    """Clips that play, as asked for; `channel_id` is not suspended."""
    query = select(Clip).where(LISTED_CLIP)
    if channel_id is None:
        query = query.where(not_suspended(Clip.channel_id))
    else:
        query = query.where(Clip.channel_id == channel_id)
    if creator_id is not None:
        query = query.where(Clip.creator_id == creator_id)
    if asked.video is not None:
        # An id that no row can have finds none.
        query = query.where(Clip.video_id == min(int(asked.video), 2**63 - 1))
    if asked.days is not None:
        query = query.where(Clip.created_at > datetime.now(UTC) - timedelta(days=asked.days))
    return query.options(
        defer(Clip.entries, raiseload=True), defer(Clip.renditions, raiseload=True)
    )


async def find_clip(session: AsyncSession, clip_id: str) -> Clip:
    """A clip that was not deleted. Raises NotFound (`clip_not_found`)."""
    query = select(Clip).where(Clip.id == clip_id, Clip.deleted_at.is_(None))
    row: Clip | None = await session.scalar(query.options(defer(Clip.entries, raiseload=True)))
    if row is None:
        raise _no_clip()
    return row


def _no_clip() -> NotFound:
    return NotFound("There is no such clip.", code="clip_not_found")


async def find_shown_clip(session: AsyncSession, clip_id: str, viewer_id: int | None) -> Clip:
    """The same, unless its channel is suspended and not the viewer's."""
    clip = await find_clip(session, clip_id)
    if clip.suspended and viewer_id != clip.channel_id:
        raise _no_clip()
    return clip


async def views_of(session: AsyncSession, clips: Sequence[Clip]) -> list[ClipView]:
    """Clips with the people and videos that they name."""
    named = await people(session, (i for clip in clips for i in (clip.channel_id, clip.creator_id)))
    ids = {clip.video_id for clip in clips if clip.video_id is not None}
    videos: dict[Any, Video] = {}
    if ids:
        query = select(Video).where(Video.id.in_(ids)).options(load_only(*_SEEN, raiseload=True))
        now = datetime.now(UTC)
        videos = {v.id: v for v in await session.scalars(query) if is_open(v, now)}
    return [ClipView.of(clip, named, videos.get(clip.video_id)) for clip in clips]


async def live_video(session: AsyncSession, channel_id: int) -> Video | None:
    """The video of a channel's running broadcast."""
    query = (
        select(Video)
        .where(
            Video.channel_id == channel_id,
            Video.status == VideoStatus.LIVE,
            Video.trashed_at.is_(None),
        )
        .order_by(Video.created_at.desc())
        .limit(1)
    )
    found: Video | None = await session.scalar(query)
    return found


async def is_banned(session: AsyncSession, channel_id: int, user_id: int) -> bool:
    """Whether somebody is banned or timed out in a channel's chat."""
    found = await session.scalar(
        select(ChatBan.user_id).where(
            ChatBan.channel_id == channel_id,
            ChatBan.user_id == user_id,
            or_(ChatBan.expires_at.is_(None), ChatBan.expires_at > datetime.now(UTC)),
        )
    )
    return found is not None
