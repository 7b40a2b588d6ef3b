"""Rooms in Redis: what has to be the same for all processes at every moment.

    chat:{id}:room     hash: epoch, seq (last offset), rev (of settings, terms and roles),
                       flushed (what PostgreSQL holds), run (of the server that it was loaded into;
                       none: its facts are in doubt)
    chat:{id}:barred   hash: user → end of a timeout in ms, 0: a ban
    chat:{id}:warned   hash: users with a warning to acknowledge
    chat:{id}:u:<user> hash: text (digest) and at (ms) of the user's last message
    chat:{id}:t:<user> list: times of the user's messages
    chat:{id}:unique   sorted set: digests of recent texts
    chat:{id}:log      stream: the messages, by offset
    chat:{id}:gone     hash: deleted messages of the log
    chat:{id}          channel: events as `<audience><JSON>` (`Audience`)
    chat:deciding      sorted set: `<channel>:<token>` of decisions under way, by when they began

The braces keep a room's keys on one node of a cluster. None of it is the truth (`chat.reload`).
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from chat import room, wire
from chat.reaching import UNREACHABLE, reaching, unreached
from chat.turnstile import Turnstile
from core.errors import DomainError, Unavailable

_HERE = Path(__file__).parent
ROOMS = "chat:rooms"
CONTROL = "chat:control"
DECIDING = "chat:deciding"
# Offsets that are left out after a loss.
LEAP = 1_000_000
GONE_S = 12 * 3600


class Audience(StrEnum):
    """Who an event is for: the first character of what is published."""

    ALL = "a"
    MODERATORS = "m"
    OTHERS = "v"
    # `u<user id>:`
    ONE = "u"
    # For the processes themselves.
    CONTROL = "c"


class Absent(Exception):
    """Redis does not have the room: it has to be loaded first."""


class Stale(Exception):
    """The decision was made on facts that are no longer so."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a room stands."""

    epoch: str
    seq: int
    rev: str
    flushed: int
    run: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A message of the log, as its frame's JSON."""

    offset: int
    frame: bytes


def channel(channel_id: int) -> str:
    """The name under which a room's events are published."""
    return f"chat:{{{channel_id}}}"


def key(channel_id: int, name: str) -> str:
    """A key of a room."""
    return f"chat:{{{channel_id}}}:{name}"


class Store:
    """All rooms, as this process reaches them. Every method raises Unavailable without Redis."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.turnstile = Turnstile(redis, (_HERE / "accept.lua").read_text())
        self._restore = redis.register_script((_HERE / "restore.lua").read_text())

    async def accept(
        self,
        channel_id: int,
        user_id: int,
        rev: str,
        gate: room.Gate,
        text: str,
        frame: Mapping[str, Any],
        *,
        publish: bool = True,
    ) -> int:
        """Let a message through the gate and publish it: its offset.

        Without `publish` it is charged only (a held message). The same message a second time changes
        nothing. Raises Absent, Stale, or the refusal.
        """
        # The rest of a JSON object whose first members the script writes.
        rest = wire.encode(frame)[1:]
        name = str(user_id)
        about = channel(channel_id)
        try:
            code, number, _at = await self.turnstile.pass_through(
                [
                    f"{about}:room", f"{about}:barred", f"{about}:warned", f"{about}:u:{name}",
                    f"{about}:t:{name}", f"{about}:unique", f"{about}:log",
                ],
                [
                    rev, name, gate.rate, room.RATE_WINDOW_S * 1000, gate.slow_s * 1000,
                    room.UNIQUE_S * 1000 if gate.unique and len(text) > room.UNIQUE_LENGTH else 0,
                    room.DUPLICATE_S * 1000 if gate.duplicates else 0,
                    int(gate.barrable), digest(text), int(publish), rest, about, frame["id"],
                ],
            )  # fmt: skip
        except UNREACHABLE as error:
            raise unreached() from error
        if code == b"ok":
            return int(number)
        raise _refusal(code.decode(), number / 1000)

    async def position(self, channel_id: int) -> Position | None:
        """Where a room stands, or None when Redis does not have it."""
        async with reaching():
            values: Any = await self.redis.hmget(
                key(channel_id, "room"), ["epoch", "seq", "rev", "flushed", "run"]
            )
        if values[0] is None:
            return None
        epoch, seq, rev, flushed, run = (value or b"" for value in values)
        return Position(
            epoch.decode(), int(seq or 0), rev.decode(), int(flushed or 0), run.decode()
        )

    async def log(
        self, channel_id: int, after: int, most: int, until: int | None = None
    ) -> list[Logged]:
        """Messages after an offset, oldest first, deleted ones left in."""
        async with reaching():
            entries: Any = await self.redis.xrange(
                key(channel_id, "log"), f"({after}-0" if after else "-",
                f"{until}-0" if until is not None else "+", count=most,
            )  # fmt: skip
        return [_logged(entry) for entry in entries]

    async def latest(self, channel_id: int, most: int) -> list[Logged]:
        """The last messages, oldest first, deleted ones left in."""
        if most == 0:
            return []
        async with reaching():
            entries: Any = await self.redis.xrevrange(key(channel_id, "log"), count=most)
        return [_logged(entry) for entry in reversed(entries)]

    async def gone(self, channel_id: int) -> set[str]:
        """Ids of the deleted messages of the log."""
        async with reaching():
            names: Any = await self.redis.hkeys(key(channel_id, "gone"))
        return {name.decode() for name in names}

    # --- decisions --------------------------------------------------------------------------------

    @asynccontextmanager
    async def deciding(self, channel_id: int) -> AsyncIterator[None]:
        """Around a decision: a process that dies between PostgreSQL and Redis leaves a trace."""
        trace = f"{channel_id}:{secrets.token_hex(6)}"
        # Without Redis the decision stands in PostgreSQL alone, and its process knows that it does.
        with suppress(Unavailable):
            # The decision itself has to be left some of the time.
            async with reaching(share=0.5):
                await self.redis.zadd(DECIDING, {trace: time.time()})
        try:
            yield
        except DomainError as error:
            if not isinstance(error, Unavailable):
                await self.settled(trace)
            raise
        await self.settled(trace)

    async def settled(self, trace: str) -> None:
        """Nothing is left to do about a decision. One that cannot be struck out is settled once more."""
        with suppress(Unavailable):
            async with reaching():
                await self.redis.zrem(DECIDING, trace)

    async def abandoned(self, older_than_s: float) -> list[tuple[str, int]]:
        """Decisions that nobody has finished, with their channels."""
        async with reaching():
            found: Any = await self.redis.zrangebyscore(
                DECIDING, "-inf", time.time() - older_than_s
            )
        return [(trace.decode(), int(trace.split(b":")[0])) for trace in found]

    async def bar(self, channel_id: int, user_id: int, until_ms: int) -> None:
        """A ban (`until_ms` 0) or timeout holds from now on."""
        async with reaching(), self.redis.pipeline(transaction=True) as pipe:
            pipe.delete(key(channel_id, "restoring"))
            pipe.hset(key(channel_id, "barred"), str(user_id), str(until_ms))
            await pipe.execute()

    async def unbar(self, channel_id: int, user_id: int) -> None:
        """No ban and no timeout holds from now on."""
        async with reaching(), self.redis.pipeline(transaction=True) as pipe:
            pipe.delete(key(channel_id, "restoring"))
            pipe.hdel(key(channel_id, "barred"), str(user_id))
            await pipe.execute()

    async def warn(self, channel_id: int, user_id: int, on: bool) -> None:
        """A warning has to be acknowledged from now on, or was."""
        async with reaching(), self.redis.pipeline(transaction=True) as pipe:
            pipe.delete(key(channel_id, "restoring"))
            if on:
                pipe.hset(key(channel_id, "warned"), str(user_id), "1")
            else:
                pipe.hdel(key(channel_id, "warned"), str(user_id))
            await pipe.execute()

    async def revise(self, channel_id: int) -> None:
        """Settings, terms or roles changed: no process accepts a message on what it knew before."""
        async with reaching(), self.redis.pipeline(transaction=True) as pipe:
            pipe.delete(key(channel_id, "restoring"))
            pipe.hincrby(key(channel_id, "room"), "rev", 1)
            await pipe.execute()

    async def forget(self, channel_id: int, message_ids: Sequence[str]) -> None:
        """These messages are deleted: nobody is given them any more."""
        if not message_ids:
            return
        async with reaching(), self.redis.pipeline(transaction=True) as pipe:
            pipe.hset(key(channel_id, "gone"), mapping=dict.fromkeys(message_ids, "1"))
            pipe.expire(key(channel_id, "gone"), GONE_S)
            await pipe.execute()

    async def publish(
        self, channel_id: int, event: Mapping[str, Any], audience: Audience = Audience.ALL
    ) -> None:
        """Give an event to everybody in the room that it is for, on every process."""
        async with reaching():
            await self.redis.publish(channel(channel_id), audience.encode() + wire.encode(event))

    async def tell(self, channel_id: int, user_id: int, event: Mapping[str, Any]) -> None:
        """Give an event to one user's sockets in the room."""
        async with reaching():
            await self.redis.publish(
                channel(channel_id), f"{Audience.ONE}{user_id}:".encode() + wire.encode(event)
            )

    async def control(self, message: Mapping[str, Any], channel_id: int | None = None) -> None:
        """Tell the processes something: all of them, or those that have the room open."""
        async with reaching():
            if channel_id is None:
                await self.redis.publish(CONTROL, json.dumps(message))
            else:
                await self.publish(channel_id, message, Audience.CONTROL)

    # --- loading ----------------------------------------------------------------------------------

    async def doubt(self, channel_id: int) -> None:
        """A room's facts may be older than PostgreSQL's: nothing is accepted before they are loaded anew."""
        async with reaching(), self.redis.pipeline(transaction=True) as pipe:
            pipe.delete(key(channel_id, "restoring"))
            pipe.hdel(key(channel_id, "room"), "run")
            await pipe.execute()

    async def run(self) -> str:
        """Which life of the server this is."""
        async with reaching():
            return str((await self.redis.info("server"))["run_id"])

    async def begin_restore(self, channel_id: int) -> str:
        """Say that facts are about to be read: the token for `restore`."""
        token = secrets.token_hex(8)
        async with reaching():
            await self.redis.set(key(channel_id, "restoring"), token, ex=60)
            await self.redis.sadd(ROOMS, str(channel_id))
        return token

    async def restore(
        self,
        channel_id: int,
        token: str,
        run: str,
        *,
        kept: int,
        seen: int,
        barred: Mapping[int, int],
        warned: Sequence[int],
    ) -> bool:
        """Put a room's facts in place; False when they changed meanwhile.

        `kept` is the last offset in PostgreSQL, `seen` the last that this process gave out.
        """
        pairs = [str(part) for pair in barred.items() for part in pair]
        async with reaching():
            done = await self._restore(
                keys=[key(channel_id, part) for part in ("room", "barred", "warned", "restoring")],
                args=[
                    token, run, secrets.token_hex(6), kept, seen, LEAP, channel(channel_id),
                    Audience.CONTROL.encode() + wire.encode({"kind": "room"}),
                    len(barred), *pairs, *(str(user) for user in warned),
                ],
            )  # fmt: skip
        return int(done) > 0

    async def rooms(self) -> list[int]:
        """Every room that Redis has or had."""
        async with reaching():
            return sorted(int(name) for name in await self.redis.smembers(ROOMS))

    async def flushed(self, channel_id: int, offset: int, keep: int) -> None:
        """PostgreSQL holds everything up to `offset`; the last `keep` messages stay in the log."""
        async with reaching(), self.redis.pipeline(transaction=False) as pipe:
            pipe.hset(key(channel_id, "room"), "flushed", str(offset))
            if offset > keep:
                pipe.xtrim(key(channel_id, "log"), minid=f"{offset - keep}-0", approximate=True)
            await pipe.execute()

    async def cap(self, channel_id: int, most: int) -> int:
        """Cut the log to `most` messages: how many were lost."""
        async with reaching():
            return int(
                await self.redis.xtrim(key(channel_id, "log"), maxlen=most, approximate=False)
            )


def digest(text: str) -> str:
    """What stands for a text when it is compared with others."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode(), digest_size=12).hexdigest()


def _logged(entry: Any) -> Logged:
    name, fields = entry
    return Logged(int(name.split(b"-")[0]), fields[b"f"])


def _refusal(code: str, wait_s: float) -> Exception:
    makers: dict[str, DomainError] = {
        "banned": room.banned(),
        "timedout": room.timed_out(wait_s),
        "warned": room.warned(),
        "rate": room.too_fast(wait_s),
        "duplicate": room.duplicate(),
        "unique": room.not_unique(),
        "slow": room.too_soon(wait_s),
    }
    if code == "absent":
        return Absent()
    return Stale() if code == "stale" else makers[code]
