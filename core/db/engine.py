"""The connection pool and its sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from core.errors import Unavailable
from core.settings import Settings
from core.version import POSTGRESQL, require

# Classes of SQLSTATE that mean "not now" rather than "wrong": connection exceptions, transactions that
# gave way to another one (deadlocks), insufficient resources, operator intervention (a server that
# shuts down or starts), lock not available.
_PASSING = ("08", "40", "53", "57", "55P03")


class Database:
    """Sessions on one pool.

    Every connection is checked before use, so a restarted server is not noticed.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    def in_use(self) -> int:
        """How many of the pool's connections a transaction holds now."""
        return self.engine.pool.checkedout()  # type: ignore[attr-defined, no-any-return]

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back when the block raises.

        Raises Unavailable when PostgreSQL does not answer; other database errors as they are.
        """
        try:
            async with self._sessions() as session, session.begin():
                yield session
        except Exception as error:
            if is_passing(error):
                raise Unavailable("The database does not answer. Try again in a moment.") from error
            raise

    async def server_version(self) -> str:
        """That of PostgreSQL. Raises Unavailable when it does not answer."""
        async with self.session() as session:
            version = await session.scalar(text("select current_setting('server_version')"))
        # Distributions put their own behind it.
        return str(version).partition(" ")[0]

    async def check(self) -> None:
        """Raise Unavailable unless the database answers, and is new enough."""
        require("PostgreSQL", await self.server_version(), POSTGRESQL)


def is_passing(error: BaseException) -> bool:
    """Whether `error` says that the database cannot be reached or is busy, not that the query was
    wrong.
    """
    if isinstance(error, InterfaceError | OperationalError | TimeoutError | OSError):
        return True
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return error.connection_invalidated or state.startswith(_PASSING)
    return False


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """A pool for one process.

    It connects when first used, so that a process starts without its database.
    """
    timeout = settings.request_timeout_s
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_pre_ping=True,
        pool_recycle=1800,
        # Values of parameters are hashes, addresses and names.
        hide_parameters=True,
        connect_args={
            "timeout": timeout,
            # Above the server's own limit below, which gives the better message; this one holds
            # when the server is stopped (SIGSTOP) or its network is gone.
            "command_timeout": timeout * 2,
            "server_settings": {
                "application_name": "footlight",
                "statement_timeout": str(int(timeout * 1000)),
                "lock_timeout": str(int(timeout * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                "timezone": "UTC",
            },
        },
    )
    try:
        yield Database(engine)
    finally:
        await engine.dispose()
