"""Moderation over REST, decided by the real chat service, seen by people in the room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from core.db.engine import Database
from core.db.models import AuditEntry, ChatRole, ChatRoleKind, Role
from tests.api_kit import Account
from tests.chat_kit import Chat, ChatClient
from tests.harness import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="session")
Accounts = Callable[..., Awaitable[Account]]


class Channel:
    """A channel with a broadcaster, a moderator and a viewer."""

    def __init__(self, owner: Account, moderator: Account, viewer: Account) -> None:
        self.owner, self.moderator, self.viewer = owner, moderator, viewer

    def path(self, rest: str) -> str:
        return f"/channels/{self.owner.login}/moderation/{rest}"


@pytest.fixture
def room(account: Accounts, database: Database, chat: Chat) -> Callable[[], Awaitable[Channel]]:
    async def make() -> Channel:
        channel = Channel(await account(), await account(), await account())
        async with database.session() as session:
            role = ChatRoleKind.MODERATOR
            session.add(
                ChatRole(channel_id=channel.owner.id, user_id=channel.moderator.id, role=role)
            )
        return channel

    return make


Rooms = Callable[[], Awaitable[Channel]]


async def joined(chat: Chat, room: Channel, who: Account) -> ChatClient:
    return await chat.joined(room.owner.person, who.person)


async def test_settings(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod, viewer = channel.moderator, channel.viewer
    path = channel.path("settings")
    defaults = (await mod("GET", path)).body
    assert (defaults["slow_s"], defaults["followers_min"], defaults["shield"]) == (0, None, False)
    socket = await joined(chat, channel, viewer)
    change = {
        "slow_s": 30,
        "followers_min": 10,
        "links_from": "vips",
        "automod": {"categories": {"swearing": 2}},
        "shield_settings": {"slow_s": 60, "emote_only": True},
    }
    changed = await mod("PATCH", path, change)
    assert changed.status == 200
    assert {k: changed.body[k] for k in ("slow_s", "followers_min", "links_from")} == {
        "slow_s": 30,
        "followers_min": 10,
        "links_from": "vips",
    }
    assert changed.body["automod"]["categories"] == {"swearing": 2}
    told = await socket.next("settings")
    assert told["settings"] == {"slow_s": 30, "followers_min": 10}
    off = await mod("PATCH", path, {"followers_min": None, "slow_s": 0})
    assert off.body["followers_min"] is None
    up = await mod("PUT", channel.path("shield"), {"active": True})
    assert up.body["active"] is True and up.body["settings"]["emote_only"] is True
    assert (await socket.next("settings", lambda f: "shield" in f["settings"]))["settings"][
        "shield"
    ]
    assert (await mod("GET", channel.path("shield"))).body == up.body
    for method, rest, body in (
        ("GET", "settings", None),
        ("GET", "shield", None),
        ("GET", "bans", None),
        ("GET", "log", None),
    ):
        assert (await viewer(method, channel.path(rest), body)).code == "forbidden"
    assert (await viewer("PATCH", path, {"slow_s": 5})).code == "no_permission"
    assert (await viewer("PUT", channel.path("shield"), {"active": False})).code == "no_permission"


@pytest.mark.parametrize(
    "change",
    [
        {"slow_s": 2},
        {"slow_s": 121},
        {"slow_s": True},
        {"followers_min": 129_601},
        {"delay_s": 3},
        {"links_from": "nobody"},
        {"automod": {"overall": 5}},
        {"automod": {"categories": {"weather": 1}}},
        {"shield_settings": {"slow_s": 500}},
        {"raid_guard": {"joins": 0}},
        {"volume": 11},
    ],
)
async def test_settings_refused(room: Rooms, change: dict[str, Any]) -> None:
    channel = await room()
    assert (await channel.owner("PATCH", channel.path("settings"), change)).status == 422


async def test_bans(room: Rooms, chat: Chat, database: Database) -> None:
    channel = await room()
    mod, viewer = channel.moderator, channel.viewer
    socket = await joined(chat, channel, viewer)
    assert (await socket.say(channel.owner.person, "hello"))["type"] == "message"
    body = {"user": viewer.login, "reason": "Spam."}
    banned = await mod("POST", channel.path("bans"), body)
    assert banned.status == 201
    assert banned.body["user"] == viewer.name and banned.body["moderator"] == mod.name
    assert banned.body["expires_at"] is None
    # It holds the moment that it is answered.
    assert (await socket.say(channel.owner.person, "still here"))["code"] == "msg_banned"
    assert (await mod("POST", channel.path("bans"), body)).code == "already_banned"
    assert await mod.items(channel.path("bans")) == [banned.body]
    assert (await mod("DELETE", channel.path(f"bans/{viewer.login}"))).status == 204
    assert (await mod("DELETE", channel.path(f"bans/{viewer.login}"))).code == "bad_unban_no_ban"
    assert await mod.items(channel.path("bans")) == []
    assert (await socket.say(channel.owner.person, "back again"))["type"] == "message"
    timeout = {"user": viewer.login, "duration_s": 600}
    timed_out = (await mod("POST", channel.path("bans"), timeout)).body
    left = datetime.fromisoformat(timed_out["expires_at"]) - datetime.fromisoformat(
        timed_out["created_at"]
    )
    assert left.total_seconds() == pytest.approx(600, abs=1)
    assert (await socket.say(channel.owner.person, "hm"))["code"] == "msg_timedout"
    actions = [entry["action"] for entry in await mod.items(channel.path("log"), limit="2")]
    assert actions == ["timeout", "unban", "ban"]
    about = await mod.items(channel.path("log"), action="ban", user=viewer.login)
    assert [(e["moderator"], e["target"], e["reason"]) for e in about] == [
        (mod.name, viewer.name, "Spam.")
    ]
    async with database.session() as session:
        audited = await session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.actor_id == mod.id, AuditEntry.target == f"user:{viewer.id}")
            .order_by(AuditEntry.id)
        )
        assert list(audited) == ["chat.ban", "chat.unban", "chat.timeout"]


async def test_whom_nobody_bans(room: Rooms, account: Accounts) -> None:
    channel = await room()
    mod, viewer, path = channel.moderator, channel.viewer, channel.path("bans")
    for user, code in (
        (channel.owner, "bad_ban_broadcaster"),
        (mod, "bad_ban_self"),
    ):
        assert (await mod("POST", path, {"user": user.login})).code == code
    assert (await mod("POST", path, {"user": "nobody_here"})).code == "user_not_found"
    assert (await viewer("POST", path, {"user": mod.login})).code == "no_permission"
    refused = await mod("POST", path, {"user": viewer.login, "duration_s": 1_209_601})
    assert refused.status == 422
    # The site's moderators moderate every chat.
    site = await account(Role.MODERATOR)
    assert (await site("POST", path, {"user": viewer.login})).status == 201


async def test_messages(room: Rooms, chat: Chat, account: Accounts) -> None:
    channel = await room()
    mod, viewer = channel.moderator, channel.viewer
    socket = await joined(chat, channel, viewer)
    said = await socket.say(channel.owner.person, "oh no")
    path = channel.path(f"messages/{said['id']}")
    assert (await viewer("DELETE", path)).code == "no_permission"
    assert (await mod("DELETE", path)).status == 204
    assert (await socket.next("deleted"))["id"] == said["id"]
    unknown = channel.path("messages/00000000-0000-0000-0000-000000000001")
    assert (await mod("DELETE", unknown)).code == "message_not_found"
    owners = await (await joined(chat, channel, channel.owner)).say(channel.owner.person, "mine")
    path = channel.path(f"messages/{owners['id']}")
    assert (await mod("DELETE", path)).code == "bad_delete_message_broadcaster"
    # The site's staff removes what breaks its rules, whosever it is.
    assert (await (await account(Role.MODERATOR))("DELETE", path)).status == 204
    await socket.say(channel.owner.person, "one more")
    assert (await mod("DELETE", channel.path("messages"))).status == 204
    await socket.next("cleared")


async def test_roles(room: Rooms, chat: Chat) -> None:
    channel = await room()
    owner, mod, viewer = channel.owner, channel.moderator, channel.viewer
    socket = await joined(chat, channel, viewer)
    assert (await mod("PUT", channel.path(f"vips/{viewer.login}"))).code == "no_permission"
    assert (await owner("PUT", channel.path(f"vips/{viewer.login}"))).status == 204
    assert (await socket.next("me", role="vip"))["role"] == "vip"
    (vip,) = await mod.items(channel.path("vips"))
    assert (vip["user"], vip["granted_by"]) == (viewer.name, owner.name)
    again = await owner("PUT", channel.path(f"vips/{viewer.login}"))
    assert again.code == "bad_vip_grantee_already_vip"
    # Nobody is both.
    assert (await owner("PUT", channel.path(f"moderators/{viewer.login}"))).status == 204
    assert await mod.items(channel.path("vips")) == []
    listed = await mod.items(channel.path("moderators"), limit="1")
    assert [item["user"] for item in listed] == [viewer.name, mod.name]
    assert (await viewer("GET", channel.path("bans"))).status == 200
    assert (await owner("DELETE", channel.path(f"moderators/{viewer.login}"))).status == 204
    gone = await owner("DELETE", channel.path(f"moderators/{viewer.login}"))
    assert gone.code == "bad_unmod_mod"
    assert (await viewer("GET", channel.path("bans"))).status == 403


async def test_terms(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod, path = channel.moderator, channel.path("blocked-terms")
    made = await mod("POST", path, {"text": "pineapple*", "public": True})
    assert made.status == 201 and made.body["created_by"] == mod.name
    assert (await mod("POST", path, {"text": "PINEAPPLE*"})).code == "term_exists"
    assert (await mod("POST", path, {"text": "pine*apple"})).code == "invalid_term"
    allowed = {"text": "pineapples are fine", "kind": "permitted", "duration_s": 3600}
    permitted = (await mod("POST", path, allowed)).body
    assert permitted["expires_at"] is not None
    assert await mod.items(path) == [made.body]
    assert await mod.items(path, kind="permitted") == [permitted]
    public = await channel.viewer.items(f"/channels/{channel.owner.login}/blocked-terms")
    assert public == [{"text": "pineapple*", "kind": "blocked"}]
    socket = await joined(chat, channel, channel.viewer)
    refused = await socket.say(channel.owner.person, "PineÀpples!")
    assert refused["code"] == "msg_rejected_mandatory"
    assert (await mod("DELETE", f"{path}/{made.body['id']}")).status == 204
    assert (await mod("DELETE", f"{path}/{made.body['id']}")).code == "term_not_found"
    assert (await socket.say(channel.owner.person, "pineapples!"))["type"] == "message"


async def held_message(
    chat: Chat, channel: Channel, text: str
) -> tuple[ChatClient, dict[str, Any]]:
    mod = channel.moderator
    change = {"links_from": "moderators", "links_action": "hold"}
    await mod("PATCH", channel.path("settings"), change)
    socket = await joined(chat, channel, channel.viewer)
    assert (await socket.say(channel.owner.person, text))["code"] == "msg_rejected"
    (held,) = await mod.items(channel.path("automod"))
    assert (held["text"], held["user"], held["decision"]) == (
        text,
        channel.viewer.name,
        "pending",
    )
    return socket, held


async def test_held_messages(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod = channel.moderator
    socket, held = await held_message(chat, channel, "see https://example.org/cats")
    path = channel.path(f"automod/{held['id']}")
    assert (await channel.viewer("POST", path, {"decision": "allow"})).code == "no_permission"
    answers = await asyncio.gather(
        mod("POST", path, {"decision": "allow"}),
        channel.owner("POST", path, {"decision": "deny"}),
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    done = next(answer.body for answer in answers if answer.status == 200)
    assert done["decision"] in ("allowed", "denied")
    if done["decision"] == "allowed":
        assert (await socket.next("message"))["text"] == held["text"]
    assert await mod.items(channel.path("automod")) == []
    unknown = channel.path("automod/00000000-0000-0000-0000-000000000001")
    assert (await mod("POST", unknown, {"decision": "deny"})).code == "held_not_found"


async def test_warnings(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod, viewer, path = channel.moderator, channel.viewer, channel.path("warnings")
    socket = await joined(chat, channel, viewer)
    assert (await mod("POST", path, {"user": viewer.login, "reason": " "})).code == "too_short"
    made = await mod("POST", path, {"user": viewer.login, "reason": "Mind your words."})
    assert made.status == 201 and made.body["acknowledged_at"] is None
    assert (await socket.next("warned"))["reason"] == "Mind your words."
    said = await socket.say(channel.owner.person, "what?")
    assert said["code"] == "warning_unacknowledged"
    await socket.send("ack_warning", channel=channel.owner.login)

    async def acknowledged() -> bool:
        (listed,) = await mod.items(path)
        return listed["acknowledged_at"] is not None

    await eventually_async(acknowledged, what="the acknowledgement")
    assert (await mod("POST", path, {"user": mod.login, "reason": "x"})).code == "bad_warn_self"


async def test_unban_requests(room: Rooms) -> None:
    channel = await room()
    mod, viewer = channel.moderator, channel.viewer
    own = f"/channels/{channel.owner.login}/unban-requests"
    assert (await viewer("POST", own, {"text": "Please."})).code == "not_banned"
    await mod("POST", channel.path("bans"), {"user": viewer.login})
    made = await viewer("POST", own, {"text": "Please."})
    assert made.status == 201 and made.body["status"] == "open"
    assert (await viewer("POST", own, {"text": "Hello?"})).code == "unban_request_open"
    path = channel.path(f"unban-requests/{made.body['id']}")
    assert (await mod("POST", path, {"text": "Why?"})).status == 200
    said = (await viewer("POST", f"{own}/{made.body['id']}", {"text": "I am sorry."})).body
    assert [(m["author"]["id"], m["text"]) for m in said["messages"]] == [
        (viewer.user["id"], "Please."),
        (mod.user["id"], "Why?"),
        (viewer.user["id"], "I am sorry."),
    ]
    assert await mod.items(channel.path("unban-requests")) == [said]
    assert (await mod("POST", path, {})).code == "field_missing"
    assert (await viewer("POST", path, {"decision": "approve"})).code == "no_permission"
    stranger = await channel.moderator("POST", f"{own}/{made.body['id']}", {"text": "x"})
    assert stranger.code == "unban_request_not_found"
    approved = await mod("POST", path, {"decision": "approve", "text": "Welcome back."})
    assert (approved.body["status"], approved.body["decided_by"]) == ("approved", mod.name)
    assert await mod.items(channel.path("bans")) == []
    assert (await mod("POST", path, {"decision": "deny"})).code == "unban_request_decided"
    assert len(await viewer.items(own)) == 1
    assert len(await mod.items(channel.path("unban-requests"), status="approved")) == 1
    await mod("POST", channel.path("bans"), {"user": viewer.login})
    second = (await viewer("POST", own, {"text": "Again."})).body
    assert (await viewer("DELETE", f"{own}/{second['id']}")).status == 204
    assert (await viewer("DELETE", f"{own}/{second['id']}")).code == "unban_request_decided"


async def test_card(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod, viewer = channel.moderator, channel.viewer
    path = channel.path(f"users/{viewer.login}")
    await viewer("PUT", f"/channels/{channel.owner.login}/follow")
    socket = await joined(chat, channel, viewer)
    for text in ("one", "two", "three"):
        await socket.say(channel.owner.person, text)

    async def written() -> dict[str, Any]:
        card: dict[str, Any] = (await mod("GET", path)).body
        assert card["message_count"] == 3
        return card

    card = await eventually_async(written, what="the messages in the history")
    assert [message["text"] for message in card["messages"]] == ["three", "two", "one"]
    assert (card["role"], card["banned"], card["suspicious"]["status"]) == ("viewer", False, "none")
    assert card["follows_since"] is not None
    listed = await mod.items(f"{path}/messages", limit="2")
    assert [message["text"] for message in listed] == ["three", "two", "one"]
    note = (await mod("POST", f"{path}/notes", {"text": "Knows a lot about trains."})).body
    marked = await mod("PUT", f"{path}/suspicious", {"status": "restricted"})
    assert (marked.body["status"], marked.body["by"]) == ("restricted", mod.name)
    held = await socket.say(channel.owner.person, "is this seen?")
    assert held["code"] == "msg_rejected"
    await mod("POST", channel.path("bans"), {"user": viewer.login, "duration_s": 60})
    card = (await mod("GET", path)).body
    assert card["notes"] == [note]
    assert (card["banned"], card["timed_out_until"] is not None) == (False, True)
    assert card["ban"]["moderator"] == mod.name
    assert [entry["action"] for entry in card["timeouts"]] == ["timeout"]
    assert all(message["deleted_at"] for message in card["messages"])
    cleared = await mod("PUT", f"{path}/suspicious", {"status": "none"})
    assert cleared.body["status"] == "none"
    assert (await mod("DELETE", channel.path(f"notes/{note['id']}"))).status == 204
    assert (await mod("DELETE", channel.path(f"notes/{note['id']}"))).code == "note_not_found"
    assert (await viewer("GET", path)).code == "forbidden"
    assert (await viewer("POST", f"{path}/notes", {"text": "x"})).code == "no_permission"


async def test_polls(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod, path = channel.moderator, f"/channels/{channel.owner.login}/polls"
    body = {"question": "Tea or coffee?", "choices": ["Tea", "Coffee"], "duration_s": 60}
    assert (await channel.viewer("POST", path, body)).code == "no_permission"
    socket = await joined(chat, channel, channel.viewer)
    made = await mod("POST", path, body)
    assert made.status == 201 and made.body["status"] == "running"
    assert (await socket.next("poll"))["poll"]["question"] == "Tea or coffee?"
    assert (await mod("POST", path, body)).code == "poll_running"
    await socket.send("vote", channel=channel.owner.login, poll=made.body["id"], choice=1)

    async def counted() -> bool:
        (poll,) = await mod.items(path)
        return bool(poll["total"] == 1 and poll["choices"][1]["votes"] == 1)

    await eventually_async(counted, what="the vote")
    ended = await mod("PATCH", f"{path}/{made.body['id']}", {"status": "ended"})
    assert (ended.body["status"], ended.body["total"]) == ("ended", 1)
    again = await mod("PATCH", f"{path}/{made.body['id']}", {"status": "ended"})
    assert again.code == "poll_not_found"
    for change in ({"choices": ["One"]}, {"choices": list("abcdef")}, {"duration_s": 14}):
        assert (await mod("POST", path, {**body, **change})).status == 422
    assert (await mod("POST", path, {**body, "choices": ["a", "a"]})).status == 422


async def test_raids(room: Rooms, account: Accounts, chat: Chat) -> None:
    channel = await room()
    mod, path = channel.moderator, f"/channels/{channel.owner.login}/raids"
    target = await account()
    socket = await joined(chat, channel, channel.viewer)
    assert (await channel.viewer("POST", path, {"channel": target.login})).code == "no_permission"
    made = await mod("POST", path, {"channel": target.login})
    assert made.status == 201
    assert (made.body["to"], made.body["state"]) == (target.name, "pending")
    assert (await socket.next("raid", state="pending"))["to"]["login"] == target.login
    assert (await mod("POST", path, {"channel": target.login})).code == "raid_pending"
    assert (await mod("DELETE", path)).status == 204
    await socket.next("raid", state="cancelled")
    assert (await mod("DELETE", path)).code == "no_raid"
    assert (await mod("POST", path, {"channel": channel.owner.login})).code == "raid_self"
    settings = f"/channels/{target.login}/moderation/settings"
    await target("PATCH", settings, {"accept_raids": "none"})
    assert (await mod("POST", path, {"channel": target.login})).code == "raid_not_accepted"
    assert (await mod("POST", path, {"channel": "nobody_here"})).code == "channel_not_found"


async def test_pins_and_announcements(room: Rooms, chat: Chat) -> None:
    channel = await room()
    mod, base = channel.moderator, f"/channels/{channel.owner.login}"
    socket = await joined(chat, channel, channel.viewer)
    said = await socket.say(channel.owner.person, "read this")
    pin = {"message": said["id"], "duration_s": 600}
    assert (await channel.viewer("PUT", f"{base}/pins", pin)).code == "no_permission"
    assert (await mod("PUT", f"{base}/pins", pin)).status == 204
    assert (await socket.next("pinned"))["message"]["text"] == "read this"
    assert (await mod("DELETE", f"{base}/pins")).status == 204
    assert (await socket.next("pinned"))["message"] is None
    assert (await mod("DELETE", f"{base}/pins")).code == "no_pin"
    unknown = {"message": "00000000-0000-0000-0000-000000000001"}
    assert (await mod("PUT", f"{base}/pins", unknown)).code == "message_not_found"
    words = {"text": "Ten minutes left.", "color": "green"}
    assert (await mod("POST", f"{base}/announcements", words)).status == 204
    shown = await socket.next("message", lambda frame: bool(frame["kind"] == "announcement"))
    assert (shown["text"], shown["color"]) == ("Ten minutes left.", "green")
    assert (await channel.viewer("POST", f"{base}/announcements", words)).code == "no_permission"


async def test_chatters(room: Rooms, chat: Chat) -> None:
    channel = await room()
    for who in (channel.viewer, channel.owner, channel.moderator):
        await joined(chat, channel, who)

    async def there() -> list[dict[str, Any]]:
        answer = await channel.viewer("GET", f"/channels/{channel.owner.login}/chatters")
        assert answer.body["count"] == 3 and len(answer.body["items"]) == 3
        return list(answer.body["items"])

    items = await eventually_async(there, what="everybody")
    roles = [item["role"] for item in items]
    assert roles == ["broadcaster", "moderator", "viewer"]
    assert items[2]["login"] == channel.viewer.login


async def test_a_bot_moderates_with_its_token(room: Rooms) -> None:
    channel = await room()
    mod, viewer = channel.moderator, channel.viewer
    body = {"name": "Bot", "scopes": ["channel:moderate"]}
    token = (await mod("POST", "/me/app-tokens", body)).body["token"]
    headers = {"Authorization": f"Bearer {token}"}
    ban = {"user": viewer.login, "duration_s": 10}
    assert (await mod("POST", channel.path("bans"), ban, headers=headers)).status == 201
    chatters = f"/channels/{channel.owner.login}/chatters"
    assert (await mod("GET", chatters, headers=headers)).code == "insufficient_scope"


async def test_suspended_people_are_cut_off(room: Rooms, chat: Chat, account: Accounts) -> None:
    channel = await room()
    admin = await account(Role.ADMIN)
    socket = await joined(chat, channel, channel.viewer)
    body = {"user": channel.viewer.login, "scope": "account", "reason": "Spam."}
    assert (await admin("POST", "/admin/suspensions", body)).status == 201
    async with asyncio.timeout(10):
        await socket.connection.wait_closed()
    other = await joined(chat, channel, channel.moderator)
    body = {"user": channel.owner.login, "scope": "channel", "reason": "Spam."}
    made = (await admin("POST", "/admin/suspensions", body)).body

    async def closed() -> bool:
        said = await other.say(channel.owner.person, "anybody here?")
        return bool(said.get("code") == "msg_channel_suspended")

    await eventually_async(closed, what="a closed chat")
    await admin("DELETE", f"/admin/suspensions/{made['id']}")

    async def open_again() -> bool:
        said = await other.say(channel.owner.person, "and now?")
        return bool(said["type"] == "message")

    await eventually_async(open_again, what="an open chat")
