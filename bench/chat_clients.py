"""Many WebSockets in one process, as cheap as can be: what they are sent is counted and checked for order,
and only a sample of it is looked at more closely.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

# How the server begins every message (chat/accept.lua).
_MESSAGE = re.compile(rb'\{"type":"message","offset":(\d+),')
_SENT = re.compile(rb'"text":"(\d+) ')
# Longer than either pattern's longest match: what has to be kept of one read to find it in the next.
_CARRY = 64


@dataclass
class Tally:
    """What all sockets of a run have seen. `wrong` counts messages that came twice or out of order."""

    messages: int = 0
    wrong: int = 0
    delays_s: list[float] = field(default_factory=list)


class Socket(asyncio.Protocol):
    """One WebSocket."""

    def __init__(self, tally: Tally, sampled: bool) -> None:
        self.tally = tally
        self.sampled = sampled
        self.messages = 0
        self.transport: asyncio.Transport | None = None
        self.is_open = asyncio.Event()
        self.joined = asyncio.Event()
        self.lost = False
        self._last = -1
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports are none of asyncio's.
        made = self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        made.write(
            f"GET /chat HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if not self.joined.is_set():
            self._before(data)
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        end = 0
        for found in _MESSAGE.finditer(data):
            offset = int(found[1])
            if self._last >= 0 and offset != self._last + 1:
                self.tally.wrong += 1
            self._last = offset
            self.messages += 1
            end = found.end()
        if self.sampled:
            now = time.monotonic_ns()
            for found in _SENT.finditer(data):
                self.tally.delays_s.append((now - int(found[1])) / 1e9)
                end = max(end, found.end())
        # A pattern whose beginning is here and whose end is not.
        self._rest = data[max(end, len(data) - _CARRY) :]

    def _before(self, data: bytes) -> None:
        self._rest += data
        if not self.is_open.is_set() and b"\r\n\r\n" in self._rest:
            if b" 101 " not in self._rest[:20]:
                raise RuntimeError(self._rest[:200].decode(errors="replace"))
            self._rest = self._rest.split(b"\r\n\r\n", 1)[1]
            self.is_open.set()
        while not self.joined.is_set() and (frame := _frame(self._rest)) is not None:
            self._rest = self._rest[len(frame) :]
            if b'"type":"joined"' in frame:
                self.joined.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def send(self, **content: object) -> None:
        """Send one masked text frame (with a mask of zeros, which RFC 6455 does not forbid to a benchmark)."""
        assert self.transport is not None
        payload = json.dumps(content).encode()
        head = (
            bytes((0x81, 0x80 | len(payload)))
            if len(payload) < 126
            else struct.pack("!BBH", 0x81, 0x80 | 126, len(payload))
        )
        self.transport.write(head + b"\0\0\0\0" + payload)

    def pong(self) -> None:
        """Say that somebody is there, unasked."""
        if self.transport is not None and not self.lost:
            self.transport.write(b"\x8a\x80\0\0\0\0")


def _frame(data: bytes) -> bytes | None:
    """The first frame, if all of it is there; it has no more than 64 KiB."""
    if len(data) < 4:
        return None
    start, length = (4, int.from_bytes(data[2:4], "big")) if data[1] == 126 else (2, data[1])
    return data[: start + length] if len(data) >= start + length else None


@dataclass
class Crowd:
    """Sockets in one room. The first `len(tokens)` are logged in and speak."""

    sockets: list[Socket]
    speakers: list[Socket]
    channel: str

    async def talk(self, per_second: float, seconds: float) -> int:
        """Speak in turn, evenly: how many messages were sent."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        total = int(per_second * seconds)
        for number in range(total):
            wait = began + number / per_second - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            speaker = self.speakers[number % len(self.speakers)]
            text = f"{time.monotonic_ns()} is when this message was sent by somebody"
            speaker.send(type="say", channel=self.channel, text=text)
        return total

    async def heard(self, messages: int, within_s: float) -> bool:
        """Whether every socket has heard that many."""
        deadline = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline:
            if all(socket.messages >= messages for socket in self.sockets):
                return True
            await asyncio.sleep(0.05)
        return False

    def close(self) -> None:
        for socket in self.sockets:
            if socket.transport is not None:
                socket.transport.abort()


async def connect(
    address: str | tuple[str, int], tally: Tally, count: int, sample: int = 25
) -> list[Socket]:
    """Open sockets, some at a time. An address is a unix socket's path or a host and port."""
    loop = asyncio.get_running_loop()
    made: list[Socket] = []
    for start in range(0, count, 50):
        batch = [Socket(tally, (start + i) % sample == 0) for i in range(min(50, count - start))]
        for socket in batch:

            def factory(socket: Socket = socket) -> Socket:
                return socket

            if isinstance(address, str):
                await loop.create_unix_connection(factory, address)
            else:
                await loop.create_connection(factory, *address)
        async with asyncio.timeout(30):
            for socket in batch:
                await socket.is_open.wait()
        made += batch
    return made


async def crowd(
    address: str | tuple[str, int],
    tally: Tally,
    channel: str,
    count: int,
    tokens: Iterable[str],
) -> Crowd:
    """Sockets that have joined a room."""
    sockets = await connect(address, tally, count)
    speakers = []
    for socket, token in zip(sockets, tokens, strict=False):
        socket.send(type="hello", token=token)
        speakers.append(socket)
    for start in range(0, count, 100):
        batch = sockets[start : start + 100]
        for socket in batch:
            socket.send(type="join", channel=channel)
        async with asyncio.timeout(60):
            for socket in batch:
                await socket.joined.wait()
    return Crowd(sockets, speakers, channel)
