"""A backup is taken whenever one is due: by `up`, or by `footlight backup --scheduled` (cli.scheduled)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from cli.supervisor import CommandFailed
from core.settings import Settings

#: After one that failed.
RETRY = timedelta(minutes=15)
_ASKED_S = 10.0


@dataclass(frozen=True)
class Last:
    """When the last backup that was taken ended, and the last that was tried; None: there is none."""

    taken: datetime | None = None
    tried: datetime | None = None


def due(last: Last, interval: timedelta) -> datetime:
    """When the next one is; long ago for a first one."""
    if last.tried is None:
        return datetime.min.replace(tzinfo=UTC)
    failed = last.taken is None or last.tried > last.taken
    return last.tried + (min(RETRY, interval) if failed else interval)


class NotTaken(Exception):
    """A backup that was due could not be taken; the message says why."""


Said = Callable[[str], None]
#: What keeps a backup from being taken now, and may be gone later.
PASSING = (CommandFailed, NotTaken, OSError, TimeoutError, asyncpg.PostgresError)


@asynccontextmanager
async def backups_taken(
    settings: Settings, take: Callable[[], Awaitable[None]], said: Said, failed: Said
) -> AsyncIterator[None]:
    """While the block lasts backups are taken as the settings say."""
    if not settings.backup_place:
        yield
        return
    keeper = asyncio.create_task(keep_taking(settings, take, said, failed), name="backups")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def keep_taking(
    settings: Settings, take: Callable[[], Awaitable[None]], said: Said, failed: Said
) -> None:
    """Take one whenever it is due, for ever. What fails is told and tried again."""
    interval = timedelta(hours=settings.backup_interval_hours)
    while True:
        try:
            wait = due(await last_backup(settings.database_url), interval) - datetime.now(UTC)
            if wait > timedelta():
                # Looked at again now and then: one may be taken by hand meanwhile.
                await asyncio.sleep(min(wait, RETRY).total_seconds())
                continue
            await take()
            said(settings.backup_place)
        except PASSING as problem:
            failed(str(problem) or type(problem).__name__)
            await asyncio.sleep(min(RETRY, interval).total_seconds())


def plain_url(database_url: str) -> str:
    """asyncpg's form of SQLAlchemy's."""
    return re.sub("([?&])ssl=", r"\1sslmode=", database_url.replace("+asyncpg:", ":", 1))


async def last_backup(database_url: str) -> Last:
    """What the table says. Raises OSError, TimeoutError or PostgresError."""
    connection = await asyncpg.connect(plain_url(database_url), timeout=_ASKED_S)
    try:
        row = await connection.fetchrow(
            "select max(ended_at) filter (where error is null) as taken, max(ended_at) as tried from backups"
        )
        return Last(row["taken"], row["tried"])
    finally:
        await connection.close(timeout=_ASKED_S)
