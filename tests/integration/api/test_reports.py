"""Reports: made, claimed, decided, and what a decision does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from core.bus import open_bus
from core.db.engine import Database
from core.db.models import Report, Role, Stream, StreamStatus
from core.events import END_STREAM, UserSuspended
from core.service import Service
from tests.api_kit import Account, MailServer, Seen, new_login
from tests.chat_kit import Chat
from tests.harness import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


async def report(ann: Account, user: Account, **more: Any) -> str:
    body = {"kind": "user", "user": user.login, "reason": "spam", **more}
    answer = await ann("POST", "/reports", body)
    assert answer.status == 201, answer
    return str(answer.body["id"])


async def decide(mod: Account, report_id: str, decision: str, **more: Any) -> dict[str, Any]:
    await mod("POST", f"/admin/reports/{report_id}/claim")
    body = {"decision": decision, "reason": "The rules.", **more}
    answer = await mod("POST", f"/admin/reports/{report_id}/decision", body)
    assert answer.status == 200, answer
    content: dict[str, Any] = answer.body
    return content


async def test_the_queue(account: Accounts) -> None:
    ann, bob = await account(), await account()
    mod, other, admin = (
        await account(Role.MODERATOR),
        await account(Role.MODERATOR),
        await account(Role.ADMIN),
    )
    report_id = await report(ann, bob, text="Again and again.")
    path = f"/admin/reports/{report_id}"
    item = (await mod("GET", path)).body
    assert (item["status"], item["reporter"], item["user"]) == ("open", ann.name, bob.name)
    assert item["snapshot"]["login"] == bob.login
    assert item in await mod.items("/admin/reports", status="open", kind="user", user=bob.login)
    decision = {"decision": "none", "reason": "Nothing wrong."}
    assert (await mod("POST", f"{path}/decision", decision)).code == "report_not_claimed"
    claims = await asyncio.gather(mod("POST", f"{path}/claim"), other("POST", f"{path}/claim"))
    assert sorted(claim.status for claim in claims) == [200, 409]
    first, second = (mod, other) if claims[0].status == 200 else (other, mod)
    assert len(await first.items("/admin/reports", mine="true")) == 1
    assert (await second("POST", f"{path}/decision", decision)).code == "report_not_claimed"
    assert (await second("DELETE", f"{path}/claim")).code == "report_not_claimed"
    assert (await first("DELETE", f"{path}/claim")).body["status"] == "open"
    assert (await second("POST", f"{path}/claim")).status == 200
    # Admins take over.
    assert (await admin("POST", f"{path}/claim")).body["claimed_by"] == admin.name
    decided = await admin("POST", f"{path}/decision", decision)
    assert (decided.body["status"], decided.body["decided_by"]) == ("decided", admin.name)
    assert (await admin("POST", f"{path}/decision", decision)).code == "report_decided"
    assert (await mod("POST", f"{path}/claim")).code == "report_decided"
    for method, where in (("GET", "/admin/reports"), ("GET", path), ("POST", f"{path}/claim")):
        assert (await ann(method, where)).code == "forbidden"


async def test_a_forgotten_claim(account: Accounts, database: Database) -> None:
    ann, bob = await account(), await account()
    mod, other = await account(Role.MODERATOR), await account(Role.MODERATOR)
    report_id = await report(ann, bob)
    await mod("POST", f"/admin/reports/{report_id}/claim")
    async with database.session() as session:
        long_ago = datetime.now(UTC) - timedelta(minutes=31)
        await session.execute(
            update(Report).where(Report.id == int(report_id)).values(claimed_at=long_ago)
        )
    taken = await other("POST", f"/admin/reports/{report_id}/claim")
    assert taken.body["claimed_by"] == other.name


async def test_reported_twice_is_once(account: Accounts) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    body = {"kind": "user", "user": bob.login, "reason": "hate"}
    answers = await asyncio.gather(*(ann("POST", "/reports", body) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    made = next(answer.body["id"] for answer in answers if answer.status == 201)
    await decide(mod, made, "none")
    assert (await ann("POST", "/reports", body)).status == 201


async def test_a_suspension(account: Accounts, seen: Seen) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    report_id = await report(ann, bob)
    await mod("POST", f"/admin/reports/{report_id}/claim")
    path = f"/admin/reports/{report_id}/decision"
    missing = await mod("POST", path, {"decision": "suspended", "reason": "x"})
    assert missing.body["error"]["field"] == "suspension"
    how = {"scope": "account", "duration_s": 86400}
    decided = await decide(mod, report_id, "suspended", suspension=how)
    assert decided["decision"] == "suspended"
    await seen.wait_for(UserSuspended, lambda e: e.user_id == bob.id)
    (own,) = (await bob("GET", "/me/suspension")).body["items"]
    assert own["reason"] == "The rules."
    peer = await account(Role.MODERATOR)
    about_peer = await report(ann, peer)
    await mod("POST", f"/admin/reports/{about_peer}/claim")
    body = {"decision": "suspended", "reason": "x", "suspension": how}
    refused = await mod("POST", f"/admin/reports/{about_peer}/decision", body)
    assert refused.code == "outranked"
    # Not done: it waits on.
    assert (await mod("GET", f"/admin/reports/{about_peer}")).body["status"] == "claimed"


async def test_a_warning(account: Accounts, mail_server: MailServer) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    await decide(mod, await report(ann, bob), "warned")
    letter = await mail_server.next_to(bob.user["email"])
    body = letter.get_body(("plain",))
    assert body is not None and "The rules." in body.get_content()


async def test_a_message_is_removed(account: Accounts, chat: Chat) -> None:
    ann, bob, star, mod = (
        await account(),
        await account(),
        await account(),
        await account(Role.MODERATOR),
    )
    socket = await chat.joined(star.person, bob.person)
    said = await socket.say(star.person, "something vile")
    body = {"kind": "message", "channel": star.login, "message": said["id"], "reason": "hate"}

    async def reported() -> str:
        # The history is written within a second.
        answer = await ann("POST", "/reports", body)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    report_id = await eventually_async(reported, what="the message in the history")
    item = (await mod("GET", f"/admin/reports/{report_id}")).body
    assert (item["user"], item["channel"]) == (bob.name, star.name)
    assert item["snapshot"]["text"] == "something vile"
    await decide(mod, report_id, "removed")
    assert (await socket.next("deleted"))["id"] == said["id"]


async def test_a_stream_is_ended(account: Accounts, database: Database, api: Service) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    async with database.session() as session:
        values = {"session": new_login("session"), "node": "test", "status": StreamStatus.LIVE}
        session.add(Stream(channel_id=bob.id, **values))
    body = {"kind": "stream", "channel": bob.login, "reason": "violence"}
    report_id = (await ann("POST", "/reports", body)).body["id"]
    assert (await mod("GET", f"/admin/reports/{report_id}")).body["stream_id"] is not None
    asked = []

    async def owner(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question["channel_id"])
        return {"ended": True}

    async with open_bus(api.settings) as bus:
        await bus.respond(END_STREAM, owner)
        await bus.connected()
        await decide(mod, report_id, "removed")
    assert asked == [bob.id]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "user", "reason": "spam"}, "field_missing"),
        ({"kind": "message", "channel": "x", "reason": "spam"}, "channel_not_found"),
        ({"kind": "comment", "reason": "spam"}, "invalid_field"),
        ({"kind": "video", "reason": "spam"}, "field_missing"),
        ({"kind": "user", "user": "nobody_here", "reason": "spam"}, "user_not_found"),
        ({"kind": "user", "user": "a\u0000b", "reason": "spam"}, "user_not_found"),
        ({"kind": "user", "user": "nobody_here", "reason": "because"}, "invalid_field"),
        ({"kind": "user", "user": "x", "reason": "spam", "text": "x" * 1001}, "too_long"),
    ],
)
async def test_refused(account: Accounts, body: dict[str, Any], code: str) -> None:
    ann = await account()
    assert (await ann("POST", "/reports", body)).code == code
    own = {"kind": "user", "user": ann.login, "reason": "spam"}
    assert (await ann("POST", "/reports", own)).code == "own_report"
    message = {"kind": "message", "channel": ann.login, "reason": "spam"}
    assert (await ann("POST", "/reports", message)).code == "field_missing"
    unknown = {**message, "message": "00000000-0000-0000-0000-000000000001"}
    assert (await ann("POST", "/reports", unknown)).code == "message_not_found"


async def test_an_account_is_not_removed(account: Accounts) -> None:
    ann, bob, mod = await account(), await account(), await account(Role.MODERATOR)
    report_id = await report(ann, bob)
    await mod("POST", f"/admin/reports/{report_id}/claim")
    body = {"decision": "removed", "reason": "x"}
    answer = await mod("POST", f"/admin/reports/{report_id}/decision", body)
    assert answer.code == "nothing_to_remove"
