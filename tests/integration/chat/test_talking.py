"""Talking: through the real socket, the script in Redis, and two processes."""

from __future__ import annotations

import asyncio
import json

import pytest
from redis.asyncio import Redis
from websockets.frames import Frame, Opcode

from tests.chat_kit import Chat, World
from tests.harness import eventually_async

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_a_message_reaches_everybody_on_every_process(
    chat: Chat, other: Chat, world: World
) -> None:
    channel, ann, bob = [await world.person(name) for name in ("chan", "ann", "bob")]
    a, b = await chat.joined(channel, ann), await other.joined(channel, bob)
    reader = await other.joined(channel)

    sent = await a.say(channel, "hello @bob_x")
    assert sent["type"] == "message"
    assert sent["user"]["login"] == ann.login
    assert sent["first"] is True
    assert sent["mentions"] == ["bob_x"]
    for client in (b, reader):
        got = await client.next("message")
        assert got == sent
    answer = await b.say(channel, "hello yourself", reply_to=sent["id"])
    assert answer["reply_to"]["text"] == "hello @bob_x"
    assert answer["offset"] == sent["offset"] + 1
    assert (await a.next("message"))["text"] == "hello yourself"


async def test_order_is_the_same_for_all(chat: Chat, other: Chat, world: World) -> None:
    channel = await world.person("chan")
    people = [await world.person("p") for _ in range(6)]
    clients = [
        await (chat if index % 2 else other).joined(channel, person)
        for index, person in enumerate(people)
    ]
    readers = [await chat.joined(channel), await other.joined(channel)]
    await asyncio.gather(
        *(c.say(channel, f"{i} {n}") for i, c in enumerate(clients) for n in range(10))
    )
    seen = [[await reader.next("message") for _ in range(60)] for reader in readers]
    assert seen[0] == seen[1]
    offsets = [message["offset"] for message in seen[0]]
    assert offsets == list(range(offsets[0], offsets[0] + 60))
    history = (await (await chat.client()).join(channel))["history"]
    assert history == seen[0][-len(history) :]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_a_client_need_not_wait_for_the_handshake(
    chat: Chat, pieces: int, world: World
) -> None:
    channel = await world.person("chan")
    path = chat.service.settings.chat_socket_listen.removeprefix("unix:")
    reader, writer = await asyncio.open_unix_connection(path)
    data = HANDSHAKE
    for event in ({"type": "hello"}, {"type": "join", "channel": channel.login}):
        data += Frame(Opcode.TEXT, json.dumps(event).encode()).serialize(mask=True)
    size = -(-len(data) // pieces)
    for start in range(0, len(data), size):
        writer.write(data[start : start + size])
        await asyncio.sleep(0)
    await asyncio.wait_for(reader.readuntil(b'"joined"'), 10)
    writer.close()
    await writer.wait_closed()


async def test_history_on_joining_and_recovery_by_offset(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    a = await chat.joined(channel, ann)
    first = await a.say(channel, "one")
    await a.say(channel, "two")
    b = await chat.client()
    joined = await b.join(channel)
    assert [m["text"] for m in joined["history"]] == ["one", "two"]
    assert not joined["recovered"]
    again = await b.join(channel, since=first["offset"], epoch=joined["epoch"])
    assert again["recovered"]
    assert [m["text"] for m in again["history"]] == ["two"]
    nothing = await b.join(channel, since=joined["offset"])
    assert nothing["recovered"]
    assert nothing["history"] == []
    lost = await b.join(channel, since=0)
    assert lost["recovered"] and len(lost["history"]) == 2


async def test_every_process_learns_that_redis_was_emptied(
    chat: Chat, other: Chat, world: World
) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    a, b = await chat.joined(channel, ann), await other.client()
    before = (await b.join(channel))["epoch"]
    async with Redis.from_url(world.settings.redis_url) as redis:
        await redis.delete(f"chat:{{{channel.id}}}:room")
    # Noticed by the process on which somebody speaks, and told by it to the other.
    assert (await a.say(channel, "hello"))["type"] == "message"

    async def renewed() -> bool:
        return bool((await b.join(channel))["epoch"] != before)

    await eventually_async(renewed, what="the other process knows as well")


async def test_who_may_not_speak(chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    stranger = await chat.joined(channel)
    assert (await stranger.say(channel, "hi"))["code"] == "login_required"
    a = await chat.client(ann)
    assert (await a.say(channel, "hi"))["code"] == "not_joined"
    await a.join(channel)
    assert (await a.say(channel, "   "))["code"] == "message_empty"
    assert (await a.say(channel, "x" * 501))["code"] == "message_too_long"
    assert (await a.say(channel, "hi"))["type"] == "message"
    assert (await a.say(channel, "hi"))["code"] == "msg_duplicate"
    for number in range(19):
        assert (await a.say(channel, f"n {number}"))["type"] == "message"
    refused = await a.say(channel, "one too many")
    assert refused["code"] == "msg_ratelimit"
    assert 0 < refused["retry_after"] <= 30
