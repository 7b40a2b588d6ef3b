"""Views: each viewer counts once a day for a video or clip, and counts reach the database in batches.

Who has been counted, and what is not written yet, is in Redis, where a view costs one round trip.
Should Redis be emptied, the counts of the last seconds are lost, and viewers of today may count again.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.operations import AnyCall
from core.bus import Bus, obey_cancellation
from core.errors import DomainError, Unavailable
from core.events import recorder_question
from core.logs import logger

log = logger(__name__)

WRITE_S = 3.0
# Most that one question to recorder carries.
BATCH = 1000
_KEEP_S = 2 * 86400
# KEYS: who was counted today, what waits. ARGV: viewer, id, seconds. The braces of the keys keep both on
# one node of a Redis cluster.
_COUNT = """
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
"""
# KEYS: what waits. ARGV: how many. Takes some out.
_TAKE = """
local some = redis.call('HRANDFIELD', KEYS[1], ARGV[1], 'WITHVALUES')
for i = 1, #some, 2 do redis.call('HDEL', KEYS[1], some[i]) end
return some
"""


class Viewed(StrEnum):
    """What is viewed. The values are how recorder's questions begin."""

    VIDEO = "video"
    CLIP = "clip"


class Viewings:
    """Counts views, and has recorder write them."""

    def __init__(self, redis: Redis, bus: Bus) -> None:
        self._redis = redis
        self._bus = bus
        self._count = redis.register_script(_COUNT)
        self._take = redis.register_script(_TAKE)

    async def count(self, what: Viewed, viewed_id: str, viewer: str) -> None:
        """Somebody has begun to watch; `viewer` stands for them. Raises Unavailable."""
        day = f"{datetime.now(UTC):%Y%m%d}"
        keys = [f"{{views}}:seen:{what}:{viewed_id}:{day}", _waiting(what)]
        try:
            await self._count(keys=keys, args=[viewer, viewed_id, _KEEP_S])
        except (RedisError, OSError) as error:
            raise Unavailable("This is not possible just now.", retry_after=5) from error

    async def run(self) -> None:
        """Write counts every few seconds; for ever."""
        while True:
            obey_cancellation()
            await asyncio.sleep(WRITE_S)
            for what in Viewed:
                try:
                    while await self.write(what) == BATCH:
                        pass
                except (DomainError, RedisError, OSError) as error:
                    log.debug("views_wait", what=str(what), reason=str(error))

    async def write(self, what: Viewed) -> int:
        """Have a batch written: how many videos or clips it was about."""
        taken: list[bytes] = await self._take(keys=[_waiting(what)], args=[BATCH])
        counts = {i.decode(): int(n) for i, n in zip(taken[::2], taken[1::2], strict=True)}
        if not counts:
            return 0
        try:
            await self._bus.request(recorder_question(f"{what}.views"), {"counts": counts})
        except DomainError:
            await self._give_back(what, counts)
            raise
        return len(counts)

    async def _give_back(self, what: Viewed, counts: dict[str, int]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for viewed_id, number in counts.items():
                pipe.hincrby(_waiting(what), viewed_id, number)
            await pipe.execute()


def _waiting(what: Viewed) -> str:
    return f"{{views}}:waiting:{what}"


def viewer_of(call: AnyCall) -> str:
    """What stands for whoever asks: their account, or their address and browser."""
    actor = call.maybe_actor
    if actor is not None:
        return str(actor.id)
    browser = call.request.headers.get("User-Agent", "")[:200]
    return call.api.limit_subject(f"{call.address} {browser}")
