"""Clips over REST: lists, who may do what, their chat, and what recorder is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from core.bus import open_bus
from core.db.engine import Database
from core.db.models import ChatBan, ChatRole, Role
from core.db.video_models import Clip, Video
from core.events import recorder_question
from core.service import Service
from recorder.views import Views
from tests.api_kit import Account, Client
from tests.harness import eventually_async
from tests.video_kit import ago, clip, video

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]
Asked = list[tuple[str, dict[str, Any]]]


@pytest_asyncio.fixture(loop_scope="session")
async def asked(api: Service, database: Database) -> AsyncIterator[Asked]:
    """What recorder is asked for; a clip is there already when it is "made"."""
    questions: Asked = []
    async with open_bus(api.settings) as bus:

        def answer(op: str) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
            async def take(question: dict[str, Any]) -> dict[str, Any]:
                questions.append((op, question))
                if op != "clip.create":
                    return {}
                async with database.session() as session:
                    row = await session.get_one(Video, question["video_id"])
                made = {"creator_id": question["actor"]["id"], "title": question["title"]}
                return {"clip_id": await clip(database, row.channel_id, video_id=row.id, **made)}

            return take

        for op in ("clip.create", "clip.update", "clip.remove"):
            await bus.respond(recorder_question(op), answer(op))
        await bus.connected()
        yield questions


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


async def test_lists(account: Accounts, client: Client, database: Database) -> None:
    ann, bob = await account(), await account()
    video_id = await video(database, ann.id, title="Source", category="Chess")
    options = {"channel_id": ann.id, "creator_id": bob.id, "video_id": video_id}
    old = await clip(database, **options, created_at=ago(days=3), views=5)
    new = await clip(database, **options, created_at=ago(hours=1))
    await clip(database, **options, status="processing")
    await clip(database, **options, deleted_at=ago(hours=1))
    other = await clip(database, bob.id, creator_id=ann.id, created_at=ago(hours=2))
    for query, expected in (
        ({"channel": ann.login}, [new, old]),
        ({"channel": ann.login, "sort": "views"}, [old, new]),
        ({"channel": ann.login, "days": "1"}, [new]),
        ({"video": str(video_id)}, [new, old]),
        ({"video": str(video_id), "limit": "1"}, [new, old]),
        ({"creator": ann.login}, [other]),
        ({"creator": bob.login, "sort": "views", "limit": "1"}, [old, new]),
        ({"video": "9" * 19}, []),
    ):
        assert ids(await ann.items("/clips", **query)) == expected, query
    shown = (await client("GET", f"/clips/{new}")).body
    assert shown["channel"] == ann.name and shown["creator"] == bob.name
    assert shown["video"] == {"id": str(video_id), "title": "Source", "category": "Chess"}
    assert shown["playback_url"] == f"/clip-media/{new}/index.m3u8"
    assert not shown["may_edit"] and not shown["may_delete"]
    assert (await client("GET", "/clips/aaaaaaaaaaa")).code == "clip_not_found"


async def test_a_clip_does_not_tell_of_a_private_video(
    account: Accounts, client: Client, database: Database
) -> None:
    ann = await account()
    private = await video(database, ann.id, visibility="private")
    clip_id = await clip(database, ann.id, video_id=private, creator_id=ann.id)
    assert (await client("GET", f"/clips/{clip_id}")).body["video"] is None


async def test_making_one(account: Accounts, database: Database, asked: Asked) -> None:
    ann, bob = await account(), await account()
    ready = await video(database, ann.id)
    body = {"video": str(ready), "start_s": 12.34, "duration_s": 15, "title": " Wow "}
    answer = await bob("POST", "/clips", body)
    assert answer.status == 201, answer
    assert answer.body["creator"] == bob.name and answer.body["may_delete"]
    ((op, question),) = asked
    actor = {"id": bob.id, "login": bob.login, "role": "creator"}
    assert (op, question["actor"]) == ("clip.create", actor)
    assert (question["video_id"], question["start_s"]) == (ready, 12.3)
    assert (question["duration_s"], question["title"]) == (15, "Wow")
    # Of what is live: no time means now.
    mine = {"channel": ann.login, "duration_s": 30.0, "title": "Live"}
    assert (await bob("POST", "/clips", mine)).code == "stream_offline"
    live = await video(database, ann.id, status="live", visibility="private")
    assert (await bob("POST", "/clips", mine)).status == 201
    assert (asked[-1][1]["video_id"], asked[-1][1]["start_s"]) == (live, None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"duration_s": 4.9}, "invalid_field"),
        ({"duration_s": 60.1}, "invalid_field"),
        ({"start_s": None}, "field_missing"),
        ({"start_s": -1}, "invalid_field"),
        ({"channel": "somebody"}, "field_missing"),
        ({"video": None}, "field_missing"),
        ({"title": "  "}, "too_short"),
        ({"video": "9" * 19}, "video_not_found"),
        ({"video": "x"}, "invalid_field"),
    ],
)
async def test_what_is_no_clip(
    account: Accounts, database: Database, change: dict[str, Any], code: str
) -> None:
    ann = await account()
    body = {
        "video": str(await video(database, ann.id)),
        "start_s": 1,
        "duration_s": 9,
        "title": "A",
    }
    answer = await ann("POST", "/clips", {**body, **change})
    assert answer.code == code, answer


async def test_whom_it_is_not_for(account: Accounts, database: Database, asked: Asked) -> None:
    ann, bob = await account(), await account()
    body = {"start_s": 1, "duration_s": 9, "title": "A"}
    private = await video(database, ann.id, visibility="private")
    answer = await bob("POST", "/clips", {**body, "video": str(private)})
    assert answer.code == "video_not_found"
    ready = await video(database, ann.id)
    async with database.session() as session:
        session.add(ChatBan(channel_id=ann.id, user_id=bob.id))
    assert (await bob("POST", "/clips", {**body, "video": str(ready)})).code == "banned"
    assert asked == []


async def test_changing_and_deleting(account: Accounts, database: Database, asked: Asked) -> None:
    ann, bob, mod, site, stranger = (
        *[await account() for _ in range(3)],
        await account(Role.MODERATOR),
        await account(),
    )
    async with database.session() as session:
        session.add(ChatRole(channel_id=ann.id, user_id=mod.id, role="moderator"))
    clip_id = await clip(database, ann.id, creator_id=bob.id)
    path = f"/clips/{clip_id}"
    title = {"title": "Better"}
    for caller in (stranger, mod, site):
        assert (await caller("PATCH", path, title)).code == "forbidden"
    assert (await stranger("DELETE", path)).code == "forbidden"
    for caller in (ann, bob):
        assert (await caller("PATCH", path, title)).status == 200
        assert asked[-1][1]["changes"] == title
    for caller in (ann, bob, mod, site):
        assert (await caller("GET", path)).body["may_delete"]
        assert (await caller("DELETE", path)).status == 204
        assert (asked[-1][0], asked[-1][1]["clip_id"]) == ("clip.remove", clip_id)


async def test_views_count_once(
    api: Service, account: Accounts, client: Client, database: Database
) -> None:
    """Through Redis and recorder's own code into the rows."""
    ann, bob = await account(), await account()
    video_id, clip_id = await video(database, ann.id), await clip(database, ann.id)

    async def views() -> tuple[int | None, int | None]:
        async with database.session() as session:
            return (
                await session.scalar(select(Video.views).where(Video.id == video_id)),
                await session.scalar(select(Clip.views).where(Clip.id == clip_id)),
            )

    for caller in (bob, bob, client, client, ann):
        assert (await caller("POST", f"/videos/{video_id}/views")).status == 204
        assert (await caller("POST", f"/clips/{clip_id}/views")).status == 204
    # Nobody has taken them yet; they wait.
    assert await views() == (0, 0)
    async with open_bus(api.settings) as bus:
        await Views(database).respond(bus)
        await bus.connected()

        async def counted() -> bool:
            return await views() == (2, 3)

        await eventually_async(counted, within_s=15)
    another = await client("POST", f"/videos/{video_id}/views", headers={"User-Agent": "another"})
    assert another.status == 204
