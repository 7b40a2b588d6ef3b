"""`up` takes a backup whenever one is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from cli.servers import DATABASE
from cli.supervisor import CommandFailed, Report
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


@asynccontextmanager
async def backups_taken(
    settings: Settings, run: Path, take: Callable[[], Awaitable[None]], say: Report
) -> AsyncIterator[None]:
    """While the block lasts backups are taken as the settings say; `run` has PostgreSQL's socket."""
    if not settings.backup_place:
        yield
        return
    keeper = asyncio.create_task(_keep(settings, run, take, say), name="backups")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _keep(
    settings: Settings, run: Path, take: Callable[[], Awaitable[None]], say: Report
) -> None:
    interval = timedelta(hours=settings.backup_interval_hours)
    while True:
        try:
            wait = due(await last_backup(run), interval) - datetime.now(UTC)
            if wait > timedelta():
                # Looked at again now and then: one may be taken by hand meanwhile.
                await asyncio.sleep(min(wait, RETRY).total_seconds())
                continue
            await take()
            say("Backup", f"taken, in {settings.backup_place}")
        except (CommandFailed, OSError, TimeoutError, asyncpg.PostgresError) as problem:
            say("Backup", f"failed: {problem}; log: backup.log")
            await asyncio.sleep(min(RETRY, interval).total_seconds())


async def last_backup(run: Path) -> Last:
    """What the table says. Raises OSError, TimeoutError or PostgresError."""
    connection = await asyncpg.connect(
        host=str(run), user=DATABASE, database=DATABASE, timeout=_ASKED_S
    )
    try:
        row = await connection.fetchrow(
            "select max(ended_at) filter (where error is null) as taken, max(ended_at) as tried from backups"
        )
        return Last(row["taken"], row["tried"])
    finally:
        await connection.close(timeout=_ASKED_S)
