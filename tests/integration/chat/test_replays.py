"""The chat of a video: copied beside it when it is whole, and moderated there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from chat import replays
from chat.history import History, insert_rows, week_of
from chat.metrics import ChatMetrics
from chat.store import Store
from core.cache import open_redis
from core.db.engine import Database
from core.db.models import ChatMessage
from core.db.video_models import Clip, Video, VideoChat, VideoMessage
from core.events import ClipRemoved, VideoReady, VideoRemoved, VideoStarted
from core.instance_settings import CurrentSettings
from core.metrics import Metrics
from core.outbox import emit
from core.settings import Settings
from tests.chat_kit import Chat, Person, World
from tests.harness import eventually_async


async def video_of(database: Database, channel: Person, **columns: Any) -> int:
    """A new video of a broadcast that runs, unless `columns` say otherwise."""
    values = {"kind": "broadcast", "status": "live", "stream_id": int(uuid.uuid4()) % 2**62}
    async with database.session() as session:
        row = Video(channel_id=channel.id, **{**values, **columns})
        session.add(row)
        await session.flush()
        return row.id


async def said(
    database: Database, channel: Person, speaker: Person, times: Sequence[datetime]
) -> list[uuid.UUID]:
    """Messages as history has written them, one at each time."""
    async with database.session() as session:
        first = int(
            await session.scalar(
                select(func.coalesce(func.max(ChatMessage.offset), 10**6)).where(
                    ChatMessage.channel_id == channel.id
                )
            )
            or 0
        )
        rows = [
            {
                "channel_id": channel.id,
                "offset": first + number,
                "at": at,
                "id": uuid.uuid4(),
                "user_id": speaker.id,
                "text": f"at {at:%H:%M:%S}",
                "data": {"user": {"login": speaker.login}},
            }
            for number, at in enumerate(times, 1)
        ]
        await insert_rows(session, rows)
    return [uuid.UUID(str(row["id"])) for row in rows]


async def copied(database: Database, video_id: int) -> list[VideoMessage]:
    """Everything beside a video, once its chat is copied."""

    async def is_done() -> bool:
        async with database.session() as session:
            row = await session.get(VideoChat, video_id)
            return row is not None and row.copied_at is not None

    await eventually_async(is_done, within_s=20)
    async with database.session() as session:
        rows = await session.scalars(
            select(VideoMessage)
            .where(VideoMessage.video_id == video_id)
            .order_by(VideoMessage.at_s, VideoMessage.message_id)
        )
        return list(rows.all())


async def whole(database: Database, video_id: int, spans: list[Any]) -> None:
    """As recorder says it."""
    async with database.session() as session:
        await session.execute(
            update(Video)
            .where(Video.id == video_id)
            .values(
                status="ready",
                ready_at=func.now(),
                spans=[[s, w.isoformat(), d] for s, w, d in spans],
            )
        )
        channel_id = await session.scalar(select(Video.channel_id).where(Video.id == video_id))
        await emit(
            session,
            VideoReady(video_id=video_id, channel_id=channel_id or 0, stream_id=1, spans=spans),
        )


NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


SPANS = [(0.0, NOW, 100.0), (100.0, after(130), 100.0)]


async def test_by_the_videos_own_time(world: World, chat: Chat) -> None:
    channel, ann = await world.person("c"), await world.person("a")
    video_id = await video_of(world.database, channel)
    times = [after(t) for t in (-5, 0, 50, 110, 120, 131, 229, 231)]
    ids = await said(world.database, channel, ann, times)
    async with world.database.session() as session:
        await emit(session, VideoStarted(video_id=video_id, channel_id=channel.id, stream_id=1))
    await whole(world.database, video_id, SPANS)
    rows = await copied(world.database, video_id)
    assert [row.message_id for row in rows] == ids[1:7]
    places = [row.at_s for row in rows]
    assert places == pytest.approx([0, 50, 100, 100, 101, 199], abs=0.001)
    assert [row.at for row in rows] == times[1:7]


async def test_what_was_just_said_is_there(world: World, chat: Chat) -> None:
    """The room's log in Redis is written before anything is copied."""
    channel, ann = await world.person("c"), await world.person("a")
    began = datetime.now(UTC) - timedelta(seconds=1)
    video_id = await video_of(world.database, channel, started_at=began)
    client = await chat.joined(channel, ann)
    for number in range(5):
        await client.say(channel, f"number {number}")
    await whole(world.database, video_id, [(0.0, began, 60.0)])
    rows = await copied(world.database, video_id)
    assert [row.text for row in rows] == [f"number {number}" for number in range(5)]


async def test_a_kill_in_the_middle(world: World, settings: Settings) -> None:
    """Without a chat service: batch by batch, as its processes make them."""
    channel, ann = await world.person("c"), await world.person("a")
    video_id = await video_of(world.database, channel)
    times = [after(t / 10) for t in range(100)]
    ids = await said(world.database, channel, ann, times)
    async with world.database.session() as session:
        await replays._note(session, Video.id == video_id)
        told = [[start, wall.isoformat(), length] for start, wall, length in SPANS]
        await replays._whole(session, video_id, told)
    patch = pytest.MonkeyPatch()
    patch.setattr(replays, "BATCH", 7)
    more, batches = True, 0
    try:
        while more:
            with pytest.raises(ZeroDivisionError):
                async with world.database.session() as session:
                    # It dies before it commits: nothing of the batch is there.
                    await replays.copy_batch(session, video_id)
                    raise ZeroDivisionError
            async with world.database.session() as session:
                more = await replays.copy_batch(session, video_id)
            batches += 1
    finally:
        patch.undo()
    assert batches > 100 // 7
    rows = await copied(world.database, video_id)
    assert [row.message_id for row in rows] == ids


async def test_no_event_came(world: World, settings: Settings) -> None:
    channel, ann = await world.person("c"), await world.person("a")
    video_id = await video_of(world.database, channel, status="ready", ready_at=datetime.now(UTC))
    await said(world.database, channel, ann, [after(1)])
    async with world.database.session() as session:
        spans = [[s, w.isoformat(), d] for s, w, d in SPANS]
        await session.execute(update(Video).where(Video.id == video_id).values(spans=spans))
    async with open_redis(settings) as redis:
        store = Store(redis)
        history = History(
            store, world.database, settings, CurrentSettings(settings), ChatMetrics(Metrics())
        )
        found = replays.Replays(world.database, store, history)
        await found.look()
        await found.copy_waiting()
    assert len(await copied(world.database, video_id)) == 1


async def test_retention_waits_for_the_copy(world: World, settings: Settings) -> None:
    channel, ann = await world.person("c"), await world.person("a")
    long_ago = datetime.now(UTC) - timedelta(days=400)
    name, start, end = week_of(long_ago)
    async with world.database.session() as session:
        await session.execute(
            text(
                f"create table if not exists {name} partition of chat_messages "
                f"for values from ('{start:%Y-%m-%d}') to ('{end:%Y-%m-%d}')"
            )
        )
    await said(world.database, channel, ann, [long_ago])
    video_id = await video_of(world.database, channel, started_at=long_ago)
    async with world.database.session() as session:
        await replays._note(session, Video.id == video_id)
    async with open_redis(settings) as redis:
        store = Store(redis)
        history = History(
            store, world.database, settings, CurrentSettings(settings), ChatMetrics(Metrics())
        )
        await history.partitions(datetime.now(UTC))
        async with world.database.session() as session:
            mine = ChatMessage.channel_id == channel.id
            query = select(func.count()).select_from(ChatMessage).where(mine)
            assert await session.scalar(query) == 1
        await whole(world.database, video_id, [(0.0, long_ago, 60.0)])
        found = replays.Replays(world.database, store, history)
        await found.look()
        await found.copy_waiting()
        await history.partitions(datetime.now(UTC))
        async with world.database.session() as session:
            assert await session.scalar(query) == 0
    assert len(await copied(world.database, video_id)) == 1


async def test_deletions_reach_the_replay(world: World, chat: Chat) -> None:
    channel, ann, mod = [await world.person(name) for name in ("c", "a", "m")]
    await world.role(channel, mod, "moderator")
    began = datetime.now(UTC) - timedelta(seconds=1)
    video_id = await video_of(world.database, channel, started_at=began)
    client = await chat.joined(channel, ann)
    sent = [(await client.say(channel, f"number {number}"))["id"] for number in range(5)]
    other = await chat.joined(channel, mod)
    kept = (await other.say(channel, "I stay"))["id"]
    actor = {"id": mod.id, "login": mod.login, "role": "viewer"}
    about = {"channel_id": channel.id, "actor": actor}
    # Before it is copied, by its address beside the video.
    question = {"op": "replay.delete", "video_id": video_id, "message_id": sent[0]}
    await chat.decide({**about, **question})
    await whole(world.database, video_id, [(0.0, began, 60.0)])
    rows = await copied(world.database, video_id)
    assert [str(row.message_id) for row in rows] == [*sent[1:], kept]

    async def left() -> list[str]:
        async with world.database.session() as session:
            query = select(VideoMessage.message_id).where(
                VideoMessage.video_id == video_id, VideoMessage.deleted_at.is_(None)
            )
            return [str(i) for i in await session.scalars(query.order_by(VideoMessage.at_s))]

    # In the chat itself, and beside the video.
    await chat.decide({**about, "op": "message.delete", "message_id": sent[1]})
    assert await left() == [*sent[2:], kept]
    await chat.decide({**about, **question, "message_id": sent[2]})
    assert await left() == [*sent[3:], kept]
    gone = await client.next("deleted", id=sent[2])
    assert gone["user"]["login"] == ann.login
    # All of somebody: by a ban.
    await chat.decide({**about, "op": "ban", "user_id": ann.id, "reason": ""})
    assert await left() == [kept]


async def test_clear_of_one_user_in_one_video(world: World, chat: Chat) -> None:
    channel, ann, bob = [await world.person(name) for name in ("c", "a", "b")]
    first, second = [await video_of(world.database, channel) for _ in range(2)]
    await said(world.database, channel, ann, [after(1), after(2)])
    await said(world.database, channel, bob, [after(3)])
    for video_id in (first, second):
        await whole(world.database, video_id, SPANS)
        assert len(await copied(world.database, video_id)) == 3
    question = {"op": "replay.clear", "channel_id": channel.id, "video_id": first}
    owner = {"id": channel.id, "login": channel.login, "role": "viewer"}
    answer = await chat.decide({**question, "actor": owner, "user_id": ann.id})
    assert answer == {"deleted": 2}
    async with world.database.session() as session:
        query = select(VideoMessage.video_id).where(VideoMessage.deleted_at.is_not(None))
        assert set(await session.scalars(query.where(VideoMessage.user_id == ann.id))) == {first}


async def test_clips_keep_theirs(world: World, chat: Chat) -> None:
    channel, ann = await world.person("c"), await world.person("a")
    video_id = await video_of(world.database, channel)
    await said(world.database, channel, ann, [after(t) for t in (5, 15, 25)])
    await whole(world.database, video_id, SPANS)
    assert len(await copied(world.database, video_id)) == 3
    clip_id = uuid.uuid4().hex[:11]
    async with world.database.session() as session:
        session.add(
            Clip(
                id=clip_id, channel_id=channel.id, video_id=video_id, start_s=10, duration_s=10,
                status="ready",
            )
        )  # fmt: skip
        await session.flush()
        await session.execute(
            update(Video).where(Video.id == video_id).values(purged_at=func.now())
        )
        await emit(session, VideoRemoved(video_id=video_id, channel_id=channel.id, purged=True))

    async def count() -> int:
        async with world.database.session() as session:
            query = select(func.count()).select_from(VideoMessage)
            return int(await session.scalar(query.where(VideoMessage.video_id == video_id)) or 0)

    async def is_cut() -> bool:
        return await count() == 1

    await eventually_async(is_cut)
    async with world.database.session() as session:
        await session.execute(update(Clip).where(Clip.id == clip_id).values(deleted_at=func.now()))
        await emit(session, ClipRemoved(clip_id=clip_id, channel_id=channel.id))

    async def is_empty() -> bool:
        return await count() == 0

    await eventually_async(is_empty)


async def test_a_highlights_chat(world: World, chat: Chat) -> None:
    channel, ann = await world.person("c"), await world.person("a")
    video_id = await video_of(world.database, channel)
    await said(world.database, channel, ann, [after(t) for t in (5, 45, 110, 140, 190)])
    await whole(world.database, video_id, SPANS)
    await copied(world.database, video_id)
    cut = await video_of(
        world.database, channel, kind="highlight", stream_id=None, source_video_id=video_id
    )
    # From 40 to 120 of the video: over the gap.
    await whole(world.database, cut, [(0.0, after(40), 60.0), (60.0, after(130), 20.0)])
    rows = await copied(world.database, cut)
    assert [row.at_s for row in rows] == pytest.approx([5, 60, 70], abs=0.001)
