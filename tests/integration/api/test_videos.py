"""The catalogue: what is listed, who sees what, and what viewers and owners do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from core.bus import open_bus
from core.db.engine import Database
from core.db.models import Role
from core.db.video_models import Video
from core.derived import Purpose, derive
from core.instance_settings import CurrentSettings
from core.media_tokens import media_token
from core.service import Service
from recorder.requests import VideoRequests
from tests.api_kit import Account, Client, new_login
from tests.video_kit import ago, clip, video

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


def ids(items: list[dict[str, Any]]) -> list[int]:
    return [int(item["id"]) for item in items]


async def test_a_channels_videos_in_every_order(account: Accounts, database: Database) -> None:
    ann = await account()
    made = [
        await video(
            database,
            ann.id,
            published_at=ago(hours=hours),
            views=views,
            duration_s=length,
        )
        for hours, views, length in ((1, 5, 100), (3, 50, 300), (2, 50, 200), (4, 0, 400))
    ]
    a, b, c, d = made
    for sort, expected in (
        ("newest", [a, c, b, d]),
        ("oldest", [d, b, c, a]),
        # Those with equal views by their ids, which are random.
        ("views", [*sorted((b, c), reverse=True), a, d]),
        ("longest", [d, b, c, a]),
        ("shortest", [a, c, b, d]),
    ):
        for limit in ("1", "3", "20"):
            found = await ann.items("/videos", channel=ann.login, sort=sort, limit=limit)
            assert ids(found) == expected, (sort, limit)
    other = await ann("GET", "/videos", params={"channel": new_login()})
    assert other.code == "channel_not_found"
    first = await ann("GET", "/videos", params={"channel": ann.login, "limit": "1"})
    wrong = {"cursor": first.body["next_cursor"], "sort": "views"}
    assert (await ann("GET", "/videos", params=wrong)).code == "invalid_cursor"


async def test_filters(account: Accounts, database: Database) -> None:
    ann = await account()
    chess = await video(
        database, ann.id, category="Chess", tags=["cosy"], language="de", title="König's gambit"
    )
    talk = await video(
        database,
        ann.id,
        category="Talk",
        kind="upload",
        stream_id=None,
        title="Co-op night: gambling?",
        language="en",
    )
    mine = {"channel": ann.login}
    for query, expected in (
        ({"category": "chess"}, [chess]),
        ({"tag": "#Cosy"}, [chess]),
        ({"language": "en"}, [talk]),
        ({"kind": "upload"}, [talk]),
        ({"q": "könig"}, [chess]),
        ({"q": "gamb"}, [talk, chess]),
        ({"q": "gamb night"}, []),
        ({"q": "night gamb"}, [talk]),
        ({"q": "co-op"}, [talk]),
        ({"q": "op n"}, [talk]),
        ({"q": "'\\ & | ! :* <->"}, []),
        ({"q": "gambit's :*"}, []),
        ({"q": "gambit", "language": "de", "category": "CHESS"}, [chess]),
        ({"q": "gambit", "language": "en"}, []),
    ):
        assert ids(await ann.items("/videos", **mine, **query)) == expected, query
    assert (await ann("GET", "/videos", params={"q": "a\0b"})).code == "invalid_character"


HIDDEN: list[dict[str, Any]] = [
    {"visibility": "private"},
    {"trashed_at": ago(hours=1)},
    {"published_at": None},
    {"published_at": datetime.now(UTC) + timedelta(days=1)},
    {"status": "processing", "kind": "upload"},
    {"status": "failed", "kind": "upload", "error": {"code": "not_media", "message": "No."}},
]


@pytest.mark.parametrize("columns", HIDDEN, ids=lambda c: ",".join(c))
async def test_what_only_its_owner_sees(
    account: Accounts, client: Client, database: Database, columns: dict[str, Any]
) -> None:
    ann, bob, admin = await account(), await account(), await account(Role.ADMIN)
    video_id = await video(database, ann.id, **columns)
    path = f"/videos/{video_id}"
    for caller in (client, bob, admin):
        assert (await caller("GET", path)).code == "video_not_found"
        assert (await caller("GET", f"{path}/chat")).code == "video_not_found"
        assert (await caller("POST", f"{path}/views")).code == "video_not_found"
    assert (await bob("PUT", f"{path}/position", {"at_s": 5})).code == "video_not_found"
    assert (await bob("PATCH", path, {"title": "x"})).code == "video_not_found"
    assert (await ann.items("/videos", channel=ann.login)) == []
    shown = (await ann("GET", path)).body
    assert shown["may_edit"] and shown["own"]["size_bytes"] == 1_000_000
    trashed = "true" if columns.get("trashed_at") else "false"
    (item,) = await ann.items("/me/videos", trashed=trashed)
    assert item["id"] == shown["id"]
    error = columns.get("error")
    assert shown["own"]["error"] == (error and {**error, "retry": False})


async def test_no_id_tells_another(account: Accounts, database: Database) -> None:
    """An unlisted video is for whoever has its address: nobody finds it from that of the one before."""
    ann = await account()
    made = [await video(database, ann.id, published_at=ago(hours=20 - n)) for n in range(20)]
    assert all(0 < number < 2**62 for number in made)
    # Numbers that count, by whatever step, come in order and near to each other.
    assert made != sorted(made) and made != sorted(made, reverse=True)
    near = sorted(made)
    assert min(b - a for a, b in pairwise(near)) > 2**32
    # They are larger than a double is exact, and stay what they are, in texts and in cursors.
    found = await ann.items("/videos", channel=ann.login, limit="3")
    assert [item["id"] for item in found] == [str(number) for number in reversed(made)]
    assert ids(await ann.items("/me/videos", limit="3")) == made[::-1]


async def test_a_suspended_channels(account: Accounts, client: Client, database: Database) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    shown, clipped = await video(database, ann.id), await clip(database, ann.id)
    await bob("PUT", f"/videos/{shown}/position", {"at_s": 5})
    body = {"user": ann.login, "scope": "channel", "reason": "Spam.", "duration_s": 3600}
    suspension = (await mod("POST", "/admin/suspensions", body)).body
    for caller in (client, bob, mod):
        assert (await caller("GET", f"/videos/{shown}")).code == "video_not_found"
        assert (await caller("GET", f"/videos/{shown}/chat")).code == "video_not_found"
        assert (await caller("GET", f"/clips/{clipped}")).code == "clip_not_found"
        assert (await caller("POST", f"/clips/{clipped}/views")).code == "clip_not_found"
        for area in ("/videos", "/clips"):
            params = {"channel": ann.login}
            assert (await caller("GET", area, params=params)).body["items"] == []
    assert await bob.items("/me/watching") == []
    cut = {"video": str(shown), "start_s": 1, "duration_s": 5, "title": "x"}
    assert (await bob("POST", "/clips", cut)).code == "video_not_found"
    own = (await ann("GET", f"/videos/{shown}")).body
    assert own["playback_url"].startswith("/vod/~")
    assert (await ann("GET", f"/clips/{clipped}")).body["playback_url"] is None
    assert (await mod("DELETE", f"/admin/suspensions/{suspension['id']}")).status == 200
    assert (await client("GET", f"/videos/{shown}")).body["playback_url"].startswith("/vod/")
    assert (await client("GET", f"/clips/{clipped}")).body["playback_url"] is not None
    assert ids(await bob.items("/videos", channel=ann.login)) == [shown]
    assert len(await bob.items("/clips", channel=ann.login)) == 1
    assert ids(await bob.items("/me/watching")) == [shown]


async def test_by_its_address(
    api: Service, account: Accounts, client: Client, database: Database
) -> None:
    ann = await account()
    options: dict[str, Any] = {
        "poster": {"width": 640, "height": 360, "version": 3},
        "storyboard": {
            "interval_s": 10, "columns": 5, "rows": 5, "width": 160, "height": 90, "count": 2,
        },
        "chapters": [{"at_s": 0, "title": "One", "category": "Chess"}, {"at_s": 60, "title": "Two"}],
    }  # fmt: skip
    unlisted = await video(database, ann.id, visibility="unlisted", **options)
    assert await ann.items("/videos", channel=ann.login) == []
    shown = (await client("GET", f"/videos/{unlisted}")).body
    assert shown["playback_url"] == f"/vod/{unlisted}/index.m3u8"
    assert shown["thumbnail_url"] == f"/vod/{unlisted}/poster.jpg?v=3"
    assert shown["storyboard_url"] == f"/vod/{unlisted}/storyboard.vtt"
    assert shown["urls_expire_at"] is None and shown["own"] is None and not shown["may_edit"]
    assert [c["title"] for c in shown["chapters"]] == ["One", "Two"]
    private = await video(database, ann.id, visibility="private", **options)
    shown = (await ann("GET", f"/videos/{private}")).body
    expires = datetime.fromisoformat(shown["urls_expire_at"])
    assert timedelta(seconds=590) < expires - datetime.now(UTC) <= timedelta(seconds=600)
    key = derive(api.settings, Purpose.MEDIA_TOKENS)
    token = media_token(key, private, int(expires.timestamp()))
    assert shown["playback_url"] == f"/vod/~{token}/{private}/index.m3u8"
    assert shown["thumbnail_url"] == f"/vod/~{token}/{private}/poster.jpg?v=3"


async def test_a_login_that_is_over_is_not_a_stranger(
    browser_client: Client, account: Accounts, database: Database
) -> None:
    """Its page is told to renew the access cookie, and does not show "not found" meanwhile."""
    ann = await account()
    private = await video(database, ann.id, visibility="private")
    body = {"login": ann.login, "password": "correct horse", "session": "cookie"}
    assert (await browser_client("POST", "/auth/login", body)).status == 200
    assert (await browser_client("GET", f"/videos/{private}")).status == 200
    browser_client._session.cookie_jar.clear(lambda cookie: cookie.key == "footlight_access")
    assert (await browser_client("GET", f"/videos/{private}")).code == "token_expired"


async def test_your_own(account: Accounts, database: Database) -> None:
    ann = await account()
    small = await video(database, ann.id, size_bytes=10, visibility="private", title="Small")
    large = await video(database, ann.id, size_bytes=99, views=5, duration_s=10)
    trash = await video(database, ann.id, trashed_at=ago(hours=1), size_bytes=7)
    await video(database, ann.id, purged_at=ago(hours=1), trashed_at=ago(days=1))
    assert ids(await ann.items("/me/videos")) == [large, small]
    assert ids(await ann.items("/me/videos", sort="longest", limit="1")) == [small, large]
    assert ids(await ann.items("/me/videos", sort="largest", limit="1")) == [large, small]
    assert ids(await ann.items("/me/videos", sort="views")) == [large, small]
    assert ids(await ann.items("/me/videos", visibility="private", q="sma")) == [small]
    assert ids(await ann.items("/me/videos", trashed="true")) == [trash]
    await clip(database, ann.id, size_bytes=3)
    storage = (await ann("GET", "/me/storage")).body
    assert storage["videos"] == {"count": 2, "bytes": 109, "duration_s": 3610}
    assert storage["trash"] == {"count": 1, "bytes": 7, "duration_s": 3600}
    assert storage["clips"] == {"count": 1, "bytes": 3, "duration_s": 20}


async def test_going_on_where_one_was(account: Accounts, database: Database) -> None:
    ann, bob = await account(), await account()
    first, second = [await video(database, ann.id) for _ in range(2)]
    path = f"/videos/{first}/position"
    assert (await bob("GET", path)).body == {"at_s": 0, "updated_at": None}
    for video_id, at_s in ((first, 10), (second, 20.5), (first, 100)):
        answer = await bob("PUT", f"/videos/{video_id}/position", {"at_s": at_s})
        assert answer.status == 204, answer
    assert (await bob("GET", path)).body["at_s"] == 100
    assert (await bob("GET", f"/videos/{first}")).body["position_s"] == 100
    assert (await ann("GET", f"/videos/{first}")).body["position_s"] is None
    found = await bob.items("/me/watching", limit="1")
    assert [(int(v["id"]), v["position_s"]) for v in found] == [(first, 100), (second, 20.5)]
    # Watched to its end, forgotten, or no longer to be seen.
    await bob("PUT", path, {"at_s": 3595})
    assert ids(await bob.items("/me/watching")) == [second]
    async with database.session() as session:
        await session.execute(update(Video).where(Video.id == second).values(visibility="private"))
    assert await bob.items("/me/watching") == []
    await bob("PUT", path, {"at_s": 3})
    assert (await bob("DELETE", path)).status == 204
    assert await bob.items("/me/watching") == []
    for wrong in (-1, 1e8, "NaN"):
        assert (await bob("PUT", path, {"at_s": wrong})).status == 422


@pytest_asyncio.fixture(loop_scope="session")
async def recorder(api: Service, database: Database) -> AsyncIterator[None]:
    """The part of recorder that answers questions about videos."""
    async with open_bus(api.settings) as bus:
        await VideoRequests(database, CurrentSettings(api.settings), lambda: None).respond(bus)
        await bus.connected()
        yield


async def test_changing(
    account: Accounts, client: Client, database: Database, recorder: None
) -> None:
    ann, bob, admin = await account(), await account(), await account(Role.ADMIN)
    video_id = await video(database, ann.id)
    path = f"/videos/{video_id}"
    assert (await bob("PATCH", path, {"title": "Mine"})).code == "forbidden"
    changes = {
        "title": " Better ",
        "description": "One\r\ntwo",
        "category": "Chess",
        "tags": ["#Cosy", "cosy"],
        "language": "DE",
    }
    shown = (await ann("PATCH", path, changes)).body
    assert (shown["title"], shown["description"]) == ("Better", "One\ntwo")
    assert (shown["category"], shown["tags"], shown["language"]) == ("Chess", ["cosy"], "de")
    empty = dict.fromkeys([*changes, "visibility"])
    shown = (await admin("PATCH", path, empty)).body
    assert (shown["title"], shown["tags"], shown["visibility"]) == ("", [], "public")
    assert shown["category"] is None and shown["language"] is None
    soon = datetime.now(UTC) + timedelta(hours=1)
    shown = (await ann("PATCH", path, {"published_at": soon.isoformat()})).body
    assert datetime.fromisoformat(shown["published_at"]) == soon
    assert (await client("GET", path)).code == "video_not_found"
    past = "2026-01-01T00:00:00+02:00"
    shown = (await ann("PATCH", path, {"published_at": past, "visibility": "unlisted"})).body
    assert shown["published_at"] == "2025-12-31T22:00:00Z"
    assert (await client("GET", path)).status == 200
    # Whom an admin keeps from watching they do not watch, but may let do it again.
    shown = (await admin("PATCH", path, {"visibility": "private"})).body
    assert (shown["visibility"], shown["playback_url"]) == ("private", None)
    assert (await admin("GET", path)).code == "video_not_found"
    assert (await bob("PATCH", path, {"title": "Mine"})).code == "video_not_found"
    shown = (await admin("PATCH", path, {"visibility": "public"})).body
    assert shown["playback_url"] == f"/vod/{video_id}/index.m3u8"
    for wrong in (
        {"title": "x" * 141},
        {"visibility": "secret"},
        {"published_at": "0001-01-01T00:00:00+14:00"},
        {"published_at": "9999-12-31T23:59:59-12:00"},
        {"published_at": "soon"},
        {"views": 7},
    ):
        assert (await ann("PATCH", path, wrong)).status == 422, wrong


async def test_the_trash(
    account: Accounts, client: Client, database: Database, recorder: None
) -> None:
    ann, bob = await account(), await account()
    video_id = await video(database, ann.id)
    path = f"/videos/{video_id}"
    assert (await bob("DELETE", path)).code == "forbidden"
    assert (await ann("POST", f"{path}/restore")).code == "not_trashed"
    assert (await ann("DELETE", path)).status == 204
    assert (await client("GET", path)).code == "video_not_found"
    shown = (await ann("GET", path)).body
    left = datetime.fromisoformat(shown["own"]["purge_at"]) - datetime.now(UTC)
    assert timedelta(days=6.9) < left <= timedelta(days=7)
    assert shown["playback_url"].startswith("/vod/~")
    assert ids(await ann.items("/me/videos", trashed="true")) == [video_id]
    assert (await ann("POST", f"{path}/restore")).status == 200
    assert (await client("GET", path)).status == 200
    assert (await ann("DELETE", path, params={"forever": "true"})).status == 204
    shown = (await ann("GET", path)).body
    assert datetime.fromisoformat(shown["own"]["purge_at"]) <= datetime.now(UTC)
    live = await video(database, ann.id, status="live")
    assert (await ann("DELETE", f"/videos/{live}")).code == "video_live"


async def test_reported_and_removed(account: Accounts, database: Database, recorder: None) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    first, second = [await video(database, ann.id, title=f"Bad {n}") for n in range(2)]
    private = await video(database, ann.id, visibility="private")
    body = {"kind": "video", "video": str(first), "reason": "copyright"}
    report_id = (await bob("POST", "/reports", body)).body["id"]
    assert (await bob("POST", "/reports", body)).code == "already_reported"
    assert (await bob("POST", "/reports", {**body, "video": str(second)})).status == 201
    assert (
        await bob("POST", "/reports", {**body, "video": str(private)})
    ).code == "video_not_found"
    assert (await ann("POST", "/reports", body)).code == "own_report"
    assert (await bob("POST", "/reports", {**body, "video": None})).code == "field_missing"
    clip_id = await clip(database, ann.id, creator_id=bob.id, title="Worse")
    of_clip = {"kind": "clip", "clip": clip_id, "reason": "hate"}
    clipped = (await ann("POST", "/reports", of_clip)).body["id"]
    shown = (await mod("GET", f"/admin/reports/{clipped}")).body
    # Whoever made it answers for it.
    assert (shown["user"], shown["channel"], shown["clip_id"]) == (bob.name, ann.name, clip_id)
    path = f"/admin/reports/{report_id}"
    shown = (await mod("POST", f"{path}/claim")).body
    assert (shown["video_id"], shown["snapshot"]["title"]) == (str(first), "Bad 0")
    decision = {"decision": "removed", "reason": "The rules."}
    assert (await mod("POST", f"{path}/decision", decision)).status == 200
    async with database.session() as session:
        row = await session.get_one(Video, first)
    assert row.trashed_at is not None and row.purge_at is not None
    assert row.purge_at <= datetime.now(UTC)


async def test_settings_of_a_channel(account: Accounts) -> None:
    ann, bob = await account(), await account()
    path = f"/channels/{ann.login}/video-settings"
    assert (await bob("GET", path)).code == "forbidden"
    assert (await bob("PATCH", path, {"visibility": "private"})).code == "forbidden"
    default = (await ann("GET", path)).body
    assert (default["visibility"], default["retention_days"]) == ("public", None)
    changed = (await ann("PATCH", path, {"visibility": "unlisted", "retention_days": 30})).body
    assert (changed["visibility"], changed["retention_days"]) == ("unlisted", 30)
    changed = (await ann("PATCH", path, {"visibility": None, "retention_days": None})).body
    assert (changed["visibility"], changed["retention_days"]) == ("unlisted", None)
    assert (await ann("PATCH", path, {"retention_days": 0})).status == 422


async def test_administration(account: Accounts, database: Database) -> None:
    ann, mod, admin = await account(), await account(Role.MODERATOR), await account(Role.ADMIN)
    private = await video(database, ann.id, visibility="private", size_bytes=10**15)
    for path in ("/admin/videos", "/admin/storage"):
        assert (await ann("GET", path)).code == "forbidden"
    assert (await mod("GET", "/admin/storage")).code == "forbidden"
    (item,) = await mod.items("/admin/videos", channel=ann.login)
    # Moderating is not watching.
    assert (int(item["id"]), item["playback_url"]) == (private, None)
    storage = (await admin("GET", "/admin/storage")).body
    assert storage["videos"]["bytes"] >= 10**15
    assert storage["channels"][0]["channel"] == ann.name
    assert (await ann("DELETE", f"/admin/videos/{private}")).code == "forbidden"
    async with database.session() as session:
        assert await session.scalar(select(Video.purged_at).where(Video.id == private)) is None
