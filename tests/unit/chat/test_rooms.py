"""A room on one process: who gets what, in which order, in how many writes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest_asyncio

from chat import wire
from chat.facts import ChannelFacts, RoomFacts
from chat.metrics import ChatMetrics
from chat.room import Modes, Rank, Standing, User
from chat.rooms import Room
from chat.sessions import JSON, Event, Member, Session
from chat.store import Audience
from core.metrics import Metrics


class Socket:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("not closed by a room")

    def drop(self, why: str) -> None:
        raise AssertionError("not dropped by a room")

    @property
    def texts(self) -> list[str]:
        """Texts or types of what came, in order."""
        return [frame.get("text", frame["type"]) for data in self.writes for frame in frames(data)]


def frames(data: bytes) -> list[dict[str, Any]]:
    """The JSON of unmasked frames, which have no more than 64 KiB."""
    found = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        found.append(json.loads(data[start : start + length]))
        data = data[start + length :]
    return found


@pytest_asyncio.fixture
async def room() -> Room:
    """An open room that nobody is in."""
    made = Room(ChannelFacts(1, "chan", "Chan", False), 0.05, 10, ChatMetrics(Metrics()))
    made.release()
    return made


def enter(room: Room, user_id: int | None = None, rank: Rank = Rank.VIEWER) -> Socket:
    """Somebody comes in."""
    socket = Socket()
    session = Session(socket, JSON)
    if user_id is not None:
        session.user = User(user_id, f"u{user_id}", f"U{user_id}", "#FF0000")
    room.enter(session, Member(Standing(rank), True))
    return socket


def message(offset: int, user_id: int = 7, **more: Any) -> Event:
    """A message as accept.lua publishes it."""
    content = {"type": "message", "offset": offset, "id": f"m{offset}", "text": f"t{offset}"}
    return Event(Audience.ALL, wire.encode({**content, "user": {"id": str(user_id)}, **more}))


def other(kind: str, audience: str = Audience.ALL, **content: Any) -> Event:
    """Any other event."""
    return Event(audience, wire.encode({"type": kind, "channel": "chan", **content}))


async def passed(room: Room) -> None:
    """What was to go out at once has gone out."""
    await asyncio.sleep(0)
    room.flush()


async def test_a_busy_room_is_written_in_bundles(room: Room) -> None:
    socket = enter(room)
    for offset in range(1, 101):
        room.happened(message(offset))
    await passed(room)
    assert socket.texts == [f"t{n}" for n in range(1, 101)]
    assert len(socket.writes) == 1


async def test_nothing_comes_twice(room: Room) -> None:
    socket = enter(room)
    for offset in (1, 2, 2, 1, 3, 3):
        room.happened(message(offset))
        await passed(room)
    assert socket.texts == ["t1", "t2", "t3"]


async def test_moderators_and_others_get_what_is_theirs(room: Room) -> None:
    moderator, viewer = enter(room, 1, Rank.MODERATOR), enter(room, 2)
    room.happened(other("held", Audience.MODERATORS))
    room.happened(message(1))
    room.happened(other("cleared", Audience.OTHERS, user={"id": "9"}))
    room.happened(other("notice", f"{Audience.ONE}2"))
    await passed(room)
    assert moderator.texts == ["held", "t1"]
    assert viewer.texts == ["t1", "cleared", "notice"]


async def test_a_newcomer_has_what_the_others_have_seen(room: Room) -> None:
    enter(room)
    for offset in (1, 2, 3):
        room.happened(message(offset))
    await passed(room)
    room.happened(message(4))
    shown, offset = room.shown(moderator=False)
    assert [event.offset for event in shown] == [1, 2, 3]
    assert offset == 3
    late = enter(room)
    await passed(room)
    assert late.texts == ["t4"]


async def test_what_is_deleted_is_no_history(room: Room) -> None:
    enter(room)
    for offset, user in ((1, 7), (2, 8), (3, 7)):
        room.happened(message(offset, user))
    room.happened(other("deleted", id="m2"))
    assert [event.offset for event in room.recent] == [1, 3]
    room.happened(other("cleared", user={"id": "7", "login": "u7"}))
    assert not room.recent


async def test_delayed_viewers_never_see_what_was_deleted_in_time(room: Room) -> None:
    room.facts = RoomFacts(modes=Modes(delay_s=2))
    moderator, viewer, sender = enter(room, 1, Rank.MODERATOR), enter(room), enter(room, 7)
    room.happened(message(1))
    room.happened(message(2))
    await passed(room)
    assert moderator.texts == sender.texts == ["t1", "t2"]
    assert viewer.texts == []
    assert room.shown(moderator=False) == ([], 0)
    room.happened(other("deleted", id="m1"))
    await passed(room)
    assert [event.offset for _due, event in room._delayed] == [2]
    room.close()


async def test_leaving(room: Room) -> None:
    socket = Socket()
    session = Session(socket, JSON)
    room.enter(session, Member(Standing(), True))
    assert room.size == 1
    room.leave(session)
    room.happened(message(1))
    await passed(room)
    assert (room.size, socket.writes, session.members) == (0, [], {})
    assert room.idle_since is not None
