"""The API on real servers: built in the test's own process, called over its unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli.instance import free_port
from core.service import Service
from core.settings import Settings
from tests.api_kit import (
    Client,
    MailServer,
    Seen,
    running_api,
    running_mail_server,
    watching,
)
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
        api_listen=f"unix:{socket}",
        ingest_listen=f"unix:{socket.with_name('ingest.sock')}",
        smtp_url=mail_server.url,
        rate_limit_factor=1000,
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
