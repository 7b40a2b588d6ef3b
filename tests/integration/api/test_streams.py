"""The live directory and a streamer's own stream. Rows are written as ingest writes them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, text, update

from core.bus import open_bus
from core.db.engine import Database, open_database
from core.db.models import Channel, PublishAttempt, Stream, StreamHealth, StreamStatus
from core.events import END_STREAM
from core.service import Service
from tests.api_kit import Client, Seen, new_login

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture(loop_scope="session")
async def database(api: Service) -> AsyncIterator[Database]:
    """A pool of our own, with every stream of other tests ended."""
    async with open_database(api.settings) as opened:
        async with opened.session() as session:
            await session.execute(update(Stream).values(status=StreamStatus.ENDED))
        yield opened


async def go_live(database: Database, user: dict[str, Any], **values: Any) -> int:
    """A running stream of this user's channel: its id."""
    async with database.session() as session:
        stream = Stream(
            **{
                "channel_id": int(user["id"]),
                "session": new_login("session"),
                "node": "test",
                "status": StreamStatus.LIVE,
                "started_at": NOON,
                **values,
            }
        )
        session.add(stream)
        await session.flush()
        return stream.id


async def test_a_live_channel(client: Client, database: Database) -> None:
    user = (await client.register())["user"]
    stream_id = await go_live(database, user, viewers=7, thumbnail_at=NOON)
    channel = (await client("GET", f"/channels/{user['login']}")).body
    assert channel["live"] is True
    assert channel["stream"] == {
        "id": str(stream_id),
        "status": "live",
        "started_at": "2026-06-01T12:00:00Z",
        "viewers": 7,
        "playback_url": f"/live/{user['login']}/index.m3u8",
        "thumbnail_url": f"/live/{user['login']}/thumbnail.jpg?t={int(NOON.timestamp())}",
        "video_id": None,
    }
    await client("PATCH", f"/channels/{user['login']}", {"title": "Hello", "tags": ["chill"]})
    (item,) = (await client("GET", "/streams")).body["items"]
    # What the list leaves to a channel's own page.
    assert channel["stream"].pop("video_id") is None
    assert item == {
        **channel["stream"],
        "channel": {"id": user["id"], "login": user["login"], "display_name": user["login"]},
        "title": "Hello",
        "category": None,
        "tags": ["chill"],
        "language": None,
        "mature": False,
    }


async def test_only_what_has_a_picture_is_shown(client: Client, database: Database) -> None:
    user = (await client.register())["user"]
    stream_id = await go_live(database, user, status=StreamStatus.CONNECTING)
    assert (await client("GET", f"/channels/{user['login']}")).body["live"] is False
    assert (await client("GET", "/streams")).body["items"] == []
    assert (await client("GET", "/me/stream")).body["state"] == "connecting"
    async with database.session() as session:
        mine = update(Stream).where(Stream.id == stream_id)
        await session.execute(mine.values(status=StreamStatus.RECONNECTING))
    assert (await client("GET", f"/channels/{user['login']}")).body["stream"][
        "status"
    ] == "reconnecting"
    async with database.session() as session:
        ended = {"status": StreamStatus.ENDED, "ended_at": NOON + timedelta(hours=1)}
        await session.execute(update(Stream).where(Stream.id == stream_id).values(**ended))
    channel = (await client("GET", f"/channels/{user['login']}")).body
    assert (channel["live"], channel["stream"]) == (False, None)
    assert channel["last_stream_at"] == "2026-06-01T13:00:00Z"
    assert (await client("GET", "/streams")).body["items"] == []


async def _directory(client: Client, database: Database, count: int) -> list[str]:
    """`count` live channels; by index: i viewers // 2, started i minutes before noon."""
    logins = []
    for index in range(count):
        user = (await client.register())["user"]
        await go_live(
            database, user, viewers=index // 2, started_at=NOON - timedelta(minutes=index)
        )
        change = {
            "category": ("Music", "Chess")[index % 2],
            "tags": ["even"] if index % 2 == 0 else ["odd", "it's"],
            "language": "en" if index < 3 else "de",
        }
        await client("PATCH", f"/channels/{user['login']}", change)
        logins.append(user["login"])
    return logins


async def _all(client: Client, **query: str) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await client(
            "GET", "/streams", params={**query, **({"cursor": cursor} if cursor else {})}
        )
        assert page.status == 200, page
        found += [item["channel"]["login"] for item in page.body["items"]]
        cursor = page.body["next_cursor"]
        if cursor is None:
            return found


async def test_sort_and_page(client: Client, database: Database) -> None:
    logins = await _directory(client, database, 7)
    assert await _all(client, limit="2") == logins[::-1]
    assert await _all(client, limit="3", sort="started") == logins
    assert await _all(client, limit="7") == logins[::-1]
    assert await _all(client, category="music") == logins[::-2]
    assert await _all(client, tag="#Odd") == logins[-2::-2]
    assert await _all(client, tag="it's", limit="1") == logins[-2::-2]
    assert await _all(client, language="EN") == logins[2::-1]
    assert await _all(client, language="en", category="Chess") == [logins[1]]
    assert await _all(client, category="nothing") == []


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"limit": "0"}, "invalid_field", "limit"),
        ({"limit": "101"}, "invalid_field", "limit"),
        ({"limit": "many"}, "invalid_field", "limit"),
        ({"sort": "name"}, "invalid_field", "sort"),
        ({"cursor": "zzz"}, "invalid_cursor", "cursor"),
        ({"cursor": "WyJsb2dpbnMiLDVd"}, "invalid_cursor", "cursor"),
        ({"cursor": "x" * 257}, "too_long", "cursor"),
        ({"category": "\x00"}, "invalid_character", "category"),
        ({"tag": "--"}, "invalid_tag", "tag"),
        ({"language": "english"}, "invalid_language", "language"),
        ({"colour": "red"}, "unknown_field", "colour"),
    ],
)
async def test_bad_queries(client: Client, query: dict[str, str], code: str, field: str) -> None:
    answer = await client("GET", "/streams", params=query)
    assert (answer.status, answer.code, answer.body["error"]["field"]) == (422, code, field)


async def test_a_parameter_given_twice(client: Client) -> None:
    assert (await client("GET", "/streams?limit=1&limit=2")).code == "invalid_field"


async def test_a_cursor_fits_one_order_only(client: Client, database: Database) -> None:
    await _directory(client, database, 2)
    cursor = (await client("GET", "/streams", params={"limit": "1"})).body["next_cursor"]
    answer = await client("GET", "/streams", params={"sort": "started", "cursor": cursor})
    assert answer.code == "invalid_cursor"


async def test_the_directory_is_one_query(client: Client, api: Service, database: Database) -> None:
    await _directory(client, database, 4)
    from api.streams.queries import Filter, directory

    statements = []

    def count(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    async with database.session() as session:
        rows = await directory(session, Filter(), "viewers", None, 10)
    assert len(rows) == 4
    assert len(statements) == 1


@pytest.mark.parametrize("order", ["viewers", "started_at"])
async def test_the_directory_has_an_index(database: Database, order: str) -> None:
    """A page comes in the order of a partial index, without sorting what is live."""
    async with database.session() as session:
        # With next to nothing in the table, sorting it is cheaper.
        await session.execute(text("set local enable_sort = off"))
        explain = (
            "explain select * from streams where status in ('live', 'reconnecting')"  # noqa: S608
            f" order by {order} desc, id desc limit 20"
        )
        plan = "\n".join(await session.scalars(text(explain)))
    assert "ix_streams_live_" in plan, plan
    assert "Sort" not in plan, plan


async def test_my_stream(client: Client, database: Database) -> None:
    user = (await client.register())["user"]
    nothing: dict[str, Any] = {
        "state": "offline",
        "stream": None,
        "health": None,
        "warnings": [],
        "attempts": [],
    }
    assert (await client("GET", "/me/stream")).body == nothing
    warning = {"code": "long_keyframe_interval", "message": "Set it to 2 s."}
    stream_id = await go_live(database, user, warnings=[warning])
    async with database.session() as session:
        for second in range(3):
            session.add(
                StreamHealth(
                    stream_id=stream_id,
                    at=NOON + timedelta(seconds=second),
                    data={"bitrate_bps": 3_000_000 + second, "fps": 30.0},
                )
            )
            session.add(
                PublishAttempt(
                    channel_id=int(user["id"]),
                    at=NOON + timedelta(seconds=second),
                    accepted=second == 2,
                    code="accepted" if second == 2 else "key_revoked",
                    message="",
                )
            )
    mine = (await client("GET", "/me/stream")).body
    assert mine["state"] == "live"
    assert mine["stream"]["id"] == str(stream_id)
    assert mine["health"] == {"at": "2026-06-01T12:00:02Z", "bitrate_bps": 3_000_002, "fps": 30.0}
    assert mine["warnings"] == [warning]
    assert [attempt["accepted"] for attempt in mine["attempts"]] == [True, False, False]
    series = (await client("GET", "/me/stream/health")).body["items"]
    assert [item["bitrate_bps"] for item in series] == [3_000_000, 3_000_001, 3_000_002]
    since = {"since": "2026-06-01T12:00:01Z"}
    later = (await client("GET", "/me/stream/health", params=since)).body["items"]
    assert [item["bitrate_bps"] for item in later] == [3_000_002]


async def test_a_long_series_is_thinned(client: Client, database: Database) -> None:
    user = (await client.register())["user"]
    stream_id = await go_live(database, user)
    async with database.session() as session:
        await session.execute(
            text(
                "insert into stream_health (stream_id, at, data)"
                " select :stream, cast(:noon as timestamptz) + n * interval '1 s',"
                " jsonb_build_object('fps', n) from generate_series(1, 2500) n"
            ),
            {"stream": stream_id, "noon": NOON},
        )
    items = (await client("GET", "/me/stream/health")).body["items"]
    assert 800 < len(items) <= 1000
    assert items[-1]["fps"] == 2500
    steps = {b["fps"] - a["fps"] for a, b in itertools.pairwise(items)}
    assert steps == {3}


async def test_end_stream(client: Client, api: Service, database: Database) -> None:
    user = (await client.register())["user"]
    path = f"/channels/{user['login']}/stream/end"
    assert (await client("POST", path)).code == "stream_offline"
    await go_live(database, user)
    asked = []

    async def answer(question: dict[str, Any]) -> dict[str, Any] | None:
        asked.append(question)
        # A node that does not have the stream stays silent.
        return None

    async def owner(question: dict[str, Any]) -> dict[str, Any]:
        return {"ended": question["channel_id"] == int(user["id"])}

    async with open_bus(api.settings) as first, open_bus(api.settings) as second:
        await first.respond(END_STREAM, answer)
        await second.respond(END_STREAM, owner)
        await asyncio.gather(first.connected(), second.connected())
        assert (await client("POST", path)).status == 204
        assert asked == [{"channel_id": int(user["id"])}]
    answer_without = await client("POST", path)
    assert (answer_without.status, answer_without.code) == (503, "unavailable")
    assert "Retry-After" in answer_without.headers


async def test_deleting_the_account_tells_ingest(
    client: Client, database: Database, seen: Seen
) -> None:
    from core.events import UserDeleted

    user = (await client.register())["user"]
    await go_live(database, user)
    await client("DELETE", "/me", {"password": "correct horse"})
    deleted = await seen.wait_for(UserDeleted, lambda e: str(e.user_id) == user["id"])
    assert deleted.login == user["login"]
    assert (await client("GET", "/streams")).body["items"] == []
    async with database.session() as session:
        channel = await session.get(Channel, int(user["id"]))
        assert channel is not None and channel.title == ""
