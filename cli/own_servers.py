"""What `footlight doctor` looks at where `up` starts nothing, with systemd and in containers: the servers that the
settings name, and the schema of their database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from asyncpg import PostgresError
from sqlalchemy.exc import SQLAlchemyError

from cli.findings import Finding, Verdict
from core.bus import Bus, open_bus
from core.cache import check_redis, open_redis, redis_version
from core.db.engine import Database, open_database
from core.db.migrate import SchemaTooNew, known_schemas, refuse_unknown, schema_of
from core.errors import DomainError
from core.settings import PREFIX, Settings
from core.storage import open_storage

#: How long a server may take to answer, seconds.
ASKED_S = 5.0


async def servers(settings: Settings) -> list[Finding]:
    """Whether each answers, is new enough and has what is needed."""
    async with (
        open_database(settings) as database,
        open_redis(settings) as redis,
        open_bus(settings) as bus,
        open_storage(settings) as storage,
    ):

        async def redis_answers() -> str:
            await check_redis(redis)
            return await redis_version(redis)

        async def storage_answers() -> str:
            await storage.check()
            return f"bucket {settings.s3_bucket}"

        return [
            await _asked("PostgreSQL", "DATABASE_URL", lambda: _postgres(database)),
            await _asked("Schema", "DATABASE_URL", lambda: _schema(database)),
            await _asked("Redis", "REDIS_URL", redis_answers),
            await _asked("NATS", "NATS_URL", lambda: _nats(bus)),
            await _asked("S3", "S3_ENDPOINT", storage_answers),
        ]


async def _postgres(database: Database) -> str:
    await database.check()
    return await database.server_version()


async def _nats(bus: Bus) -> str:
    await bus.connected()
    return f"{bus.server_version}, with JetStream"


async def _schema(database: Database) -> str | Finding:
    async with database.engine.connect() as connection:
        schema = await schema_of(connection)
    newest = known_schemas()[0]
    try:
        refuse_unknown(schema)
    except SchemaTooNew as problem:
        first, _, mend = str(problem).partition("\n")
        return Finding(Verdict.BAD, "Schema", first, mend)
    if schema == newest:
        return f"{schema}, the newest of this release"
    text = f"{schema or 'none'}; this release wants {newest}"
    return Finding(Verdict.BAD, "Schema", text, "footlight migrate")


async def _asked(title: str, setting: str, ask: Callable[[], Awaitable[str | Finding]]) -> Finding:
    try:
        async with asyncio.timeout(ASKED_S):
            found = await ask()
    except (DomainError, SQLAlchemyError, PostgresError, OSError, TimeoutError) as problem:
        mend = f"{PREFIX}{setting} says where it is, and who asks"
        return Finding(Verdict.BAD, title, _why(problem), mend)
    return found if isinstance(found, Finding) else Finding(Verdict.GOOD, title, found)


def _why(problem: BaseException) -> str:
    """In our words, and in those of the client library, where it has some."""
    cause = problem
    while cause.__cause__ is not None:
        cause = cause.__cause__
    ours, theirs = (str(each).partition("\n")[0] for each in (problem, cause))
    return f"{ours} ({theirs})" if theirs and theirs != ours else ours or "no answer"
