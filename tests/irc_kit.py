"""What tests of the IRC dialect share: a client that speaks lines, over TCP or WebSocket, and app tokens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed

from api.app_tokens.tokens import add_token
from core.app_tokens import Scope
from core.db.engine import Database
from tests.chat_kit import Person

CAPABILITIES = "twitch.tv/tags twitch.tv/commands twitch.tv/membership"
ALL = (Scope.CHAT_READ, Scope.CHAT_EDIT, Scope.CHANNEL_MODERATE)


async def app_token(database: Database, person: Person, *scopes: Scope) -> str:
    """A new app token of somebody's, with all scopes unless some are named."""
    async with database.session() as session:
        _, token = await add_token(
            session, person.id, "test", list(scopes or ALL), timedelta(days=1)
        )
        return token.text


class IrcClient:
    """A connection that speaks IRC. Lines are kept until they are asked for, in order."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[str | None]],
        send: Callable[[str], Awaitable[None]],
    ) -> None:
        self.lines: list[str] = []
        self.raw = send
        self._arrived = asyncio.Event()
        self._reading = asyncio.create_task(self._read(receive))

    async def _read(self, receive: Callable[[], Awaitable[str | None]]) -> None:
        while (text := await receive()) is not None:
            self.lines += [line for line in text.split("\r\n") if line]
            self._arrived.set()
        self._arrived.set()

    async def send(self, *lines: str) -> None:
        """Send lines, one by one."""
        for line in lines:
            await self.raw(f"{line}\r\n")

    async def next(self, pattern: str, within_s: float = 10.0) -> str:
        """The first line that `pattern` is found in; it and all before it are taken away."""
        async with asyncio.timeout(within_s):
            while True:
                self._arrived.clear()
                for index, line in enumerate(self.lines):
                    if re.search(pattern, line):
                        del self.lines[: index + 1]
                        return line
                if self._reading.done():
                    raise AssertionError(f"closed before {pattern!r}; had {self.lines}")
                await self._arrived.wait()

    async def closed(self, within_s: float = 10.0) -> None:
        """Until the server has closed the connection."""
        async with asyncio.timeout(within_s):
            await self._reading

    async def barrier(self) -> list[str]:
        """What has come so far; everything sent before is worked on."""
        await self.send("PING :barrier")
        async with asyncio.timeout(10):
            while not any(line.endswith(":barrier") for line in self.lines):
                self._arrived.clear()
                if self._reading.done():
                    raise AssertionError(f"closed; had {self.lines}")
                await self._arrived.wait()
        found, self.lines = self.lines, []
        return found[:-1]

    async def log_in(
        self, person: Person | None, token: str = "", caps: str = CAPABILITIES
    ) -> None:
        """Say who it is, as tmi.js does, until the greeting is over."""
        if caps:
            await self.send(f"CAP REQ :{caps}")
        if person is None:
            await self.send("PASS SCHMOOPIIE", "NICK justinfan4242")
        else:
            await self.send(f"PASS oauth:{token or person.token}", f"NICK {person.login}")
        await self.next(r" 376 ")

    async def join(self, channel: Person) -> None:
        """Enter a room."""
        await self.send(f"JOIN #{channel.login}")
        await self.next(rf" 366 \S+ #{channel.login} ")
        await self.barrier()

    async def say(self, channel: Person, text: str) -> None:
        """Say something."""
        await self.send(f"PRIVMSG #{channel.login} :{text}")

    async def stop(self) -> None:
        """Stop reading."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def over_tcp(port: int) -> AsyncIterator[IrcClient]:
    """A client over TCP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def receive() -> str | None:
        try:
            line = await reader.readline()
        except ConnectionError:
            return None
        return line.decode() or None

    async def send(text: str) -> None:
        writer.write(text.encode("utf-8", "surrogateescape"))
        await writer.drain()

    client = IrcClient(receive, send)
    try:
        yield client
    finally:
        await client.stop()
        writer.close()


def _speak(connection: ClientConnection) -> IrcClient:
    async def receive() -> str | None:
        try:
            return str(await connection.recv())
        except ConnectionClosed:
            return None

    return IrcClient(receive, connection.send)


@asynccontextmanager
async def over_websocket(address: str, protocol: str | None = "irc") -> AsyncIterator[IrcClient]:
    """A client over WebSocket: `address` is a unix socket's path, or a URL."""
    protocols = None if protocol is None else [protocol]
    opening = (
        unix_connect(address, "ws://chat/", subprotocols=protocols, compression=None)
        if address.startswith("/")
        else connect(address, subprotocols=protocols, compression=None)  # type: ignore[arg-type]
    )
    async with opening as connection:
        client = _speak(connection)
        assert connection.subprotocol == protocol
        yield client
        await client.stop()
