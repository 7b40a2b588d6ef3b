"""The API on real servers: built in the test's own process, called over its unix socket."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from api.app import operations
from api.openapi import document
from cli.instance import free_port
from core.db.engine import Database, open_database
from core.db.models import Role, User
from core.service import Service
from core.settings import Settings
from tests.api_kit import (
    Account,
    Client,
    Document,
    MailServer,
    Seen,
    fixed_settings,
    running_api,
    running_mail_server,
    watching,
)
from tests.chat_kit import Chat, chat_settings, running_chat
from tests.harness import RunningServers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mail_server() -> AsyncIterator[MailServer]:
    """A mail server that all tests of this folder share."""
    async with running_mail_server() as server:
        yield server


@pytest.fixture(scope="session")
def api_settings(
    servers: RunningServers, mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of the shared API: limits so high that only tests of limits meet them."""
    socket = tmp_path_factory.mktemp("api") / "api.sock"
    settings: Settings = servers.settings(
        **fixed_settings(),
        api_listen=f"unix:{socket}",
        ingest_listen=f"unix:{socket.with_name('ingest.sock')}",
        smtp_url=mail_server.url,
        drain_s=2,
        trusted_proxies=[],
    )
    return settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(api_settings: Settings) -> AsyncIterator[Service]:
    """One API for all tests of this folder."""
    async with running_api(api_settings) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(api: Service) -> AsyncIterator[Client]:
    """A caller who is not logged in."""
    caller = Client(api)
    yield caller
    await caller.close()


@pytest_asyncio.fixture(loop_scope="session")
async def other(api: Service) -> AsyncIterator[Client]:
    """A second caller."""
    caller = Client(api)
    yield caller
    await caller.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(api: Service) -> AsyncIterator[Database]:
    """A pool beside the API's own."""
    async with open_database(api.settings) as opened:
        yield opened


Accounts = Callable[..., Awaitable[Account]]


@pytest.fixture(scope="session")
def described(api_settings: Settings) -> dict[str, Any]:
    """The OpenAPI document."""
    return document(operations(), api_settings)


@pytest_asyncio.fixture(loop_scope="session")
async def account(
    api: Service, database: Database, described: dict[str, Any]
) -> AsyncIterator[Accounts]:
    """`await account()` or `await account(Role.ADMIN)`: a new account that is logged in."""
    made: list[Account] = []

    async def make(role: Role = Role.CREATOR, login: str | None = None) -> Account:
        caller = Account(api)
        caller.document = Document(described)
        made.append(caller)
        caller.user = (await caller.register(login))["user"]
        async with database.session() as session:
            mine = update(User).where(User.id == caller.id)
            await session.execute(mine.values(role=role))
        return caller

    yield make
    for caller in made:
        await caller.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(api: Service) -> AsyncIterator[Chat]:
    """One chat service for all tests of a file.

    Not of the session: it would be asked by tests that run on another loop than its own.
    """
    with tempfile.TemporaryDirectory(prefix="flc-") as folder:
        async with running_chat(chat_settings(api.settings, Path(folder))) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def browser_client(api: Service) -> AsyncIterator[Client]:
    """A caller with a cookie jar."""
    caller = Client(api, cookies=True)
    yield caller
    await caller.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seen(api: Service) -> AsyncIterator[Seen]:
    """The events of the shared API."""
    async with watching(api.settings) as events:
        yield events


@pytest.fixture
def free_address() -> str:
    """host:port on loopback that nobody listens on."""
    return f"127.0.0.1:{free_port(set())}"
