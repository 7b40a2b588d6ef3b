"""What is read about channels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.names import LOGIN
from core.db.models import Channel, SuspensionScope, User
from core.errors import NotFound
from core.suspensions import is_suspended


@dataclass(frozen=True)
class ChannelRow:
    """A channel with its owner's names."""

    id: int
    login: str
    display_name: str
    bio: str
    title: str
    category: str | None
    tags: list[str]
    language: str | None
    mature: bool
    created_at: datetime
    followers: int
    suspended: bool


async def find_channel(session: AsyncSession, login: str) -> ChannelRow:
    """The channel with this login, upper or lower case. Raises NotFound (`channel_not_found`)."""
    login = login.lower()
    row = None
    if LOGIN.fullmatch(login):
        suspended = is_suspended(Channel.id, datetime.now(UTC), *SuspensionScope)
        query = (
            select(Channel, User, suspended.label("suspended"))
            .join(User, User.id == Channel.id)
            .where(User.login == login)
        )
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such channel.", code="channel_not_found")
    channel, user, is_off = row
    return ChannelRow(
        channel.id,
        user.login,
        user.display_name,
        user.bio,
        channel.title,
        channel.category,
        channel.tags,
        channel.language,
        channel.mature,
        user.created_at,
        channel.followers,
        is_off,
    )
