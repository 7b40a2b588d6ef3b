"""The chat of a video: a broadcast's messages, copied beside it when it is whole.

There they stay as long as the video, and longer than chat's own retention, which waits for them. Copying
goes in batches, each with how far it is in one transaction (`video_chats`): a process that is killed has
lost nothing, and another one goes on. Deleting takes the channel's lock, as a batch does, so that no
message is copied while it is being deleted.

Events say what there is to copy; what they did not (NATS may be wiped) is found by looking.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chat.history import History, lock_channel
from chat.store import Store
from core.bus import obey_cancellation
from core.db.engine import Database
from core.db.models import ChatMessage
from core.db.video_models import Clip, Video, VideoChat, VideoMessage, VideoStatus
from core.errors import DomainError, Unavailable
from core.events import ClipRemoved, Event, VideoReady, VideoRemoved, VideoStarted
from core.logs import logger
from core.replays import Window, windows

log = logger(__name__)

HANDLED: list[type[Event]] = [VideoStarted, VideoReady, VideoRemoved, ClipRemoved]
BATCH = 2000
# Of a cut's chat so much video is copied at once.
SLICE_S = 60.0
# How often what waits is tried again, and how often what no event told of is looked for.
RETRY_S = 2.0
LOOK_S = 60.0
# Of the newest videos so many are looked at.
NEWEST = 2000
# A video that is whole says by then what it shows of the broadcast, or never does.
GIVE_UP = timedelta(minutes=10)


class Replays:
    """Copies chats beside their videos."""

    def __init__(self, database: Database, store: Store, history: History) -> None:
        self._database = database
        self._store = store
        self._history = history
        self._wake = asyncio.Event()

    async def happened(self, event: Event) -> None:
        """Write down what there is to do; it is done by `run`."""
        async with self._database.session() as session:
            match event:
                case VideoStarted(video_id=video_id):
                    await _note(session, Video.id == video_id)
                case VideoReady(video_id=video_id, spans=spans):
                    await _note(session, Video.id == video_id)
                    if spans:
                        told = [[start, wall.isoformat(), length] for start, wall, length in spans]
                        await _whole(session, video_id, told)
                case VideoRemoved(video_id=video_id, purged=True):
                    await _purged(session, VideoChat.video_id == video_id)
                case ClipRemoved():
                    await _forget_purged(session)
        self._wake.set()

    async def run(self) -> None:
        """Copy what waits; for ever. Several processes may do it at once: each batch is made by one."""
        looked_at = -LOOK_S
        loop = asyncio.get_running_loop()
        while True:
            obey_cancellation()
            self._wake.clear()
            try:
                if loop.time() - looked_at >= LOOK_S:
                    await self.look()
                    looked_at = loop.time()
                await self.copy_waiting()
            except DomainError as error:
                log.debug("replays_wait", reason=error.message)
            except Exception:
                log.exception("replays_failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RETRY_S)

    async def look(self) -> None:
        """Find what events did not tell: videos that began, became whole or went."""
        async with self._database.session() as session:
            newest = select(Video.id).order_by(Video.created_at.desc()).limit(NEWEST)
            await _note(session, Video.status == VideoStatus.LIVE)
            await _note(session, Video.id.in_(newest))
            old = Video.ready_at < func.now() - GIVE_UP
            rows = await session.execute(
                select(VideoChat.video_id, Video.spans, Video.status, Video.purged_at, old)
                .join(Video, Video.id == VideoChat.video_id)
                .where(VideoChat.copied_at.is_(None))
            )
            for video_id, spans, status, purged_at, is_old in rows.all():
                if purged_at is not None:
                    await _purged(session, VideoChat.video_id == video_id)
                elif status == VideoStatus.READY and spans:
                    await _whole(session, video_id, spans)
                elif status == VideoStatus.FAILED or (status == VideoStatus.READY and is_old):
                    # There never will be anything to copy, and retention need not wait for it.
                    await _done(session, video_id)
            await _forget_purged(session)

    async def copy_waiting(self) -> None:
        """Copy everything that is whole and not copied."""
        async with self._database.session() as session:
            waiting = (
                await session.scalars(
                    select(VideoChat.video_id)
                    .where(VideoChat.copied_at.is_(None), VideoChat.ended_at.is_not(None))
                    .order_by(VideoChat.began_at)
                )
            ).all()
        for video_id in waiting:
            await self._copy(video_id)

    async def _copy(self, video_id: int) -> None:
        async with self._database.session() as session:
            channel_id = await session.scalar(
                select(VideoChat.channel_id).where(VideoChat.video_id == video_id)
            )
        if channel_id is None:
            return
        await self._written(channel_id)
        more = True
        while more:
            obey_cancellation()
            async with self._database.session() as session:
                more = await copy_batch(session, video_id)

    async def _written(self, channel_id: int) -> None:
        """What the room has said so far is in PostgreSQL. Raises Unavailable."""
        position = await self._store.position(channel_id)
        if position is None:
            return
        while position.flushed < position.seq:
            if not await self._history.persist(channel_id):
                now = await self._store.position(channel_id)
                if now is not None and now.flushed < position.seq:
                    raise Unavailable("The chat is not written yet.")
                return


async def _note(session: AsyncSession, which: Any) -> None:
    """Remember videos whose chat is to be copied; those that are known stay as they are."""
    found = select(
        Video.id, Video.channel_id, func.coalesce(Video.started_at, Video.created_at)
    ).where(
        which,
        Video.purged_at.is_(None),
        or_(Video.stream_id.is_not(None), Video.source_video_id.is_not(None)),
        ~exists().where(VideoChat.video_id == Video.id),
    )
    await session.execute(
        insert(VideoChat)
        .from_select(["video_id", "channel_id", "began_at"], found)
        .on_conflict_do_nothing()
    )


async def _whole(session: AsyncSession, video_id: int, spans: list[list[Any]]) -> None:
    """A video has become whole: its chat may be copied."""
    found = windows(spans)
    await session.execute(
        update(VideoChat)
        .where(
            VideoChat.video_id == video_id,
            VideoChat.copied_at.is_(None),
            VideoChat.ended_at.is_(None),
        )
        .values(spans=spans, began_at=found[0].wall, ended_at=found[-1].until)
    )


async def _done(session: AsyncSession, video_id: int) -> None:
    await session.execute(
        update(VideoChat)
        .where(VideoChat.video_id == video_id)
        .values(copied_at=func.now(), ended_at=func.coalesce(VideoChat.ended_at, func.now()))
    )


async def _purged(session: AsyncSession, which: Any) -> None:
    now = func.now()
    await session.execute(
        update(VideoChat)
        .where(which, VideoChat.purged_at.is_(None))
        .values(purged_at=now, copied_at=func.coalesce(VideoChat.copied_at, now))
    )
    await _forget_purged(session)


async def _forget_purged(session: AsyncSession) -> None:
    """Of videos that are gone only what their clips show is kept, and nothing without clips."""
    shown = exists().where(
        Clip.video_id == VideoMessage.video_id,
        Clip.deleted_at.is_(None),
        VideoMessage.at_s >= Clip.start_s,
        VideoMessage.at_s <= Clip.start_s + Clip.duration_s,
    )
    gone = select(VideoChat.video_id).where(VideoChat.purged_at.is_not(None))
    await session.execute(delete(VideoMessage).where(VideoMessage.video_id.in_(gone), ~shown))
    clips = exists().where(Clip.video_id == VideoChat.video_id, Clip.deleted_at.is_(None))
    await session.execute(delete(VideoChat).where(VideoChat.purged_at.is_not(None), ~clips))


async def copy_batch(session: AsyncSession, video_id: int) -> bool:
    """Copy some messages of a video that is whole; whether there may be more."""
    chat = await session.scalar(
        select(VideoChat)
        .where(VideoChat.video_id == video_id, VideoChat.copied_at.is_(None))
        .with_for_update(skip_locked=True)
    )
    if chat is None or chat.ended_at is None:
        return False
    await lock_channel(session, chat.channel_id)
    source_id = await session.scalar(select(Video.source_video_id).where(Video.id == video_id))
    if source_id is not None:
        return await _copy_cut(session, chat, source_id)
    found = windows(chat.spans)
    if chat.span >= len(found):
        return await _finish(session, chat)
    window = found[chat.span]
    after = chat.copied_to
    last = await session.scalar(_waiting(chat, window, after).offset(BATCH - 1).limit(1))
    await session.execute(_insertion(chat, window, after, last))
    if last is None:
        chat.span, chat.copied_to = chat.span + 1, None
    else:
        chat.copied_to = last
    return True


async def _finish(session: AsyncSession, chat: VideoChat) -> bool:
    chat.copied_at = datetime.now(UTC)
    await session.flush()
    log.info("replay_copied", video_id=chat.video_id)
    return False


def _inside(chat: VideoChat, window: Window, after: datetime | None) -> Any:
    begin = ChatMessage.at >= window.wall if after is None else ChatMessage.at > after
    return and_(ChatMessage.channel_id == chat.channel_id, begin, ChatMessage.at < window.until)


def _waiting(chat: VideoChat, window: Window, after: datetime | None) -> Any:
    return select(ChatMessage.at).where(_inside(chat, window, after)).order_by(ChatMessage.at)


_COLUMNS = ["video_id", "at_s", "message_id", "at", "user_id", "text", "data"]


def _insertion(
    chat: VideoChat, window: Window, after: datetime | None, last: datetime | None
) -> Any:
    rows = select(
        literal(chat.video_id),
        window.at_s_of(ChatMessage.at),
        ChatMessage.id,
        ChatMessage.at,
        ChatMessage.user_id,
        ChatMessage.text,
        ChatMessage.data,
    ).where(_inside(chat, window, after), ChatMessage.deleted_at.is_(None))
    if last is not None:
        rows = rows.where(ChatMessage.at <= last)
    return insert(VideoMessage).from_select(_COLUMNS, rows).on_conflict_do_nothing()


async def _copy_cut(session: AsyncSession, chat: VideoChat, source_id: int) -> bool:
    """A highlight's chat is its part of the chat of the video that it was cut from."""
    source = await session.get(VideoChat, source_id)
    if source is not None and source.copied_at is None:
        return False
    if source is None or not source.spans or not chat.spans:
        return await _finish(session, chat)
    cut = windows(chat.spans)
    begin_s = next(
        (w.at_s(cut[0].wall) for w in windows(source.spans) if w.wall <= cut[0].wall < w.until), 0.0
    )
    length_s = cut[-1].start_s + cut[-1].duration_s
    from_s = chat.span * SLICE_S
    rows = select(
        literal(chat.video_id),
        VideoMessage.at_s - begin_s,
        VideoMessage.message_id,
        VideoMessage.at,
        VideoMessage.user_id,
        VideoMessage.text,
        VideoMessage.data,
    ).where(
        VideoMessage.video_id == source_id,
        VideoMessage.at_s >= begin_s + from_s,
        VideoMessage.at_s < begin_s + min(from_s + SLICE_S, length_s),
        VideoMessage.deleted_at.is_(None),
    )
    await session.execute(insert(VideoMessage).from_select(_COLUMNS, rows).on_conflict_do_nothing())
    chat.span += 1
    return True if from_s + SLICE_S < length_s else await _finish(session, chat)
