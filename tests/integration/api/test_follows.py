"""Follows over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.db.engine import Database
from core.db.models import ChatRole, ChatRoleKind, Stream, StreamStatus
from core.events import FollowAdded, FollowRemoved
from tests.api_kit import PASSWORD, Account, Seen, new_login

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


async def followers(account: Account, login: str) -> int:
    answer = await account("GET", f"/channels/{login}")
    return int(answer.body["followers"])


async def test_follow_and_unfollow(account: Accounts, seen: Seen) -> None:
    ann, bob = await account(), await account()
    path = f"/channels/{bob.login}/follow"
    nothing = {"following": False, "since": None, "followers": 0}
    assert (await ann("GET", path)).body == nothing
    first = (await ann("PUT", path)).body
    assert first["following"] and first["since"] and first["followers"] == 1
    # Again: nothing changes.
    assert (await ann("PUT", path)).body == first == (await ann("GET", path)).body
    assert await followers(ann, bob.login) == 1
    added = await seen.wait_for(FollowAdded, lambda e: e.user_id == ann.id)
    assert added.channel_id == bob.id
    assert (await ann("DELETE", path)).body == nothing
    assert (await ann("DELETE", path)).body == nothing
    await seen.wait_for(FollowRemoved, lambda e: e.user_id == ann.id)
    assert seen.count(FollowAdded, lambda e: e.user_id == ann.id) == 1
    assert await followers(ann, bob.login) == 0


async def test_nobody_follows_themselves_or_nobody(account: Accounts) -> None:
    ann = await account()
    assert (await ann("PUT", f"/channels/{ann.login}/follow")).code == "own_channel"
    assert (await ann("PUT", "/channels/nobody_here/follow")).code == "channel_not_found"


async def test_the_count_survives_many_at_once(account: Accounts) -> None:
    star = await account()
    fans = [await account() for _ in range(6)]
    path = f"/channels/{star.login}/follow"
    await asyncio.gather(*(fan("PUT", path) for fan in fans for _ in range(3)))
    assert await followers(star, star.login) == 6
    await asyncio.gather(*(fan("DELETE", path) for fan in fans[:2] for _ in range(3)))
    assert await followers(star, star.login) == 4


async def test_lists(account: Accounts, database: Database) -> None:
    ann = await account()
    others = [await account() for _ in range(3)]
    for other in others:
        await ann("PUT", f"/channels/{other.login}/follow")
    async with database.session() as session:
        values = {"session": new_login("session"), "node": "test", "status": StreamStatus.LIVE}
        session.add(Stream(channel_id=others[1].id, **values))
    listed = await ann.items("/me/follows", limit="2")
    assert [item["channel"] for item in listed] == [other.name for other in reversed(others)]
    assert [item["live"] for item in listed] == [False, True, False]
    path = f"/channels/{others[0].login}/followers"
    assert [item["user"] for item in await others[0].items(path)] == [ann.name]
    assert (await others[1]("GET", path)).code == "forbidden"
    async with database.session() as session:
        role = ChatRole(channel_id=others[0].id, user_id=others[1].id, role=ChatRoleKind.MODERATOR)
        session.add(role)
    assert len(await others[1].items(path)) == 1


async def test_a_deleted_account_follows_nobody(account: Accounts) -> None:
    ann, bob, cid = await account(), await account(), await account()
    await ann("PUT", f"/channels/{bob.login}/follow")
    await cid("PUT", f"/channels/{ann.login}/follow")
    assert (await ann("DELETE", "/me", {"password": PASSWORD})).status == 204
    assert await followers(bob, bob.login) == 0
    assert await cid.items("/me/follows") == []
