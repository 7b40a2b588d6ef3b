"""Twitch's IRC dialect on the sessions of the rooms: over WebSocket at `/` (over TCP: `chat.irc_tcp`).

Both ways end in an `IrcHandler`, which gets one line at a time. A line of a room is rendered once for all the
sockets that get the same bytes: those with the same capabilities and the same way in (`IrcDialect`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from http import HTTPStatus

from aiohttp import web

from chat import irc, irc_replies, wire
from chat.gateway import Entrance, Visitor, WebSocket
from chat.hub import Hub, Joined, Notice
from chat.irc import Message
from chat.irc_replies import Person, notice
from chat.people import Identity, People
from chat.rooms import Room
from chat.sessions import Connection, Event, Member, Session
from core.errors import DomainError, Malformed, NotFound, Unauthorized

PATH = "/"
# Clients send a line a message; what reads them from a file may send a few.
LINES = 32
# Who has not said who they are by then leaves.
REGISTRATION_S = 15.0


class IrcDialect:
    """What is written to sockets with the same capabilities. `framed` puts lines into WebSocket frames."""

    __slots__ = ("commands", "framed", "membership", "tags")

    def __init__(self, tags: bool, commands: bool, membership: bool, framed: bool) -> None:
        self.tags = tags
        self.commands = commands
        self.membership = membership
        self.framed = framed

    def render(self, room: Room, event: Event, moderator: bool) -> bytes:
        """The lines of an event; b"" where there are none."""
        content = event.content
        if "channel" not in content:
            return b""
        lines = irc_replies.happened(content, str(room.id), round(time.time() * 1000))
        return self.write(lines)

    def goodbye(self, retry_after_s: int) -> bytes:
        """What asks a client to connect again elsewhere."""
        return self.write([irc_replies.RECONNECT])

    def write(self, lines: Iterable[Message]) -> bytes:
        """Lines as bytes, without those that the capabilities do not cover."""
        texts = [
            line.line(tags=self.tags)
            for line in lines
            if self.commands or line.verb not in _COMMANDS
        ]
        if not texts:
            return b""
        data = "".join(f"{text}\r\n" for text in texts).encode()
        return wire.framed(data) if self.framed else data


# What only those get who have asked for twitch.tv/commands. Notices go to all: they say what went wrong.
_COMMANDS = frozenset(
    {
        "CLEARCHAT",
        "CLEARMSG",
        "GLOBALUSERSTATE",
        "RECONNECT",
        "ROOMSTATE",
        "USERNOTICE",
        "USERSTATE",
    }
)


@cache
def dialect(capabilities: frozenset[str], framed: bool) -> IrcDialect:
    """The one dialect of those capabilities."""
    return IrcDialect(
        irc.TAGS in capabilities,
        irc.COMMANDS in capabilities,
        irc.MEMBERSHIP in capabilities,
        framed,
    )


class IrcHandler:
    """One session that speaks IRC."""

    __slots__ = (
        "_anonymous",
        "_complain",
        "_dialect",
        "_framed",
        "_hub",
        "_login",
        "_nick",
        "_registration",
        "_token",
        "capabilities",
        "session",
    )

    def __init__(
        self,
        hub: Hub,
        connection: Connection,
        address: str,
        *,
        framed: bool,
        complain: Callable[[], bool],
    ) -> None:
        self._hub = hub
        self._framed = framed
        self._complain = complain
        self.capabilities: frozenset[str] = frozenset()
        self._dialect = dialect(frozenset(), framed)
        self.session = Session(connection, self._dialect, address)
        # IRC never gives a sender their own message back.
        self.session.tag = uuid.uuid4().hex
        self._token: str | None = None
        self._nick: str | None = None
        # Set once registered: the login, or the name of a reader.
        self._login: str | None = None
        self._anonymous = False
        # Ends those who do not register; None afterwards, since a timer is as much as a room.
        self._registration: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            REGISTRATION_S, connection.drop, "handshake"
        )
        hub.opened(self.session)

    async def handle(self, message: bytes) -> None:
        """Work on one WebSocket message, which may hold several lines."""
        lines = [line for line in message.replace(b"\r", b"\n").split(b"\n") if line]
        if len(lines) > LINES:
            error = Malformed(f"A message has at most {LINES} lines.", code="too_many_lines")
            if self._complain():
                self._write(irc_replies.refusal(None, error))
            return
        for line in lines:
            if not await self.take(line):
                return

    async def take(self, line: bytes) -> bool:
        """Work on one line; False when there is nothing more to be read."""
        try:
            if len(line) > irc.LINE_BYTES:
                raise Malformed("The line is too long.", code="line_too_long")
            return await self._obey(irc.read(line.decode("utf-8", "replace")))
        except Malformed as error:
            # Strangers send anything at all; it costs them, and after a while the connection.
            if not self._complain():
                return False
            self._write(irc_replies.refusal(None, error))
        except DomainError as error:
            self._write(irc_replies.refusal(None, error))
        return True

    def closed(self) -> None:
        """The socket is gone."""
        self._stop_waiting()
        self._hub.closed(self.session)

    def _stop_waiting(self) -> None:
        if self._registration is not None:
            self._registration.cancel()
            self._registration = None

    def _write(self, *lines: Message) -> None:
        if data := self._dialect.write(lines):
            self.session.connection.write(data)

    async def _obey(self, command: irc.Command) -> bool:
        match command:
            case irc.Capabilities(asked):
                self._negotiate(asked)
            case irc.Pass(token):
                self._token = token
            case irc.Nick(name):
                self._nick = name
                self._anonymous = command.anonymous
            case irc.Ping():
                self._write(irc_replies.pong(command))
            case irc.Quit():
                self.session.connection.close(1000, "")
                return False
            case irc.Nothing():
                pass
            case _ if self._login is None:
                raise Malformed("Say who you are first: PASS and NICK.", code="not_registered")
            case irc.Join(channels):
                for channel in channels:
                    await self._join(channel)
            case irc.Part(channels):
                for channel in channels:
                    self._part(channel)
            case irc.Say(channel, text, reply_to):
                await self._say(channel, text, reply_to)
            case irc.Unknown(verb):
                self._write(irc_replies.unknown(self._login, verb))
        if self._login is None and isinstance(command, irc.Pass | irc.Nick):
            return await self._register()
        return True

    def _negotiate(self, asked: tuple[str, ...] | None) -> None:
        answer, on = irc_replies.capabilities(asked)
        self._write(answer)
        if not on:
            return
        self.capabilities |= set(on)
        self._dialect = self.session.dialect = dialect(self.capabilities, self._framed)
        for room, member in list(self.session.members.items()):
            # Into the group of those who get the same from now on.
            room.enter(self.session, member)

    # --- registration -----------------------------------------------------------------------------

    async def _register(self) -> bool:
        """As soon as both PASS and NICK are there; an anonymous reader needs no PASS."""
        if self._nick is None:
            return True
        if self._anonymous:
            self._registered(self._nick)
            self._write(*irc_replies.welcome(self._nick))
            return True
        if self._token is None:
            return True
        token, self._token = self._token, None
        try:
            await self._hub.log_in(self.session, token)
        except Unauthorized:
            self._write(irc_replies.LOGIN_FAILED)
            self.session.connection.close(1000, "login failed")
            return False
        # Whatever the NICK was: the token says who it is, as on Twitch.
        who = self._person()
        self._registered(who.login)
        self._write(*irc_replies.welcome(who.login), irc_replies.global_user_state(who))
        return True

    def _registered(self, login: str) -> None:
        self._login = login
        self._stop_waiting()

    def _person(self, member: Member | None = None) -> Person:
        user = self.session.user
        if user is None:
            return Person("0", self._login or "*", self._login or "*", "")
        badges = [] if member is None else member.standing.badges
        return Person(str(user.id), user.login, user.name, user.color, tuple(badges))

    # --- rooms ------------------------------------------------------------------------------------

    async def _join(self, channel: str) -> None:
        if any(room.channel.login == channel for room in self.session.members):
            return
        try:
            joined = await self._hub.join(self.session, channel)
        except DomainError as error:
            self._write(irc_replies.refusal(channel, error))
            return
        self._write(*self._entered(channel, joined))

    def _entered(self, channel: str, joined: Joined) -> list[Message]:
        """The answer to JOIN. tmi.js takes USERSTATE before ROOMSTATE for granted."""
        lines = irc_replies.joined(channel, self._login or "*")
        if self.session.user is not None:
            lines.append(irc_replies.user_state(channel, self._person(joined.member)))
        state = irc_replies.room_state(
            channel, str(joined.room.id), joined.room.facts.modes.public()
        )
        return lines if state is None else [*lines, state]

    def _part(self, channel: str) -> None:
        try:
            self._hub.part(self.session, channel)
        except NotFound:
            return
        self._write(irc_replies.parted(channel, self._login or "*"))

    async def _say(self, channel: str, text: str, reply_to: str | None) -> None:
        try:
            channel = self._room_of(channel, text)
            answer = await self._hub.say(self.session, channel, text, self.session.tag, reply_to)
        except DomainError as error:
            self._write(irc_replies.refusal(channel, error), *self._unchanged(channel, error))
            return
        if answer is not None:
            self._answer(channel, answer)
            return
        room, member = self._hub.member(self.session, channel)
        self._write(irc_replies.user_state(room.channel.login, self._person(member)))

    def _room_of(self, channel: str, text: str) -> str:
        """tmi.js says `/color` in a channel of its own; it is about the sender, so any room will do."""
        if text.startswith("/color ") and self.session.members:
            return next(iter(self.session.members)).channel.login
        return channel

    def _unchanged(self, channel: str, error: DomainError) -> list[Message]:
        """How a mode stands that was asked for in vain. For slow and followers-only mode tmi.js knows no
        notice and waits for the state.
        """
        mode = irc_replies.MODES_IN_VAIN.get(error.code)
        room = self._hub.rooms.find(channel)
        if mode is None or room is None:
            return []
        state = irc_replies.room_state(
            channel, str(room.id), {mode: room.facts.modes.public()[mode]}
        )
        return [] if state is None else [state]

    def _answer(self, channel: str, answer: Notice) -> None:
        if self._dialect.commands and answer.is_told:
            return
        self._write(notice(channel, answer.code, answer.message))


# --- over WebSocket -------------------------------------------------------------------------------


def entrances(hub: Hub) -> list[Entrance]:
    """`/`, with the subprotocol `irc` or none (TwitchIO names none).

    From any page: nothing but the token in a PASS line says who somebody is, and no cookie counts.
    """

    def make(socket: WebSocket, visitor: Visitor) -> IrcHandler:
        return IrcHandler(hub, socket, visitor.address, framed=True, complain=socket.complain)

    def admits(_visitor: Visitor) -> bool:
        return True

    return [Entrance(PATH, name, admits, make) for name in ("irc", None)]


# --- /oauth2/validate -----------------------------------------------------------------------------


def add_validate(app: web.Application, people: People) -> None:
    """`GET /oauth2/validate` in Twitch's form, which bots call to learn who their token is."""

    async def validate(request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() not in ("oauth", "bearer") or not token.strip():
                raise Unauthorized("missing authorization token")
            found = await people.identify(token.strip().removeprefix("oauth:"))
        except Unauthorized:
            content = {"status": 401, "message": "invalid access token"}
            return web.json_response(content, status=HTTPStatus.UNAUTHORIZED)
        return web.json_response(_validated(found))

    app.router.add_get("/oauth2/validate", validate)


def _validated(found: Identity) -> dict[str, object]:
    """Twitch's answer. `expires_in` 0: as long as it is not revoked."""
    return {
        "client_id": "footlight",
        "login": found.user.login,
        "scopes": sorted(found.scopes if found.scopes is not None else _ALL_SCOPES),
        "user_id": str(found.user.id),
        "expires_in": 0,
    }


_ALL_SCOPES = frozenset({"chat:read", "chat:edit", "channel:moderate"})
