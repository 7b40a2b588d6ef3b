"""Alembic's environment: one connection, one transaction, one migrator at a time."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from core.db import video_models  # noqa: F401 (declares its tables)
from core.db.migrate import refuse_unknown, schema_of
from core.db.models import Base

# Any number that nothing else takes; every migrator asks for the same one.
_ADVISORY_LOCK = 0x0F007_11617


def _migrate(connection: Connection) -> None:
    # A migration that waits for a lock blocks everybody behind it: better to fail and be tried
    # again. The session-level lock comes first and may wait, since it is what a second migrator
    # waits for.
    connection.execute(text("set statement_timeout = '10min'"))
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
    connection.execute(text("set lock_timeout = '5s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def _run() -> None:
    url = context.config.attributes["database_url"]
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            refuse_unknown(await schema_of(connection))
            await connection.run_sync(_migrate)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_run())
