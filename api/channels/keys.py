"""Stream keys: made, listed, revoked, and marked as used."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core import stream_keys
from core.db.models import Channel, StreamKey
from core.errors import Conflict, NotFound
from core.events import StreamKeyRevoked
from core.outbox import emit

MOST_KEYS = 20


async def add_key(
    session: AsyncSession, channel_id: int, name: str, pepper: bytes
) -> tuple[StreamKey, stream_keys.StreamKey]:
    """A new key: its row, and the key itself, which cannot be had again.

    Raises Conflict (`too_many_keys`).
    """
    # Locks the channel, so that keys made side by side are counted one after the other.
    await session.execute(select(Channel.id).where(Channel.id == channel_id).with_for_update())
    count = await session.scalar(
        select(func.count())
        .select_from(StreamKey)
        .where(StreamKey.channel_id == channel_id, StreamKey.revoked_at.is_(None))
    )
    if (count or 0) >= MOST_KEYS:
        raise Conflict(
            f"A channel can have {MOST_KEYS} stream keys. Delete one first.", code="too_many_keys"
        )
    secret = stream_keys.new_secret()
    # The id is part of what is hashed, so it has to be known first.
    key_id = await session.scalar(
        select(func.nextval(func.pg_get_serial_sequence("stream_keys", "id")))
    )
    key = stream_keys.StreamKey(int(key_id or 0), secret)
    row = StreamKey(
        id=key.id,
        channel_id=channel_id,
        name=name,
        secret_hmac=key.digest(pepper),
        hint=key.hint,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row, key


async def list_keys(
    session: AsyncSession, channel_id: int, *, after: int | None, limit: int
) -> list[StreamKey]:
    """Valid keys of a channel by id, those behind `after`."""
    query = select(StreamKey).where(
        StreamKey.channel_id == channel_id, StreamKey.revoked_at.is_(None)
    )
    if after is not None:
        query = query.where(StreamKey.id > after)
    return list((await session.scalars(query.order_by(StreamKey.id).limit(limit))).all())


async def revoke_key(session: AsyncSession, channel_id: int, key_id: int) -> None:
    """End a key of a channel; a stream that uses it is dropped.

    Raises NotFound (`stream_key_not_found`).
    """
    if not await _revoke(session, channel_id, key_id):
        raise NotFound("There is no such stream key.", code="stream_key_not_found")


async def revoke_all_keys(session: AsyncSession, channel_id: int) -> None:
    """End every key of a channel."""
    await _revoke(session, channel_id, None)


async def _revoke(session: AsyncSession, channel_id: int, key_id: int | None) -> bool:
    query = (
        update(StreamKey)
        .where(StreamKey.channel_id == channel_id, StreamKey.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
        .returning(StreamKey.id)
    )
    if key_id is not None:
        query = query.where(StreamKey.id == key_id)
    revoked = (await session.scalars(query)).all()
    for one in revoked:
        await emit(session, StreamKeyRevoked(key_id=one, channel_id=channel_id))
    return bool(revoked)


async def mark_used(session: AsyncSession, key_id: int, at: datetime) -> None:
    """Remember the newest use of a key."""
    await session.execute(
        update(StreamKey)
        .where(StreamKey.id == key_id, func.coalesce(StreamKey.last_used_at < at, True))
        .values(last_used_at=at)
    )
