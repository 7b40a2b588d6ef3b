"""Wrong keys cannot flood the table."""

from __future__ import annotations

from core.db.engine import Database
from core.metrics import Metrics
from ingest.attempts import PER_CHANNEL, QUEUE, UNKNOWN, Attempt, Attempts
from ingest.metrics import IngestMetrics


async def test_what_is_kept_is_bounded_and_what_is_counted_is_not() -> None:
    metrics = IngestMetrics(Metrics())
    attempts = Attempts(Database.__new__(Database), metrics)
    for _ in range(1000):
        attempts.note(Attempt(None, "unknown_key", ""))
        attempts.note(Attempt(7, "wrong_key", ""))
    attempts.note(Attempt(8, "accepted", "", key_id=1))
    assert attempts._queue.qsize() == UNKNOWN + PER_CHANNEL + 1 <= QUEUE
    assert metrics.publishes.labels("wrong_key")._value.get() == 1000
    assert metrics.publishes.labels("accepted")._value.get() == 1
