"""Objects that a backup is copying are not removed under it.

A backup dumps the database and then copies what the dump names. Whoever removes objects for good asks
here first and comes back later when a backup runs; it waits in its turn for removals that have begun.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from core.db.engine import Database, is_passing

# Any two numbers of our own.
_REMOVALS = 0x0F00_BAC0
_BACKUPS = 0x0F00_BAC1
# A removal that has begun is over after that many seconds, asked for again and again: a command may not
# take as long as that.
_PATIENCE_S = 600
_ASKED_S = 3


async def may_remove(session: AsyncSession) -> bool:
    """Whether objects may be removed until the session's transaction ends."""
    asked = text("select pg_try_advisory_xact_lock_shared(:key)")
    return bool(await session.scalar(asked, {"key": _REMOVALS}))


@asynccontextmanager
async def removal(database: Database) -> AsyncIterator[bool]:
    """Whether objects may be removed inside the block, which is short. Raises Unavailable."""
    async with database.session() as session:
        yield await may_remove(session)


@asynccontextmanager
async def everything_held(database: Database) -> AsyncIterator[AsyncConnection | None]:
    """Nothing is removed inside the block; None when another backup holds it.

    The connection is the hold: as long as it answers, it was never lost.
    """
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        asked = text("select pg_try_advisory_lock(:key)")
        if not await connection.scalar(asked, {"key": _BACKUPS}):
            yield None
            return
        try:
            await _removals_over(connection)
            yield connection
        finally:
            # The session's locks end with it; it must not go back to the pool with them.
            await connection.invalidate()


async def _removals_over(connection: AsyncConnection) -> None:
    """Wait for those that have begun; none begins while somebody waits here."""
    await connection.execute(text(f"set lock_timeout = '{_ASKED_S}s'"))
    for left in reversed(range(_PATIENCE_S // _ASKED_S)):
        try:
            await connection.execute(text("select pg_advisory_lock(:key)"), {"key": _REMOVALS})
        except DBAPIError as error:
            if left == 0 or not is_passing(error):
                raise
        else:
            return
