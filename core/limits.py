"""Rate limits that hold over all processes: the generic cell rate algorithm in Redis.

Several limits are checked in one round trip, and a request that one of them refuses is charged to
none. Without Redis the answer is `Unavailable`: what is limited here (guessing passwords, making
accounts, sending mail) is refused while it cannot be limited. Whoever is already logged in is not
concerned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.errors import RateLimited, Unavailable

# Times in microseconds by Redis' own clock, so that ours need not agree. KEYS: one per limit. ARGV:
# for each key the interval between two requests at the allowed rate and the tolerance, i.e. the
# whole window. Answer: microseconds until all limits would let the request pass; 0: it has passed
# and is charged.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = 0
local next = {}
for i, key in ipairs(KEYS) do
  local interval, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local due = tonumber(redis.call('GET', key) or now)
  -- Never further ahead than the window allows: a clock that was set back would lock people out.
  due = math.max(math.min(due, now + window), now)
  next[i] = due + interval
  wait = math.max(wait, next[i] - window - now)
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  local ttl = math.ceil((next[i] - now) / 1000) + 1
  redis.call('SET', key, string.format('%.0f', next[i]), 'PX', ttl)
end
return 0
"""


@dataclass(frozen=True)
class Limit:
    """`count` requests at once, and then again one every `window_s / count` seconds."""

    name: str
    count: float
    window_s: float


class Limiter:
    """Checks limits. `factor` multiplies every count."""

    def __init__(self, redis: Redis, factor: float = 1.0) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._factor = factor

    async def charge(self, action: str, limits: Sequence[tuple[Limit, str]]) -> None:
        """Count one `action` against each (limit, subject); subjects are account names, addresses,
        ids.

        Raises RateLimited with the seconds to wait, Unavailable when Redis does not answer.
        """
        # The braces keep the keys of one action on one node of a Redis cluster.
        keys = [f"limit:{{{action}}}:{limit.name}:{subject}" for limit, subject in limits]
        arguments: list[str] = []
        for limit, _ in limits:
            count = max(1.0, limit.count * self._factor)
            arguments += [str(int(limit.window_s * 1e6 / count)), str(int(limit.window_s * 1e6))]
        try:
            wait = int(await self._script(keys=keys, args=arguments))
        except (RedisError, OSError) as error:
            raise Unavailable(
                "This is not possible just now. Try again in a moment.", retry_after=5
            ) from error
        if wait > 0:
            raise RateLimited("Too many attempts.", retry_after=math.ceil(wait / 1e6))
