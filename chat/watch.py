"""What is noticed by itself: people who come too fast, and banned ones who come back with another name.

Joins and follows are counted over all processes in windows of the channel's own length. Too many of them tell
the moderators, and raise the shield where the channel wants that. An address is only ever compared, here and by
PostgreSQL; nobody is shown it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from chat.decisions import Desk
from chat.reaching import reaching
from chat.rooms import Room
from chat.sessions import Session
from chat.store import Audience, key
from core.bus import obey_cancellation
from core.db.models import ChatBan, ChatSuspicious, Login, User
from core.errors import DomainError
from core.logs import logger

log = logger(__name__)

TICK_S = 1.0
WINDOW_S = 60
# Newcomers that wait to be looked at; in a flood the oldest are let go, who are not the ones that come now.
WAITING = 1000


class Watch:
    """Counts who comes, for one process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._joins: Counter[int] = Counter()
        self._newcomers: deque[tuple[int, int]] = deque(maxlen=WAITING)
        self._looked_at: dict[tuple[int, int], float] = {}

    def joined(self, room: Room, session: Session) -> None:
        """Somebody has entered a room."""
        if room.facts.raid_guard.get("joins"):
            self._joins[room.id] += 1
        if session.user is not None and session.user.id != room.id:
            pair = (room.id, session.user.id)
            if pair not in self._looked_at:
                self._looked_at[pair] = time.monotonic()
                self._newcomers.append(pair)

    async def run(self) -> None:
        """Look at what has come in; for ever."""
        while True:
            obey_cancellation()
            await asyncio.sleep(TICK_S)
            joins, self._joins = self._joins, Counter()
            try:
                for channel_id, count in joins.items():
                    await self.counted(channel_id, "joins", count)
                while self._newcomers:
                    await self._look_at(*self._newcomers.popleft())
            except DomainError as error:
                log.debug("watch_waits", reason=error.message)
            now = time.monotonic()
            self._looked_at = {p: at for p, at in self._looked_at.items() if now - at < 3600}

    async def counted(self, channel_id: int, what: str, count: int) -> None:
        """So many more joins or follows of a channel, on this process."""
        room = self._desk.rooms.open.get(channel_id)
        guard = {} if room is None else room.facts.raid_guard
        limit = guard.get(what)
        if room is None or not limit:
            return
        window = int(guard.get("window_s") or WINDOW_S)
        name = key(channel_id, f"{what}:{int(time.time() / window)}")
        redis = self._desk.store.redis
        async with reaching():
            total = int(await redis.incrby(name, count))
            await redis.expire(name, 2 * window)
            # Said once a window, by one process.
            tells = total >= int(limit) and await redis.set(f"{name}:told", "1", ex=window, nx=True)
        if tells:
            await self._alarm(room, what, total, window, bool(guard.get("shield")))

    async def _alarm(self, room: Room, what: str, total: int, window: int, shield: bool) -> None:
        log.warning("raid_detected", channel_id=room.id, what=what, count=total)
        text = f"{total} {what} within {window} seconds."
        notice = {
            "type": "notice",
            "channel": room.channel.login,
            "code": "raid_detected",
            "message": f"{text} The shield goes up." if shield else text,
        }
        await self._desk.store.publish(room.id, notice, Audience.MODERATORS)
        if shield and not room.facts.base.shield:
            await self._desk.decide(
                {"op": "shield.set", "channel_id": room.id, "actor": None, "active": True}
            )

    async def _look_at(self, channel_id: int, user_id: int) -> None:
        """Mark an account that was made after a ban, where somebody banned has logged in."""
        theirs, banned = aliased(Login), aliased(Login)
        same = (
            select(ChatBan.user_id)
            .join(banned, banned.user_id == ChatBan.user_id)
            .join(theirs, theirs.address == banned.address)
            .join(User, User.id == theirs.user_id)
            .where(
                ChatBan.channel_id == channel_id,
                ChatBan.expires_at.is_(None),
                ChatBan.user_id != user_id,
                theirs.user_id == user_id,
                theirs.address != "",
                User.created_at > ChatBan.created_at,
            )
        )
        marked = exists().where(
            ChatSuspicious.channel_id == channel_id, ChatSuspicious.user_id == user_id
        )
        async with self._desk.database.session() as session:
            evades = await session.scalar(select(exists(same) & ~marked))
        if evades:
            await self._desk.decide(
                {
                    "op": "suspicious.set",
                    "channel_id": channel_id,
                    "actor": None,
                    "user_id": user_id,
                    "status": "monitored",
                    "source": "ban_evasion",
                }
            )
