"""Chat when its sockets misbehave: rows 16 and 19."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import time
import zlib
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import unix_connect

from bench.chat_clients import Tally, crowd
from core.service import lift_open_files
from tests.chat_kit import ChatClient, Person, World, dial
from tests.e2e.stage import together
from tests.faults.conftest import Report
from tests.harness import RunningInstance

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


STALLED, READERS, SPEAKERS, ROUNDS = 10, 30, 10, 40
#: Sockets in the room of the long test.
CROWD = 5000
# Of four bytes each: what waits for one reader outgrows the kernel's buffer and ours together.
LONG = "\N{FOX FACE}" * 480


@pytest.mark.parametrize(
    "others", (0, pytest.param(CROWD, marks=[pytest.mark.long, pytest.mark.timeout(900)]))
)
async def test_16_stalled_readers_are_dropped(
    place: RunningInstance, world: World, unnoticed: None, report: Report, others: int
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
    tally = Tally()
    lift_open_files()
    rest = await crowd(path, tally, channel.login, others, ())
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
        # Nobody here falls behind for want of a processor, nor is silent for too long.
        assert await rest.heard((number + 1) * SPEAKERS, within_s=60)
        for each in rest.sockets:
            each.pong()
    wanted = ROUNDS * SPEAKERS
    for reader in readers:
        offsets = [(await reader.next("message"))["offset"] for _ in range(wanted)]
        assert offsets == list(range(offsets[0], offsets[0] + wanted))
    assert (tally.wrong, [each for each in rest.sockets if each.lost]) == (0, [])
    assert await dropped(world) - before == STALLED
    assert resident(place.pid("chat")) - memory < 64 << 20
    for one in stalled:
        assert await _is_cut(one)
    for client in (*readers, *speakers):
        await client.close()
    rest.close()
    remark = f"{STALLED} of {STALLED + READERS + others}; a message each of {SPEAKERS}: {max(rounds):.2f} s"
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
