"""Which servers serve: their versions, and what they were started with."""

from __future__ import annotations

import asyncio

import pytest

from cli import fallback
from cli.instance import free_port
from cli.toolchain import Toolchain
from core import version
from core.bus import open_bus
from core.cache import check_redis, open_redis, redis_version
from core.db.engine import open_database
from core.errors import Unavailable
from tests.harness import RunningServers, eventually_async


async def test_servers_that_are_new_enough(servers: RunningServers, toolchain: Toolchain) -> None:
    """They say of themselves what their programs say."""
    settings = servers.settings()
    async with (
        open_database(settings) as database,
        open_redis(settings) as redis,
        open_bus(settings) as bus,
    ):
        assert await database.server_version() == toolchain.program("postgres").version()
        assert await redis_version(redis) == toolchain.program("redis-server").version()
        await database.check()
        await check_redis(redis)
        await bus.connected()
        await bus.check()


async def test_servers_that_are_too_old(
    servers: RunningServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = servers.settings()
    monkeypatch.setattr("core.db.engine.POSTGRESQL", 99)
    monkeypatch.setattr("core.cache.REDIS", 99)
    async with open_database(settings) as database, open_redis(settings) as redis:
        with pytest.raises(Unavailable, match=r"PostgreSQL \S+ is too old: 99 or newer is needed"):
            await database.check()
        with pytest.raises(Unavailable, match=r"Redis \S+ is too old: 99 or newer is needed"):
            await check_redis(redis)


async def test_a_nats_without_jetstream(servers: RunningServers, toolchain: Toolchain) -> None:
    port = free_port(set())
    nats = await asyncio.create_subprocess_exec(
        toolchain.program("nats-server").path,
        *("-a", "127.0.0.1", "-p", str(port)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with open_bus(servers.settings(nats_url=f"nats://127.0.0.1:{port}")) as bus:

            async def is_there() -> bool:
                return bus.is_connected

            await eventually_async(is_there, what="connected")
            with pytest.raises(Unavailable, match="NATS has no JetStream"):
                await bus.check()
    finally:
        nats.terminate()
        await nats.wait()


def test_up_asks_for_the_same() -> None:
    least = {wanted.title: wanted.version for wanted in fallback.SERVERS}
    assert (least["PostgreSQL"], least["Redis"]) == ((version.POSTGRESQL,), (version.REDIS,))
