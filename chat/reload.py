"""Redis from PostgreSQL: a room's bans, timeouts and warnings, and where its offsets go on.

Needed when Redis does not have the room (never had it, or was emptied), once after every restart of
Redis, which may have lost its last second, and when Redis could not be told of a decision that PostgreSQL
holds. Until it is done nobody gets a word in: the script that accepts messages asks for it first.
"""

from __future__ import annotations

from dataclasses import dataclass

from chat import facts
from chat.metrics import ChatMetrics
from chat.store import Position, Store
from core.db.engine import Database
from core.errors import Unavailable
from core.logs import logger

log = logger(__name__)

ATTEMPTS = 10


@dataclass(frozen=True)
class Reload:
    """Loads rooms into Redis."""

    store: Store
    database: Database
    metrics: ChatMetrics

    async def ensure(self, channel_id: int, seen: int = 0, *, restarted: bool = False) -> Position:
        """Where a room stands, after loading it if it has to be.

        `seen` is the last offset that this process passed on: what lies between it and what
        PostgreSQL holds is lost if Redis was emptied, or forgot its end in a restart. `restarted`: it may be
        another life of the server than the one that the room was loaded into. Raises Unavailable.
        """
        for _ in range(ATTEMPTS):
            position = await self.store.position(channel_id)
            is_known = position is not None and position.run and not restarted
            run = position.run if position is not None and is_known else await self.store.run()
            if position is not None and position.run == run and position.seq >= seen:
                return position
            token = await self.store.begin_restore(channel_id)
            async with self.database.session() as session:
                barred = await facts.barred(session, channel_id)
                warned = await facts.warned(session, channel_id)
                kept = await facts.last_offset(session, channel_id)
            if await self.store.restore(
                channel_id, token, run, kept=kept, seen=seen, barred=barred, warned=warned
            ):
                there = max(kept, 0 if position is None else position.seq)
                if seen > there:
                    self.metrics.lost.inc(seen - there)
                    cause = "emptied" if position is None else "restarted"
                    log.error(
                        "messages_lost", channel_id=channel_id, count=seen - there, cause=cause
                    )
                log.info("room_loaded", channel_id=channel_id, barred=len(barred))
        raise Unavailable("The room cannot be loaded just now.", retry_after=1)
