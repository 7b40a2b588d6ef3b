"""Twitch's IRC dialect over TCP: lines in, lines out. TLS ends in an nginx before it, which says in a line of
the PROXY protocol who it is that comes.

The limits are those of the WebSockets (`chat.gateway`), and so is what happens to a reader that is too slow. How
many connections there may be is limited here: no edge stands before this port.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from chat import gateway, irc, irc_replies
from chat.gateway import Gateway
from chat.hub import Hub
from chat.irc_gateway import IrcHandler
from core.errors import Malformed
from core.http import is_in, network_of, parse_networks
from core.logs import logger
from core.settings import Settings

log = logger(__name__)

# The PROXY protocol, version 1 (haproxy's specification, 2.1): at most 107 bytes.
_PROXY = re.compile(rb"PROXY (?:UNKNOWN[^\r]*|TCP[46] ([0-9A-Fa-f.:]{2,39}) [^\r]+)\r\n")
PROXY_BYTES = 107
# Connections of one address, as of the TLS port (cli.nginx.TlsNginx).
ADDRESS_CONNECTIONS = 1_000


class IrcSockets:
    """Every TCP connection of this process."""

    def __init__(self, hub: Hub, sockets: Gateway, settings: Settings) -> None:
        self.hub = hub
        # For its limits, its counters and its tasks.
        self.gateway = sockets
        self.open: set[IrcSocket] = set()
        self.accepting = True
        # The other half of the files that the process may open is for WebSockets and servers.
        self.most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._most_of_one = max(1, round(ADDRESS_CONNECTIONS * settings.rate_limit_factor))
        self._proxies = parse_networks(settings.trusted_proxies)
        self._open_from: Counter[str] = Counter()
        self._gone = asyncio.Event()

    def admit(self, address: str) -> str | None:
        """Count one more connection of an address: what it is counted as, None when it is one too many."""
        trusted = self._proxies and is_in(address, self._proxies)
        network = "" if trusted else network_of(address)
        if network and self._open_from[network] >= self._most_of_one:
            return None
        self._open_from[network] += 1
        return network

    def forget(self, socket: IrcSocket) -> None:
        """A connection is over."""
        self.open.discard(socket)
        if socket.network is not None:
            self._open_from[socket.network] -= 1
            if not self._open_from[socket.network]:
                del self._open_from[socket.network]
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
_TOO_MANY = f"{irc_replies.TOO_MANY.line()}\r\n".encode()


class IrcSocket(asyncio.Protocol):
    """One TCP connection."""

    __slots__ = (
        "_allowance",
        "_closing",
        "_handler",
        "_inbox",
        "_lines",
        "_proxied",
        "_sockets",
        "_timer",
        "_transport",
        "_working",
        "heard_at",
        "network",
    )

    def __init__(self, sockets: IrcSockets, *, proxied: bool = False) -> None:
        self._sockets = sockets
        # What came of the line that says who it is; None once that is known.
        self._proxied: bytes | None = b"" if proxied else None
        self._transport: asyncio.Transport | None = None
        self._handler: IrcHandler | None = None
        self._lines = irc.Lines()
        self._inbox: deque[bytes] = deque()
        self._working = False
        self._closing = False
        self._allowance = float(gateway.FLOOD_BURST)
        self._timer: asyncio.TimerHandle | None = None
        self.heard_at = asyncio.get_running_loop().time()
        # What it is counted as; None while it is not.
        self.network: str | None = None

    # --- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's unix transports are none of asyncio's.
        made = self._transport = cast(asyncio.Transport, transport)
        if not self._sockets.accepting:
            made.abort()
            return
        made.set_write_buffer_limits(high=self._sockets.gateway.buffer_bytes)
        self._sockets.open.add(self)
        if len(self._sockets.open) > self._sockets.most:
            self._refuse()
        elif self._proxied is None:
            peer = made.get_extra_info("peername")
            self._greet(str(peer[0]) if isinstance(peer, tuple) and peer else "")

    def _greet(self, address: str) -> None:
        self.network = self._sockets.admit(address)
        if self.network is None:
            self._refuse()
            return
        self._handler = IrcHandler(
            self._sockets.hub, self, address, framed=False, complain=self._complain
        )

    def _refuse(self) -> None:
        self._sockets.gateway.metrics.dropped.labels("crowded").inc()
        self.write(_TOO_MANY)
        self.close(1013, "")

    def _introduced(self, data: bytes) -> bytes | None:
        """Read who it is: what comes after that; None while it is not known, or it may not come in."""
        head = (self._proxied or b"") + data
        end = head.find(b"\n", 0, PROXY_BYTES) + 1
        if not end and len(head) < PROXY_BYTES:
            self._proxied = head
            return None
        found = _PROXY.fullmatch(head[:end])
        if found is None:
            self.drop("not_proxied")
            return None
        self._proxied = None
        self._greet((found[1] or b"").decode())
        return None if self._handler is None else head[end:]

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._proxied is not None:
            introduced = self._introduced(data)
            if introduced is None:
                return
            data = introduced
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
async def listen(sockets: IrcSockets, settings: Settings) -> AsyncIterator[None]:
    """Accept IRC over TCP on the settings' addresses: in the clear, and what comes over TLS."""
    async with contextlib.AsyncExitStack() as stack:
        if settings.irc_listen:
            await stack.enter_async_context(
                gateway.listen(lambda: IrcSocket(sockets), settings.irc_listen)
            )
        if settings.irc_tls_listen:
            await stack.enter_async_context(
                gateway.listen(
                    lambda: IrcSocket(sockets, proxied=True), settings.irc_proxied_listen
                )
            )
        yield
