"""Servers that are to take another instance: emptied first, and put in order afterwards."""

from __future__ import annotations

import contextlib

import nats
import redis.asyncio
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from redis.exceptions import RedisError
from sqlalchemy import select, text

from cli.instance import SetupError
from core.db.engine import Database, open_database
from core.db.models import Stream, StreamStatus
from core.db.video_models import Video, VideoStatus
from core.settings import Settings
from ingest.records import Records
from recorder import broadcasts

#: The stream that core.bus makes again when it is not there.
EVENTS = "footlight"


async def ready_for_another(settings: Settings, *, replace: bool) -> None:
    """Empty the database, Redis and NATS. Raises SetupError for an instance that is not to be replaced,
    or that still runs.
    """
    async with open_database(_patient(settings)) as database:
        await _refuse(database, replace=replace)
        async with database.session() as session:
            await session.execute(text("drop schema public cascade"))
            await session.execute(text("create schema public authorization pg_database_owner"))
            await session.execute(text("grant usage on schema public to public"))
    await _forget(settings)


def _patient(settings: Settings) -> Settings:
    """What is done to a whole database takes longer than a request."""
    return settings.model_copy(update={"request_timeout_s": 300.0})


async def _refuse(database: Database, *, replace: bool) -> None:
    services = text(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and application_name = 'footlight'"
    )
    async with database.session() as session:
        if await session.scalar(services):
            raise SetupError("Services still use the database: stop all of them first.")
        there = await session.scalar(text("select to_regclass('users')"))
        if not replace and there and await session.scalar(text("select exists(table users)")):
            raise SetupError(
                "There is an instance in the database. Name an empty one, or have all of it removed with "
                "--replace."
            )


async def _forget(settings: Settings) -> None:
    """Redis and NATS hold nothing of worth, and would tell of what is not there any more."""
    client = redis.asyncio.Redis.from_url(settings.redis_url, socket_timeout=30)
    try:
        await client.flushdb()
    except (OSError, RedisError) as error:
        raise SetupError(f"Redis cannot be emptied: {error}") from error
    finally:
        await client.aclose()
    try:
        connection = await nats.connect(
            settings.nats_url.split(","), max_reconnect_attempts=1, connect_timeout=10
        )
        try:
            with contextlib.suppress(NotFoundError):
                await connection.jetstream().delete_stream(EVENTS)
        finally:
            await connection.close()
    except (OSError, NatsError) as error:
        raise SetupError(f"NATS cannot be emptied: {error}") from error


async def come_to_rest(settings: Settings) -> None:
    """What ran when the backup was taken does not run any more: its streams end, and what was recorded of
    them until then becomes their videos.
    """
    async with open_database(_patient(settings)) as database:
        async with database.session() as session:
            running = Stream.status != StreamStatus.ENDED
            nodes = list(await session.scalars(select(Stream.node).where(running).distinct()))
            live = list(
                await session.scalars(select(Video.id).where(Video.status == VideoStatus.LIVE))
            )
        for node in nodes:
            records = Records(database, node)
            for row in await records.running():
                await records.lose(row)
        for video_id in live:
            async with database.session() as session:
                await broadcasts.finish(session, video_id, cut=True)
