"""Who is in a room, over all processes: each says what it has every few seconds, and adds up.

Nothing is sent when somebody comes or goes: in a large room that would be most of the traffic.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

from chat.reaching import reaching
from chat.registry import Rooms
from chat.room import Rank
from chat.rooms import Room
from chat.store import Store, key
from core.bus import obey_cancellation
from core.errors import Unavailable
from core.logs import logger

log = logger(__name__)

TICK_S = 3.0
# What a process has said counts for this long.
FRESH_S = 12.0
# Names that a list of a room has at most, over all processes.
NAMED = 1000


class Presence:
    """What this process says about its rooms."""

    def __init__(self, store: Store, rooms: Rooms) -> None:
        self._store = store
        self._rooms = rooms
        self._name = secrets.token_hex(6)
        self._told: dict[int, int] = {}

    async def run(self) -> None:
        """Say who is here and tell rooms their count when it has changed; for ever."""
        while True:
            obey_cancellation()
            await asyncio.sleep(TICK_S)
            try:
                for room in list(self._rooms.open.values()):
                    await self._say(room)
            except Unavailable as error:
                log.debug("presence_waits", reason=error.message)

    async def _say(self, room: Room) -> None:
        said = json.dumps({"at": time.time(), "count": room.size, "names": _names(room)})
        name = key(room.id, "presence")
        async with reaching():
            await self._store.redis.hset(name, self._name, said)
            await self._store.redis.expire(name, 60)
        total = await count(self._store, room.id)
        if total != room.viewers and room.size:
            event = {"type": "viewers", "channel": room.channel.login, "count": total}
            await self._store.publish(room.id, event)

    async def leave(self) -> None:
        """Take back what was said: this process ends."""
        try:
            for room in list(self._rooms.open.values()):
                async with reaching():
                    await self._store.redis.hdel(key(room.id, "presence"), self._name)
        except Unavailable:
            # It is no longer counted after a few seconds.
            return


def _names(room: Room) -> list[list[str]]:
    """Id, login, name and role of some who are here; the broadcaster and moderators first."""
    found = []
    for sessions in room.by_user.values():
        session = next(iter(sessions))
        if session.user is not None:
            rank, user = session.members[room].standing.rank, session.user
            found.append((-rank, user.login, str(user.id), user.name, rank.name.lower()))
    return [[user_id, login, name, role] for _, login, user_id, name, role in sorted(found)[:NAMED]]


async def _said(store: Store, channel_id: int) -> list[dict[str, Any]]:
    async with reaching():
        values = await store.redis.hvals(key(channel_id, "presence"))
    said = [json.loads(value) for value in values]
    return [each for each in said if time.time() - each["at"] < FRESH_S]


async def count(store: Store, channel_id: int) -> int:
    """Sockets in a room."""
    return sum(each["count"] for each in await _said(store, channel_id))


async def chatters(store: Store, channel_id: int, most: int) -> dict[str, Any]:
    """Who is logged in in a room, at most `most`, and how many sockets there are."""
    said = await _said(store, channel_id)
    people = {one[0]: one for each in said for one in each["names"]}
    order = [rank.name.lower() for rank in sorted(Rank, reverse=True)]
    ranked = sorted(people.values(), key=lambda one: (order.index(one[3]), one[1]))
    fields = ("id", "login", "name", "role")
    return {
        "chatters": [dict(zip(fields, one, strict=True)) for one in ranked[:most]],
        "count": sum(each["count"] for each in said),
    }
