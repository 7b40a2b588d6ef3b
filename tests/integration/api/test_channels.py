"""Channels and stream keys over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core import stream_keys
from core.db.engine import open_database
from core.db.models import AuditEntry, Role, StreamKey, User
from core.derived import Purpose, derive
from core.events import ChannelUpdated, StreamKeyRevoked, StreamKeyUsed
from core.service import Service
from tests.api_kit import Client, Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_new_channel(client: Client) -> None:
    user = (await client.register())["user"]
    answer = await client("GET", f"/channels/{user['login'].upper()}")
    assert answer.status == 200
    expected = {
        "id": user["id"],
        "login": user["login"],
        "display_name": user["login"],
        "bio": "",
        "title": "",
        "category": None,
        "tags": [],
        "language": None,
        "mature": False,
        "live": False,
        "stream": None,
        "last_stream_at": None,
    }
    assert {k: answer.body[k] for k in expected} == expected


@pytest.mark.parametrize("login", ["nobody_here", "%00", "a", "x" * 300, "~1", "%2e%2e"])
async def test_no_such_channel(client: Client, login: str) -> None:
    assert (await client("GET", f"/channels/{login}")).status == 404


async def test_patch_channel(client: Client, seen: Seen) -> None:
    user = (await client.register())["user"]
    change: dict[str, Any] = {
        "title": " Evening   session ",
        "category": "Music  & Sound",
        "tags": ["Chill", "#chill", "C++", "日本語"],
        "language": "EN",
        "mature": True,
    }
    answer = await client("PATCH", f"/channels/{user['login']}", change)
    assert answer.status == 200
    assert answer.body["title"] == "Evening   session"
    assert answer.body["category"] == "Music & Sound"
    assert answer.body["tags"] == ["chill", "c++", "日本語"]
    assert answer.body["language"] == "en"
    assert answer.body["mature"] is True
    assert (await client("GET", f"/channels/{user['login']}")).body == answer.body
    event = await seen.wait_for(ChannelUpdated, lambda e: str(e.channel_id) == user["id"])
    assert event.login == user["login"]
    none = await client("PATCH", f"/channels/{user['login']}", {"category": None, "language": None})
    assert (none.body["category"], none.body["language"]) == (None, None)
    assert none.body["tags"] == answer.body["tags"]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"title": "x" * 141}, "too_long", "title"),
        ({"title": "a\nb"}, "invalid_character", "title"),
        ({"title": "a\u0000b"}, "invalid_character", "title"),
        ({"title": "\u202etxet"}, "invalid_character", "title"),
        ({"title": 7}, "invalid_field", "title"),
        ({"tags": [str(n) for n in range(11)]}, "too_many", "tags"),
        ({"tags": ["x" * 26]}, "too_long", "tags"),
        ({"tags": ["-"]}, "invalid_tag", "tags"),
        ({"tags": "chill"}, "invalid_field", "tags"),
        ({"language": "english"}, "invalid_language", "language"),
        ({"category": "x" * 61}, "too_long", "category"),
        ({"viewers": 1}, "unknown_field", "viewers"),
    ],
)
async def test_patch_channel_refuses(
    client: Client, change: dict[str, Any], code: str, field: str
) -> None:
    login = (await client.register())["user"]["login"]
    answer = await client("PATCH", f"/channels/{login}", change)
    assert (answer.status, answer.code, answer.body["error"]["field"]) == (422, code, field)


async def test_only_the_owner_and_admins_edit(client: Client, other: Client, api: Service) -> None:
    login = (await client.register())["user"]["login"]
    intruder = (await other.register())["user"]
    answer = await other("PATCH", f"/channels/{login}", {"title": "mine"})
    assert (answer.status, answer.code) == (403, "forbidden")
    assert (await other("POST", f"/channels/{login}/stream/end")).code == "forbidden"
    async with open_database(api.settings) as database:
        async with database.session() as session:
            mine = User.id == int(intruder["id"])
            await session.execute(update(User).where(mine).values(role=Role.ADMIN))
        answer = await other("PATCH", f"/channels/{login}", {"title": "tidied"})
        assert (answer.status, answer.body["title"]) == (200, "tidied")
        async with database.session() as session:
            entry = await session.scalar(
                select(AuditEntry).where(
                    AuditEntry.actor_id == int(intruder["id"]),
                    AuditEntry.action == "channel.edited",
                )
            )
            assert entry is not None and entry.data == {"fields": ["title"]}
            await session.execute(update(User).where(mine).values(role=Role.VIEWER))


async def test_stream_keys(client: Client, api: Service, seen: Seen) -> None:
    user = (await client.register())["user"]
    made = await client("POST", "/me/stream-keys", {"name": " Living  room "})
    assert made.status == 201
    assert made.body["name"] == "Living room"
    assert made.body["server"] == api.settings.rtmp_url
    key = stream_keys.parse(made.body["key"])
    assert key is not None and str(key.id) == made.body["id"]
    async with open_database(api.settings) as database, database.session() as session:
        row = await session.get(StreamKey, key.id)
        assert row is not None
        assert key.matches(row.secret_hmac, derive(api.settings, Purpose.STREAM_KEY_PEPPER))
        assert key.secret not in f"{row.secret_hmac!r}{row.name}"
    listed = (await client("GET", "/me/stream-keys")).body
    assert listed == {
        "items": [
            {
                "id": made.body["id"],
                "name": "Living room",
                "hint": key.secret[-4:],
                "created_at": made.body["created_at"],
                "last_used_at": None,
            }
        ],
        "next_cursor": None,
    }
    assert (await client("DELETE", f"/me/stream-keys/{key.id}")).status == 204
    revoked = await seen.wait_for(StreamKeyRevoked, lambda e: e.key_id == key.id)
    assert str(revoked.channel_id) == user["id"]
    assert (await client("GET", "/me/stream-keys")).body["items"] == []
    assert (await client("DELETE", f"/me/stream-keys/{key.id}")).code == "stream_key_not_found"


async def test_nobody_touches_somebody_elses_key(client: Client, other: Client) -> None:
    await client.register()
    await other.register()
    key = (await client("POST", "/me/stream-keys", {"name": "Mine"})).body
    assert (await other("DELETE", f"/me/stream-keys/{key['id']}")).status == 404
    assert (await other("GET", "/me/stream-keys")).body["items"] == []
    assert len((await client("GET", "/me/stream-keys")).body["items"]) == 1


@pytest.mark.parametrize("path", ["x", "-1", "1.5", "9" * 19, "9" * 30])
async def test_odd_key_ids(client: Client, path: str) -> None:
    await client.register()
    assert (await client("DELETE", f"/me/stream-keys/{path}")).status == 404


async def test_at_most_twenty_keys(client: Client) -> None:
    await client.register()
    answers = await asyncio.gather(
        *(client("POST", "/me/stream-keys", {"name": f"Key {n}"}) for n in range(22))
    )
    assert sorted(a.status for a in answers) == [201] * 20 + [409] * 2
    first = (await client("GET", "/me/stream-keys", params={"limit": "15"})).body
    rest = (await client("GET", "/me/stream-keys", params={"cursor": first["next_cursor"]})).body
    assert len(first["items"]) + len(rest["items"]) == 20
    assert rest["next_cursor"] is None


async def test_viewers_make_no_keys(client: Client, api: Service) -> None:
    user = (await client.register())["user"]
    async with open_database(api.settings) as database, database.session() as session:
        mine = User.id == int(user["id"])
        await session.execute(update(User).where(mine).values(role=Role.VIEWER))
    answer = await client("POST", "/me/stream-keys", {"name": "OBS"})
    assert (answer.status, answer.code) == (403, "streaming_not_allowed")


async def test_use_of_a_key_is_shown(client: Client, seen: Seen) -> None:
    user = (await client.register())["user"]
    key = (await client("POST", "/me/stream-keys", {"name": "OBS"})).body
    used = datetime.now(UTC).replace(microsecond=0)
    for at in (used, used - timedelta(hours=1)):
        await seen.tell(StreamKeyUsed(key_id=int(key["id"]), channel_id=int(user["id"]), at=at))

    async def shown() -> bool:
        item = (await client("GET", "/me/stream-keys")).body["items"][0]
        return item["last_used_at"] is not None

    await seen.until(shown)
    item = (await client("GET", "/me/stream-keys")).body["items"][0]
    assert datetime.fromisoformat(item["last_used_at"]) == used


async def test_deleting_the_account_revokes_its_keys(client: Client, seen: Seen) -> None:
    await client.register()
    key = (await client("POST", "/me/stream-keys", {"name": "OBS"})).body
    await client("DELETE", "/me", {"password": "correct horse"})
    await seen.wait_for(StreamKeyRevoked, lambda e: str(e.key_id) == key["id"])
