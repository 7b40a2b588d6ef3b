"""Publish attempts: who pushed to us and why it was refused, for the dashboard.

Wrong keys cost an attacker nothing, so what is written down is bounded twice: per channel and in all.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from core.buckets import Buckets
from core.db.engine import Database
from core.errors import Unavailable
from core.events import StreamKeyUsed
from core.logs import logger
from core.outbox import emit
from ingest import store
from ingest.metrics import IngestMetrics

log = logger(__name__)

#: Rows a minute for one channel (with a burst of as many), and for keys that name none.
PER_CHANNEL = 20
UNKNOWN = 10
REMEMBERED_CHANNELS = 10_000
#: Waiting to be written while the database is slow; more are dropped.
QUEUE = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as it is kept. `key_id` is set when it was admitted with that key."""

    channel_id: int | None
    code: str
    message: str
    key_id: int | None = None

    @property
    def accepted(self) -> bool:
        return self.key_id is not None


class Attempts:
    """Writes attempts down in the background."""

    def __init__(self, database: Database, metrics: IngestMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._queue: asyncio.Queue[Attempt] = asyncio.Queue(QUEUE)
        self._of_channel: Buckets[int] = Buckets(
            PER_CHANNEL, PER_CHANNEL / 60, most=REMEMBERED_CHANNELS
        )
        self._unknown: Buckets[None] = Buckets(UNKNOWN, UNKNOWN / 60)

    def note(self, attempt: Attempt) -> None:
        """Remember an attempt, unless there were too many."""
        self._metrics.publishes.labels("accepted" if attempt.accepted else attempt.code).inc()
        if self._may(attempt.channel_id, time.monotonic()) and not self._queue.full():
            self._queue.put_nowait(attempt)

    def _may(self, channel: int | None, now: float) -> bool:
        if channel is None:
            return self._unknown.take(None, now) == 0
        return self._of_channel.take(channel, now) == 0

    async def run(self) -> None:
        """Write until cancelled. What cannot be written is dropped: it is a hint, not a record."""
        while True:
            attempt = await self._queue.get()
            try:
                await self._write(attempt)
            except Unavailable as error:
                log.warning("attempt_not_kept", code=attempt.code, reason=error.message)

    async def _write(self, attempt: Attempt) -> None:
        at = datetime.now(UTC)
        async with self._database.session() as session:
            await store.add_attempt(
                session, attempt.channel_id, attempt.accepted, attempt.code, attempt.message
            )
            if attempt.key_id is not None and attempt.channel_id is not None:
                event = StreamKeyUsed(key_id=attempt.key_id, channel_id=attempt.channel_id, at=at)
                await emit(session, event)
