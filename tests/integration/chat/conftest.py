"""The chat service for its tests: one process, or two over the same servers."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.db.engine import open_database
from core.settings import Settings
from tests.chat_kit import Chat, World, chat_settings, running_chat
from tests.harness import RunningServers


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path has little room."""
    with tempfile.TemporaryDirectory(prefix="flc-") as folder:
        yield Path(folder)


@pytest.fixture
def settings(servers: RunningServers, socket_folder: Path) -> Settings:
    """Of the first chat process."""
    return chat_settings(servers.settings(), socket_folder)


@pytest_asyncio.fixture
async def world(servers: RunningServers) -> AsyncIterator[World]:
    """Accounts and channels."""
    settings = servers.settings()
    async with open_database(settings) as database:
        yield World(database, settings)


@pytest_asyncio.fixture
async def chat(settings: Settings) -> AsyncIterator[Chat]:
    """One chat process."""
    async with running_chat(settings) as running:
        yield running


@pytest_asyncio.fixture
async def other(servers: RunningServers, socket_folder: Path) -> AsyncIterator[Chat]:
    """Another one."""
    async with running_chat(chat_settings(servers.settings(), socket_folder, "other")) as running:
        yield running
