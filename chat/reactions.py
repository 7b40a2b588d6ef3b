"""What this process does about what happened elsewhere: decisions of other processes, events of other
services. And what the service does by the clock.

Control messages come with the fan-out but ask PostgreSQL, so they are worked on beside it, in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chat import barring, facts, messages, polls, raids, wire
from chat.decisions import Desk
from chat.hub import Hub, me_of
from chat.rooms import Room
from chat.sessions import Event as RoomEvent
from chat.sessions import Session
from chat.store import Store
from chat.watch import Watch
from core import events
from core.bus import obey_cancellation
from core.errors import DomainError
from core.events import Event
from core.logs import logger

log = logger(__name__)

# Control messages that may wait; beyond it the oldest are dropped, which a room finds out by its revision.
WAITING = 10_000
CLOCK_S = 1.0
POLICY_VIOLATION = 1008


@dataclass
class Reactions:
    """Keeps this process's rooms and sessions true to what was decided elsewhere."""

    hub: Hub
    desk: Desk

    def __post_init__(self) -> None:
        self._waiting: deque[tuple[dict[str, Any], Room | None]] = deque(maxlen=WAITING)
        self._arrived = asyncio.Event()

    def take(self, content: dict[str, Any], room: Room | None) -> None:
        """A control message, to be worked on in a moment."""
        self._waiting.append((content, room))
        self._arrived.set()

    async def run(self) -> None:
        """Work on control messages; for ever."""
        while True:
            obey_cancellation()
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                content, room = self._waiting.popleft()
                try:
                    await self._react(content, room)
                except DomainError as error:
                    log.warning("control_failed", kind=content.get("kind"), reason=error.message)
                except Exception:
                    # One room's trouble is not the others'.
                    log.exception("control_failed_unexpectedly", kind=content.get("kind"))

    async def _react(self, content: dict[str, Any], room: Room | None) -> None:
        match content.get("kind"):
            case "room":
                for each in [room] if room is not None else list(self.hub.rooms.open.values()):
                    await self.hub.rooms.refresh(each)
            case "standing" if room is not None:
                for session in list(room.by_user.get(int(content["user"]), ())):
                    await self._restand(room, session)
            case "user":
                await self._user(int(content["user"]))
            case "close":
                self._close(content)

    async def _restand(self, room: Room, session: Session) -> None:
        member = await self.hub.restand(room, session)
        told = {"type": "me", "channel": room.channel.login, **me_of(session, member)}
        self.tell(session, room, told)

    def tell(self, session: Session, room: Room, event: dict[str, Any]) -> None:
        """Give one session an event, in its dialect."""
        if room not in session.members:
            return
        made = RoomEvent(f"u{session.user_id}", wire.encode(event))
        moderator = session.members[room].standing.can_moderate
        if data := session.dialect.render(room, made, moderator):
            session.connection.write(data)

    async def _user(self, user_id: int) -> None:
        """Name, colour, or suspension of an account changed."""
        sessions = [s for s in self.hub.sessions if s.user_id == user_id]
        if not sessions:
            return
        async with self.desk.database.session() as database:
            user = await facts.user_by_id(database, user_id)
        for session in sessions:
            session.user = user
            for room in list(session.members):
                await self._restand(room, session)

    def _close(self, content: dict[str, Any]) -> None:
        for session in list(self.hub.sessions):
            if any(
                name in content and getattr(session, name) == content[name]
                for name in ("user_id", "login_id", "token_id")
            ):
                session.connection.close(POLICY_VIOLATION, str(content.get("reason", "")))


def on_event(store: Store, watch: Watch) -> Callable[[Event], Awaitable[None]]:
    """What one process passes on to all when an event of another service comes in."""

    async def handle(event: Event) -> None:
        match event:
            case (
                events.FollowAdded(user_id=user_id, channel_id=channel_id)
                | events.FollowRemoved(user_id=user_id, channel_id=channel_id)
            ):
                await store.control({"kind": "standing", "user": user_id}, channel_id)
                if isinstance(event, events.FollowAdded):
                    await watch.counted(channel_id, "follows", 1)
            case events.EmotesChanged(channel_id=None):
                await store.control({"kind": "room"})
            case events.EmotesChanged(channel_id=int(channel_id)):
                await store.control({"kind": "room"}, channel_id)
            case events.UserSuspended(user_id=user_id, scope=scope):
                await _suspended(store, user_id, scope)
            case events.SuspensionLifted(user_id=user_id):
                await store.control({"kind": "room"}, user_id)
                await store.control({"kind": "user", "user": user_id})
            case events.UserUpdated(user_id=user_id):
                await store.control({"kind": "user", "user": user_id})
                await store.control({"kind": "room"}, user_id)
            case events.UserDeleted(user_id=user_id):
                await store.control({"kind": "close", "user_id": user_id, "reason": "deleted"})
            case events.LoginEnded(login_id=login_id):
                await store.control(
                    {"kind": "close", "login_id": login_id, "reason": "login ended"}
                )
            case events.AppTokenRevoked(token_id=token_id):
                await store.control(
                    {"kind": "close", "token_id": token_id, "reason": "token revoked"}
                )

    return handle


async def _suspended(store: Store, user_id: int, scope: str) -> None:
    # The revision makes every process look again before anybody says another word there.
    await store.revise(user_id)
    await store.control({"kind": "room"}, user_id)
    if scope == "account":
        await store.control({"kind": "close", "user_id": user_id, "reason": "suspended"})


HANDLED: list[type[Event]] = [
    events.FollowAdded,
    events.FollowRemoved,
    events.EmotesChanged,
    events.UserSuspended,
    events.SuspensionLifted,
    events.UserUpdated,
    events.UserDeleted,
    events.LoginEnded,
    events.AppTokenRevoked,
]


async def keep_time(desk: Desk) -> None:
    """Held messages, polls, raids and pins that are over; for ever. Several processes may do it at
    once: each row is taken by one.
    """
    hourly = 0.0
    while True:
        obey_cancellation()
        await asyncio.sleep(CLOCK_S)
        steps = [
            Desk.settle,
            messages.expire_held,
            polls.advance,
            raids.advance,
            messages.unpin_expired,
        ]
        now = asyncio.get_running_loop().time()
        if now - hourly > 3600:
            hourly = now
            steps.append(barring.forget_expired)
        for step in steps:
            try:
                await step(desk)
            except DomainError as error:
                log.debug("clock_waits", step=step.__name__, reason=error.message)
            except Exception:
                log.exception("clock_step_failed", step=step.__name__)
