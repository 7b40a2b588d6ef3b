"""What tests of chat share: the service in the test's own process, accounts, and a client."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed

from chat.app import build
from core.bus import open_bus
from core.db.engine import Database, open_database
from core.db.models import Channel, ChatRole, Follow, Login, User
from core.events import CHAT_DECIDE
from core.service import Service
from core.settings import Settings
from core.tokens import Tokens
from tests.harness import RunningInstance, RunningServers, running_service

_numbers = itertools.count(1)
Frame = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """An account, and an access token of it."""

    id: int
    login: str
    token: str
    login_id: int


class World:
    """Accounts and channels, made straight in the database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self._tokens = Tokens(database, settings)

    async def person(self, name: str = "user", **columns: Any) -> Person:
        """A new account with its channel."""
        login = f"{name}_{next(_numbers)}_{secrets.token_hex(3)}"[:25]
        async with self.database.session() as session:
            user = User(login=login, display_name=login.title(), **columns)
            session.add(user)
            await session.flush()
            session.add(Channel(id=user.id))
            entry = Login(user_id=user.id, expires_at=datetime.now(UTC) + timedelta(days=1))
            session.add(entry)
            await session.flush()
        token, _ = await self._tokens.issue(user.id, entry.id)
        return Person(user.id, login, token, entry.id)

    async def role(self, channel: Person, person: Person, role: str) -> None:
        """Make somebody a moderator or VIP, before the room is open."""
        async with self.database.session() as session:
            session.add(ChatRole(channel_id=channel.id, user_id=person.id, role=role))

    async def follow(self, channel: Person, person: Person, minutes: float = 0) -> None:
        """Make somebody a follower since `minutes` ago."""
        since = datetime.now(UTC) - timedelta(minutes=minutes)
        async with self.database.session() as session:
            session.add(Follow(channel_id=channel.id, user_id=person.id, created_at=since))


class ChatClient:
    """A socket that speaks JSON. What comes is kept until it is asked for, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Frame] = []
        self._arrived = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                self.seen.append(json.loads(text))
                self._arrived.set()
        except ConnectionClosed:
            pass
        finally:
            self._arrived.set()

    async def send(self, kind: str, **content: Any) -> None:
        """Send one frame."""
        await self.connection.send(json.dumps({"type": kind, **content}))

    async def next(
        self,
        kind: str,
        where: Callable[[Frame], bool] = lambda _frame: True,
        within_s: float = 10.0,
        **content: Any,
    ) -> Frame:
        """The first frame of that type and content; it and all before it are taken away."""
        async with asyncio.timeout(within_s):
            while True:
                self._arrived.clear()
                for index, frame in enumerate(self.seen):
                    if (
                        frame["type"] == kind
                        and all(frame.get(name) == value for name, value in content.items())
                        and where(frame)
                    ):
                        del self.seen[: index + 1]
                        return frame
                if self._reading.done():
                    raise AssertionError(f"closed before {kind} {content}; had {self.seen}")
                await self._arrived.wait()

    async def hello(self, person: Person | None = None) -> Frame:
        """Log in: the welcome."""
        await self.send("hello", **({} if person is None else {"token": person.token}))
        return await self.next("welcome")

    async def join(self, channel: Person, **more: Any) -> Frame:
        """Enter a room: what `joined` says."""
        await self.send("join", channel=channel.login, **more)
        return await self.next("joined", channel=channel.login)

    async def say(self, channel: Person, text: str, **more: Any) -> Frame:
        """Say something: the message as it came back, or the error or notice instead."""
        nonce = secrets.token_hex(6)
        await self.send("say", channel=channel.login, text=text, nonce=nonce, **more)
        async with asyncio.timeout(10):
            while True:
                self._arrived.clear()
                for index, frame in enumerate(self.seen):
                    if frame.get("nonce") == nonce:
                        del self.seen[index]
                        return frame
                if self._reading.done():
                    raise AssertionError("closed")
                await self._arrived.wait()

    async def texts(self, count: int) -> list[str]:
        """The next messages' texts."""
        return [(await self.next("message"))["text"] for _ in range(count)]

    async def barrier(self) -> None:
        """Everything sent to this socket so far has arrived."""
        mark = secrets.token_hex(4)
        await self.send("ping", t=mark)
        await self.next("pong", t=mark)

    async def close(self) -> None:
        """Leave."""
        await self.connection.close()
        await self._reading


class Chat:
    """A running chat service, and its clients."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._clients: list[ChatClient] = []

    async def decide(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask for a decision as `api` does."""
        async with open_bus(self.service.settings) as bus:
            await bus.connected()
            return await bus.request(CHAT_DECIDE, question)

    async def client(self, person: Person | None = None, *, greet: bool = True) -> ChatClient:
        """A new socket, logged in."""
        path = self.service.settings.chat_socket_listen.removeprefix("unix:")
        connection = await unix_connect(path, "ws://chat/chat", max_size=None, compression=None)
        client = ChatClient(connection)
        self._clients.append(client)
        if greet:
            await client.hello(person)
        return client

    async def joined(self, channel: Person, person: Person | None = None) -> ChatClient:
        """A new socket in a room."""
        client = await self.client(person)
        await client.join(channel)
        return client

    async def leave(self) -> None:
        """Close every client."""
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def world_of(place: RunningInstance) -> AsyncIterator[World]:
    """The accounts of a whole instance."""
    settings = RunningServers(place.data).settings()
    async with open_database(settings) as database:
        yield World(database, settings)


async def dial(url: str, **options: Any) -> ChatClient:
    """A client of a whole instance, at its public address."""
    address = url.replace("http", "ws", 1) + "/chat"
    return ChatClient(await connect(address, max_size=None, compression=None, **options))


@asynccontextmanager
async def running_chat(settings: Settings) -> AsyncIterator[Chat]:
    """The chat service, ready, in this process."""
    async with running_service("chat", build, settings) as (service, _):
        chat = Chat(service)
        try:
            yield chat
        finally:
            await chat.leave()


def chat_settings(base: Settings, folder: Path, name: str = "chat", **changes: Any) -> Settings:
    """Settings of one chat process with sockets of its own."""
    return base.model_copy(
        update={
            "chat_listen": f"unix:{folder}/{name}.sock",
            "chat_socket_listen": f"unix:{folder}/{name}-ws.sock",
            "drain_s": 2.0,
            **changes,
        }
    )
