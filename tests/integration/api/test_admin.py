"""The site's administration over HTTP: accounts, roles, running streams, the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import update

from core.bus import open_bus
from core.db.engine import Database
from core.db.models import Role, Stream, StreamStatus
from core.events import END_STREAM, UserUpdated
from core.service import Service
from tests.api_kit import PASSWORD, Account, Seen, new_login

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


async def test_finding_accounts(account: Accounts) -> None:
    name = new_login("wanted")
    ann = await account(login=name)
    mod, admin = await account(Role.MODERATOR), await account(Role.ADMIN)
    (found,) = await mod.items("/admin/users", q=name.upper())
    assert (found["id"], found["role"], found["suspended"]) == (ann.user["id"], "creator", [])
    assert found["email"] is None
    (found,) = await admin.items("/admin/users", q=ann.user["email"])
    assert found["email"] == ann.user["email"]
    # Addresses are the admins' to search by; a wildcard is a character like another.
    assert await mod.items("/admin/users", q=ann.user["email"]) == []
    assert await mod.items("/admin/users", q="%") == []
    assert admin.user["id"] in {
        item["id"] for item in await mod.items("/admin/users", role="admin")
    }
    body = {"user": ann.login, "scope": "channel", "reason": "x"}
    await mod("POST", "/admin/suspensions", body)
    (found,) = await mod.items("/admin/users", q=name, suspended="true")
    assert found["suspended"] == ["channel"]
    assert (await mod("GET", f"/admin/users/{ann.id}")).body == found
    assert await mod.items("/admin/users", q=name, suspended="false") == []
    assert (await mod("GET", "/admin/users/999999999")).code == "user_not_found"
    for path in ("/admin/users", f"/admin/users/{ann.id}", "/admin/streams", "/admin/audit"):
        assert (await ann("GET", path)).code == "forbidden"
    assert (await mod("GET", "/admin/audit")).code == "forbidden"
    await ann("DELETE", "/me", {"password": PASSWORD})
    assert await mod.items("/admin/users", q=name) == []
    assert (await mod("GET", f"/admin/users/{ann.id}")).body["deleted_at"] is not None


async def test_roles(account: Accounts, seen: Seen) -> None:
    ann, admin, mod = await account(), await account(Role.ADMIN), await account(Role.MODERATOR)
    path = f"/admin/users/{ann.id}/role"
    assert (await mod("PUT", path, {"role": "moderator"})).code == "forbidden"
    assert (await ann("GET", "/admin/reports")).code == "forbidden"
    changed = await admin("PUT", path, {"role": "moderator"})
    assert changed.body["role"] == "moderator"
    await seen.wait_for(UserUpdated, lambda e: e.user_id == ann.id)
    # It holds from the next request on.
    assert (await ann("GET", "/admin/reports")).status == 200
    assert (await admin("PUT", path, {"role": "king"})).code == "invalid_field"
    missing = await admin("PUT", "/admin/users/999999999/role", {"role": "viewer"})
    assert missing.code == "user_not_found"
    (entry,) = await admin.items("/admin/audit", action="account.role_changed", user=ann.login)
    assert (entry["actor"], entry["target_user"]) == (admin.name, ann.name)
    assert entry["data"] == {"before": "creator", "after": "moderator"}
    done = [line["action"] for line in await admin.items("/admin/audit", actor=admin.login)]
    assert done == ["account.role_changed", "account.registered"]


async def test_running_streams(account: Accounts, database: Database, api: Service) -> None:
    ann, mod = await account(), await account(Role.MODERATOR)
    async with database.session() as session:
        await session.execute(update(Stream).values(status=StreamStatus.ENDED))
        values = {"session": new_login("session"), "node": "test", "viewers": 3}
        stream = Stream(channel_id=ann.id, status=StreamStatus.CONNECTING, **values)
        session.add(stream)
        await session.flush()
    (item,) = await mod.items("/admin/streams")
    assert (item["channel"], item["status"], item["viewers"]) == (ann.name, "connecting", 3)
    path = f"/admin/streams/{item['id']}/stop"
    assert (await ann("POST", path)).code == "forbidden"
    assert (await mod("POST", path)).status == 503
    asked: list[int] = []

    async def node(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question["channel_id"])
        return {"ended": len(asked) == 1}

    async with open_bus(api.settings) as bus:
        await bus.respond(END_STREAM, node)
        await bus.connected()
        assert (await mod("POST", path)).status == 204
        assert (await mod("POST", path)).code == "stream_offline"
    assert asked == [ann.id, ann.id]
    assert (await mod("POST", "/admin/streams/999999999/stop")).code == "stream_not_found"
