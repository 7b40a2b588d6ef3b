"""What a session may do, in either dialect: log in, join, say, part, vote, acknowledge.

Refusals are DomainErrors; the dialects write them as error frames or NOTICEs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from chat import automod, commands, emotes, facts, history, wire, wordlists
from chat.commands import Me
from chat.facts import RoomFacts, stamp
from chat.message_ids import new_message_id
from chat.metrics import ChatMetrics
from chat.people import People
from chat.registry import Rooms
from chat.reload import Reload
from chat.room import Accepted, Facts, Rank, Speech, Standing, Verdict, clean, judge, known
from chat.rooms import Room
from chat.sessions import Event, Member, Session
from chat.store import Absent, Audience, Stale, Store
from core.app_tokens import Scope
from core.buckets import Buckets
from core.db.engine import Database
from core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from core.http import network_of
from core.logs import logger
from core.settings import Settings

log = logger(__name__)

ROOMS_PER_SESSION = 100
# Rooms entered from one address (many people may share it): so many at once, and then so many a second. Who comes
# after waits for a turn; past that the socket is closed, and comes back when it likes.
JOINS, JOINS_PER_S, JOIN_PATIENCE_S = 2000, 100, 5.0
TRY_AGAIN_LATER = 1013
# A decision that changes the room while a message is being judged makes it be judged again.
ATTEMPTS = 4
REPLY_TEXT = 200
LINK_RANKS = {
    "everyone": Rank.VIEWER,
    "followers": Rank.VIEWER,
    "vips": Rank.VIP,
    "moderators": Rank.MODERATOR,
}


class Vote(NamedTuple):
    """What somebody has voted for."""

    poll: str
    choice: int


@dataclass(frozen=True)
class Joined:
    """What somebody who enters a room is given."""

    room: Room
    member: Member
    history: list[Event]
    offset: int
    recovered: bool
    # The room's poll, with what they have voted for.
    poll: dict[str, Any] | None


@dataclass(frozen=True)
class Notice:
    """An answer to its sender alone: what a command did, or what became of a message."""

    code: str
    message: str
    # The whole room is told of it as well.
    is_told: bool = False


@dataclass(frozen=True)
class Draft:
    """A message on its way."""

    id: str
    text: str
    action: bool
    nonce: str | None
    reply_to: dict[str, Any] | None


Typed = Callable[[Session, Room, Member, commands.Command], Awaitable[Notice]]
Hold = Callable[[Session, Room, dict[str, Any], Accepted], Awaitable[None]]
Decide = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Hub:
    """The rooms' door for one process."""

    def __init__(
        self,
        rooms: Rooms,
        store: Store,
        reload: Reload,
        database: Database,
        people: People,
        settings: Settings,
        metrics: ChatMetrics,
    ) -> None:
        self.rooms = rooms
        self.sessions: set[Session] = set()
        self._store = store
        self._reload = reload
        self._database = database
        self._people = people
        self._recovery = settings.chat_recovery
        self._metrics = metrics
        factor = settings.rate_limit_factor
        self._arriving: Buckets[str] = Buckets(JOINS * factor, JOINS_PER_S * factor)
        self._words = automod.WordLists(wordlists.lists())
        # Rooms with messages that PostgreSQL does not hold yet.
        self.dirty: set[int] = set()
        # What typed commands and held messages do; set when the service is put together.
        self.typed: Typed | None = None
        self.hold: Hold | None = None
        self.decide: Decide | None = None
        # What a user has voted for in a poll.
        self.voted: Callable[[int, int], Awaitable[int | None]] | None = None
        self.joins: Callable[[Room, Session], None] | None = None

    # --- coming and going -------------------------------------------------------------------------

    async def log_in(self, session: Session, token: str) -> None:
        """Give a session its user. Raises Unauthorized, Conflict, Unavailable."""
        if session.members:
            raise Conflict("Leave the rooms before logging in.", code="already_joined")
        identity = await self._people.identify(token)
        session.user = identity.user
        session.login_id, session.token_id = identity.login_id, identity.token_id
        session.scopes = identity.scopes

    def opened(self, session: Session) -> None:
        """A socket is there."""
        self.sessions.add(session)
        self._metrics.connections.set(len(self.sessions))

    def closed(self, session: Session) -> None:
        """A socket is gone."""
        self.sessions.discard(session)
        for room in list(session.members):
            room.leave(session)
        self._metrics.connections.set(len(self.sessions))

    async def join(
        self, session: Session, login: str, since: int | None = None, epoch: str | None = None
    ) -> Joined:
        """Enter a room, or see again what one missed. Raises NotFound, Conflict, RateLimited, Unavailable.

        The caller answers before it awaits anything: what happens from now on follows the answer.
        """
        if len(session.members) >= ROOMS_PER_SESSION:
            raise Conflict(
                f"A socket has at most {ROOMS_PER_SESSION} rooms.", code="too_many_rooms"
            )
        _require(session, Scope.CHAT_READ)
        await self._take_turn(session)
        room = await self.rooms.get(login)
        # Kept open while the rest is looked up.
        room.idle_since = None
        member = session.members.get(room) or await self._member(session, room)
        vote = await self._vote(session, room)
        if since is None:
            room.enter(session, member)
            shown, offset = room.shown(member.standing.can_moderate)
            self._has_joined(room, session)
            return Joined(room, member, shown, offset, False, _poll(room, vote))
        return await self._rejoin(session, room, member, since, vote)

    async def _take_turn(self, session: Session) -> None:
        """Hold a flood of joins from one address back. Raises RateLimited, and closes the socket."""
        network = network_of(session.address)
        wait = self._arriving.queue(network, time.monotonic(), JOIN_PATIENCE_S)
        if wait is None:
            self._metrics.refused.labels("too_many_joins").inc()
            session.connection.close(TRY_AGAIN_LATER, "too many joins")
            raise RateLimited("Too many joins from your address.", retry_after=JOIN_PATIENCE_S)
        if wait:
            await asyncio.sleep(wait)

    async def _vote(self, session: Session, room: Room) -> Vote | None:
        if session.user is None or room.poll is None or self.voted is None:
            return None
        poll_id = room.poll["id"]
        choice = await self.voted(int(poll_id), session.user.id)
        return None if choice is None else Vote(poll_id, choice)

    async def _rejoin(
        self, session: Session, room: Room, member: Member, since: int, vote: Vote | None
    ) -> Joined:
        moderator = member.standing.can_moderate
        missed: list[Event] = []
        reached = since
        complete = True
        # What is said while the log is read is read as well, until nothing is left.
        for _ in range(ATTEMPTS):
            _shown, offset = room.shown(moderator)
            if offset == reached or not complete:
                break
            found = await self._since(room, reached, offset)
            complete = found is not None
            missed += found or []
            reached = offset
        room.enter(session, member)
        self._has_joined(room, session)
        shown, offset = room.shown(moderator)
        if complete and offset == reached:
            return Joined(room, member, missed, offset, True, _poll(room, vote))
        return Joined(room, member, shown, offset, False, _poll(room, vote))

    async def _since(self, room: Room, after: int, until: int) -> list[Event] | None:
        try:
            found = await history.since(
                self._store, self._database, room.id, after, until, self._recovery
            )
        except Unavailable:
            # Redis is away. What this process has seen may be enough.
            recent = [event for event in room.recent if event.offset > after]
            return recent if len(recent) == until - after else None
        if found is None:
            return None
        return [Event(Audience.ALL, entry.frame) for entry in found]

    def _has_joined(self, room: Room, session: Session) -> None:
        if self.joins is not None:
            self.joins(room, session)

    async def _member(self, session: Session, room: Room) -> Member:
        if session.user is None:
            return ANONYMOUS
        rev = room.rev
        async with self._database.session() as db:
            standing, spoke = await facts.standing(db, room.id, session.user)
        return Member(standing, spoke, rev)

    def part(self, session: Session, login: str) -> None:
        """Leave a room. Raises NotFound when one is not in it."""
        room, _ = self.member(session, login)
        room.leave(session)

    def member(self, session: Session, login: str) -> tuple[Room, Member]:
        """A session's place in a room. Raises NotFound (`not_joined`)."""
        room = self.rooms.find(login)
        member = None if room is None else session.members.get(room)
        if room is None or member is None:
            raise NotFound("Join the channel first.", code="not_joined", field="channel")
        return room, member

    async def restand(self, room: Room, session: Session) -> Member:
        """Read again where somebody stands in a room."""
        before = session.members.get(room)
        member = await self._member(session, room)
        if before is None or room not in session.members:
            return member
        if before.standing.can_moderate == member.standing.can_moderate:
            session.members[room] = member
        else:
            room.enter(session, member)
        return member

    # --- saying -----------------------------------------------------------------------------------

    async def say(
        self,
        session: Session,
        login: str,
        text: str,
        nonce: str | None = None,
        reply_to: str | None = None,
    ) -> Notice | None:
        """Say something in a room, or do what a typed command says.

        Returns an answer for the sender alone, if there is one. Raises the rule that it breaks.
        """
        began = time.monotonic()
        room, member = self.member(session, login)
        try:
            self._check(session, room, member)
            command = commands.parse(text)
            if command is not None and not isinstance(command, Me):
                return await self._command(session, room, member, command)
            body = clean(command.text if command is not None else text)
            parent = await self._parent(room, reply_to)
            draft = Draft(new_message_id(), body, command is not None, nonce, parent)
            answer = await self._say(session, room, draft)
        except DomainError as error:
            self._metrics.refused.labels(error.code).inc()
            raise
        self._metrics.accept_seconds.observe(time.monotonic() - began)
        return answer

    async def _command(
        self, session: Session, room: Room, member: Member, command: commands.Command
    ) -> Notice:
        if self.typed is None:
            raise Unavailable("Commands are not available.")
        return await self.typed(session, room, member, command)

    def _check(self, session: Session, room: Room, member: Member) -> None:
        """Raise what keeps somebody from any say at all."""
        known(Facts(session.user, member.standing, room.facts.modes, room.channel.suspended))
        _require(session, Scope.CHAT_EDIT)

    async def _say(self, session: Session, room: Room, draft: Draft) -> Notice | None:
        for _ in range(ATTEMPTS):
            member = await self._current(session, room)
            said = Facts(session.user, member.standing, room.facts.modes, room.channel.suspended)
            speech = Speech(draft.text, emotes.only(draft.text, room.facts.emotes), draft.action)
            verdict = self._screen(room, member.standing, draft.text)
            accepted = judge(said, speech, verdict, facts.now_seconds())
            frame = message_frame(room, session, member, draft)
            try:
                await self._store.accept(
                    room.id,
                    said.user.id if said.user else 0,
                    room.rev,
                    accepted.gate,
                    draft.text,
                    frame,
                    publish=accepted.held is None,
                )
            except Absent:
                await self._reload.ensure(room.id, room.offset, restarted=True)
                await self.rooms.refresh(room)
                continue
            except Stale:
                await self.rooms.refresh(room)
                continue
            if accepted.held:
                return await self._hold(session, room, frame, accepted)
            member.spoke = True
            self.dirty.add(room.id)
            self._metrics.messages.inc()
            return None
        raise Unavailable("The room changes too quickly. Try again.", retry_after=1)

    async def _hold(
        self, session: Session, room: Room, frame: dict[str, Any], held: Accepted
    ) -> Notice:
        if self.hold is None:
            raise Unavailable("The message cannot be checked just now.")
        await self.hold(session, room, frame, held)
        return Notice("msg_rejected", "Your message is being looked at by the moderators.")

    # --- what else one does in a room -------------------------------------------------------------

    async def acknowledge(self, session: Session, login: str) -> None:
        """Acknowledge one's warnings. Raises Conflict when there are none."""
        await self._ask(session, login, "warning.acknowledge")

    async def vote(self, session: Session, login: str, poll: int, choice: int) -> None:
        """Vote in a poll."""
        await self._ask(session, login, "poll.vote", poll_id=poll, choice=choice)

    async def _ask(self, session: Session, login: str, op: str, **fields: Any) -> None:
        room, _member = self.member(session, login)
        user = session.user
        if user is None or self.decide is None:
            raise Unauthorized("Log in first.", code="login_required")
        _require(session, Scope.CHAT_EDIT)
        actor = {"id": user.id, "login": user.login}
        await self.decide({"op": op, "channel_id": room.id, "actor": actor, **fields})

    async def _current(self, session: Session, room: Room) -> Member:
        """The sender's place; read again when it is older than the room's revision, and when it says
        that they may not write, which may be over.
        """
        member = session.members.get(room)
        if member is None:
            raise NotFound("Join the channel first.", code="not_joined", field="channel")
        standing = member.standing
        # The room may have been read again because of somebody else's message, before the word that
        # somebody's role has changed came through.
        is_old = member.rev != room.rev
        if (
            is_old
            or standing.banned
            or standing.timed_out_until
            or standing.warning
            or standing.suspended
        ):
            return await self.restand(room, session)
        return member

    def _screen(self, room: Room, standing: Standing, text: str) -> Verdict:
        if standing.can_moderate:
            return Verdict()
        return automod.review(text, room.policy, self._words, may_link(room.facts, standing))

    async def _parent(self, room: Room, reply_to: str | None) -> dict[str, Any] | None:
        """What a reply answers to. Raises NotFound."""
        if reply_to is None:
            return None
        for event in reversed(room.recent):
            if event.content["id"] == reply_to:
                return _quoted(event.content)
        gone = await self._store.gone(room.id)
        for entry in reversed(await self._store.latest(room.id, self._recovery)):
            frame = wire.parse(entry.frame)
            if frame["id"] == reply_to and reply_to not in gone:
                return _quoted(frame)
        raise NotFound(
            "The message is not there any more.", code="reply_not_found", field="reply_to"
        )


ANONYMOUS = Member(Standing(), True)


def _poll(room: Room, vote: Vote | None) -> dict[str, Any] | None:
    """The room's poll for one who enters. It may be another one than they have voted in."""
    if room.poll is None or vote is None or vote.poll != room.poll["id"]:
        return room.poll
    return {**room.poll, "voted": vote.choice}


def may_link(room: RoomFacts, standing: Standing) -> bool:
    """Whether somebody may post links."""
    if standing.rank >= Rank.MODERATOR:
        return True
    if room.links_from == "followers":
        return standing.rank >= Rank.VIP or standing.follows_since is not None
    return standing.rank >= LINK_RANKS.get(room.links_from, Rank.VIEWER)


def _require(session: Session, scope: Scope) -> None:
    if session.scopes is not None and scope not in session.scopes:
        raise Forbidden(f"The app token has no scope {scope}.", code="missing_scope")


def _quoted(frame: dict[str, Any]) -> dict[str, Any]:
    user = frame["user"]
    return {
        "id": frame["id"],
        "user": {"id": user["id"], "login": user["login"], "name": user["name"]},
        "text": frame["text"][:REPLY_TEXT],
    }


def message_frame(room: Room, session: Session, member: Member, draft: Draft) -> dict[str, Any]:
    """A message as everybody gets it; offset and time are put in front by accept.lua."""
    user = session.user
    if user is None:
        raise Forbidden("Log in to chat.", code="login_required")
    frame: dict[str, Any] = {
        "channel": room.channel.login,
        "id": draft.id,
        "kind": "action" if draft.action else "chat",
        "user": {
            "id": str(user.id),
            "login": user.login,
            "name": user.name,
            "color": user.color,
            "badges": member.standing.badges + (["staff/1"] if user.staff else []),
        },
        "text": draft.text,
        "emotes": emotes.find(draft.text, room.facts.emotes),
    }
    if addressed := emotes.mentions(draft.text):
        frame["mentions"] = addressed
    if draft.reply_to is not None:
        frame["reply_to"] = draft.reply_to
    if draft.nonce is not None:
        frame["nonce"] = draft.nonce
    if not member.spoke:
        frame["first"] = True
    return frame


def me_of(session: Session, member: Member) -> dict[str, Any]:
    """Where somebody stands, as they are told."""
    standing = member.standing
    role = None if session.user is None else standing.rank.name.lower()
    content: dict[str, Any] = {
        "role": role,
        "badges": standing.badges,
        "color": None if session.user is None else session.user.color,
        "follows_since": _time(standing.follows_since),
        "banned": standing.banned,
        "can_moderate": standing.can_moderate,
    }
    if standing.timed_out_until is not None and standing.timed_out_until > time.time():
        content["timed_out_until"] = _time(standing.timed_out_until)
    if standing.warning is not None:
        content["warning"] = {"reason": standing.warning}
    return content


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else stamp(datetime.fromtimestamp(seconds, UTC))
