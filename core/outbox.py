"""The transactional outbox: an event is a row of the transaction it tells of, and is published
afterwards.

What is committed is published, once NATS is there, in the order of the ids; what is rolled back
never is. The relay may publish a row twice (it died before deleting it): the message id makes
JetStream keep one, and consumers are idempotent beyond that window.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from prometheus_client import Gauge
from sqlalchemy import delete, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus, obey_cancellation
from core.db.engine import Database
from core.db.models import OutboxEvent
from core.errors import Unavailable
from core.events import Event
from core.logs import logger
from core.metrics import Metrics
from core.settings import Settings

log = logger(__name__)

CHANNEL = "footlight_outbox"
BATCH = 100
# Notifications make it immediate; this finds what was committed while nobody listened.
POLL_S = 1.0
RETRY_S = 0.5
# How often its length and age are looked at.
WATCH_S = 5.0
# One relay at a time over all processes, or order would be lost. Any number that nothing else
# takes.
_ADVISORY_LOCK = 0x0F007_0B0C


async def emit(session: AsyncSession, event: Event) -> None:
    """Add `event` to the caller's transaction."""
    session.add(
        OutboxEvent(
            message_id=uuid.uuid4().hex,
            subject=event.subject,
            payload=event.model_dump(mode="json"),
        )
    )
    # Sent by PostgreSQL when the transaction commits.
    await session.execute(select(func.pg_notify(CHANNEL, "")))


async def relay(database: Database, bus: Bus, settings: Settings) -> None:
    """Publish what the outbox holds, as it comes; runs until cancelled.

    Every service may run one.
    """
    async with _wake_ups(settings) as wake:
        while True:
            obey_cancellation()
            wake.clear()
            try:
                more = await relay_once(database, bus)
            except Unavailable as error:
                log.debug("outbox_waits", reason=error.message)
                await asyncio.sleep(RETRY_S)
                continue
            if not more:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), POLL_S)


async def relay_once(database: Database, bus: Bus) -> bool:
    """Publish and remove one batch; whether there may be more. Raises Unavailable."""
    async with database.session() as session:
        mine = await session.scalar(
            text("select pg_try_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
        )
        if not mine:
            return False
        rows = (
            await session.scalars(select(OutboxEvent).order_by(OutboxEvent.id).limit(BATCH))
        ).all()
        done = []
        failure: Unavailable | None = None
        for row in rows:
            try:
                await bus.publish(row.subject, json.dumps(row.payload).encode(), row.message_id)
            except Unavailable as error:
                failure = error
                break
            done.append(row.id)
        if done:
            await session.execute(delete(OutboxEvent).where(OutboxEvent.id.in_(done)))
    if failure is not None:
        raise failure
    return len(rows) == BATCH


async def watch(database: Database, metrics: Metrics) -> None:
    """Show how much waits to be published and for how long; runs until cancelled.

    One service of an installation does: all would say the same.
    """
    count = Gauge(
        "footlight_outbox_events", "Events that wait for NATS.", registry=metrics.registry
    )
    age = Gauge(
        "footlight_outbox_age_seconds",
        "Age of the oldest event that waits for NATS; 0 when none does.",
        registry=metrics.registry,
    )
    oldest = func.extract("epoch", func.clock_timestamp() - func.min(OutboxEvent.created_at))
    query = select(func.count(), func.coalesce(oldest, 0))
    while True:
        with contextlib.suppress(Unavailable):
            async with database.session() as session:
                waiting, seconds = (await session.execute(query)).one()
            count.set(waiting)
            age.set(max(0.0, float(seconds)))
        await asyncio.sleep(WATCH_S)


@asynccontextmanager
async def _wake_ups(settings: Settings) -> AsyncIterator[asyncio.Event]:
    """An event that is set when a transaction with an outbox row commits."""
    wake = asyncio.Event()
    listener = asyncio.create_task(_listen(settings, wake), name="outbox-listen")
    try:
        yield wake
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener


async def _listen(settings: Settings, wake: asyncio.Event) -> None:
    url = make_url(settings.database_url).set(drivername="postgresql")
    while True:
        closed = asyncio.Event()
        try:
            connection = await asyncpg.connect(
                url.render_as_string(hide_password=False), timeout=settings.request_timeout_s
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # Polling serves meanwhile.
            await asyncio.sleep(POLL_S)
            continue
        try:
            connection.add_termination_listener(lambda _c, closed=closed: closed.set())
            await connection.add_listener(CHANNEL, lambda *_: wake.set())
            wake.set()
            await closed.wait()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(POLL_S)
        finally:
            connection.terminate()
