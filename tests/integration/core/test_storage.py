"""Objects on a real S3 server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.errors import NotFound, Unavailable
from core.storage import Storage, open_storage
from tests.harness import RunningServers


@pytest_asyncio.fixture
async def storage(servers: RunningServers) -> AsyncIterator[Storage]:
    async with open_storage(servers.settings(s3_bucket="test-objects")) as opened:
        await opened.ensure_bucket()
        await opened.ensure_bucket()
        yield opened


async def test_put_get_list_delete(storage: Storage) -> None:
    for key in ("x/1", "x/2", "y/1"):
        await storage.put(key, key.encode() * 100)
    assert await storage.get("x/1") == b"x/1" * 100
    assert await storage.get("x/1", 3, 5) == b"x/1"
    assert await storage.get("x/1", 297) == b"x/1"
    assert [(o.key, o.size) for o in await storage.list("x/")] == [("x/1", 300), ("x/2", 300)]
    await storage.put("x/1", b"new")
    assert await storage.get("x/1") == b"new"
    await storage.delete("x/1", "x/2", "x/none")
    await storage.delete()
    assert await storage.list("x/") == []
    with pytest.raises(NotFound):
        await storage.get("x/1")


async def test_wrong_credentials(servers: RunningServers) -> None:
    async with open_storage(servers.settings(s3_secret_key="wrong")) as stranger:
        with pytest.raises(Unavailable):
            await stranger.check()


async def test_nobody_there(servers: RunningServers) -> None:
    settings = servers.settings(s3_endpoint="http://127.0.0.1:1", request_timeout_s=1)
    async with open_storage(settings) as storage:
        with pytest.raises(Unavailable):
            await storage.get("x")
