"""A room on this process: who is in it, and how what happens reaches them.

Everything comes in by `happened`, as it was published, and waits for the next flush: then each group
of sockets that gets the same bytes gets them in one write (`chat.fanout` says when). Sockets whose
bytes differ (a delayed viewer's own message, a sender who is not echoed) are written one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chat.automod import Policy
from chat.facts import ChannelFacts, RoomFacts
from chat.fanout import Coalescer
from chat.metrics import ChatMetrics
from chat.sessions import Dialect, Event, Member, Session
from chat.store import Audience

Group = tuple[Dialect, bool]


class Room:
    """One room as this process has it open."""

    def __init__(
        self, channel: ChannelFacts, flush_s: float, keep: int, metrics: ChatMetrics
    ) -> None:
        self.channel = channel
        self.facts = RoomFacts()
        # Terms, links and AutoMod of `facts`, compiled.
        self.policy = Policy()
        # Of `facts`; accept.lua refuses what was decided on an older one.
        self.rev = ""
        self.epoch = ""
        # Of the last message that was passed on here.
        self.offset = 0
        # The last messages, for whoever enters.
        self.recent: deque[Event] = deque(maxlen=keep)
        # Sockets over all processes, as last told.
        self.viewers = 0
        # What is under way, as its last event: {} or a poll's or a raid's frame.
        self.poll: dict[str, Any] | None = None
        self.raid: dict[str, Any] | None = None
        self.groups: dict[Group, set[Session]] = {}
        self.by_user: dict[int, set[Session]] = {}
        # Events that came while the room was being loaded, or before what was missed was found.
        self._early: list[Event] | None = []
        self.idle_since: float | None = None
        self._loop = asyncio.get_running_loop()
        self._coalescer = Coalescer(flush_s)
        self._waiting: list[Event] = []
        self._delayed: deque[tuple[float, Event]] = deque()
        self._flush: asyncio.Handle | None = None
        self._release: asyncio.Handle | None = None
        self._metrics = metrics

    @property
    def id(self) -> int:
        """The channel's id."""
        return self.channel.id

    @property
    def size(self) -> int:
        """Sockets in the room on this process."""
        return sum(len(group) for group in self.groups.values())

    def sessions(self) -> Iterable[Session]:
        """Everybody here."""
        for group in self.groups.values():
            yield from group

    # --- coming and going -------------------------------------------------------------------------

    def enter(self, session: Session, member: Member) -> None:
        """Put a session into the room, or change its standing there."""
        self.leave(session)
        session.members[self] = member
        group = (session.dialect, member.standing.can_moderate)
        self.groups.setdefault(group, set()).add(session)
        if session.user is not None:
            self.by_user.setdefault(session.user.id, set()).add(session)
        self.idle_since = None

    def leave(self, session: Session) -> None:
        """Take a session out of the room."""
        if session.members.pop(self, None) is None:
            return
        for group, members in list(self.groups.items()):
            members.discard(session)
            if not members:
                del self.groups[group]
        if session.user is not None and session.user.id in self.by_user:
            self.by_user[session.user.id].discard(session)
            if not self.by_user[session.user.id]:
                del self.by_user[session.user.id]
        if not self.groups:
            self.idle_since = self._loop.time()

    def shown(self, moderator: bool) -> tuple[list[Event], int]:
        """What the others here have seen of the last messages, and the offset of the last one.

        The rest is on its way and reaches a newcomer like everybody else.
        """
        pending = [event for event in self._waiting if event.is_message]
        if not moderator:
            pending = [event for _due, event in self._delayed] + pending
        if not pending:
            return list(self.recent), self.offset
        first = pending[0].offset
        history = [event for event in self.recent if event.offset < first]
        return history, history[-1].offset if history else first - 1

    # --- what happens -----------------------------------------------------------------------------

    def hold(self) -> None:
        """Let what happens wait: something before it may have been missed."""
        if self._early is None:
            self._early = []

    def release(self) -> None:
        """Nothing is missing any more: pass on what waits, and all that follows."""
        early, self._early = self._early, None
        for event in early or ():
            self.pass_on(event)

    def happened(self, event: Event) -> None:
        """Take in what was published."""
        if self._early is None:
            self.pass_on(event)
        else:
            self._early.append(event)

    def pass_on(self, event: Event) -> None:
        """Give an event to everybody here, and remember what newcomers need of it."""
        if event.audience.startswith(Audience.ONE):
            self._tell(event)
            return
        if event.is_message:
            if event.offset <= self.offset:
                # Seen already, when the room caught up after a lost connection.
                return
            self.offset = event.offset
            self.recent.append(event)
        else:
            self._note(event)
        self._waiting.append(event)
        if self._flush is None:
            wait = self._coalescer.wait(self._loop.time())
            self._flush = (
                self._loop.call_later(wait, self.flush)
                if wait
                else self._loop.call_soon(self.flush)
            )

    def _note(self, event: Event) -> None:
        content = event.content
        match content["type"]:
            case "deleted":
                self.forget(lambda message: message["id"] == content["id"])
            case "cleared":
                user = content.get("user")
                self.forget(lambda message: user is None or message["user"]["id"] == user["id"])
            case "viewers":
                self.viewers = content["count"]
            case "poll":
                self.poll = content["poll"]
            case "raid":
                self.raid = content if content["state"] == "pending" else None

    def forget(self, is_gone: Callable[[dict[str, Any]], bool]) -> None:
        """Drop messages from what newcomers, and those who see the chat later, are given."""
        kept = [event for event in self.recent if not is_gone(event.content)]
        self.recent.clear()
        self.recent.extend(kept)
        self._delayed = deque(
            (due, event)
            for due, event in self._delayed
            if not (event.is_message and is_gone(event.content))
        )

    def _tell(self, event: Event) -> None:
        user_id = int(event.audience[1:])
        # In order with what was said to all.
        self.flush()
        for session in self.by_user.get(user_id, ()):
            moderator = session.members[self].standing.can_moderate
            if data := session.dialect.render(self, event, moderator):
                session.connection.write(data)

    # --- fan-out ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what is waiting to every socket that it is for."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if not self._waiting:
            return
        events, self._waiting = self._waiting, []
        now = self._loop.time()
        self._coalescer.flushed(now)
        delay = self.facts.modes.delay_s
        for (dialect, moderator), sessions in self.groups.items():
            mine = [event for event in events if _is_for(event, moderator)]
            if delay and not moderator:
                self._write_own(dialect, sessions, [event for event in mine if event.is_message])
                mine = [event for event in mine if not event.is_message]
            self._write(dialect, moderator, sessions, mine)
        if delay:
            self._delayed.extend((now + delay, event) for event in events if event.is_message)
        if self._delayed and self._release is None:
            self._release = self._loop.call_at(self._delayed[0][0], self._release_delayed)

    def _write(
        self, dialect: Dialect, moderator: bool, sessions: set[Session], events: Sequence[Event]
    ) -> None:
        if not events or not sessions:
            return
        parts = [dialect.render(self, event, moderator) for event in events]
        data = b"".join(parts)
        if not data:
            return
        tags = _tags(sessions, events)
        for session in sessions:
            if tags and session.tag in tags:
                own = [
                    part
                    for part, event in zip(parts, events, strict=True)
                    if event.content.get("nonce") != session.tag
                ]
                session.connection.write(b"".join(own))
            else:
                session.connection.write(data)
        self._metrics.deliveries.inc(len(sessions) * len(events))
        self._metrics.writes.inc(len(sessions))
        self._metrics.flushes.inc()

    def _write_own(self, dialect: Dialect, sessions: set[Session], events: Sequence[Event]) -> None:
        """Where the chat is delayed, one sees one's own messages at once."""
        for event in events:
            for session in self.by_user.get(event.sender or 0, ()):
                if session in sessions and session.tag is None:
                    session.connection.write(dialect.render(self, event, False))

    def _release_delayed(self) -> None:
        self._release = None
        now = self._loop.time()
        events = []
        while self._delayed and self._delayed[0][0] <= now:
            events.append(self._delayed.popleft()[1])
        senders = {event.sender for event in events}
        for (dialect, moderator), sessions in self.groups.items():
            if moderator:
                continue
            own = {s for s in sessions if s.user is not None and s.user.id in senders}
            self._write(dialect, False, sessions - own, events)
            for session in own:
                theirs = [event for event in events if event.sender != session.user_id]
                self._write(dialect, False, {session}, theirs)
        if self._delayed:
            self._release = self._loop.call_at(self._delayed[0][0], self._release_delayed)

    def close(self) -> None:
        """Forget timers; nobody is here any more."""
        for handle in (self._flush, self._release):
            if handle is not None:
                handle.cancel()


def _is_for(event: Event, moderator: bool) -> bool:
    audience = event.audience
    return (
        audience == Audience.ALL
        or (audience == Audience.MODERATORS and moderator)
        or (audience == Audience.OTHERS and not moderator)
    )


def _tags(sessions: set[Session], events: Sequence[Event]) -> set[str]:
    """Nonces of messages whose senders are here and are not to get them back."""
    if not any(session.tag is not None for session in _first(sessions)):
        return set()
    return {
        event.content["nonce"] for event in events if event.is_message and "nonce" in event.content
    }


def _first(sessions: set[Session]) -> Iterable[Session]:
    """One of a group: all of it speak the same dialect, and so have a tag or have none."""
    for session in sessions:
        yield session
        return
