"""Chat when its processes and servers die, and when its sockets misbehave: rows 5, 6, 7, 16 and 19."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from websockets.asyncio.client import unix_connect
from websockets.exceptions import WebSocketException

from core.db.engine import open_database
from tests.chat_kit import ChatClient, Person, World, dial
from tests.e2e.stage import Stage, together
from tests.faults.conftest import Report
from tests.harness import RunningInstance, RunningServers, eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: How long a server is away, seconds.
AWAY_S = 5.0


@pytest.fixture
def place(stage: Stage) -> RunningInstance:
    """The shared instance, which has two chat processes."""
    return stage.instance


@pytest_asyncio.fixture
async def world(place: RunningInstance) -> AsyncIterator[World]:
    """Its accounts."""
    settings = RunningServers(place.data).settings()
    async with open_database(settings) as database:
        yield World(database, settings)


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
        return (await late.join(channel))["epoch"] != joined["epoch"]

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


STALLED, READERS, SPEAKERS, ROUNDS = 10, 30, 10, 40
# Of four bytes each: what waits for one reader outgrows the kernel's buffer and ours together.
LONG = "\N{FOX FACE}" * 480


async def test_16_stalled_readers_are_dropped(
    place: RunningInstance, world: World, unnoticed: None, report: Report
) -> None:
    """More than its bound never waits for a reader; the others get everything, in order."""
    channel = await world.person("chan")
    people = [await world.person("mod") for _ in range(SPEAKERS)]
    for person in people:
        # Who may say a hundred things in half a minute.
        await world.role(channel, person, "moderator")
    path = world.settings.chat_socket_listen.removeprefix("unix:")
    readers = [
        ChatClient(await unix_connect(path, "ws://chat/chat", max_size=None, compression=None))
        for _ in range(READERS)
    ]
    for reader in readers:
        await reader.hello()
        await reader.join(channel)
    before, memory = await dropped(world), resident(place.pid("chat"))
    stalled = [await _stalled(path, channel) for _ in range(STALLED)]
    speakers = [await dial(place.url) for _ in people]
    for speaker, person in zip(speakers, people, strict=True):
        await speaker.hello(person)
        await speaker.join(channel)
    rounds = []
    for number in range(ROUNDS):
        began = time.monotonic()
        said = await asyncio.gather(*(s.say(channel, f"{number} {LONG}") for s in speakers))
        rounds.append(time.monotonic() - began)
        assert {answer["type"] for answer in said} == {"message"}
    wanted = ROUNDS * SPEAKERS
    for reader in readers:
        offsets = [(await reader.next("message"))["offset"] for _ in range(wanted)]
        assert offsets == list(range(offsets[0], offsets[0] + wanted))
    assert await dropped(world) - before == STALLED
    assert resident(place.pid("chat")) - memory < 64 << 20
    for each in stalled:
        assert await _is_cut(each)
    for client in (*readers, *speakers):
        await client.close()
    remark = f"{STALLED} of {STALLED + READERS}; a message each of {SPEAKERS}: {max(rounds):.2f} s"
    report(16, "stalled chat readers", remark=remark)


async def _stalled(path: str, channel: Person) -> socket.socket:
    """Somebody in the room who never reads again."""
    stalled = socket.socket(socket.AF_UNIX)
    stalled.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stalled, path)
    await loop.sock_sendall(stalled, HANDSHAKE)
    for frame in ('{"type":"hello"}', f'{{"type":"join","channel":"{channel.login}"}}'):
        await loop.sock_sendall(stalled, masked(frame.encode()))
    got = b""
    while b'"joined"' not in got:
        got += await asyncio.wait_for(loop.sock_recv(stalled, 65536), 10)
    return stalled


async def _is_cut(stalled: socket.socket) -> bool:
    """Whether a socket ends after what the kernel still held for it."""
    loop = asyncio.get_running_loop()
    with stalled:
        try:
            async with asyncio.timeout(10):
                while await loop.sock_recv(stalled, 1 << 20):
                    pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
    return True


async def dropped(world: World) -> float:
    """Readers that the first chat process has dropped for being too slow."""
    address = world.settings.chat_listen.removeprefix("unix:")
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=address)) as http:
        metrics = (await http.get("http://chat/metrics")).text
    found = re.search(
        r'^footlight_chat_dropped_total\{reason="slow"\} (\S+)$', metrics, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def resident(pid: int) -> int:
    """Memory of a process, bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked(payload: bytes, first: int = 0x81) -> bytes:
    """A frame of a client, with a mask of zeros."""
    if len(payload) < 126:
        head = bytes((first, 0x80 | len(payload)))
    else:
        head = struct.pack("!BBH", first, 0x80 | 126, len(payload))
    return head + bytes(4) + payload


async def closed_with(address: tuple[str, int], data: bytes) -> int | None:
    """The close code that a socket gets for what it sent; None: cut without a word."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HANDSHAKE)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head
    try:
        writer.write(data)
        await writer.drain()
        rest = await asyncio.wait_for(reader.read(), 15)
    except (ConnectionError, asyncio.IncompleteReadError):
        return None
    finally:
        writer.close()
    found = re.findall(rb"\x88[\x02-\x7d](..)", rest, re.DOTALL)
    return int(struct.unpack("!H", found[-1])[0]) if found else None


BOMB = zlib.compress(b"\0" * 10_000_000)[:4000]


BROKEN = (
    ("bad UTF-8", masked(b'{"type":"\xff\xfe"}'), 1007),
    ("a frame of a gigabyte", struct.pack("!BBQ", 0x81, 0x80 | 127, 1 << 30) + bytes(4), 1009),
    (
        "a message of many fragments",
        masked(b"x" * 60_000, 0x01) + masked(b"x" * 60_000, 0x80),
        1009,
    ),
    ("a deflate bomb", masked(BOMB, 0xC1), 1002),
    ("binary", masked(b"\x00\x01", 0x82), 1003),
    ("no mask", b"\x81\x02hi", 1002),
    ("a ping flood", masked(b"x", 0x89) * 2000, 1008),
    ("nonsense again and again", masked(b"nonsense") * 200, 1008),
    ("a reserved opcode", masked(b"x", 0x83), 1002),
)


async def test_19_broken_sockets(
    place: RunningInstance, world: World, unnoticed: None, report: Report
) -> None:
    """Each is closed with the code that says why, and nothing else notices. Nobody holds a connection without
    a word, and no page of another site opens the chat in its visitor's name.
    """
    logs = sorted((place.data / "logs").glob("chat*"))
    known = [path.stat().st_size for path in logs]
    host, _, port = place.url.removeprefix("http://").rpartition(":")
    *codes, silent = await together(
        *(closed_with((host, int(port)), data) for _, data, _ in BROKEN), _unfinished(world)
    )
    assert codes == [code for _, _, code in BROKEN]
    assert silent is None
    assert await _from_another_site(place) == 403
    for path, size in zip(logs, known, strict=True):
        said = path.read_text(errors="replace")[size:]
        assert "Traceback" not in said, said[said.index("Traceback") :][:6000]
    for what, _, code in BROKEN:
        report(19, what, remark=f"closed with {code}")


async def _unfinished(world: World) -> None:
    """A handshake that does not end is ended."""
    own = world.settings.chat_socket_listen.removeprefix("unix:")
    reader, writer = await asyncio.open_unix_connection(own)
    writer.write(b"GET /chat HTTP/1.1\r\nHost: x\r\n")
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


async def _from_another_site(place: RunningInstance) -> int:
    """The answer to a page of another site that wants to chat in its visitor's name."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        "Origin": "https://evil.example",
    }
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{place.url}/chat", headers=headers)).status_code
