"""Moderation through the real socket and Redis: typed commands, and questions as REST asks them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from chat.store import DECIDING, Store
from core.bus import open_bus
from core.cache import open_redis
from core.db.models import ChatBan, ChatMessage, ChatSuspicious
from core.errors import DomainError
from core.events import CHAT_DECIDE
from tests.chat_kit import Chat, Person, World, chat_settings, running_chat
from tests.harness import RunningServers, eventually_async


async def ask(
    world: World, op: str, channel: Person, actor: Person, **fields: Any
) -> dict[str, Any]:
    """A question as `api` puts it."""
    async with open_bus(world.settings) as bus:
        await bus.connected()
        question = {
            "op": op,
            "channel_id": channel.id,
            "actor": {"id": actor.id, "login": actor.login, "role": "viewer"},
            **fields,
        }
        return await bus.request(CHAT_DECIDE, question)


async def test_a_decision_does_not_wait_for_redis_at_every_step(
    servers: RunningServers, socket_folder: Path, world: World
) -> None:
    """Who bans somebody while Redis is frozen is told soon that it does not hold yet; then it does."""
    channel, ann = await world.person("chan"), await world.person("ann")
    settings = chat_settings(servers.settings(), socket_folder, request_timeout_s=4.0)
    async with running_chat(settings) as chat, open_redis(world.settings) as redis:
        owner, a = await chat.joined(channel, channel), await chat.joined(channel, ann)
        await redis.client_pause(60_000, all=False)
        try:
            began = time.monotonic()
            answer = await owner.say(channel, f"/ban {ann.login}")
            waited = time.monotonic() - began
        finally:
            await redis.client_unpause()
        assert answer["code"] == "unavailable"
        # Two steps of it asked Redis.
        assert waited < 2 * settings.request_timeout_s

        async def holds() -> bool:
            return (await a.say(channel, f"{time.monotonic()}")).get("code") == "msg_banned"

        await eventually_async(holds, what="the ban holds")


async def test_a_ban_holds_everywhere_when_it_is_answered(
    chat: Chat, other: Chat, world: World
) -> None:
    channel, mod, ann = [await world.person(name) for name in ("chan", "mod", "ann")]
    await world.role(channel, mod, "moderator")
    m, a = await chat.joined(channel, mod), await other.joined(channel, ann)
    viewer = await other.joined(channel)
    said = await a.say(channel, "rude")
    await viewer.next("message", id=said["id"])

    await ask(world, "ban", channel, mod, user_id=ann.id, reason="rude")
    assert (await a.say(channel, "more"))["code"] == "msg_banned"
    assert (await (await chat.joined(channel, ann)).say(channel, "again"))["code"] == "msg_banned"
    cleared = await viewer.next("cleared")
    assert cleared["user"]["login"] == ann.login
    assert "reason" not in cleared
    assert (await m.next("cleared"))["reason"] == "rude"
    assert (await m.next("mod_log"))["entry"]["action"] == "ban"
    assert (await a.next("me"))["banned"] is True
    newcomer = await chat.client()
    assert (await newcomer.join(channel))["history"] == []

    with pytest.raises(DomainError) as refused:
        await ask(world, "ban", channel, mod, user_id=ann.id)
    assert refused.value.code == "already_banned"
    await ask(world, "unban", channel, mod, user_id=ann.id)
    assert (await a.say(channel, "sorry"))["type"] == "message"


async def test_timeouts_end_by_themselves(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    owner, a = await chat.joined(channel, channel), await chat.joined(channel, ann)
    began = time.monotonic()
    answer = await owner.say(channel, f"/timeout {ann.login} 4 calm down")
    assert answer["code"] == "timeout_success"
    assert (await a.next("cleared"))["duration_s"] == 4
    refused = await a.say(channel, "hm")
    assert refused["code"] == "msg_timedout"
    assert 0 < refused["retry_after"] <= 4

    async def speaks() -> bool:
        return bool((await a.say(channel, "hm"))["type"] == "message")

    assert await eventually_async(speaks, within_s=10, what="the timeout is over")
    assert time.monotonic() - began >= 4


async def test_a_slow_decision_holds_up_its_own_channel_only(
    servers: RunningServers, socket_folder: Path, world: World
) -> None:
    slow, quick, ann = [await world.person(name) for name in ("slow", "quick", "ann")]
    over = datetime.now(UTC) - timedelta(days=1)
    async with world.database.session() as session:
        session.add(ChatBan(channel_id=slow.id, user_id=ann.id, reason="", expires_at=over))
    # On a busy machine a decision may take as long as the usual patience with PostgreSQL.
    patient = servers.settings(request_timeout_s=60.0)
    async with (
        running_chat(chat_settings(patient, socket_folder)) as chat,
        open_bus(patient) as bus,
        world.database.session() as session,
    ):
        a = await chat.joined(slow, ann)
        await bus.connected()
        # The ban's row is locked: who wants to write it waits.
        await session.get(ChatBan, (slow.id, ann.id), with_for_update=True)

        async def decide(op: str, channel: Person) -> dict[str, Any]:
            actor = {"id": channel.id, "login": channel.login}
            question = {"op": op, "channel_id": channel.id, "actor": actor, "user_id": ann.id}
            return await bus.request(CHAT_DECIDE, question)

        first = asyncio.create_task(decide("ban", slow))
        second = asyncio.create_task(decide("unban", slow))
        for _ in range(3):
            await decide("ban", quick)
            await decide("unban", quick)
        assert not first.done() and not second.done()
        await session.commit()
        # In the order in which they were asked for: the ban was there to be lifted.
        assert (await second)["was_timeout"] is False
        await first
        assert (await a.say(slow, "free again"))["type"] == "message"


async def test_what_a_dead_process_decided_holds(chat: Chat, world: World) -> None:
    """It wrote into PostgreSQL and died before it came to Redis: its trace is found."""
    channel, ann, ben = [await world.person(name) for name in ("chan", "ann", "ben")]
    a, b = await chat.joined(channel, ann), await chat.joined(channel, ben)
    said = await a.say(channel, "something bad")
    await b.next("message")

    async def delete() -> bool:
        async with world.database.session() as session:
            changed = await session.execute(
                update(ChatMessage)
                .where(ChatMessage.id == said["id"])
                .values(deleted_at=datetime.now(UTC))
                .returning(ChatMessage.id)
            )
            return changed.first() is not None

    await eventually_async(delete, within_s=10, what="the message is kept")
    async with world.database.session() as session:
        session.add(ChatBan(channel_id=channel.id, user_id=ann.id, reason=""))
    async with open_redis(world.settings) as redis:
        await redis.zadd(DECIDING, {f"{channel.id}:lost": time.time() - 3600})
        assert (await b.next("deleted", within_s=10))["id"] == said["id"]
        assert (await a.say(channel, "and more"))["code"] == "msg_banned"
        late = await chat.client(None)
        assert (await late.join(channel))["history"] == []

        async def settled() -> bool:
            return await redis.zcard(DECIDING) == 0

        await eventually_async(settled, within_s=10, what="nothing is left to settle")


async def test_nobody_speaks_as_what_they_were(chat: Chat, world: World) -> None:
    """The room's revision is there already, the word about one person is still on its way."""
    channel, ann, ben = [await world.person(name) for name in ("chan", "ann", "ben")]
    a, b = await chat.joined(channel, ann), await chat.joined(channel, ben)
    assert (await a.say(channel, "hello"))["type"] == "message"
    async with world.database.session() as session:
        session.add(
            ChatSuspicious(
                channel_id=channel.id, user_id=ann.id, status="restricted", source="manual"
            )
        )
    async with open_redis(world.settings) as redis:
        await Store(redis).revise(channel.id)
    # Somebody else's message has the process read the room again.
    assert (await b.say(channel, "hi"))["type"] == "message"
    assert (await a.say(channel, "how are you?"))["code"] == "msg_rejected"


async def test_who_may_do_what(chat: Chat, world: World) -> None:
    channel, mod, mate, ann = [await world.person(n) for n in ("chan", "mod", "mate", "ann")]
    await world.role(channel, mod, "moderator")
    await world.role(channel, mate, "moderator")
    m, a = await chat.joined(channel, mod), await chat.joined(channel, ann)
    assert (await a.say(channel, f"/ban {mod.login}"))["code"] == "no_permission"
    assert (await a.say(channel, "/slow"))["code"] == "no_permission"
    assert (await m.say(channel, f"/ban {mod.login}"))["code"] == "bad_ban_self"
    assert (await m.say(channel, f"/ban {mate.login}"))["code"] == "bad_ban_mod"
    assert (await m.say(channel, f"/timeout {channel.login}"))["code"] == "bad_timeout_broadcaster"
    assert (await m.say(channel, f"/mod {ann.login}"))["code"] == "no_permission"
    assert (await m.say(channel, f"/unban {ann.login}"))["code"] == "bad_unban_no_ban"
    assert (await m.say(channel, "/ban nobody_at_all"))["code"] == "invalid_user"
    assert (await m.say(channel, "/dance"))["code"] == "unrecognized_cmd"


async def test_roles_are_given_and_taken_at_once(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    owner, a = await chat.joined(channel, channel), await chat.joined(channel, ann)
    assert (await owner.say(channel, f"/mod {ann.login}"))["code"] == "mod_success"
    me = await a.next("me")
    assert me["role"] == "moderator" and me["can_moderate"]
    assert (await a.say(channel, "/slow 30"))["code"] == "slow_on"
    assert (await a.next("settings"))["settings"] == {"slow_s": 30}
    assert (await owner.say(channel, "/slow 30"))["code"] == "already_slow_on"
    assert (await owner.say(channel, "/mods"))["message"].endswith(ann.login)
    assert (await owner.say(channel, f"/unmod {ann.login}"))["code"] == "unmod_success"
    assert (await a.say(channel, "/slowoff"))["code"] == "no_permission"
    said = await a.say(channel, "one")
    assert said["type"] == "message" and said["user"]["badges"] == []
    assert (await a.say(channel, "two"))["code"] == "msg_slowmode"
    assert (await owner.say(channel, "/slowoff"))["code"] == "slow_off"
    assert (await a.say(channel, "three"))["type"] == "message"


async def test_modes(chat: Chat, world: World) -> None:
    channel, ann, fan, vip = [await world.person(n) for n in ("chan", "ann", "fan", "vip")]
    await world.follow(channel, fan, minutes=5)
    await world.role(channel, vip, "vip")
    owner = await chat.joined(channel, channel)
    a, f, v = [await chat.joined(channel, person) for person in (ann, fan, vip)]
    assert (await owner.say(channel, "/followers 0"))["code"] == "followers_on_zero"
    assert (await a.say(channel, "x"))["code"] == "msg_followersonly_zero"
    assert (await f.say(channel, "x"))["type"] == "message"
    assert (await v.say(channel, "x1"))["type"] == "message"
    assert (await owner.say(channel, "/followers 10m"))["code"] == "followers_on"
    refused = await f.say(channel, "y")
    assert refused["code"] == "msg_followersonly_followed"
    assert 240 < refused["retry_after"] <= 300
    assert (await a.say(channel, "x"))["code"] == "msg_followersonly"
    assert (await owner.say(channel, "/followersoff"))["code"] == "followers_off"
    assert (await owner.say(channel, "/subscribers"))["code"] == "subs_on"
    assert (await a.say(channel, "x"))["code"] == "msg_subsonly"
    assert (await v.say(channel, "y1"))["type"] == "message"
    assert (await owner.say(channel, "/subscribersoff"))["code"] == "subs_off"
    assert (await owner.say(channel, "/emoteonly"))["code"] == "emote_only_on"
    assert (await v.say(channel, "words"))["code"] == "msg_emoteonly"
    assert (await owner.say(channel, "the owner talks"))["type"] == "message"
    assert (await owner.say(channel, "/emoteonlyoff"))["code"] == "emote_only_off"
    assert (await owner.say(channel, "/uniquechat"))["code"] == "r9k_on"
    assert (await a.say(channel, "a long enough text"))["type"] == "message"
    assert (await f.say(channel, "A long  enough text"))["code"] == "msg_r9k"
    assert (await f.say(channel, "short"))["type"] == "message"
    assert (await a.say(channel, "short"))["type"] == "message"


async def test_deleting_and_clearing(chat: Chat, other: Chat, world: World) -> None:
    channel, mod, ann = [await world.person(n) for n in ("chan", "mod", "ann")]
    await world.role(channel, mod, "moderator")
    m, a = await chat.joined(channel, mod), await other.joined(channel, ann)
    owner = await chat.joined(channel, channel)
    first = await a.say(channel, "first")
    kept = await a.say(channel, "kept")
    theirs = await owner.say(channel, "the owner's")
    assert (await m.say(channel, f"/delete {first['id']}"))["code"] == "delete_message_success"
    assert (await a.next("deleted"))["id"] == first["id"]
    refused = await m.say(channel, f"/delete {theirs['id']}")
    assert refused["code"] == "bad_delete_message_broadcaster"
    again = await (await other.client()).join(channel)
    assert [message["id"] for message in again["history"]] == [kept["id"], theirs["id"]]
    assert (await m.say(channel, "/clear"))["type"] == "notice"
    assert "user" not in await a.next("cleared")
    assert (await (await chat.client()).join(channel))["history"] == []


async def test_warnings_have_to_be_acknowledged(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    owner, a = await chat.joined(channel, channel), await chat.joined(channel, ann)
    assert (await owner.say(channel, f"/warn {ann.login} be kind"))["code"] == "warn_success"
    assert (await a.next("warned"))["reason"] == "be kind"
    assert (await a.say(channel, "x"))["code"] == "warning_unacknowledged"
    late = await chat.client(ann)
    assert (await late.join(channel))["me"]["warning"] == {"reason": "be kind"}
    await a.send("ack_warning", channel=channel.login)
    await a.next("me", where=lambda me: "warning" not in me)
    assert (await a.say(channel, "sorry"))["type"] == "message"


async def test_a_held_message_is_seen_by_nobody_until_it_is_allowed(
    chat: Chat, other: Chat, world: World
) -> None:
    channel, mod, ann = [await world.person(n) for n in ("chan", "mod", "ann")]
    await world.role(channel, mod, "moderator")
    m, a = await chat.joined(channel, mod), await other.joined(channel, ann)
    viewer = await other.joined(channel)
    changes = {"links_from": "moderators", "links_action": "hold"}
    await ask(world, "settings.set", channel, mod, changes=changes)
    for decision in ("allow", "deny"):
        answer = await a.say(channel, f"see https://example.com/{decision}")
        assert answer["code"] == "msg_rejected"
        held = await m.next("held")
        assert held["text"] == f"see https://example.com/{decision}"
        await viewer.barrier()
        assert not [f for f in viewer.seen if f["type"] in ("held", "message")]
        await ask(world, "held.decide", channel, mod, held_id=held["id"], decision=decision)
        assert (await m.next("held_decided"))["by"] == mod.login
        with pytest.raises(DomainError) as refused:
            await ask(world, "held.decide", channel, mod, held_id=held["id"], decision="allow")
        assert refused.value.code == "held_decided"
        if decision == "allow":
            shown = await viewer.next("message")
            assert shown["id"] == held["id"]
        else:
            assert (await a.next("notice", code="held_denied"))["id"] == held["id"]
    await ask(world, "term.add", channel, mod, kind="blocked", text="bad*")
    assert (await a.say(channel, "so b a d d i e"))["code"] in ("msg_rejected_mandatory", None)
    assert (await a.say(channel, "BADDIES"))["code"] == "msg_rejected_mandatory"


async def test_chat_delay_shows_moderators_first(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    owner, a = await chat.joined(channel, channel), await chat.joined(channel, ann)
    viewer = await chat.joined(channel)
    await ask(world, "settings.set", channel, channel, changes={"delay_s": 2})
    await viewer.next("settings")
    one = await a.say(channel, "one")
    two = await a.say(channel, "two")
    await owner.next("message", id=two["id"])
    await viewer.barrier()
    assert not [f for f in viewer.seen if f["type"] == "message"]
    await owner.say(channel, f"/delete {one['id']}")
    shown = await viewer.next("message")
    assert shown["id"] == two["id"]


async def test_polls_pins_announcements(chat: Chat, other: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    owner, a = await chat.joined(channel, channel), await other.joined(channel, ann)
    assert (await owner.say(channel, "/poll 60 Which? | this | that"))["code"] == "poll_started"
    poll = (await a.next("poll"))["poll"]
    assert [choice["votes"] for choice in poll["choices"]] == [0, 0]
    await a.send("vote", channel=channel.login, poll=int(poll["id"]), choice=1)
    counted = (await a.next("poll"))["poll"]
    assert [choice["votes"] for choice in counted["choices"]] == [0, 1]
    await a.send("vote", channel=channel.login, poll=int(poll["id"]), choice=0)
    assert (await a.next("error"))["code"] == "already_voted"
    stranger = (await (await chat.client()).join(channel))["poll"]
    assert stranger == counted
    # On another device one sees what one has voted for.
    again = (await (await chat.client(ann)).join(channel))["poll"]
    assert again == {**counted, "voted": 1}
    assert (await (await chat.client(channel)).join(channel))["poll"] == counted
    assert (await owner.say(channel, "/endpoll"))["code"] == "poll_ended"
    assert (await a.next("poll"))["poll"]["status"] == "ended"

    said = await a.say(channel, "worth keeping")
    assert (await owner.say(channel, f"/pin {said['id']}"))["code"] == "pin_success"
    assert (await a.next("pinned"))["message"]["text"] == "worth keeping"
    assert (await owner.say(channel, "/unpin"))["code"] == "unpin_success"
    assert (await a.next("pinned"))["message"] is None
    assert (await owner.say(channel, "/announceblue Hear!"))["code"] == "announce_success"
    announced = await a.next("message")
    assert (announced["kind"], announced["color"]) == ("announcement", "blue")


async def test_raids(chat: Chat, world: World) -> None:
    channel, target = await world.person("chan"), await world.person("target")
    owner, there = await chat.joined(channel, channel), await chat.joined(target)
    assert (await owner.say(channel, f"/raid {target.login}"))["code"] == "raid_pending"
    assert (await owner.next("raid"))["state"] == "pending"
    assert (await owner.say(channel, "/unraid"))["code"] == "unraid_success"
    assert (await owner.next("raid"))["state"] == "cancelled"
    assert not [f for f in there.seen if f["type"] == "message"]


async def test_unban_requests(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    a = await chat.joined(channel, ann)
    await ask(world, "ban", channel, channel, user_id=ann.id)
    request = await ask(world, "unban.request", channel, ann, text="sorry")
    with pytest.raises(DomainError) as refused:
        await ask(world, "unban.request", channel, ann, text="please")
    assert refused.value.code == "unban_request_open"
    number = request["request_id"]
    await ask(world, "unban.message", channel, channel, request_id=number, text="why?")
    await ask(world, "unban.decide", channel, channel, request_id=number, decision="approve")
    assert (await a.say(channel, "thanks"))["type"] == "message"
