"""Floods: of joins, which are held back by address until the queue is too long, and of connections over IRC."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.hub import JOINS, TRY_AGAIN_LATER
from chat.irc_tcp import ADDRESS_CONNECTIONS
from cli.instance import free_port
from core.settings import Settings
from tests.chat_kit import Chat, World, chat_settings, running_chat
from tests.harness import eventually_async


async def test_who_enters_rooms_too_fast_is_closed(
    settings: Settings, world: World, socket_folder: Path
) -> None:
    changed = chat_settings(settings, socket_folder, irc_listen="", rate_limit_factor=2 / JOINS)
    channel = await world.person("owner")
    async with running_chat(changed) as chat:
        client = await chat.client()
        for _ in range(2):
            await client.join(channel)
        await client.send("join", channel=channel.login)
        async with asyncio.timeout(10):
            await client.connection.wait_closed()
        assert client.connection.close_code == TRY_AGAIN_LATER
        assert _counted(chat, "footlight_chat_refused_total", code="too_many_joins") == 1


def _counted(chat: Chat, name: str, **labels: str) -> float:
    return chat.service.metrics.registry.get_sample_value(name, labels) or 0


class Doors:
    """Both ways in for IRC: `port`, and the socket for what comes over TLS."""

    def __init__(self, port: int, proxied: Path, stack: AsyncExitStack) -> None:
        self._port, self._proxied, self._stack = port, proxied, stack

    async def plain(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of 127.0.0.1, which says who it is."""
        return await self._said(*await asyncio.open_connection("127.0.0.1", self._port))

    async def of(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One of another address, over TLS."""
        reader, writer = await asyncio.open_unix_connection(self._proxied)
        writer.write(f"PROXY TCP4 {address} 127.0.0.1 40000 6697\r\n".encode())
        return await self._said(reader, writer)

    async def _said(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._stack.callback(writer.close)
        writer.write(b"NICK justinfan1\r\n")
        return reader, writer


async def _is_in(reader: asyncio.StreamReader) -> bool:
    """Whether a connection is welcomed; or it is told why not, and closed."""
    async with asyncio.timeout(10):
        line = await reader.readline()
        if b" 001 " in line:
            return True
        assert line == b"ERROR :Closing link: too many connections\r\n"
        # Reset, where it had said something that nobody read.
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    return False


@asynccontextmanager
async def _doors(
    settings: Settings, folder: Path, **changes: Any
) -> AsyncIterator[tuple[Chat, Doors]]:
    port = free_port(set())
    changed = chat_settings(
        settings,
        folder,
        irc_listen=f"127.0.0.1:{port}",
        irc_tls_listen="127.0.0.1:1",
        irc_proxied_listen=f"unix:{folder}/irc.sock",
        **changes,
    )
    async with running_chat(changed) as chat, AsyncExitStack() as stack:
        yield chat, Doors(port, folder / "irc.sock", stack)


async def test_an_address_has_so_many_connections_over_irc(
    settings: Settings, socket_folder: Path
) -> None:
    """However they come; those of another address have their own, and one that ends makes room."""
    few = 2 / ADDRESS_CONNECTIONS
    async with _doors(settings, socket_folder, rate_limit_factor=few) as (chat, doors):
        first, leaving = await doors.plain()
        assert await _is_in(first)
        assert await _is_in((await doors.of("127.0.0.1"))[0])
        assert not await _is_in((await doors.plain())[0])
        assert not await _is_in((await doors.of("127.0.0.1"))[0])
        assert await _is_in((await doors.of("192.0.2.7"))[0])
        assert _counted(chat, "footlight_chat_dropped_total", reason="crowded") == 2
        leaving.close()

        async def is_room() -> bool:
            return await _is_in((await doors.plain())[0])

        await eventually_async(is_room, what="there is room again")


async def test_a_trusted_proxy_is_not_one_address(settings: Settings, socket_folder: Path) -> None:
    changes = {"rate_limit_factor": 1 / ADDRESS_CONNECTIONS, "trusted_proxies": ["127.0.0.0/8"]}
    async with _doors(settings, socket_folder, **changes) as (_, doors):
        assert [await _is_in((await doors.plain())[0]) for _ in range(3)] == [True] * 3


async def test_half_of_the_open_files_are_for_irc(
    settings: Settings, socket_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _limit: (4, 4))
    async with _doors(settings, socket_folder) as (_, doors):
        addresses = (f"192.0.2.{number}" for number in range(1, 5))
        welcomed = [await _is_in((await doors.of(address))[0]) for address in addresses]
        assert welcomed == [True, True, False, False]
