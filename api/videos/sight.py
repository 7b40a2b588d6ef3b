"""Who may see a video: one rule, for a row that is there and as a condition of queries.

    public     everybody, and the catalogue lists it
    unlisted   whoever has its address
    private    its owner

What is in the trash, not published yet, still being made or failed is its owner's alone, too, and so is
everything of a channel while that is suspended.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.orm import InstrumentedAttribute

from core.db.models import SuspensionScope, Visibility
from core.db.video_models import LISTED, Video, VideoStatus
from core.suspensions import suspended_users

_PLAYABLE = (VideoStatus.LIVE, VideoStatus.READY)
_OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)


class Sight(Enum):
    """How somebody may watch."""

    OPEN = "open"
    # With a token in the address, which only those get who may.
    TOKEN = "token"  # noqa: S105 (no secret)


def is_open(video: Video, now: datetime) -> bool:
    """Whether everybody who has its address may watch it."""
    return (
        video.visibility in _OPEN
        and video.status in _PLAYABLE
        and video.trashed_at is None
        and video.purged_at is None
        and video.published_at is not None
        and video.published_at <= now
        and not video.suspended
    )


def sight(video: Video, viewer_id: int | None, now: datetime) -> Sight | None:
    """How a viewer (None: a stranger) may watch; None: not at all, nor know of it."""
    if is_open(video, now):
        return Sight.OPEN
    if video.purged_at is None and viewer_id == video.channel_id:
        return Sight.TOKEN
    return None


def listed() -> ColumnElement[bool]:
    """What the catalogue shows to everybody, in the words of its partial indexes, unless its channel is
    suspended.
    """
    return and_(LISTED, Video.published_at <= func.now())


def not_suspended(channel_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Whether the channel of a list's row is not."""
    return channel_id.not_in(suspended_users(func.now(), *SuspensionScope))


def watchable(viewer_id: int) -> ColumnElement[bool]:
    """What a viewer may watch and has not thrown away; `sight` for queries."""
    anybody = and_(
        Video.visibility.in_(_OPEN),
        Video.status.in_(_PLAYABLE),
        Video.published_at <= func.now(),
        not_suspended(Video.channel_id),
    )
    there = and_(Video.trashed_at.is_(None), Video.purged_at.is_(None))
    return and_(there, or_(anybody, Video.channel_id == viewer_id))
