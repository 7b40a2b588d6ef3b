"""Publish attempts: who pushed to us and why it was refused, for the dashboard.

Wrong keys cost an attacker nothing, so what is written down is bounded twice: per channel and in all.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

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


@dataclass(slots=True)
class Bucket:
    """A token bucket of `size`, filled once a minute."""

    size: int
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.size, self.tokens + (now - self.at) * self.size / 60)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


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
        self._buckets: OrderedDict[int | None, Bucket] = OrderedDict()

    def note(self, attempt: Attempt) -> None:
        """Remember an attempt, unless there were too many."""
        self._metrics.publishes.labels("accepted" if attempt.accepted else attempt.code).inc()
        if self._may(attempt.channel_id, time.monotonic()) and not self._queue.full():
            self._queue.put_nowait(attempt)

    def _may(self, channel: int | None, now: float) -> bool:
        size = UNKNOWN if channel is None else PER_CHANNEL
        bucket = self._buckets.setdefault(channel, Bucket(size, size, now))
        self._buckets.move_to_end(channel)
        while len(self._buckets) > REMEMBERED_CHANNELS:
            self._buckets.popitem(last=False)
        return bucket.take(now)

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
