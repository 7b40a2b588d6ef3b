"""Redis, which may be emptied or gone at any time: nothing in it is the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from core.errors import Unavailable
from core.settings import Settings
from core.version import REDIS, require


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Redis]:
    """A client with a pool of connections, made when first used and again after Redis was away."""
    timeout = settings.request_timeout_s
    client: Redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=15,
        # One more try at once: a connection of the pool may be from before a restart. Not after a
        # timeout: a frozen Redis would keep everybody waiting twice as long.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        max_connections=64,
    )
    try:
        yield client
    finally:
        await client.aclose()


async def redis_version(client: Redis) -> str:
    """That of Redis, or what stands in for it. Raises Unavailable when it does not answer."""
    try:
        # HELLO is answered by one that is still reading its file, too.
        await client.ping()
        # Unlike INFO no access list forbids it.
        told = await client.execute_command("HELLO")  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        raise Unavailable("Redis does not answer.") from error
    return str(told[b"version"].decode())


async def check_redis(client: Redis) -> None:
    """Raise Unavailable unless Redis answers, and is new enough."""
    require("Redis", await redis_version(client), REDIS)
