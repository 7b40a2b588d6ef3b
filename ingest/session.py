"""Which broadcast runs on which RTMP connection: the state machine behind the publish hooks.

Pure: no asyncio, no clock, no I/O. Every method takes the hook (or the poll, or the deadline) plus
`now` in monotonic seconds and returns the effects the shell must carry out, in order. All state
hangs on the connection, named by (nginx boot, client id), never on the stream name: nginx-rtmp also
reports `publish_done` for a publisher that was refused, and client ids start at 1 again with nginx.

    CONNECTING ──media──▶ LIVE ──cut──▶ RECONNECTING ──publish──▶ RESUMING ──media──▶ LIVE
        │                  │  done          │ grace over               │
        └──cut, done──▶  CLOSING ──────────▶ ENDED ◀── end, revoke ────┘

nginx-rtmp tells a clean stop from a cut by order alone: on a stop `publish_done` comes before
`disconnect` of the same client, on a cut after it. The hooks travel over separate connections and
may overtake each other, so each carries the number that nginx's loopback listener gave its
connection (`order`), and a `publish_done` waits `settle_s` for an earlier `disconnect` before it
counts as a stop.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Phase(Enum):
    """Where one ingest session stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    RESUMING = "resuming"
    CLOSING = "closing"
    ENDED = "ended"


class EndReason(Enum):
    """Why a session ended; kept with the stream."""

    STOPPED = "stopped"
    GRACE_OVER = "grace_over"
    NEVER_STARTED = "never_started"
    ENDED_BY_OWNER = "ended_by_owner"
    KEY_REVOKED = "key_revoked"
    USER_DELETED = "user_deleted"
    SUSPENDED = "suspended"
    FAULT = "fault"


class Refusal(Enum):
    """Why `admit` said no."""

    TAKEOVERS = "too_many_takeovers"
    HELD = "ended_by_owner"
    STALE = "stale_connection"


@dataclass(frozen=True, slots=True)
class Connection:
    """One RTMP connection: client ids are unique only within one life of the nginx worker."""

    boot: str
    client: int


@dataclass(frozen=True, slots=True)
class Publisher:
    """A connection admitted to a session under a stream name of its own in nginx."""

    connection: Connection
    name: str
    key_id: int
    #: Of its publish hook; a hook of the same connection at or before it is late or a repeat.
    order: int
    since: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Time limits in seconds."""

    grace_s: float = 60.0
    settle_s: float = 0.1
    start_timeout_s: float = 15.0
    max_takeovers: int = 3
    takeover_window_s: float = 60.0
    hold_after_end_s: float = 15.0
    #: `/stat` must miss a publisher in this many polls running before the session counts as cut.
    missed_polls: int = 2


@dataclass(slots=True)
class Session:
    """One broadcast, over as many connections as it takes."""

    id: str
    channel_id: int
    phase: Phase = Phase.CONNECTING
    publisher: Publisher | None = None
    started: bool = False
    #: When the running deadline of this phase passes; None when the phase has none.
    deadline: float | None = None
    cut_at: float | None = None
    done_order: int = 0
    #: The connection whose `disconnect` opened the grace window, and that hook's order.
    cut_by: tuple[Connection, int] | None = None
    missed: int = 0
    takeovers: deque[float] = field(default_factory=deque)
    end_reason: EndReason | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """Ask nginx to drop the publisher under `name`."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Detach:
    """The input `name` of `session` is over: drain its worker, close its last part."""

    session: Session
    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """`session` went from `before` to `after`; `publisher` is who caused it or held it last."""

    session: Session
    before: Phase | None
    after: Phase
    publisher: Publisher | None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A newer connection of the same channel replaced `old` (for the audit log)."""

    session: Session
    old: Publisher
    new: Publisher


@dataclass(frozen=True, slots=True)
class Silent:
    """`session`'s publisher was let in, and nothing that can be played came of it in time."""

    session: Session


Effect = Drop | Detach | Changed | TakenOver | Silent


@dataclass(frozen=True, slots=True)
class Admitted:
    """The connection may publish as `publisher.name`; `repeat` when it had been admitted before."""

    session: Session
    publisher: Publisher
    effects: list[Effect]
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Refusal


#: Connections remembered after their end, so that a late hook of theirs changes nothing.
REMEMBERED = 4096
#: Later than any hook: the order of a connection that is closed for good.
CLOSED = 1 << 62


class Sessions:
    """Every running session of this node, by channel and by connection.

    `new_id()` makes session ids, `new_name(session id)` the stream names inside nginx. Neither may
    ever repeat: a fresh name per publish is what ends nginx-rtmp's "already publishing" lock-out,
    and media URLs hang on the session id.
    """

    def __init__(
        self, policy: Policy, new_id: Callable[[], str], new_name: Callable[[str], str]
    ) -> None:
        self.policy = policy
        self._new_id = new_id
        self._new_name = new_name
        self._by_channel: dict[int, Session] = {}
        self._by_connection: dict[Connection, Session] = {}
        self._over: OrderedDict[Connection, int] = OrderedDict()
        self._held: dict[int, float] = {}

    # What is there

    def running(self) -> list[Session]:
        """Sessions that have not ended."""
        return list(self._by_channel.values())

    def of_channel(self, channel_id: int) -> Session | None:
        return self._by_channel.get(channel_id)

    def of_connection(self, connection: Connection) -> Session | None:
        return self._by_connection.get(connection)

    def of_name(self, name: str) -> Session | None:
        """The session whose present publisher goes by `name` in nginx."""
        for session in self._by_channel.values():
            if session.publisher and session.publisher.name == name:
                return session
        return None

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None when nothing is pending."""
        return min(
            (s.deadline for s in self._by_channel.values() if s.deadline is not None), default=None
        )

    # Hooks

    def admit(
        self, connection: Connection, channel_id: int, key_id: int, order: int, now: float
    ) -> Admitted | Refused:
        """A publisher whose key is good asks to go live on `channel_id`.

        The newest publisher of a channel wins, `max_takeovers` times within `takeover_window_s`;
        after that two encoders with one key would only fight, so the incumbent stays.
        """
        effects: list[Effect] = []
        known = self._by_connection.get(connection)
        if known and known.publisher:
            if order <= known.publisher.order:
                return Admitted(known, known.publisher, [], repeat=True)
            # A connection publishes one stream at a time: it must have stopped the one before.
            self._end(known, EndReason.STOPPED, effects)
        if connection in self._over and order <= self._over[connection]:
            return Refused(Refusal.STALE)
        if self._holds(channel_id, now):
            return Refused(Refusal.HELD)
        session = self._by_channel.get(channel_id)
        if session and session.phase is Phase.CLOSING:
            self._end(session, EndReason.STOPPED, effects)
            session = None
        if session is None:
            session = Session(self._new_id(), channel_id)
            self._by_channel[channel_id] = session
            return self._attach(session, connection, key_id, order, now, effects, new=True)
        if session.publisher is None:
            return self._attach(session, connection, key_id, order, now, effects)
        if not self._may_take_over(session, now):
            return Refused(Refusal.TAKEOVERS)
        old = session.publisher
        session.takeovers.append(now)
        effects.append(Drop(old.name, "taken_over"))
        self._detach(session, effects)
        if session.started and session.cut_at is None:
            session.cut_at = now
        admitted = self._attach(session, connection, key_id, order, now, effects)
        effects.append(TakenOver(session, old, admitted.publisher))
        return admitted

    def media(self, name: str) -> list[Effect]:
        """The input `name` has produced something that viewers can play."""
        session = self.of_name(name)
        if session is None or session.phase not in (Phase.CONNECTING, Phase.RESUMING):
            return []
        session.started = True
        session.cut_at = None
        return [self._change(session, Phase.LIVE, deadline=None)]

    def abandon(self, connection: Connection, now: float) -> list[Effect]:
        """An admitted publisher was refused after all (its worker could not subscribe)."""
        session = self._by_connection.get(connection)
        if session is None:
            return []
        effects: list[Effect] = []
        self._cut(session, now, effects)
        return effects

    def publish_done(self, connection: Connection, order: int, now: float) -> list[Effect]:
        """It unpublished: a stop, unless an earlier `disconnect` is still on its way."""
        session = self._by_connection.get(connection)
        if session is None:
            self._remember(connection, order)
            return self._overtaken(connection, order)
        if session.phase is Phase.CLOSING:
            return []
        session.done_order = order
        return [self._change(session, Phase.CLOSING, deadline=now + self.policy.settle_s)]

    def disconnect(self, connection: Connection, order: int, now: float) -> list[Effect]:
        """The connection is gone: before its `publish_done` a cut, after it the end of a stop."""
        session = self._by_connection.get(connection)
        self._remember(connection, CLOSED)
        if session is None:
            return []
        effects: list[Effect] = []
        if session.phase is Phase.CLOSING and order > session.done_order:
            self._end(session, EndReason.STOPPED, effects)
        else:
            self._cut(session, now, effects)
            session.cut_by = (connection, order)
        return effects

    # Everything else that happens to a session

    def stat(
        self,
        boot: str | None,
        publishers: Mapping[str, int],
        asked_at: float,
        now: float,
        flowing: Collection[str] = (),
    ) -> list[Effect]:
        """Compare with nginx's own list: `publishers` maps stream name → client id.

        `boot` is None when nginx does not answer. `asked_at` is when the list was asked for: a
        publisher admitted after that cannot be in it. `flowing` are names whose media arrived just
        now: whatever the list says (or the lack of one, on a machine that is too busy to answer),
        they are there.
        """
        effects: list[Effect] = []
        for session in self.running():
            publisher = session.publisher
            if publisher is None or publisher.since >= asked_at:
                continue
            if publisher.name in flowing:
                session.missed = 0
                continue
            restarted = boot is not None and boot != publisher.connection.boot
            there = publishers.get(publisher.name) == publisher.connection.client
            if session.phase is Phase.LIVE:
                session.missed = 0 if there else session.missed + 1
            # Before LIVE nginx may not have let the publisher in yet: only its own restart counts.
            if restarted or session.missed >= self.policy.missed_polls:
                self._cut(session, now, effects)
        ours = {s.publisher.name for s in self.running() if s.publisher}
        effects += [Drop(name, "unknown_publisher") for name in publishers if name not in ours]
        return effects

    def end(self, channel_id: int, reason: EndReason, now: float) -> list[Effect]:
        """End the channel's session at once, without the grace window."""
        session = self._by_channel.get(channel_id)
        if session is None:
            return []
        if reason is EndReason.ENDED_BY_OWNER:
            # The encoder only sees its connection drop and dials again at once.
            self._held[channel_id] = now + self.policy.hold_after_end_s
        effects: list[Effect] = []
        if session.publisher:
            effects.append(Drop(session.publisher.name, reason.value))
        self._end(session, reason, effects)
        return effects

    def revoke(
        self, key_id: int, now: float, reason: EndReason = EndReason.KEY_REVOKED
    ) -> list[Effect]:
        """A stream key is no longer good: whoever publishes with it is out."""
        effects: list[Effect] = []
        for session in self.running():
            if session.publisher and session.publisher.key_id == key_id:
                effects += self.end(session.channel_id, reason, now)
        return effects

    def dropped(self, name: str, now: float) -> list[Effect]:
        """Drop the publisher `name` so that it reconnects: a cut that waits for no hook."""
        session = self.of_name(name)
        effects: list[Effect] = []
        if session:
            effects.append(Drop(name, "restart"))
            self._cut(session, now, effects)
        return effects

    def gone(self, name: str, now: float) -> list[Effect]:
        """The publisher `name` is no longer in nginx, whatever its hooks will say."""
        session = self.of_name(name)
        effects: list[Effect] = []
        if session and session.phase is not Phase.CLOSING:
            self._cut(session, now, effects)
        return effects

    def adopt(self, session: Session) -> None:
        """Take over a session that an earlier life of this process ran."""
        self._by_channel[session.channel_id] = session
        if session.publisher:
            self._by_connection[session.publisher.connection] = session

    def tick(self, now: float) -> list[Effect]:
        """Carry out every deadline that has passed."""
        effects: list[Effect] = []
        for session in self.running():
            if session.deadline is None or session.deadline > now:
                continue
            if session.phase is Phase.CLOSING:
                self._end(session, EndReason.STOPPED, effects)
            elif session.phase is Phase.RECONNECTING:
                self._end(session, EndReason.GRACE_OVER, effects)
            elif session.publisher:
                effects += [Drop(session.publisher.name, "no_media"), Silent(session)]
                self._cut(session, now, effects)
        self._held = {c: until for c, until in self._held.items() if until > now}
        return effects

    # The one place each change is made

    def _change(self, session: Session, after: Phase, *, deadline: float | None) -> Changed:
        before = session.phase
        session.phase = after
        session.deadline = deadline
        return Changed(session, before, after, session.publisher)

    def _attach(
        self,
        session: Session,
        connection: Connection,
        key_id: int,
        order: int,
        now: float,
        effects: list[Effect],
        *,
        new: bool = False,
    ) -> Admitted:
        before = None if new else session.phase
        publisher = Publisher(connection, self._new_name(session.id), key_id, order, now)
        session.publisher = publisher
        session.cut_by = None
        session.missed = 0
        session.phase = Phase.RESUMING if session.started else Phase.CONNECTING
        session.deadline = now + self.policy.start_timeout_s
        self._by_connection[connection] = session
        effects.append(Changed(session, before, session.phase, publisher))
        return Admitted(session, publisher, effects)

    def _detach(self, session: Session, effects: list[Effect]) -> None:
        publisher = session.publisher
        if publisher is None:
            return
        session.publisher = None
        self._by_connection.pop(publisher.connection, None)
        self._remember(publisher.connection, max(publisher.order, session.done_order))
        session.done_order = 0
        effects.append(Detach(session, publisher.name))

    def _cut(self, session: Session, now: float, effects: list[Effect]) -> None:
        publisher = session.publisher
        self._detach(session, effects)
        if not session.started:
            self._end(session, EndReason.NEVER_STARTED, effects)
            return
        # A reconnect that never delivered does not buy a new grace window.
        session.cut_at = now if session.cut_at is None else session.cut_at
        before = session.phase
        session.phase = Phase.RECONNECTING
        session.deadline = session.cut_at + self.policy.grace_s
        effects.append(Changed(session, before, Phase.RECONNECTING, publisher))

    def _end(self, session: Session, reason: EndReason, effects: list[Effect]) -> None:
        publisher = session.publisher
        self._detach(session, effects)
        before = session.phase
        session.phase = Phase.ENDED
        session.deadline = None
        session.end_reason = reason if session.started else EndReason.NEVER_STARTED
        if reason not in (EndReason.STOPPED, EndReason.GRACE_OVER):
            session.end_reason = reason
        self._by_channel.pop(session.channel_id, None)
        effects.append(Changed(session, before, Phase.ENDED, publisher))

    def _overtaken(self, connection: Connection, order: int) -> list[Effect]:
        """A `publish_done` that its own `disconnect` overtook: the cut was a stop."""
        effects: list[Effect] = []
        for session in self.running():
            waiting = session.phase is Phase.RECONNECTING and session.cut_by
            if waiting and waiting[0] == connection and order < waiting[1]:
                self._end(session, EndReason.STOPPED, effects)
        return effects

    def _may_take_over(self, session: Session, now: float) -> bool:
        while session.takeovers and session.takeovers[0] <= now - self.policy.takeover_window_s:
            session.takeovers.popleft()
        return len(session.takeovers) < self.policy.max_takeovers

    def _holds(self, channel_id: int, now: float) -> bool:
        until = self._held.get(channel_id)
        if until is None or until <= now:
            return False
        self._held[channel_id] = now + self.policy.hold_after_end_s
        return True

    def _remember(self, connection: Connection, order: int) -> None:
        self._over[connection] = max(order, self._over.get(connection, 0))
        self._over.move_to_end(connection)
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
