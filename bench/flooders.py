"""What a flood is made of: connections that say nothing, say it slowly, shake hands, guess stream keys, or enter rooms.

Each runs in a process of its own that stands back for the server's (nice 19: an attacker's processor is not the
server's), from an address of its own, 127.0.0.2, so that limits per address are what they are to anybody else. What is
held comes from eight: past what one address may hold it would be refused, and be a flood of dialling.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from core.service import lift_open_files

ATTACKERS = tuple(f"127.0.0.{number}" for number in range(2, 10))
HANDSHAKE = 1536
# Of a socket that enters rooms, before it is replaced by another.
JOINS_A_SOCKET = 20
Said = Counter[str]


@dataclass(frozen=True)
class Flood:
    """One flood. `count` connections are held, or so many attempts a second are made."""

    name: str
    kind: str
    address: tuple[str, int]
    count: int
    # What is said: a byte a second for a slow one, rooms for joins.
    text: str = ""


def run(results: Connection, flood: Flood, ends: float) -> None:
    """Flood until the Unix time `ends`, then tell what became of it."""
    os.nice(19)
    lift_open_files()
    results.send(uvloop.run(KINDS[flood.kind](flood, ends)))


async def _open(
    address: tuple[str, int], attacker: str = ATTACKERS[0]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The port is chosen at connect(2): one address has more of them so.
    made.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
    made.setblocking(False)
    made.bind((attacker, 0))
    try:
        await asyncio.get_running_loop().sock_connect(made, address)
    except OSError:
        made.close()
        raise
    return await asyncio.open_connection(sock=made)


async def _hold(flood: Flood, ends: float) -> Said:
    """Keep `count` connections open that say `text`, a byte a second; those that are closed are opened again
    a second later.
    """
    said: Said = Counter()
    text = flood.text.encode()

    async def one(number: int) -> None:
        # Not all in one instant: what is measured is that they are there.
        await asyncio.sleep(number / flood.count * 2)
        while time.time() < ends:
            try:
                reader, writer = await _open(flood.address, ATTACKERS[number % len(ATTACKERS)])
            except OSError:
                said["refused"] += 1
                await asyncio.sleep(1)
                continue
            said["opened"] += 1
            # Some servers reset what they have had enough of.
            with contextlib.suppress(OSError):
                await _drip(reader, writer, text, ends)
            writer.transport.abort()
            if time.time() < ends:
                said["closed by the server"] += 1
                await asyncio.sleep(1)

    await asyncio.gather(*(one(number) for number in range(flood.count)))
    return said


async def _drip(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes, ends: float
) -> None:
    at = 0
    while time.time() < ends:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(1.0, max(0.0, ends - time.time()))):
                if not await reader.read(4096):
                    return
        if reader.at_eof() or writer.transport.is_closing():
            return
        if text:
            writer.write(text[at % len(text) :][:1])
            at += 1


async def _paced(
    flood: Flood, ends: float, per_try: int, attempt: Callable[[Said], Coroutine[Any, Any, None]]
) -> Said:
    """Begin attempts at an even pace until `ends`, whatever became of those before."""
    said: Said = Counter()
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    due = loop.time()
    while time.time() < ends:
        due += per_try / flood.count
        await asyncio.sleep(max(0.0, due - loop.time()))
        if len(tasks) > 2000:
            said["not begun: 2,000 are under way"] += per_try
            continue
        task = loop.create_task(attempt(said))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return said


async def _shake_hands(flood: Flood, ends: float) -> Said:
    """Whole TLS handshakes, none of them resumed, `count` a second."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE

    async def attempt(said: Said) -> None:
        try:
            _, plain = await _open(flood.address)
            try:
                await plain.start_tls(trust, ssl_handshake_timeout=15)
                said["handshakes"] += 1
            finally:
                plain.transport.abort()
        except (OSError, TimeoutError):
            said["broken off"] += 1

    return await _paced(flood, ends, 1, attempt)


async def _guess(flood: Flood, ends: float) -> Said:
    """Publish with stream keys that are made up, `count` a second."""

    async def attempt(said: Said) -> None:
        try:
            reader, writer = await _open(flood.address)
            try:
                async with asyncio.timeout(15):
                    await _publish(reader, writer)
                    said["answered"] += 1
            finally:
                writer.transport.abort()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            said["broken off"] += 1

    return await _paced(flood, ends, 1, attempt)


async def _publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A handshake (RTMP 1.0, 5.2), connect, createStream, publish; until the server closes or answers."""
    writer.write(b"\x03" + bytes(8) + bytes(HANDSHAKE - 8))
    await reader.readexactly(1 + 2 * HANDSHAKE)
    key = f"live_{secrets.randbelow(10**6) + 1}_{secrets.token_hex(16)}"
    connect = _string("connect") + _number(1) + b"\x03"
    connect += b"\x00\x03app" + _string("live") + b"\x00\x00\x09"
    publish = _string("publish") + _number(3) + b"\x05" + _string(key) + _string("live")
    writer.write(
        bytes(HANDSHAKE)
        + _command(connect, 0)
        + _command(_string("createStream") + _number(2) + b"\x05", 0)
        + _command(publish, 1)
    )
    while await reader.read(65536):
        pass


def _string(text: str) -> bytes:
    return b"\x02" + struct.pack(">H", len(text)) + text.encode()


def _number(value: float) -> bytes:
    return b"\x00" + struct.pack(">d", value)


def _command(body: bytes, stream: int) -> bytes:
    """One message in chunks of 128 bytes (RTMP 1.0, 5.3)."""
    head = b"\x03" + bytes(3) + len(body).to_bytes(3, "big") + b"\x14" + struct.pack("<I", stream)
    pieces = [body[at : at + 128] for at in range(0, len(body), 128)]
    return head + b"\xc3".join(pieces)


async def _join(flood: Flood, ends: float) -> Said:
    """Enter rooms, `count` times a second: twenty times over each socket."""
    frame = json.dumps({"type": "join", "channel": flood.text}).encode()
    join = bytes((0x81, 0x80 | len(frame))) + bytes(4) + frame

    async def attempt(said: Said) -> None:
        try:
            reader, writer = await _open(flood.address)
            try:
                async with asyncio.timeout(20):
                    await _enter(reader, writer, join, said)
            finally:
                writer.transport.abort()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            said["broken off"] += 1

    return await _paced(flood, ends, JOINS_A_SOCKET, attempt)


async def _enter(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, join: bytes, said: Said
) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        "GET /chat HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head[:20]:
        said[f"answered {head[9:12].decode(errors='replace')}"] += 1
        return
    writer.write(join * JOINS_A_SOCKET)
    said["joins sent"] += JOINS_A_SOCKET
    heard = 0
    while heard < JOINS_A_SOCKET and (data := await reader.read(65536)):
        heard += data.count(b'"type":"joined"')
        said["joins answered"] += data.count(b'"type":"joined"')
        said["joins refused"] += data.count(b'"code":"rate_limited"')


KINDS: dict[str, Callable[[Flood, float], Coroutine[Any, Any, Said]]] = {
    "hold": _hold,
    "shake hands": _shake_hands,
    "guess": _guess,
    "join": _join,
}
