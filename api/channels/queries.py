"""What is read about channels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.names import LOGIN
from core.db.models import Channel, User
from core.errors import NotFound


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


async def find_channel(session: AsyncSession, login: str) -> ChannelRow:
    """The channel with this login, upper or lower case. Raises NotFound (`channel_not_found`)."""
    login = login.lower()
    row = None
    if LOGIN.fullmatch(login):
        query = select(Channel, User).join(User, User.id == Channel.id).where(User.login == login)
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such channel.", code="channel_not_found")
    channel, user = row
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
    )
