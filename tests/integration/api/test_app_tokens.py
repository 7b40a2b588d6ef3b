"""App tokens over HTTP: made, used within their scopes, revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from core import app_tokens
from core.db.engine import Database
from core.db.models import AppToken
from core.events import AppTokenRevoked
from tests.api_kit import PASSWORD, Account, Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]
MODERATE = {"name": "Bot", "scopes": ["chat:read", "channel:moderate"]}


async def make(ann: Account, **changes: Any) -> dict[str, Any]:
    answer = await ann("POST", "/me/app-tokens", {**MODERATE, **changes})
    assert answer.status == 201, answer
    content: dict[str, Any] = answer.body
    return content


def using(token: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {token['token']}"}}


async def test_made_listed_revoked(account: Accounts, database: Database, seen: Seen) -> None:
    ann = await account()
    made = await make(ann)
    token = app_tokens.parse(made["token"])
    assert token is not None and str(token.id) == made["id"]
    async with database.session() as session:
        row = await session.get(AppToken, token.id)
        assert row is not None and row.sha256 == token.digest
        assert token.secret not in repr(row.__dict__)
    (listed,) = await ann.items("/me/app-tokens")
    assert listed == {k: v for k, v in made.items() if k != "token"}
    assert (await ann("DELETE", f"/me/app-tokens/{made['id']}")).status == 204
    revoked = await seen.wait_for(AppTokenRevoked, lambda e: e.token_id == token.id)
    assert revoked.user_id == ann.id
    assert await ann.items("/me/app-tokens") == []
    gone = await ann("DELETE", f"/me/app-tokens/{made['id']}")
    assert gone.code == "app_token_not_found"


async def test_scopes(account: Accounts) -> None:
    ann = await account()
    token = await make(ann)
    log = f"/channels/{ann.login}/moderation/log"
    assert (await ann("GET", log, **using(token))).status == 200
    (listed,) = await ann.items("/me/app-tokens")
    assert listed["last_used_at"] is not None
    reader = await make(ann, scopes=["chat:read"])
    assert (await ann("GET", log, **using(reader))).code == "insufficient_scope"
    # What is the account's own takes no app token at all, another token above all.
    assert (await ann("GET", "/me", **using(token))).code == "insufficient_scope"
    refused = await ann("POST", "/me/app-tokens", MODERATE, **using(token))
    assert refused.code == "insufficient_scope"


async def test_what_is_not_valid(account: Accounts, database: Database) -> None:
    ann = await account()
    token = await make(ann, expires_in_days=1)
    log = f"/channels/{ann.login}/moderation/log"
    wrong = {"token": token["token"][:-1] + ("a" if token["token"][-1] != "a" else "b")}
    assert (await ann("GET", log, **using(wrong))).code == "invalid_token"
    unknown = {"token": "flat_999999999_" + "a" * 28}
    assert (await ann("GET", log, **using(unknown))).code == "invalid_token"
    async with database.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(
            update(AppToken).where(AppToken.id == int(token["id"])).values(expires_at=past)
        )
    assert (await ann("GET", log, **using(token))).code == "invalid_token"
    revoked = await make(ann)
    await ann("DELETE", f"/me/app-tokens/{revoked['id']}")
    assert (await ann("GET", log, **using(revoked))).code == "invalid_token"


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "chat:read"},
        {"name": " "},
        {"expires_in_days": 0},
        {"admin": True},
    ],
)
async def test_refused(account: Accounts, change: dict[str, Any]) -> None:
    ann = await account()
    assert (await ann("POST", "/me/app-tokens", {**MODERATE, **change})).status == 422


async def test_nobody_touches_somebody_elses(account: Accounts) -> None:
    ann, bob = await account(), await account()
    token = await make(ann)
    assert (await bob("DELETE", f"/me/app-tokens/{token['id']}")).status == 404
    assert await bob.items("/me/app-tokens") == []


async def test_at_most_fifty(account: Accounts) -> None:
    ann = await account()
    answers = await asyncio.gather(
        *(ann("POST", "/me/app-tokens", {**MODERATE, "name": f"Bot {n}"}) for n in range(52))
    )
    assert sorted(answer.status for answer in answers) == [201] * 50 + [409] * 2


async def test_the_account_takes_its_tokens_with_it(account: Accounts, seen: Seen) -> None:
    ann = await account()
    token = await make(ann)
    await ann("DELETE", "/me", {"password": PASSWORD})
    await seen.wait_for(AppTokenRevoked, lambda e: str(e.token_id) == token["id"])
