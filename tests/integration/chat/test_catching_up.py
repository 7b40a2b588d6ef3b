"""Rooms after their process lost Redis: what was said meanwhile comes, in its order, and who said it hears it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from chat.registry import Rooms
from chat.rooms import Room
from chat.store import Logged, Store, key
from tests.chat_kit import Chat, Person, World, chat_settings, running_chat
from tests.harness import RunningServers, eventually_async


@pytest_asyncio.fixture
async def redis(world: World) -> AsyncIterator[Redis]:
    """The server that everybody here uses."""
    async with Redis.from_url(world.settings.redis_url) as client:
        yield client


@pytest_asyncio.fixture
async def lasting(servers: RunningServers, socket_folder: Path) -> AsyncIterator[Chat]:
    """A chat process that reads its logs for nothing but catching up."""
    settings = chat_settings(servers.settings(), socket_folder, chat_persist_s=3600.0)
    async with running_chat(settings) as running:
        yield running


class Outage:
    """What is published goes past the process until it is `over`, and its log is not read before `found`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.over = asyncio.Event()
        self.found = asyncio.Event()
        self.asked = asyncio.Event()
        self.heard = asyncio.Event()
        published, log = Rooms._published, Store.log

        def hear(rooms: Rooms, room: Room, data: bytes) -> None:
            if self.over.is_set():
                published(rooms, room, data)
            self.heard.set()

        async def read(store: Store, *args: Any) -> list[Logged]:
            self.asked.set()
            await self.found.wait()
            return await log(store, *args)

        patch.setattr(Rooms, "_published", hear)
        patch.setattr(Store, "log", read)


async def test_nothing_overtakes_what_was_missed(
    lasting: Chat, world: World, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    a, reader = await lasting.joined(channel, ann), await lasting.joined(channel)
    outage = Outage(monkeypatch)
    await a.send("say", channel=channel.login, text="missed", nonce="1")
    await asyncio.wait_for(outage.heard.wait(), 10)
    await redis.client_kill_filter(_type="pubsub")
    # The process is back, and has not yet found out what it missed when somebody goes on.
    await asyncio.wait_for(outage.asked.wait(), 10)
    outage.over.set()
    outage.heard.clear()
    await a.send("say", channel=channel.login, text="next", nonce="2")
    await asyncio.wait_for(outage.heard.wait(), 10)
    outage.found.set()
    own = [await a.next("message") for _ in range(2)]
    assert [(each["text"], each["nonce"]) for each in own] == [("missed", "1"), ("next", "2")]
    assert await reader.texts(2) == ["missed", "next"]


async def forget(redis: Redis, channel: Person, last: int, **also: str) -> None:
    """Redis is as it was before that message."""
    room, log = key(channel.id, "room"), key(channel.id, "log")
    values: dict[Any, Any] = {"seq": last - 1, **also}
    await redis.hset(room, mapping=values)
    await redis.xdel(log, f"{last}-0")


async def test_a_restart_that_lost_the_last_moment(chat: Chat, world: World, redis: Redis) -> None:
    """Who speaks at once is heard, under an offset that nobody was given, and no ban is forgotten."""
    channel, ann, bob = [await world.person(name) for name in ("chan", "ann", "bob")]
    owner, a, b = [await chat.joined(channel, person) for person in (channel, ann, bob)]
    first = await a.say(channel, "one")
    assert (await owner.say(channel, f"/ban {bob.login}"))["code"] == "ban_success"
    await forget(redis, channel, first["offset"], run="an earlier life")
    await redis.delete(key(channel.id, "barred"))
    second = await a.say(channel, "two")
    assert (second["type"], second["text"]) == ("message", "two")
    assert second["offset"] > first["offset"]
    assert (await b.say(channel, "me, too"))["code"] == "msg_banned"


async def test_another_process_has_seen_less(chat: Chat, world: World, redis: Redis) -> None:
    """It has loaded the room before us: our offsets are not given again all the same."""
    channel, ann = await world.person("chan"), await world.person("ann")
    a = await chat.joined(channel, ann)
    first = await a.say(channel, "one")
    await forget(redis, channel, first["offset"])
    await redis.client_kill_filter(_type="pubsub")

    async def went_on() -> bool:
        return bool(int(await redis.hget(key(channel.id, "room"), "seq") or 0) > first["offset"])

    await eventually_async(went_on, what="the room has left out what may have been given")
    assert (await a.say(channel, "two"))["text"] == "two"
