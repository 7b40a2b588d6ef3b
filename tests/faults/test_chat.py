"""Chat when its processes and servers die: rows 5, 6, 7 and 20."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from websockets.exceptions import WebSocketException

from tests.chat_kit import ChatClient, Person, World, dial
from tests.faults.conftest import Report
from tests.harness import RunningInstance, eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: How long a server is away, seconds.
AWAY_S = 5.0


@pytest_asyncio.fixture
async def redis(world: World) -> AsyncIterator[Redis]:
    """Its Redis."""
    client: Redis = Redis.from_url(world.settings.redis_url)
    yield client
    await client.aclose()


class Reader:
    """Somebody who stays: comes back when the connection is lost, and keeps what was said."""

    def __init__(
        self, place: RunningInstance, channel: Person, person: Person | None = None
    ) -> None:
        self.place = place
        self.channel = channel
        self.person = person
        self.texts: list[str] = []
        self.offsets: list[int] = []
        self.recovered: list[bool] = []
        self._task: asyncio.Task[None] | None = None
        self.here = asyncio.Event()

    async def __aenter__(self) -> Reader:
        self._task = asyncio.create_task(self._stay())
        await asyncio.wait_for(self.here.wait(), 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _stay(self) -> None:
        while True:
            try:
                await self._visit()
            except (OSError, AssertionError, WebSocketException):
                self.here.clear()
                await asyncio.sleep(0.1)

    async def _visit(self) -> None:
        client = await dial(self.place.url)
        try:
            await self._read(client)
        finally:
            await client.close()

    async def _read(self, client: ChatClient) -> None:
        await client.hello(self.person)
        more = {"since": self.offsets[-1]} if self.offsets else {}
        joined = await client.join(self.channel, **more)
        if more:
            self.recovered.append(joined["recovered"])
        for message in joined["history"]:
            self._keep(message)
        if not self.offsets:
            self.offsets.append(joined["offset"])
        self.here.set()
        while True:
            self._keep(await client.next("message", within_s=3600))

    def _keep(self, message: dict[str, Any]) -> None:
        self.texts.append(message["text"])
        self.offsets.append(message["offset"])


async def speak(place: RunningInstance, channel: Person, person: Person, text: str) -> None:
    """Say something until it is accepted, by whichever process is there."""

    async def said() -> bool:
        try:
            client = await dial(place.url)
        except (OSError, WebSocketException):
            return False
        try:
            await client.hello(person)
            await client.join(channel)
            answer = await client.say(channel, text)
            return answer["type"] == "message" or answer.get("code") == "msg_duplicate"
        except (AssertionError, TimeoutError):
            return False
        finally:
            await client.close()

    await eventually_async(said, within_s=30, what=f"{text!r} is accepted")


@pytest.mark.parametrize(
    ("victim", "number", "row", "fault"),
    (
        # Not the same one: who came meanwhile is on the other.
        ("chat", signal.SIGKILL, 5, "kill -9 a chat process"),
        ("chat-2", signal.SIGTERM, 20, "SIGTERM to a chat process"),
    ),
    ids=("killed", "terminated"),
)
async def test_05_20_a_chat_process_ends(
    place: RunningInstance,
    world: World,
    report: Report,
    victim: str,
    number: signal.Signals,
    row: int,
    fault: str,
) -> None:
    """Who was on it comes back and has missed nothing; what was acknowledged is kept."""
    channel, ann = await world.person("chan"), await world.person("ann")
    readers = [Reader(place, channel) for _ in range(4)]
    for reader in readers:
        await reader.__aenter__()
    try:
        for n in range(3):
            await speak(place, channel, ann, f"before {n}")
        began = time.monotonic()
        os.kill(place.pid(victim), number)
        for n in range(3):
            await speak(place, channel, ann, f"after {n}")
        wanted = [*(f"before {n}" for n in range(3)), *(f"after {n}" for n in range(3))]

        async def all_there() -> bool:
            return all(reader.texts == wanted for reader in readers)

        await eventually_async(all_there, within_s=30, what="everybody has everything, once")
        assert all(all(reader.recovered) for reader in readers)
        assert any(reader.recovered for reader in readers)
        report(row, fault, recovered_s=time.monotonic() - began)
    finally:
        for reader in readers:
            await reader.__aexit__()


async def test_06_redis_killed(place: RunningInstance, world: World, report: Report) -> None:
    """Its file brings back what was acknowledged; bans hold from the first moment."""
    channel, ann, bob = [await world.person(name) for name in ("chan", "ann", "bob")]
    owner = await dial(place.url)
    await owner.hello(channel)
    await owner.join(channel)
    async with Reader(place, channel) as reader:
        assert (await owner.say(channel, f"/ban {bob.login}"))["code"] == "ban_success"
        await speak(place, channel, ann, "one")
        began = time.monotonic()
        os.kill(place.pid("redis"), signal.SIGKILL)
        await speak(place, channel, ann, "two")

        async def there() -> bool:
            return reader.texts == ["one", "two"]

        await eventually_async(there, within_s=30, what="both messages, once")
        report(6, "kill -9 Redis", recovered_s=time.monotonic() - began)
    banned = await dial(place.url)
    await banned.hello(bob)
    await banned.join(channel)
    assert (await banned.say(channel, "hi"))["code"] == "msg_banned"
    for client in (owner, banned):
        await client.close()


async def test_06_redis_emptied(
    place: RunningInstance, world: World, redis: Redis, loses_a_flush: None, report: Report
) -> None:
    """Nobody banned gets a word in; the loss is told, offsets go on, and nothing kept is lost."""
    channel, ann, bob, eve = [await world.person(n) for n in ("chan", "ann", "bob", "eve")]
    owner, a, b, e = [await dial(place.url) for _ in range(4)]
    for client, person in ((owner, channel), (a, ann), (b, bob), (e, eve)):
        await client.hello(person)
        joined = await client.join(channel)
    assert (await owner.say(channel, f"/ban {bob.login}"))["code"] == "ban_success"
    assert (await owner.say(channel, f"/timeout {eve.login} 600"))["code"] == "timeout_success"
    assert (await owner.say(channel, "/slow 3"))["code"] == "slow_on"
    first = await a.say(channel, "kept")
    log = f"chat:{{{channel.id}}}:room"

    async def flushed() -> bool:
        return bool(int(await redis.hget(log, "flushed") or 0) >= first["offset"])

    await eventually_async(flushed, what="PostgreSQL has it")
    await redis.flushall()
    tries = await asyncio.gather(
        *(client.say(channel, f"try {n}") for n in range(5) for client in (b, e))
    )
    assert {answer["code"] for answer in tries} == {"msg_banned", "msg_timedout"}
    second = await a.say(channel, "after")
    assert second["type"] == "message"
    assert second["offset"] > first["offset"] + 1
    assert (await a.say(channel, "too soon"))["code"] == "msg_slowmode"
    late = await dial(place.url)
    await late.hello()

    async def renewed() -> bool:
        return bool((await late.join(channel))["epoch"] != joined["epoch"])

    await eventually_async(renewed, what="the other process knows as well")
    again = await late.join(channel, since=first["offset"] - 1, epoch=joined["epoch"])
    assert again["recovered"] is False
    assert [message["text"] for message in again["history"]] == ["kept", "after"]
    for client in (owner, a, b, e, late):
        await client.close()
    report(6, "Redis emptied", remark="bans, timeouts, slow mode from PostgreSQL")


@pytest.mark.parametrize("away_s", (AWAY_S, pytest.param(60.0, marks=pytest.mark.long)))
async def test_07_redis_away(
    place: RunningInstance,
    world: World,
    live_unnoticed: None,
    report: Report,
    away_s: float,
) -> None:
    """Sending answers a clear error; sockets and video go on; afterwards all is well."""
    channel, ann, eve = [await world.person(name) for name in ("chan", "ann", "eve")]
    owner, a, e = [await dial(place.url) for _ in range(3)]
    for client, person in ((owner, channel), (a, ann), (e, eve)):
        await client.hello(person)
        await client.join(channel)
    await a.say(channel, "before")
    victim = place.pid("redis")
    stopped = time.monotonic()
    os.kill(victim, signal.SIGSTOP)
    try:
        answer = await a.say(channel, "during")
        assert answer["code"] == "unavailable"
        assert answer["retry_after"] > 0
        await a.barrier()
        # It is decided, but cannot be made to hold.
        assert (await owner.say(channel, f"/ban {eve.login}"))["code"] == "unavailable"
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{place.url}/healthz")).status_code == 200
            assert (
                await http.get(f"{place.url}/live/{channel.login}/index.m3u8")
            ).status_code == 404
        await asyncio.sleep(max(0.0, stopped + away_s - time.monotonic()))
    finally:
        os.kill(victim, signal.SIGCONT)
    began = time.monotonic()

    async def well() -> bool:
        said = await a.say(channel, f"after {time.monotonic()}")
        return bool(said["type"] == "message")

    await eventually_async(well, within_s=30, what="sending works again")
    report(7, f"Redis frozen for {began - stopped:.0f} s", recovered_s=time.monotonic() - began)

    async def holds() -> bool:
        return (await e.say(channel, f"hi {time.monotonic()}")).get("code") == "msg_banned"

    await eventually_async(holds, within_s=10, what="the ban holds")
    for client in (owner, a, e):
        await client.close()
