"""What ingest reads and writes in PostgreSQL: keys, streams, publish attempts, health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Exists, delete, func, insert, not_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.access import Action, Actor, ChannelRef, allowed
from core.db.models import (
    AuditEntry,
    PublishAttempt,
    Role,
    Stream,
    StreamHealth,
    StreamKey,
    StreamStatus,
    SuspensionScope,
    User,
)
from core.suspensions import is_suspended
from ingest.session import EndReason

Json = dict[str, Any]

#: Publish attempts kept per channel, and of keys that name none.
ATTEMPTS_KEPT = 50


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stream key with what decides whether it may be used."""

    id: int
    channel_id: int
    login: str
    secret_hmac: bytes
    revoked: bool
    suspended: bool
    may_stream: bool


async def find_key(session: AsyncSession, key_id: int) -> KeyRow | None:
    """The key, used up or not; None when there never was one or its owner is gone."""
    query = (
        select(
            StreamKey.channel_id,
            StreamKey.secret_hmac,
            StreamKey.revoked_at,
            User.login,
            User.role,
            _is_suspended().label("suspended"),
        )
        .join(User, User.id == StreamKey.channel_id)
        .where(StreamKey.id == key_id, User.deleted_at.is_(None))
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    actor = Actor(row.channel_id, row.login, Role(row.role))
    return KeyRow(
        key_id,
        row.channel_id,
        row.login,
        row.secret_hmac,
        row.revoked_at is not None,
        row.suspended,
        allowed(actor, Action.PUBLISH, ChannelRef(row.channel_id)),
    )


@dataclass(frozen=True, slots=True)
class Running:
    """Streams that run: whether one of them is the channel's own, and how many are others'."""

    own: bool
    others: int


async def running(session: AsyncSession, channel_id: int) -> Running:
    """Those of the whole site, seen from a channel."""
    own = Stream.channel_id == channel_id
    count = func.count()
    query = select(count.filter(own), count.filter(not_(own))).where(
        Stream.status != StreamStatus.ENDED
    )
    mine, others = (await session.execute(query)).one()
    return Running(mine > 0, others)


def _is_suspended() -> Exists:
    # Whether the account is, or the channel alone: neither may stream.
    return is_suspended(User.id, datetime.now(UTC), *SuspensionScope)


async def no_longer_good(session: AsyncSession, key_ids: Sequence[int]) -> dict[int, EndReason]:
    """Those of these keys that may no longer be used, and why."""
    query = (
        select(
            StreamKey.id,
            StreamKey.revoked_at,
            User.deleted_at,
            User.role,
            _is_suspended().label("suspended"),
        )
        .join(User, User.id == StreamKey.channel_id)
        .where(StreamKey.id.in_(key_ids))
    )
    bad = dict.fromkeys(key_ids, EndReason.KEY_REVOKED)
    for row in await session.execute(query):
        if row.deleted_at is not None:
            bad[row.id] = EndReason.USER_DELETED
        elif row.suspended:
            bad[row.id] = EndReason.SUSPENDED
        elif row.revoked_at is None and Actor(0, "", Role(row.role)).is_at_least(Role.CREATOR):
            del bad[row.id]
    return bad


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream that was running when it was written down."""

    id: int
    channel_id: int
    login: str
    session: str
    status: StreamStatus
    started_at: datetime
    publisher: Json


async def insert_stream(
    session: AsyncSession,
    *,
    channel_id: int,
    name: str,
    node: str,
    key_id: int,
    publisher: Json,
    at: datetime,
) -> tuple[int, list[int]]:
    """Begin a stream. Returns its id, and the ids of streams of the channel that it ended.

    A channel has one running stream; one that is still running belongs to a node that lost it.
    """
    query = (
        update(Stream)
        .where(Stream.channel_id == channel_id, Stream.status != StreamStatus.ENDED)
        .values(status=StreamStatus.ENDED, ended_at=at, end_reason="taken_over", viewers=0)
        .returning(Stream.id)
    )
    ended = list(await session.scalars(query))
    values = {
        "channel_id": channel_id,
        "session": name,
        "node": node,
        "key_id": key_id,
        "publisher": publisher,
        "started_at": at,
        "status": StreamStatus.CONNECTING,
    }
    added = await session.execute(insert(Stream).values(**values).returning(Stream.id))
    return int(added.scalar_one()), ended


async def update_stream(session: AsyncSession, stream_id: int, **values: Any) -> None:
    """Set columns of a stream."""
    await session.execute(update(Stream).where(Stream.id == stream_id).values(**values))


async def delete_stream(session: AsyncSession, stream_id: int) -> None:
    """Forget a stream that never had a picture."""
    await session.execute(delete(Stream).where(Stream.id == stream_id))


async def running_streams(session: AsyncSession, node: str) -> list[StreamRow]:
    """The streams this node was running."""
    query = (
        select(Stream, User.login)
        .join(User, User.id == Stream.channel_id)
        .where(Stream.node == node, Stream.status != StreamStatus.ENDED)
    )
    return [
        StreamRow(
            stream.id,
            stream.channel_id,
            login,
            stream.session,
            StreamStatus(stream.status),
            stream.started_at,
            stream.publisher,
        )
        for stream, login in await session.execute(query)
    ]


async def node_of(session: AsyncSession, channel_id: int) -> str | None:
    """The node that runs the channel's stream, None when there is none."""
    node: str | None = await session.scalar(
        select(Stream.node).where(
            Stream.channel_id == channel_id, Stream.status != StreamStatus.ENDED
        )
    )
    return node


async def set_viewers(session: AsyncSession, viewers: dict[int, int]) -> None:
    """Viewers now and at most, of many streams in one statement."""
    statement = text(
        "update streams s set viewers = v.n, peak_viewers = greatest(s.peak_viewers, v.n) "
        "from unnest(cast(:ids as bigint[]), cast(:counts as bigint[])) as v(id, n) "
        "where s.id = v.id and s.status <> 'ended' "
        "and (s.viewers <> v.n or s.peak_viewers < v.n)"
    )
    await session.execute(statement, {"ids": list(viewers), "counts": list(viewers.values())})


async def set_thumbnails(session: AsyncSession, taken: dict[int, datetime]) -> None:
    """When the latest picture of each stream was taken."""
    statement = text(
        "update streams s set thumbnail_at = v.taken "
        "from unnest(cast(:ids as bigint[]), cast(:times as timestamptz[])) as v(id, taken) "
        "where s.id = v.id and s.thumbnail_at is distinct from v.taken"
    )
    await session.execute(statement, {"ids": list(taken), "times": list(taken.values())})


async def add_health(session: AsyncSession, samples: Sequence[tuple[int, datetime, Json]]) -> None:
    """Samples of many streams: (stream id, at, data)."""
    rows = [{"stream_id": stream, "at": at, "data": data} for stream, at, data in samples]
    await session.execute(insert(StreamHealth), rows)


async def add_attempt(
    session: AsyncSession, channel_id: int | None, accepted: bool, code: str, message: str
) -> None:
    """Note a publish attempt and forget the oldest beyond `ATTEMPTS_KEPT`."""
    await session.execute(
        insert(PublishAttempt).values(
            channel_id=channel_id, accepted=accepted, code=code, message=message
        )
    )
    same = (
        PublishAttempt.channel_id.is_(None)
        if channel_id is None
        else PublishAttempt.channel_id == channel_id
    )
    newest = (
        select(PublishAttempt.id)
        .where(same)
        .order_by(PublishAttempt.at.desc(), PublishAttempt.id.desc())
        .limit(ATTEMPTS_KEPT)
    )
    await session.execute(
        delete(PublishAttempt).where(same, PublishAttempt.id.not_in(newest.scalar_subquery()))
    )


async def add_audit(
    session: AsyncSession, actor_id: int, action: str, target: str, address: str, data: Json
) -> None:
    """Note something that may matter later."""
    await session.execute(
        insert(AuditEntry).values(
            actor_id=actor_id, action=action, target=target, address=address, data=data
        )
    )
