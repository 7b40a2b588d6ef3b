"""Following and unfollowing, with the channels' counters in the same transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Channel, Follow
from core.events import FollowAdded, FollowRemoved
from core.outbox import emit


async def follow(session: AsyncSession, user_id: int, channel_id: int) -> None:
    """Follow a channel; nothing happens when that is so already."""
    added = await session.scalar(
        insert(Follow)
        .values(user_id=user_id, channel_id=channel_id)
        .on_conflict_do_nothing()
        .returning(Follow.created_at)
    )
    if added is not None:
        await _count(session, channel_id, 1)
        await emit(session, FollowAdded(user_id=user_id, channel_id=channel_id, at=added))


async def unfollow(session: AsyncSession, user_id: int, channel_id: int) -> None:
    """Follow a channel no more."""
    gone = await session.scalar(
        delete(Follow)
        .where(Follow.user_id == user_id, Follow.channel_id == channel_id)
        .returning(Follow.channel_id)
    )
    if gone is not None:
        await _count(session, channel_id, -1)
        removed = FollowRemoved(user_id=user_id, channel_id=channel_id, at=datetime.now(UTC))
        await emit(session, removed)


async def _count(session: AsyncSession, channel_id: int, step: int) -> None:
    await session.execute(
        update(Channel).where(Channel.id == channel_id).values(followers=Channel.followers + step)
    )


async def followed_since(session: AsyncSession, user_id: int, channel_id: int) -> datetime | None:
    """Since when somebody follows a channel; None: they do not."""
    since: datetime | None = await session.scalar(
        select(Follow.created_at).where(Follow.user_id == user_id, Follow.channel_id == channel_id)
    )
    return since


async def forget_follows(session: AsyncSession, user_id: int) -> None:
    """Remove every follow by and of an account that goes."""
    gone = (
        await session.execute(
            delete(Follow)
            .where(or_(Follow.user_id == user_id, Follow.channel_id == user_id))
            .returning(Follow.user_id, Follow.channel_id)
        )
    ).all()
    channels = {channel for user, channel in gone if user == user_id}
    # In the order of their ids: two accounts that go at once must not wait for each other.
    locked = select(Channel.id).where(Channel.id.in_(channels)).order_by(Channel.id)
    await session.execute(locked.with_for_update())
    await session.execute(
        update(Channel).where(Channel.id.in_(channels)).values(followers=Channel.followers - 1)
    )
    await session.execute(update(Channel).where(Channel.id == user_id).values(followers=0))
