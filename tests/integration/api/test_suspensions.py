"""Suspensions and appeals over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core.db.engine import Database
from core.db.models import AuditEntry, Role, Suspension
from core.events import SuspensionLifted, UserSuspended
from tests.api_kit import PASSWORD, Account, Answer, MailServer, Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


async def suspend(moderator: Account, user: Account, **more: Any) -> Answer:
    body = {"user": user.login, "scope": "account", "reason": "Spam.", **more}
    return await moderator("POST", "/admin/suspensions", body)


async def test_a_suspended_account_reads_and_appeals(
    account: Accounts, seen: Seen, mail_server: MailServer
) -> None:
    ann, mod = await account(), await account(Role.MODERATOR)
    assert (await ann("GET", "/me/suspension")).body == {"items": []}
    made = await suspend(mod, ann, duration_s=3600)
    assert made.status == 201
    assert made.body["user"] == ann.name and made.body["by"] == mod.name
    assert made.body["standing"] is True
    event = await seen.wait_for(UserSuspended, lambda e: e.user_id == ann.id)
    assert (event.scope, event.login) == ("account", ann.login)
    assert event.until is not None
    letter = await mail_server.next_to(ann.user["email"])
    assert "suspended" in letter["Subject"]
    # It may log in, read, and mind its own business.
    body = {"login": ann.login, "password": PASSWORD}
    assert (await ann("POST", "/auth/login", body)).status == 200
    assert (await ann("GET", "/me")).status == 200
    assert (await ann("GET", "/me/stream-keys")).status == 200
    channel = (await ann("GET", f"/channels/{ann.login}")).body
    assert (channel["suspended"], channel["live"]) == (True, False)
    for method, path, content in (
        ("POST", "/me/stream-keys", {"name": "OBS"}),
        ("PATCH", "/me", {"bio": "x"}),
        ("PUT", f"/channels/{mod.login}/follow", None),
        ("POST", "/me/app-tokens", {"name": "Bot", "scopes": ["chat:edit"]}),
    ):
        refused = await ann(method, path, content)
        assert (refused.status, refused.code) == (403, "account_suspended")
    (own,) = (await ann("GET", "/me/suspension")).body["items"]
    assert (own["reason"], own["appeal"]) == ("Spam.", None)
    path = f"/me/suspension/{own['id']}/appeal"
    assert (await ann("POST", path, {"text": "It was not me."})).status == 201
    assert (await ann("POST", path, {"text": "Really."})).code == "already_appealed"
    assert (await mod("POST", path, {"text": "x"})).code == "suspension_not_found"
    (own,) = (await ann("GET", "/me/suspension")).body["items"]
    assert own["appeal"]["text"] == "It was not me."
    assert (await ann("DELETE", "/me", {"password": PASSWORD})).status == 204


async def test_somebody_else_decides_about_an_appeal(account: Accounts, seen: Seen) -> None:
    ann = await account()
    mod, other = await account(Role.MODERATOR), await account(Role.MODERATOR)
    made = (await suspend(mod, ann)).body
    await ann("POST", f"/me/suspension/{made['id']}/appeal", {"text": "Please."})
    item = next(
        item
        for item in await other.items("/admin/appeals", open="true")
        if item["suspension"]["id"] == made["id"]
    )
    path = f"/admin/appeals/{item['id']}"
    decision = {"decision": "shortened", "answer": "A day is enough.", "duration_s": 86400}
    assert (await mod("POST", path, decision)).code == "own_suspension"
    missing = await other("POST", path, {"decision": "shortened"})
    assert (missing.status, missing.body["error"]["field"]) == (422, "duration_s")
    decided = await other("POST", path, decision)
    assert decided.status == 200 and decided.body["decided_by"] == other.name
    assert (await other("POST", path, {"decision": "lifted"})).code == "appeal_decided"
    (own,) = (await ann("GET", "/me/suspension")).body["items"]
    until = datetime.fromisoformat(own["until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    assert own["appeal"]["answer"] == "A day is enough."
    await seen.wait_for(UserSuspended, lambda e: e.user_id == ann.id and e.until == until)


async def test_an_appeal_may_lift(account: Accounts, seen: Seen) -> None:
    ann, admin = await account(), await account(Role.ADMIN)
    made = (await suspend(admin, ann, scope="channel")).body
    # The channel only: the account goes on.
    assert (await ann("PATCH", "/me", {"bio": "x"})).status == 200
    appeal = (await ann("POST", f"/me/suspension/{made['id']}/appeal", {"text": "Please."})).body
    lifted = await admin("POST", f"/admin/appeals/{appeal['id']}", {"decision": "lifted"})
    assert lifted.body["suspension"]["standing"] is False
    await seen.wait_for(SuspensionLifted, lambda e: e.user_id == ann.id and e.scope == "channel")
    assert (await ann("GET", f"/channels/{ann.login}")).body["suspended"] is False


async def test_lifting(account: Accounts, seen: Seen, database: Database) -> None:
    ann, mod = await account(), await account(Role.MODERATOR)
    made = (await suspend(mod, ann)).body
    lifted = await mod("DELETE", f"/admin/suspensions/{made['id']}")
    assert (lifted.status, lifted.body["lifted_by"]) == (200, mod.name)
    await seen.wait_for(SuspensionLifted, lambda e: e.user_id == ann.id)
    assert (await ann("PATCH", "/me", {"bio": "x"})).status == 200
    again = await mod("DELETE", f"/admin/suspensions/{made['id']}")
    assert again.code == "suspension_over"
    assert (await mod("DELETE", "/admin/suspensions/999999999")).code == "suspension_not_found"
    async with database.session() as session:
        actions = await session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.target == f"user:{ann.id}", AuditEntry.actor_id == mod.id)
            .order_by(AuditEntry.id)
        )
        assert list(actions) == ["account.suspended", "account.suspension_lifted"]


async def test_one_that_runs_out_is_over(account: Accounts, database: Database) -> None:
    ann, mod = await account(), await account(Role.MODERATOR)
    made = (await suspend(mod, ann, duration_s=60)).body
    async with database.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(
            update(Suspension).where(Suspension.id == int(made["id"])).values(until=past)
        )
    assert (await ann("PATCH", "/me", {"bio": "x"})).status == 200
    over = await mod.items("/admin/suspensions", user=ann.login, standing="false")
    assert [item["standing"] for item in over] == [False]
    late = await ann("POST", f"/me/suspension/{made['id']}/appeal", {"text": "x"})
    assert late.code == "suspension_over"


async def test_the_latest_counts(account: Accounts) -> None:
    ann, mod = await account(), await account(Role.MODERATOR)
    answers = await asyncio.gather(*(suspend(mod, ann, duration_s=60 + n) for n in range(3)))
    assert {answer.status for answer in answers} == {201}
    assert len(await mod.items("/admin/suspensions", user=ann.login, standing="true")) == 1
    assert len(await mod.items("/admin/suspensions", user=ann.login, limit="1")) == 3


async def test_ranks(account: Accounts) -> None:
    ann, creator = await account(Role.VIEWER), await account(Role.CREATOR)
    mod, admin = await account(Role.MODERATOR), await account(Role.ADMIN)
    assert (await suspend(creator, ann)).code == "forbidden"
    assert (await creator("GET", "/admin/suspensions")).code == "forbidden"
    assert (await creator("GET", "/admin/appeals")).code == "forbidden"
    other = await account(Role.MODERATOR)
    for peer in (other, admin, mod):
        assert (await suspend(mod, peer)).code == "outranked"
    assert (await suspend(admin, admin)).code == "outranked"
    assert (await suspend(admin, mod)).status == 201
    assert (await mod("POST", "/admin/suspensions", {})).status == 403


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "everything"},
        {"reason": " "},
        {"reason": "x" * 501},
        {"duration_s": 59},
        {"duration_s": 10**12},
    ],
)
async def test_refused(account: Accounts, change: dict[str, Any]) -> None:
    ann, mod = await account(), await account(Role.MODERATOR)
    assert (await suspend(mod, ann, **change)).status == 422
    body = {"user": "nobody_here", "scope": "account", "reason": "x"}
    assert (await mod("POST", "/admin/suspensions", body)).code == "user_not_found"
