"""Emotes over HTTP: uploaded, listed, served, removed."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from PIL import Image
from sqlalchemy import func, select

from api.emotes.emotes import global_set
from api.emotes.images import MOST_BYTES
from core.db.engine import Database
from core.db.models import Emote, Role
from core.events import EmotesChanged
from core.service import Service
from core.storage import open_storage
from tests.api_kit import Account, Answer, Client, Seen
from tests.harness import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


def png(color: str = "red", size: int = 64) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), color).save(file, "PNG")
    return file.getvalue()


async def upload(ann: Account, code: str, data: bytes, login: str | None = None) -> Answer:
    form = aiohttp.FormData()
    form.add_field("code", code)
    form.add_field("file", io.BytesIO(data), filename="emote.png", content_type="image/png")
    return await ann("POST", f"/channels/{login or ann.login}/emotes", data=form)


async def fetch(client: Client, url: str) -> tuple[int, bytes, Any]:
    async with client._session.get(url) as response:
        return response.status, await response.read(), response.headers


async def test_an_emotes_life(account: Accounts, seen: Seen, client: Client) -> None:
    ann = await account()
    made = await upload(ann, "annHi", png())
    assert made.status == 201
    assert (made.body["code"], made.body["animated"]) == ("annHi", False)
    await seen.wait_for(EmotesChanged, lambda e: e.channel_id == ann.id)
    listed = (await ann("GET", f"/channels/{ann.login}/emotes")).body
    assert listed == {"items": [made.body], "next_cursor": None}
    for size in (28, 56, 112):
        status, data, headers = await fetch(client, f"{made.body['url']}/{size}")
        assert (status, headers["Content-Type"]) == (200, "image/webp")
        assert "immutable" in headers["Cache-Control"]
        assert Image.open(io.BytesIO(data)).size == (size, size)
    assert (await ann("DELETE", f"/channels/{ann.login}/emotes/{made.body['id']}")).status == 204
    assert (await fetch(client, f"{made.body['url']}/28"))[0] == 404
    assert (await ann("GET", f"/channels/{ann.login}/emotes")).body["items"] == []
    again = await ann("DELETE", f"/channels/{ann.login}/emotes/{made.body['id']}")
    assert again.code == "emote_not_found"
    # The code is free again.
    assert (await upload(ann, "annHi", png("blue"))).status == 201


async def test_refused(account: Accounts, database: Database) -> None:
    ann, bob = await account(), await account()
    assert (await upload(ann, "annHi", png())).status == 201
    assert (await upload(ann, "annHi", png())).code == "emote_exists"
    assert (await upload(ann, "a", png())).code == "invalid_field"
    assert (await upload(ann, "ann Hi", png())).code == "invalid_field"
    assert (await upload(ann, "annNo", b"GIF89a nonsense")).code == "invalid_image"
    assert (await upload(ann, "annNo", png(size=20))).code == "image_too_small"
    assert (await upload(ann, "annNo", b"\0" * (MOST_BYTES + 1))).code == "too_long"
    assert (await upload(ann, "annNo", b"\0" * (2 * MOST_BYTES))).status == 413
    assert (await upload(bob, "bobHi", png(), ann.login)).code == "forbidden"
    path = f"/channels/{ann.login}/emotes"
    assert (await ann("POST", path, {"code": "annNo"})).status == 415
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    for nonsense in (b"--x\r\nnonsense", b"--x\r\nTrue--x--\r\n", b"--x\r\n: y\r\n\r\n--x--"):
        refused = await ann("POST", path, data=nonsense, headers=broken)
        assert refused.status in (400, 422)
    form = aiohttp.FormData()
    form.add_field("code", "annNo")
    form.add_field("code", "annYes")
    form.add_field("file", png(), filename="x.png")
    assert (await ann("POST", path, data=form)).code == "invalid_field"
    missing = aiohttp.FormData()
    missing.add_field("file", png(), filename="x.png")
    assert (await ann("POST", path, data=missing)).code == "field_missing"
    async with database.session() as session:
        count = select(func.count()).select_from(Emote).where(Emote.channel_id == ann.id)
        assert await session.scalar(count) == 1


async def test_who_removes(account: Accounts) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    made = (await upload(ann, "annHi", png())).body
    path = f"/channels/{ann.login}/emotes/{made['id']}"
    assert (await bob("DELETE", path)).code == "forbidden"
    elsewhere = f"/channels/{bob.login}/emotes/{made['id']}"
    assert (await mod("DELETE", elsewhere)).code == "emote_not_found"
    assert (await mod("DELETE", path)).status == 204


@pytest.mark.parametrize(
    "path", ["/emotes/1/29", "/emotes/0/28", "/emotes/x/28", "/emotes/9999/28"]
)
async def test_no_such_picture(client: Client, path: str) -> None:
    assert (await fetch(client, path))[0] == 404


async def test_the_sites_own(client: Client, api: Service) -> None:
    async def installed() -> list[dict[str, Any]]:
        items = (await client("GET", "/emotes/global")).body["items"]
        assert {item["code"] for item in items} == set(global_set())
        return list(items)

    items = await eventually_async(installed, within_s=20, what="the global emotes")
    status, data, _ = await fetch(client, f"{items[0]['url']}/56")
    assert status == 200 and Image.open(io.BytesIO(data)).size == (56, 56)


async def test_housekeeping_removes_what_stayed(
    account: Accounts, api: Service, database: Database
) -> None:
    from datetime import UTC, datetime

    from api.emotes.emotes import discard_removed, object_key

    ann = await account()
    made = (await upload(ann, "annHi", png())).body
    await ann("DELETE", f"/channels/{ann.login}/emotes/{made['id']}")
    async with open_storage(api.settings) as storage:
        # As if S3 had been away.
        await storage.put(object_key(int(made["id"]), 28), b"picture")
        await discard_removed(database, storage, datetime.now(UTC))
        assert await storage.list(f"emotes/{made['id']}/") == []
