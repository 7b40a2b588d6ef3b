"""What is read about videos. `recorder` writes these tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from api.people import Person
from core.db.models import Channel, ChatRole, ChatRoleKind, User
from core.db.video_models import Video
from core.errors import NotFound

MOST_WORDS = 8
_SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")

Selected = Select[Video]


@dataclass(frozen=True)
class Row:
    """A video with what its channel says."""

    video: Video
    channel: Person
    mature: bool


def videos() -> Selected:
    """Videos for a list, without what only a video's page shows.

    Their channels come behind (`rows_of`): joined, they would be looked up for more than the page.
    """
    unseen = (Video.description, Video.chapters, Video.renditions, Video.spans)
    return select(Video).options(*(defer(column, raiseload=True) for column in unseen))


async def rows_of(session: AsyncSession, found: Sequence[Video]) -> list[Row]:
    """Videos with what their channels say."""
    if not found:
        return []
    query = (
        select(User.id, User.login, User.display_name, Channel.mature)
        .join(Channel, Channel.id == User.id)
        .where(User.id.in_({video.channel_id for video in found}))
    )
    channels = {
        user_id: (Person(id=str(user_id), login=login, display_name=name), mature)
        for user_id, login, name, mature in await session.execute(query)
    }
    return [Row(video, *channels[video.channel_id]) for video in found]


async def plan_anew(session: AsyncSession) -> None:
    """Have the transaction's queries planned for their values: how many videos have a word or a
    category decides which index serves, and a plan made for any value is the slow one for most.
    """
    await session.execute(text("select set_config('plan_cache_mode', 'force_custom_plan', true)"))


def has_words(words: str) -> ColumnElement[bool]:
    """Whether a title has all of these words; the last one may be the beginning of a word.

    Words are what PostgreSQL's parser makes of them, here as in the index.
    """
    cleaned = (word.translate(_UNQUOTABLE).strip() for word in words.split())
    quoted = [f"'{word}'" for word in cleaned if word][:MOST_WORDS]
    wanted = func.to_tsquery(_SIMPLE, " & ".join(quoted) + ":*" if quoted else "")
    found: ColumnElement[bool] = Video.words.op("@@")(wanted)
    return found


# What would end a quoted word.
_UNQUOTABLE = str.maketrans("'\\", "  ")


async def find_video(session: AsyncSession, video_id: int) -> Row:
    """A video, whoever may see it. Raises NotFound (`video_not_found`)."""
    video = await session.get(Video, video_id)
    if video is None:
        raise no_video()
    (row,) = await rows_of(session, [video])
    return row


def no_video() -> NotFound:
    """As for one that may not be seen."""
    return NotFound("There is no such video.", code="video_not_found")


async def chat_role(session: AsyncSession, channel_id: int, user_id: int) -> ChatRoleKind | None:
    """What somebody is in a channel's chat."""
    query = select(ChatRole.role).where(
        ChatRole.channel_id == channel_id, ChatRole.user_id == user_id
    )
    role = await session.scalar(query)
    return None if role is None else ChatRoleKind(role)
