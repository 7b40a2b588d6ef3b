"""Messages kept: from the rooms' logs in Redis into PostgreSQL, and back to whoever asks.

Every process writes the rooms that it has open, and now and then looks after all others, so that a
process that was killed leaves nothing behind. Writing is idempotent (the primary key is the room's
offset), so it does not matter that two processes may write the same room: a lock per room keeps
them from doing it for nothing. `flushed` in Redis says how far PostgreSQL is, and only what is before
it is trimmed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chat import wire
from chat.metrics import ChatMetrics
from chat.store import Logged, Store
from core.bus import obey_cancellation
from core.db.engine import Database
from core.db.models import ChatMessage
from core.db.video_models import VideoChat, VideoMessage
from core.errors import Unavailable
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.settings import Settings

log = logger(__name__)

BATCH = 500
# What stays in Redis behind `flushed`, so that nearly every recovery is served from there.
KEEP = 1000
# How often rooms that no process has open are looked after, and partitions are.
SWEEP_S = 5.0
PARTITIONS_S = 3600.0
WEEKS_AHEAD = 2
_LOCK = 0x0F00_C4A7 << 32
_REPLAY_LOCK = 0x0F00_C4A8 << 32


# --- frames and rows ------------------------------------------------------------------------------


def row_of(channel_id: int, logged: Logged) -> dict[str, Any]:
    """A message of the log as a row."""
    frame = wire.parse(logged.frame)
    user = frame["user"]
    return {
        "channel_id": channel_id,
        "offset": logged.offset,
        "at": datetime.fromisoformat(frame["ts"]),
        "id": uuid.UUID(frame["id"]),
        "user_id": int(user["id"]),
        "text": frame["text"],
        "data": {
            "channel": frame["channel"],
            "user": {name: user[name] for name in ("login", "name", "color", "badges")},
            **{name: frame[name] for name in _DATA if name in frame},
        },
    }


_DATA = ("kind", "emotes", "mentions", "reply_to", "first", "color", "raid")


def frame_of(row: ChatMessage) -> dict[str, Any]:
    """A row as the frame that it was."""
    data = dict(row.data)
    return {
        "type": "message",
        "offset": row.offset,
        "ts": row.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "channel": data.pop("channel", ""),
        "id": str(row.id),
        "user": {"id": str(row.user_id), **data.pop("user", {})},
        "text": row.text,
        **data,
    }


async def insert_rows(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Keep messages; those that are kept already stay as they are."""
    if rows:
        await session.execute(insert(ChatMessage).on_conflict_do_nothing(), list(rows))


# --- reading --------------------------------------------------------------------------------------


async def latest(session: AsyncSession, channel_id: int, most: int) -> list[Logged]:
    """The last messages that were not deleted, oldest first."""
    rows = await session.scalars(
        select(ChatMessage)
        .where(ChatMessage.channel_id == channel_id, ChatMessage.deleted_at.is_(None))
        .order_by(ChatMessage.offset.desc())
        .limit(most)
    )
    return [Logged(row.offset, wire.encode(frame_of(row))) for row in reversed(rows.all())]


async def between(
    session: AsyncSession, channel_id: int, after: int, until: int
) -> tuple[list[Logged], bool]:
    """Messages with offsets in (after, until] that were not deleted, and whether none is missing."""
    rows = (
        await session.scalars(
            select(ChatMessage)
            .where(
                ChatMessage.channel_id == channel_id,
                ChatMessage.offset > after,
                ChatMessage.offset <= until,
            )
            .order_by(ChatMessage.offset)
        )
    ).all()
    kept = [
        Logged(row.offset, wire.encode(frame_of(row))) for row in rows if row.deleted_at is None
    ]
    return kept, len(rows) == until - after


async def since(
    store: Store, database: Database, channel_id: int, after: int, until: int, most: int
) -> list[Logged] | None:
    """The messages in (after, until] without the deleted ones; None when they are too many or some
    are lost.

    From the log, and from PostgreSQL what the log no longer has.
    """
    if until - after > most or until < after:
        return None
    if until == after:
        return []
    found = await store.log(channel_id, after, most, until)
    gone = await store.gone(channel_id)
    start = found[0].offset if found else until + 1
    older: list[Logged] = []
    complete = True
    if start > after + 1:
        async with database.session() as session:
            older, complete = await between(session, channel_id, after, start - 1)
    if not complete or len(found) != until - start + 1:
        return None
    return older + [entry for entry in found if wire.parse(entry.frame)["id"] not in gone]


# --- writing --------------------------------------------------------------------------------------


class History:
    """Writes logs into PostgreSQL."""

    def __init__(
        self,
        store: Store,
        database: Database,
        settings: Settings,
        current: CurrentSettings,
        metrics: ChatMetrics,
    ) -> None:
        self._store = store
        self._database = database
        self._interval = settings.chat_persist_s
        self._cap = settings.chat_room_cap
        self._current = current
        self._metrics = metrics
        self.dirty: set[int] = set()
        self._has_partitions = asyncio.Event()

    async def run(self) -> None:
        """Write what this process accepted, as it comes, and look after the rest; for ever."""
        await self._has_partitions.wait()
        last_sweep = 0.0
        loop = asyncio.get_running_loop()
        while True:
            obey_cancellation()
            await asyncio.sleep(self._interval)
            try:
                rooms = set(self.dirty)
                self.dirty.clear()
                if loop.time() - last_sweep > SWEEP_S:
                    rooms |= set(await self._store.rooms())
                    last_sweep = loop.time()
                await self._write_all(rooms)
            except Unavailable as error:
                log.debug("history_waits", reason=error.message)
            except Exception:
                # The messages stay in the log, where they are counted and capped.
                log.exception("history_failed")
                await asyncio.sleep(SWEEP_S)

    async def _write_all(self, rooms: Iterable[int]) -> None:
        unpersisted = 0
        for channel_id in rooms:
            try:
                while await self.persist(channel_id):
                    pass
            except Unavailable:
                self.dirty.add(channel_id)
                unpersisted += await self._limit(channel_id)
        self._metrics.unpersisted.set(unpersisted)

    async def _limit(self, channel_id: int) -> int:
        """PostgreSQL is away: how many messages wait, after cutting them to the cap."""
        position = await self._store.position(channel_id)
        if position is None:
            return 0
        waiting = position.seq - position.flushed
        if waiting > self._cap:
            lost = await self._store.cap(channel_id, self._cap)
            self._metrics.lost.inc(lost)
            if lost:
                log.error("messages_lost", channel_id=channel_id, count=lost, cause="cap")
        return min(waiting, self._cap)

    async def persist(self, channel_id: int) -> bool:
        """Write one batch of a room; whether there may be more. Raises Unavailable."""
        position = await self._store.position(channel_id)
        if position is None or position.seq <= position.flushed:
            return False
        entries = await self._store.log(channel_id, position.flushed, BATCH)
        if not entries:
            return False
        async with self._database.session() as session:
            if not await session.scalar(
                text("select pg_try_advisory_xact_lock(:lock)"),
                {"lock": _LOCK + channel_id % 2**31},
            ):
                return False
            await insert_rows(session, [row_of(channel_id, entry) for entry in entries])
        await self._store.flushed(channel_id, entries[-1].offset, KEEP)
        return len(entries) == BATCH

    # --- partitions -------------------------------------------------------------------------------

    async def keep_partitions(self) -> None:
        """Make partitions ahead of time and drop those past retention; for ever."""
        while True:
            try:
                await self.partitions(datetime.now(UTC))
            except Unavailable as error:
                log.warning("partitions_wait", reason=error.message)
                await asyncio.sleep(SWEEP_S)
                continue
            self._has_partitions.set()
            await asyncio.sleep(PARTITIONS_S)

    async def partitions(self, now: datetime) -> None:
        """The partitions of last week to two weeks ahead exist; none is past retention."""
        async with self._database.session() as session:
            await session.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK - 1})
            for ahead in range(-1, WEEKS_AHEAD + 1):
                name, start, end = week_of(now + timedelta(weeks=ahead))
                # Our own names and dates: DDL takes no parameters.
                await session.execute(
                    text(
                        f"create table if not exists {name} partition of chat_messages "
                        f"for values from ('{start:%Y-%m-%d}') to ('{end:%Y-%m-%d}')"
                    )
                )
            if days := self._current.now.chat_retention_days:
                before = now - timedelta(days=days)
                needed = await session.scalar(
                    select(func.min(VideoChat.began_at)).where(VideoChat.copied_at.is_(None))
                )
                # What a video's replay is still to be made of stays until it is.
                await self._drop_old(session, min(before, needed or before))

    async def _drop_old(self, session: AsyncSession, before: datetime) -> None:
        names = await session.scalars(
            text(
                "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
                "where i.inhparent = 'chat_messages'::regclass"
            )
        )
        for name in names.all():
            if name < week_of(before)[0]:
                await session.execute(text(f"drop table {name}"))
                log.info("partition_dropped", name=name)


def week_of(at: datetime) -> tuple[str, datetime, datetime]:
    """The partition of a moment: its name, which sorts by time, and its bounds."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = day - timedelta(days=day.weekday())
    return f"chat_messages_{start:%Y_%m_%d}", start, start + timedelta(weeks=1)


# --- taking back ----------------------------------------------------------------------------------


async def delete_message(
    session: AsyncSession, row: dict[str, Any], deleted_by: int | None, now: datetime
) -> None:
    """Mark a message as deleted, also when it has not been written yet, and beside videos."""
    await lock_channel(session, row["channel_id"])
    statement = insert(ChatMessage).values(**row, deleted_at=now, deleted_by=deleted_by)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["channel_id", "offset", "at"],
            set_={"deleted_at": now, "deleted_by": deleted_by},
        )
    )
    await session.execute(
        update(VideoMessage)
        .where(VideoMessage.message_id == row["id"], VideoMessage.deleted_at.is_(None))
        .values(deleted_at=now)
    )


async def deleted_after(session: AsyncSession, channel_id: int, offset: int) -> list[str]:
    """Ids of the messages after an offset that are marked as deleted."""
    found = await session.scalars(
        select(ChatMessage.id).where(
            ChatMessage.channel_id == channel_id,
            ChatMessage.offset > offset,
            ChatMessage.deleted_at.is_not(None),
        )
    )
    return [str(message_id) for message_id in found]


async def delete_all_of(
    session: AsyncSession,
    channel_id: int,
    user_id: int | None,
    deleted_by: int | None,
    after: datetime,
) -> None:
    """Mark everything that a user (None: anybody) has said since `after` as deleted, also beside
    videos.
    """
    await lock_channel(session, channel_id)
    found = [ChatMessage.channel_id == channel_id, ChatMessage.at > after]
    if user_id is not None:
        found.append(ChatMessage.user_id == user_id)
    await session.execute(
        update(ChatMessage)
        .where(*found, ChatMessage.deleted_at.is_(None))
        .values(deleted_at=datetime.now(UTC), deleted_by=deleted_by)
    )
    videos = select(VideoChat.video_id).where(
        VideoChat.channel_id == channel_id,
        or_(VideoChat.ended_at.is_(None), VideoChat.ended_at > after),
    )
    shown = [VideoMessage.video_id.in_(videos), VideoMessage.at > after]
    if user_id is not None:
        shown.append(VideoMessage.user_id == user_id)
    await session.execute(
        update(VideoMessage)
        .where(*shown, VideoMessage.deleted_at.is_(None))
        .values(deleted_at=datetime.now(UTC))
    )


async def lock_channel(session: AsyncSession, channel_id: int) -> None:
    """Nobody else deletes messages of a channel, or copies them beside a video, until the end of the
    transaction.
    """
    key = _REPLAY_LOCK + channel_id % 2**31
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})
