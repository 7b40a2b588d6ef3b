"""A small RTMP client that publishes what a test wants, the way a test wants it.

ffmpeg can only push well-formed media and stop politely. This one knows which message left and when,
stops as OBS does, resets its connection, freezes, asks for names no encoder would, and sends bytes
that are no RTMP at all. Adobe's RTMP 1.0 specification and AMF 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.e2e.samples import AUDIO, SCRIPT, VIDEO, Tag

SET_CHUNK_SIZE, USER_CONTROL, COMMAND = 1, 4, 20
PING_REQUEST, PONG = 6, 7
CHUNK = 60_000
HANDSHAKE = 1536
EXTENDED = 0xFFFFFF
#: Chunk stream of each kind of message, as encoders choose them.
CHANNELS = {AUDIO: 4, VIDEO: 6, SCRIPT: 5}


class Rejected(Exception):
    """The server refused, or closed the connection."""


def amf(*values: Any) -> bytes:
    """AMF 0 values: numbers, strings, None and flat objects (dict)."""
    out = bytearray()
    for value in values:
        if value is None:
            out += b"\x05"
        elif isinstance(value, bool):
            out += bytes([1, value])
        elif isinstance(value, int | float):
            out += b"\x00" + struct.pack(">d", value)
        elif isinstance(value, str):
            text = value.encode()
            out += b"\x02" + struct.pack(">H", len(text)) + text
        else:
            out += b"\x03"
            for name, inner in value.items():
                out += struct.pack(">H", len(name)) + name.encode() + amf(inner)
            out += b"\x00\x00\x09"
    return bytes(out)


def from_amf(data: bytes) -> list[Any]:
    """The AMF 0 values of a command, as far as servers send them."""
    values: list[Any] = []
    at = 0
    while at < len(data):
        value, at = _read_amf(data, at)
        values.append(value)
    return values


def _read_amf(data: bytes, at: int) -> tuple[Any, int]:
    kind, at = data[at], at + 1
    if kind == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind == 1:
        return bool(data[at]), at + 1
    if kind == 2:
        size = struct.unpack_from(">H", data, at)[0]
        return data[at + 2 : at + 2 + size].decode(), at + 2 + size
    if kind in (3, 8):
        at += 4 if kind == 8 else 0
        found: dict[str, Any] = {}
        while data[at : at + 3] != b"\x00\x00\x09":
            size = struct.unpack_from(">H", data, at)[0]
            name = data[at + 2 : at + 2 + size].decode()
            found[name], at = _read_amf(data, at + 2 + size)
        return found, at + 3
    return None, at


@dataclass
class _Chunk:
    """What one chunk stream of the server's is in the middle of."""

    size: int = 0
    kind: int = 0
    extended: bool = False
    data: bytearray = field(default_factory=bytearray)


class Connection:
    """One RTMP connection. As a context manager it is reset on leaving, unless it was ended before."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened_at = time.monotonic()
        #: When the server closed it, on the monotonic clock.
        self.closed_at: float | None = None
        self.closed = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._chunk_in = 128
        self._transaction = 1.0
        self._stream = 1
        self._answers: asyncio.Queue[list[Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, port: int, *, source: str = "127.0.0.1", app: str = "live") -> Self:
        """Shake hands with the server on `port` of this machine, from the address `source`, and
        connect to its application. Raises Rejected.
        """
        connection = await cls.dial(port, source=source)
        try:
            await connection.shake_hands()
            connection.set_chunk_size(CHUNK)
            await connection.connect(app)
        except BaseException:
            await connection.cut()
            raise
        return connection

    @classmethod
    async def dial(cls, port: int, *, source: str = "127.0.0.1") -> Self:
        """A TCP connection and nothing more."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def shake_hands(self) -> None:
        """The simple handshake, 5.2. From here on what the server says is read."""
        self.send_raw(b"\x03" + bytes(8) + os.urandom(HANDSHAKE - 8))
        try:
            answer = await self._reader.readexactly(1 + 2 * HANDSHAKE)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Rejected("no handshake") from error
        self.send_raw(answer[1 : 1 + HANDSHAKE])
        self._task = asyncio.create_task(self._listen(), name="rtmp")

    # What a publisher says

    async def connect(self, app: str = "live") -> None:
        """`connect` to an application."""
        await self._call("connect", {"app": app, "type": "nonprivate", "flashVer": "FMLE/3.0"})

    async def publish(self, name: str) -> None:
        """`publish` under `name` (a stream key); returns when the server lets it begin. Raises Rejected."""
        self._command(0, "releaseStream", self._next(), None, name)
        self._stream = int(await self._call("createStream", None))
        self._command(self._stream, "publish", self._next(), None, name, "live")
        await self._status("NetStream.Publish.Start")

    async def play(self, name: str) -> None:
        """`play` what is published as `name`. Raises Rejected."""
        self._stream = int(await self._call("createStream", None))
        self._command(self._stream, "play", self._next(), None, name)
        await self._status("NetStream.Play.Start")

    def send(self, tag: Tag) -> None:
        """One message of media. Silently nothing once the connection is gone."""
        self.send_message(tag.kind, tag.payload, tag.time, CHANNELS[tag.kind], self._stream)

    async def push(
        self, tags: Iterable[Tag], *, began: float | None = None, delay_s: float = 0.0
    ) -> float:
        """Send `tags` in real time, each at its own time after `began` (monotonic, default now).

        Returns when the last one has left: `began`. Raises Rejected when the server closes before.
        """
        began = time.monotonic() if began is None else began
        for tag in tags:
            wait = began + delay_s + tag.time / 1000 - time.monotonic()
            if wait > 0.002:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.closed.wait(), wait)
            if self.closed.is_set():
                raise Rejected("closed by the server")
            self.send(tag)
            await self.drain()
        return began

    async def stop(self) -> None:
        """OBS's Stop: unpublish, then close."""
        self._command(0, "FCUnpublish", self._next(), None, "")
        self._command(0, "deleteStream", self._next(), None, self._stream)
        await self.drain()
        self._writer.close()
        await self._end()

    async def cut(self) -> None:
        """Reset the connection, as a lost uplink does."""
        self._writer.transport.abort()
        await self._end()

    async def drain(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    # Raw

    def set_chunk_size(self, size: int) -> None:
        self.send_message(SET_CHUNK_SIZE, struct.pack(">I", size & 0xFFFFFFFF), 0, 2, 0)

    def send_message(self, kind: int, payload: bytes, at: int, channel: int, stream: int) -> None:
        """One message as chunks of type 0 and 3, 5.3; `at` in milliseconds."""
        extended = struct.pack(">I", at) if at >= EXTENDED else b""
        head = bytes([channel]) + min(at, EXTENDED).to_bytes(3, "big")
        head += len(payload).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little")
        chunks = [head + extended + payload[:CHUNK]]
        for start in range(CHUNK, len(payload), CHUNK):
            chunks.append(bytes([0xC0 | channel]) + extended + payload[start : start + CHUNK])
        self.send_raw(b"".join(chunks))

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are."""
        if not self._writer.transport.is_closing():
            self._writer.write(data)

    # The server's side

    def _next(self) -> float:
        self._transaction += 1
        return self._transaction

    def _command(self, stream: int, *values: Any) -> None:
        self.send_message(COMMAND, amf(*values), 0, 3, stream)

    async def _call(self, name: str, *arguments: Any) -> Any:
        number = self._next()
        self._command(0, name, number, *arguments)
        while True:
            answer = await self._answer()
            if answer[0] in ("_result", "_error") and answer[1] == number:
                if answer[0] == "_error":
                    raise Rejected(f"{name}: {answer[3:]}")
                return answer[3] if len(answer) > 3 else None

    async def _status(self, wanted: str) -> None:
        while True:
            answer = await self._answer()
            if answer[0] != "onStatus":
                continue
            info = answer[3] if isinstance(answer[3], dict) else {}
            if info.get("level") == "error":
                raise Rejected(str(info.get("code")))
            if info.get("code") == wanted:
                return

    async def _answer(self) -> list[Any]:
        get = asyncio.ensure_future(self._answers.get())
        closed = asyncio.ensure_future(self.closed.wait())
        try:
            await asyncio.wait((get, closed), return_when=asyncio.FIRST_COMPLETED)
            if not get.done():
                raise Rejected("closed by the server")
            return get.result()
        finally:
            closed.cancel()
            get.cancel()

    async def _listen(self) -> None:
        streams: dict[int, _Chunk] = {}
        try:
            while True:
                await self._read_chunk(streams)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed_at = time.monotonic()
            self.closed.set()

    async def _read_chunk(self, streams: dict[int, _Chunk]) -> None:
        read = self._reader.readexactly
        first = (await read(1))[0]
        chunk = streams.setdefault(first & 0x3F, _Chunk())
        form = first >> 6
        if form < 3:
            head = await read((11, 7, 3)[form])
            chunk.extended = int.from_bytes(head[:3], "big") == EXTENDED
            if form < 2:
                chunk.size, chunk.kind = int.from_bytes(head[3:6], "big"), head[6]
        if chunk.extended:
            await read(4)
        chunk.data += await read(min(self._chunk_in, chunk.size - len(chunk.data)))
        if len(chunk.data) == chunk.size:
            self._message(chunk.kind, bytes(chunk.data))
            chunk.data.clear()

    def _message(self, kind: int, data: bytes) -> None:
        if kind == SET_CHUNK_SIZE:
            self._chunk_in = int.from_bytes(data[:4], "big")
        elif kind == USER_CONTROL and int.from_bytes(data[:2], "big") == PING_REQUEST:
            self.send_message(USER_CONTROL, struct.pack(">H", PONG) + data[2:], 0, 2, 0)
        elif kind == COMMAND:
            self._answers.put_nowait(from_amf(data))

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.closed.set()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
