"""WebSockets: websockets' sans-I/O protocol under an asyncio transport of our own.

Frames for many sockets come ready made and go straight to the transport, one write each; the protocol
object only reads, and writes what is about the connection itself (handshake, pongs, closing). It needs
no lock: everything here runs on the loop.

A reader that is too slow is dropped as soon as more waits for it than the setting allows. What a socket
sends is taken in order, one message at a time; while it is being worked on, the next few wait and then
the socket is no longer read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SERVER
from websockets.protocol import Protocol as FrameProtocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from chat.metrics import ChatMetrics
from core.logs import logger

log = logger(__name__)

MESSAGE_BYTES = 64 * 1024
HANDSHAKE_S = 10.0
HEAD_BYTES = 16 * 1024
CLOSE_S = 2.0
SWEEP_S = 15.0
# Silence after which we ask whether anybody is there, and after which nobody is.
PING_AFTER_S, GONE_AFTER_S = 45.0, 120.0
# Messages that may wait while one is being worked on.
INBOX = 32
# Frames of any kind: so many at once, and then so many a second. A bad one counts ten times.
FLOOD_BURST, FLOOD_RATE, BAD_COST = 240, 20.0, 10
_PING = b"\x89\x00"
_HEAD_END = b"\r\n\r\n"
# One for all sockets, and quiet: what strangers send is not worth a line each.
_PROTOCOL_LOG = logging.getLogger("footlight.websockets")
_PROTOCOL_LOG.setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Visitor:
    """Who opened a socket: what the handshake said."""

    path: str
    origin: str | None
    host: str
    address: str
    cookies: dict[str, str] = field(repr=False)


class Handler(Protocol):
    """What is behind a socket: one dialect."""

    async def handle(self, message: bytes) -> None:
        """Work on one text message. Raises ValueError for one that is no text of this dialect."""
        ...

    def closed(self) -> None:
        """The socket is gone."""
        ...


# A dialect: its subprotocol, who may come in, and what is made for those who do.
@dataclass(frozen=True)
class Entrance:
    """One dialect over WebSocket."""

    path: str
    subprotocol: str | None
    admits: Callable[[Visitor], bool]
    make: Callable[[WebSocket, Visitor], Handler]


class Gateway:
    """Every WebSocket of this process."""

    def __init__(self, entrances: list[Entrance], buffer_bytes: int, metrics: ChatMetrics) -> None:
        self.entrances = entrances
        self.buffer_bytes = buffer_bytes
        self.metrics = metrics
        self.sockets: set[WebSocket] = set()
        self.accepting = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_gone = asyncio.Event()

    def gone(self, socket: WebSocket) -> None:
        """A socket is closed."""
        self.sockets.discard(socket)
        if not self.sockets:
            self._all_gone.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something for one socket; its failure is logged and is that socket's alone."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("socket_failed", exc_info=error)

    async def sweep(self) -> None:
        """Ask silent sockets whether anybody is there, and drop those where nobody is; for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            for socket in list(self.sockets):
                silent = now - socket.heard_at
                if silent > GONE_AFTER_S:
                    socket.drop("silent")
                elif silent > PING_AFTER_S:
                    socket.write(_PING)

    async def close(self, code: int, within_s: float) -> None:
        """Close every socket and wait until they are gone."""
        self.accepting = False
        self._all_gone.clear()
        for socket in list(self.sockets):
            socket.close(code, "")
        if self.sockets:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), within_s)
        for socket in list(self.sockets):
            socket.drop("stopping")
        for task in list(self._tasks):
            task.cancel()


class WebSocket(asyncio.Protocol):
    """One socket."""

    __slots__ = (
        "_allowance",
        "_closing",
        "_fragments",
        "_gateway",
        "_handler",
        "_head",
        "_inbox",
        "_is_open",
        "_protocol",
        "_timer",
        "_transport",
        "_working",
        "heard_at",
    )

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._protocol: FrameProtocol | None = None
        self._handler: Handler | None = None
        # Of the handshake, as long as that is not over.
        self._head: bytes | None = b""
        self._is_open = False
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._inbox: deque[bytes] | None = None
        self._working = False
        self._fragments: list[bytes] | None = None
        self._allowance = float(FLOOD_BURST)
        self.heard_at = asyncio.get_running_loop().time()

    # --- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._gateway.buffer_bytes)
        names = [Subprotocol(e.subprotocol) for e in self._gateway.entrances if e.subprotocol]
        self._protocol = ServerProtocol(
            subprotocols=names,
            select_subprotocol=_select,
            max_size=MESSAGE_BYTES,
            logger=_PROTOCOL_LOG,
        )
        self._gateway.sockets.add(self)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_S, self.drop, "handshake")

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol is None or self._closing:
            return
        if self._head is not None:
            self._introduce(protocol, data)
            return
        protocol.receive_data(data)
        self._after(protocol)

    def _introduce(self, protocol: FrameProtocol, data: bytes) -> None:
        """Take in the handshake, and nothing behind it: those frames are for the next protocol object."""
        head = (self._head or b"") + data
        end = head.find(_HEAD_END)
        if end < 0 and len(head) <= HEAD_BYTES:
            self._head = head
            return
        self._head = None
        end = len(head) if end < 0 else end + len(_HEAD_END)
        protocol.receive_data(head[:end])
        self._after(protocol)
        if self._is_open and end < len(head):
            self.data_received(head[end:])

    def _after(self, protocol: FrameProtocol) -> None:
        for event in protocol.events_received():
            if isinstance(event, Request):
                self._handshake(cast(ServerProtocol, protocol), event)
                return
            if isinstance(event, Frame) and not self._closing:
                self._frame(event)
        self._flush(protocol)

    def eof_received(self) -> bool:
        if self._protocol is not None:
            self._protocol.receive_eof()
            self._flush(self._protocol)
        return False

    def pause_writing(self) -> None:
        """More waits than a reader may leave waiting."""
        self._gateway.metrics.dropped.labels("slow").inc()
        self.drop("slow", count=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.gone(self)
        self._is_open = False
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        handler, self._handler = self._handler, None
        # Breaks the circle of socket, protocol and parser, which would wait for the collector.
        self._protocol = None
        if handler is not None:
            handler.closed()

    # --- handshake --------------------------------------------------------------------------------

    def _handshake(self, protocol: ServerProtocol, request: Request) -> None:
        visitor = _visitor(request, self._peer())
        response = protocol.accept(request)
        entrance = None
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            entrance = self._entrance(visitor, protocol.subprotocol)
            if not self._gateway.accepting:
                response = protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, "stopping\n")
            elif entrance is None:
                response = protocol.reject(HTTPStatus.NOT_FOUND, "There is no chat here.\n")
            elif not entrance.admits(visitor):
                response = protocol.reject(HTTPStatus.FORBIDDEN, "Not from this site.\n")
        protocol.send_response(response)
        if protocol.state is not OPEN or entrance is None:
            self._flush(protocol)
            return
        self._flush(protocol)
        # What the handshake left behind (headers, parser) is as much as the rest of a connection.
        self._protocol = FrameProtocol(SERVER, max_size=MESSAGE_BYTES, logger=_PROTOCOL_LOG)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_open = True
        self._handler = entrance.make(self, visitor)

    def _entrance(self, visitor: Visitor, subprotocol: str | None) -> Entrance | None:
        for entrance in self._gateway.entrances:
            if entrance.subprotocol == subprotocol and entrance.path == visitor.path:
                return entrance
        return None

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return str(peer[0]) if isinstance(peer, tuple) and peer else ""

    # --- messages ---------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        if not self._pays(1):
            return
        opcode = frame.opcode
        if opcode is Opcode.TEXT and frame.fin:
            self._message(bytes(frame.data))
        elif opcode is Opcode.TEXT:
            self._fragments = [bytes(frame.data)]
        elif opcode is Opcode.CONT and self._fragments is not None:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                whole, self._fragments = b"".join(self._fragments), None
                self._message(whole)
        elif opcode is Opcode.BINARY:
            self.fail(1003, "text only")

    def _pays(self, cost: float) -> bool:
        """Charge the sender; False when they have sent too much, and are closed."""
        now = asyncio.get_running_loop().time()
        self._allowance = min(
            float(FLOOD_BURST), self._allowance + (now - self.heard_at) * FLOOD_RATE
        )
        self.heard_at = now
        self._allowance -= cost
        if self._allowance >= 0:
            return True
        self._gateway.metrics.dropped.labels("flood").inc()
        self.fail(1008, "too many frames")
        return False

    def complain(self) -> bool:
        """A message was malformed; False when it was one too many."""
        return self._pays(BAD_COST)

    def _message(self, message: bytes) -> None:
        if not _is_text(message):
            self.fail(1007, "not UTF-8")
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(message)
        if len(self._inbox) >= INBOX and self._transport is not None:
            self._transport.pause_reading()
        if not self._working:
            self._working = True
            self._gateway.spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._inbox and self._handler is not None and not self._closing:
                await self._handler.handle(self._inbox.popleft())
                if len(self._inbox) == INBOX // 2 and self._transport is not None:
                    with contextlib.suppress(RuntimeError):
                        self._transport.resume_reading()
        except Exception:
            log.exception("message_failed")
            self.fail(1011, "")
        finally:
            self._working = False
            # An empty deque takes 600 bytes, and most sockets say nothing most of the time.
            if not self._inbox:
                self._inbox = None

    # --- chat.sessions.Connection -----------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send whole frames. Never waits."""
        if self._is_open and self._transport is not None:
            self._transport.write(data)

    def close(self, code: int, reason: str) -> None:
        """Close after the closing handshake, or without it after a moment."""
        if not self._is_open or self._protocol is None or self._transport is None:
            self.drop("closed", count=False)
            return
        if self._closing:
            return
        self._is_open = False
        self._protocol.send_close(code, reason)
        self._flush(self._protocol)
        self._timer = asyncio.get_running_loop().call_later(CLOSE_S, self.drop, "closed", False)

    def fail(self, code: int, reason: str) -> None:
        """Close at once: the peer broke the protocol."""
        if self._closing or self._protocol is None:
            return
        self._protocol.fail(code, reason)
        self._flush(self._protocol)

    def drop(self, why: str, count: bool = True) -> None:
        """End it without a word."""
        if count:
            self._gateway.metrics.dropped.labels(why).inc()
        self._is_open = False
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _flush(self, protocol: FrameProtocol) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                # The end: nothing more is read or written, and the transport closes when it is sent.
                self._is_open = False
                self._closing = True
                transport.close()


def _select(protocol: ServerProtocol, offered: Any) -> Subprotocol | None:
    """The first subprotocol of the client that we speak; none at all is fine too."""
    ours = protocol.available_subprotocols or ()
    return next((name for name in offered if name in ours), None)


def _is_text(message: bytes) -> bool:
    if message.isascii():
        return True
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def _visitor(request: Request, peer: str) -> Visitor:
    headers = request.headers
    cookies: dict[str, str] = {}
    with contextlib.suppress(CookieError):
        jar = SimpleCookie("; ".join(headers.get_all("Cookie")))
        cookies = {name: morsel.value for name, morsel in jar.items()}
    origins = headers.get_all("Origin")
    # Whoever is not the edge connects from an address of their own; the edge by a unix socket.
    forwarded = headers.get_all("X-Real-IP")
    return Visitor(
        path=urlsplit(request.path).path,
        # Several are as good as a wrong one.
        origin=None if not origins else ",".join(origins),
        host=",".join(headers.get_all("Host")),
        address=peer or (forwarded[0] if forwarded else ""),
        cookies=cookies,
    )


def is_ours(visitor: Visitor, public_url: str) -> bool:
    """Whether a page of this installation opened the socket."""
    if visitor.origin is None:
        return False
    return visitor.origin == public_url or urlsplit(visitor.origin).netloc == visitor.host


@asynccontextmanager
async def listen(
    factory: Callable[[], asyncio.Protocol], address: str, **options: Any
) -> AsyncIterator[asyncio.Server]:
    """Accept connections on `unix:/path` or `host:port`, which several processes may share.

    Raises ValueError for an address of another form.
    """
    loop = asyncio.get_running_loop()
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # noqa: ASYNC240 (once, before anything is served)
        server = await loop.create_unix_server(factory, os.fspath(path), backlog=1024, **options)
    else:
        host, separator, port = address.rpartition(":")
        if not separator or not port.isdigit():
            raise ValueError(f"not an address to listen on: {address!r}")
        server = await loop.create_server(
            factory, host.strip("[]") or None, int(port), reuse_port=True, backlog=1024, **options
        )
    try:
        yield server
    finally:
        server.close()
