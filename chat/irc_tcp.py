"""Twitch's IRC dialect over TCP, with TLS where a certificate is set: lines in, lines out.

The limits are those of the WebSockets (`chat.gateway`), and so is what happens to a reader that is too slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chat import gateway, irc, irc_replies
from chat.gateway import Gateway
from chat.hub import Hub
from chat.irc_gateway import IrcHandler
from core.errors import Malformed
from core.logs import logger
from core.settings import Settings

log = logger(__name__)


class IrcSockets:
    """Every TCP connection of this process."""

    def __init__(self, hub: Hub, sockets: Gateway) -> None:
        self.hub = hub
        # For its limits, its counters and its tasks.
        self.gateway = sockets
        self.open: set[IrcSocket] = set()
        self.accepting = True
        self._gone = asyncio.Event()

    def forget(self, socket: IrcSocket) -> None:
        """A connection is over."""
        self.open.discard(socket)
        if not self.open:
            self._gone.set()

    async def sweep(self) -> None:
        """Ask silent clients whether they are there, and drop those that are not; for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(gateway.SWEEP_S)
            now = loop.time()
            for socket in list(self.open):
                silent = now - socket.heard_at
                if silent > gateway.GONE_AFTER_S:
                    socket.drop("silent")
                elif silent > gateway.PING_AFTER_S:
                    socket.write(_PING)

    async def close(self, within_s: float) -> None:
        """Let every client go, and wait until they are gone."""
        self.accepting = False
        self._gone.set()
        if self.open:
            self._gone.clear()
        for socket in list(self.open):
            socket.close(1012, "")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._gone.wait()
        for socket in list(self.open):
            socket.drop("stopping")


_PING = f"{irc_replies.PING.line()}\r\n".encode()


class IrcSocket(asyncio.Protocol):
    """One TCP connection."""

    __slots__ = (
        "_allowance",
        "_closing",
        "_handler",
        "_inbox",
        "_lines",
        "_sockets",
        "_timer",
        "_transport",
        "_working",
        "heard_at",
    )

    def __init__(self, sockets: IrcSockets) -> None:
        self._sockets = sockets
        self._transport: asyncio.Transport | None = None
        self._handler: IrcHandler | None = None
        self._lines = irc.Lines()
        self._inbox: deque[bytes] = deque()
        self._working = False
        self._closing = False
        self._allowance = float(gateway.FLOOD_BURST)
        self._timer: asyncio.TimerHandle | None = None
        self.heard_at = asyncio.get_running_loop().time()

    # --- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is needed")
        self._transport = transport
        if not self._sockets.accepting:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=self._sockets.gateway.buffer_bytes)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._handler = IrcHandler(
            self._sockets.hub, self, address, framed=False, complain=self._complain
        )
        self._sockets.open.add(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            lines = self._lines.feed(data)
        except Malformed:
            self.drop("line_too_long")
            return
        for line in lines:
            if not self._pays(1):
                return
            if line:
                self._inbox.append(line)
        if len(self._inbox) >= gateway.INBOX and self._transport is not None:
            self._transport.pause_reading()
        if self._inbox and not self._working:
            self._working = True
            self._sockets.gateway.spawn(self._work())

    def pause_writing(self) -> None:
        """More waits than a reader may leave waiting."""
        self.drop("slow")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sockets.forget(self)
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.closed()

    # --- lines ------------------------------------------------------------------------------------

    def _complain(self) -> bool:
        return self._pays(gateway.BAD_COST)

    def _pays(self, cost: float) -> bool:
        """Charge the sender; False when they have sent too much, and are gone."""
        now = asyncio.get_running_loop().time()
        earned = (now - self.heard_at) * gateway.FLOOD_RATE
        self._allowance = min(float(gateway.FLOOD_BURST), self._allowance + earned) - cost
        self.heard_at = now
        if self._allowance >= 0:
            return True
        self.drop("flood")
        return False

    async def _work(self) -> None:
        try:
            while self._inbox and self._handler is not None and not self._closing:
                if not await self._handler.take(self._inbox.popleft()):
                    return
                if len(self._inbox) == gateway.INBOX // 2 and self._transport is not None:
                    # It may be closed by now.
                    with contextlib.suppress(RuntimeError):
                        self._transport.resume_reading()
        except Exception:
            log.exception("line_failed")
            self.drop("failed")
        finally:
            self._working = False

    # --- chat.sessions.Connection -----------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send lines. Never waits."""
        if not self._closing and self._transport is not None:
            self._transport.write(data)

    def close(self, code: int, reason: str) -> None:
        """Close when what was written is sent; IRC has no codes."""
        if self._closing or self._transport is None:
            return
        self._closing = True
        self._transport.close()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(gateway.CLOSE_S, self._transport.abort)

    def drop(self, why: str) -> None:
        """End it without a word."""
        if self._closing:
            return
        self._sockets.gateway.metrics.dropped.labels(why).inc()
        self._closing = True
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def listen(sockets: IrcSockets, settings: Settings) -> AsyncIterator[asyncio.Server]:
    """Accept IRC over TCP on the setting's address, with TLS where a certificate is set."""
    context = None
    if settings.irc_tls_certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.irc_tls_certificate, settings.irc_tls_key)
    async with gateway.listen(
        lambda: IrcSocket(sockets), settings.irc_listen, ssl=context
    ) as server:
        yield server
