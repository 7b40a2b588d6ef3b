"""What is read about streams. `ingest` writes these tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.videos.sight import watchable
from core.db.models import Channel, Json, PublishAttempt, Stream, StreamHealth, StreamStatus, User
from core.db.video_models import Video

# Literals, not parameters: only then does a prepared statement fit the partial indexes.
IS_LIVE = text("streams.status in ('live', 'reconnecting')")
IS_RUNNING = text("streams.status <> 'ended'")


Rows = Select[Stream, Channel, str, str]


@dataclass(frozen=True)
class RunningStream:
    """A stream that has not ended."""

    id: int
    status: StreamStatus
    session: str
    started_at: datetime
    viewers: int
    thumbnail_at: datetime | None
    warnings: list[Json]
    # Of its record, where everybody who has the address may watch that.
    video_id: int | None = None

    @property
    def is_visible(self) -> bool:
        """Whether viewers may know of it: there is, or was a moment ago, a picture."""
        return self.status in (StreamStatus.LIVE, StreamStatus.RECONNECTING)


@dataclass(frozen=True)
class DirectoryRow:
    """A live stream with what its channel says."""

    channel_id: int
    login: str
    display_name: str
    title: str
    category: str | None
    tags: list[str]
    language: str | None
    mature: bool
    stream: RunningStream


@dataclass(frozen=True)
class Filter:
    """What of the directory is asked for."""

    category: str | None = None
    tag: str | None = None
    language: str | None = None


def _running(row: Stream) -> RunningStream:
    return RunningStream(
        row.id,
        StreamStatus(row.status),
        row.session,
        row.started_at,
        row.viewers,
        row.thumbnail_at,
        row.warnings,
    )


async def running_stream(session: AsyncSession, channel_id: int) -> RunningStream | None:
    """The channel's stream that has not ended; there is at most one."""
    query = (
        select(Stream, Video.id)
        # As somebody who is nobody in particular.
        .outerjoin(Video, (Video.stream_id == Stream.id) & watchable(0))
        .where(Stream.channel_id == channel_id, IS_RUNNING)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else replace(_running(row.Stream), video_id=row.id)


async def last_stream_at(session: AsyncSession, channel_id: int) -> datetime | None:
    """When the channel's latest stream that ended did so."""
    found: datetime | None = await session.scalar(
        select(Stream.ended_at)
        .where(Stream.channel_id == channel_id, Stream.ended_at.is_not(None))
        .order_by(Stream.id.desc())
        .limit(1)
    )
    return found


async def directory(
    session: AsyncSession,
    wanted: Filter,
    sort: str,
    after: tuple[Any, int] | None,
    limit: int,
) -> list[DirectoryRow]:
    """Live streams by viewers or start, the most or newest first, behind the keys `after`."""
    column = Stream.viewers if sort == "viewers" else Stream.started_at
    query = (
        select(Stream, Channel, User.login, User.display_name)
        .join(Channel, Channel.id == Stream.channel_id)
        .join(User, User.id == Channel.id)
        .where(IS_LIVE, User.deleted_at.is_(None))
        .order_by(column.desc(), Stream.id.desc())
        .limit(limit)
    )
    query = _filtered(query, wanted)
    if after is not None:
        value, last_id = after
        # The first condition is implied; it lets the index start in the right place.
        behind = or_(column < value, and_(column == value, Stream.id < last_id))
        query = query.where(column <= value, behind)
    rows = (await session.execute(query)).all()
    return [
        DirectoryRow(
            channel.id,
            login,
            display_name,
            channel.title,
            channel.category,
            channel.tags,
            channel.language,
            channel.mature,
            _running(stream),
        )
        for stream, channel, login, display_name in rows
    ]


def _filtered(query: Rows, wanted: Filter) -> Rows:
    if wanted.category is not None:
        query = query.where(func.lower(Channel.category) == func.lower(wanted.category))
    if wanted.tag is not None:
        query = query.where(Channel.tags.contains([wanted.tag]))
    if wanted.language is not None:
        query = query.where(Channel.language == wanted.language)
    return query


async def latest_attempts(
    session: AsyncSession, channel_id: int, limit: int
) -> Sequence[PublishAttempt]:
    """The newest publish attempts of a channel, newest first."""
    query = (
        select(PublishAttempt)
        .where(PublishAttempt.channel_id == channel_id)
        .order_by(PublishAttempt.at.desc(), PublishAttempt.id.desc())
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def latest_health(session: AsyncSession, stream_id: int) -> StreamHealth | None:
    """The newest sample of a stream."""
    row: StreamHealth | None = await session.scalar(
        select(StreamHealth)
        .where(StreamHealth.stream_id == stream_id)
        .order_by(StreamHealth.at.desc())
        .limit(1)
    )
    return row


async def health_series(
    session: AsyncSession, stream_id: int, since: datetime | None, limit: int
) -> Sequence[StreamHealth]:
    """Samples of a stream after `since`, oldest first; when there are more than `limit`, evenly
    thinned.
    """
    mine = [StreamHealth.stream_id == stream_id]
    if since is not None:
        mine.append(StreamHealth.at > since)
    count = await session.scalar(select(func.count()).select_from(StreamHealth).where(*mine)) or 0
    step = -(-count // limit) if count > limit else 1
    if step == 1:
        return (
            await session.scalars(select(StreamHealth).where(*mine).order_by(StreamHealth.at))
        ).all()
    # Counted from the newest, so that the latest sample is always there.
    number = func.row_number().over(order_by=StreamHealth.at.desc()).label("number")
    numbered = select(StreamHealth.stream_id, StreamHealth.at, number).where(*mine).subquery()
    query = (
        select(StreamHealth)
        .join(
            numbered,
            and_(numbered.c.stream_id == StreamHealth.stream_id, numbered.c.at == StreamHealth.at),
        )
        .where((numbered.c.number - 1) % literal_column(str(step)) == 0)
        .order_by(StreamHealth.at)
    )
    return (await session.scalars(query)).all()
