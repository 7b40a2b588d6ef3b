"""A video's chat over REST: while it runs, when it is whole, and what moderators take out of it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from chat.history import insert_rows
from core.db.engine import Database
from core.db.models import ModLogEntry
from core.db.video_models import Video, VideoChat, VideoMessage, VideoSegment
from core.events import VideoReady
from core.outbox import emit
from tests.api_kit import Account, Client
from tests.chat_kit import Chat
from tests.harness import eventually_async
from tests.video_kit import clip, video

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
# 100 segments of two seconds, with 30 seconds missing in the middle.
GAP_S = 30


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def wall(number: int) -> datetime:
    """When a segment began."""
    return after(2 * number + (GAP_S if number >= 50 else 0))


async def running(database: Database, channel_id: int) -> int:
    """A broadcast's video with its segments."""
    video_id = await video(database, channel_id, status="live", started_at=NOW, duration_s=200)
    async with database.session() as session:
        for number in range(100):
            for rendition in ("source", "480p"):
                session.add(
                    VideoSegment(
                        video_id=video_id, rendition=rendition, msn=number + 1, start_s=2 * number,
                        duration_s=2, size=1, sha256=b"", init="init", pdt=wall(number),
                        discontinuity=number == 50,
                    )
                )  # fmt: skip
    return video_id


async def said(database: Database, channel_id: int, user: Account, *times: float) -> list[str]:
    """Messages at seconds on the clock: their ids."""
    rows = [
        {
            "channel_id": channel_id,
            "offset": 10**6 + number,
            "at": after(at),
            "id": uuid.uuid4(),
            "user_id": user.id,
            "text": f"at {at}",
            "data": {
                "channel": "c",
                "user": {"login": user.login, "name": "Name", "color": "#FF0000", "badges": []},
                "emotes": [],
            },
        }
        for number, at in enumerate(times)
    ]
    async with database.session() as session:
        await insert_rows(session, rows)
    return [str(row["id"]) for row in rows]


async def whole(database: Database, video_id: int) -> None:
    """As recorder leaves it."""
    spans = [(0.0, wall(0), 100.0), (100.0, wall(50), 100.0)]
    async with database.session() as session:
        row = await session.get_one(Video, video_id)
        row.status = "ready"
        row.spans = [[start, at.isoformat(), length] for start, at, length in spans]
        await session.execute(delete(VideoSegment).where(VideoSegment.video_id == video_id))
        await emit(
            session,
            VideoReady(video_id=video_id, channel_id=row.channel_id, stream_id=1, spans=spans),
        )


TIMES = (-3, 1, 50, 99, 105, 125, 131, 180, 229)
PLACES = (1, 50, 99, 100, 100, 101, 150, 199)


async def replay(caller: Client, path: str, **query: Any) -> list[tuple[float, str]]:
    """A chat from page to page: where and which."""
    found: list[tuple[float, str]] = []
    while True:
        answer = await caller("GET", path, params=query)
        assert answer.status == 200, answer
        found += [(m["at_s"], m["id"]) for m in answer.body["items"]]
        if answer.body["next_cursor"] is None:
            return found
        query["cursor"] = answer.body["next_cursor"]


async def test_the_same_while_it_runs_and_afterwards(
    account: Accounts, client: Client, database: Database, chat: Chat
) -> None:
    ann, bob = await account(), await account()
    video_id = await running(database, ann.id)
    sent = (await said(database, ann.id, bob, *TIMES))[1:]
    path = f"/videos/{video_id}/chat"

    async def check() -> None:
        found = await replay(client, path, limit=3)
        assert [message_id for _, message_id in found] == sent
        assert [at_s for at_s, _ in found] == pytest.approx(PLACES, abs=0.001)
        part = await replay(client, path, **{"from": 50, "to": 150, "limit": 2})
        assert [at_s for at_s, _ in part] == pytest.approx(PLACES[1:6], abs=0.001)
        assert await replay(client, path, **{"from": 500, "to": 600}) == []

    await check()
    (first, *_) = (await client("GET", path)).body["items"]
    assert first["user"] == {
        "id": str(bob.id), "login": bob.login, "name": "Name", "color": "#FF0000", "badges": [],
    }  # fmt: skip
    assert first["text"] == "at 1" and first["emotes"] == [] and "channel" not in first
    await whole(database, video_id)
    # Also in the moment in which it is whole and not copied yet.
    await check()

    async def copied() -> bool:
        async with database.session() as session:
            row = await session.get(VideoChat, video_id)
            return row is not None and row.copied_at is not None

    await eventually_async(copied)
    await check()
    for wrong in ({"from": -1}, {"limit": 1001}, {"cursor": "nonsense"}, {"since": 1}):
        assert (await client("GET", path, params=wrong)).status == 422


async def test_a_clips_chat(account: Accounts, client: Client, database: Database) -> None:
    ann, bob = await account(), await account()
    video_id = await running(database, ann.id)
    await said(database, ann.id, bob, *TIMES)
    clip_id = await clip(database, ann.id, video_id=video_id, start_s=95, duration_s=10)
    found = await replay(client, f"/clips/{clip_id}/chat", limit=2)
    assert [at_s for at_s, _ in found] == pytest.approx([4, 5, 5, 6], abs=0.001)
    assert await replay(client, f"/clips/{clip_id}/chat", **{"from": 5.5, "to": 8}) == found[3:]


async def test_moderators_take_out(account: Accounts, database: Database, chat: Chat) -> None:
    ann, bob = await account(), await account()
    video_id = await running(database, ann.id)
    sent = (await said(database, ann.id, bob, *TIMES))[1:]
    await whole(database, video_id)

    async def copied() -> bool:
        async with database.session() as session:
            query = select(VideoMessage.message_id).where(VideoMessage.video_id == video_id)
            return len((await session.scalars(query)).all()) == len(sent)

    await eventually_async(copied)
    path = f"/videos/{video_id}/chat"
    assert (await bob("DELETE", f"{path}/{sent[0]}")).code == "no_permission"
    assert (await ann("DELETE", f"{path}/{uuid.uuid4()}")).code == "message_not_found"
    assert (await ann("GET", f"/videos/{video_id}")).body["may_moderate"]
    assert (await ann("DELETE", f"{path}/{sent[0]}")).status == 204
    assert [message_id for _, message_id in await replay(ann, path)] == sent[1:]
    async with database.session() as session:
        query = select(ModLogEntry).where(ModLogEntry.channel_id == ann.id)
        entry = (await session.scalars(query)).one()
    assert (entry.action, entry.data["message_id"]) == ("delete", sent[0])
    assert (await ann("DELETE", path, params={"user": bob.login})).status == 204
    assert await replay(ann, path) == []
