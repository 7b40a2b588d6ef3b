"""Figures of the whole installation that no other process has, for Prometheus: how old the backups are."""

from __future__ import annotations

import asyncio
import contextlib
import time

from prometheus_client import Gauge
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.models import BackupRun, User
from core.errors import Unavailable
from core.metrics import Metrics

INTERVAL_S = 30.0


async def watch_backups(database: Database, metrics: Metrics, interval_s: float) -> None:
    """Show how long ago the last good backup ended, the time there is to be between two, and whether the last
    one failed; until cancelled.
    """
    ended = 0.0
    failed = Gauge(
        "footlight_backup_failed",
        "Whether the last backup could not be taken: 1 or 0.",
        registry=metrics.registry,
    )
    age = Gauge(
        "footlight_backup_age_seconds",
        "Time since the last backup that was taken whole; 0 when there never was one.",
        registry=metrics.registry,
    )
    missing = Gauge(
        "footlight_backup_missing_seconds",
        "For how long there have been accounts and never a backup that was taken whole; 0 when there is one.",
        registry=metrics.registry,
    )
    Gauge(
        "footlight_backup_interval_seconds",
        "Time between two backups, as it is set.",
        registry=metrics.registry,
    ).set(interval_s)
    age.set_function(lambda: max(0.0, time.time() - ended) if ended else 0.0)
    newest = select(BackupRun).order_by(BackupRun.started_at.desc()).limit(1)
    while True:
        with contextlib.suppress(Unavailable):
            async with database.session() as session:
                last = await session.scalar(newest)
                good = await session.scalar(newest.where(BackupRun.error.is_(None)))
                without_s = await without_backup_s(session)
            failed.set(last is not None and last.error is not None)
            missing.set(without_s)
            ended = good.ended_at.timestamp() if good is not None else 0.0
        await asyncio.sleep(INTERVAL_S)


async def without_backup_s(session: AsyncSession) -> float:
    """For how long there has been something to lose, from the first account on, and no good backup of it;
    0 when there is one.
    """
    good = select(BackupRun.id).where(BackupRun.error.is_(None)).exists()
    seconds = func.extract("epoch", func.now() - func.min(User.created_at))
    return max(0.0, float(await session.scalar(select(seconds).where(~good)) or 0.0))
