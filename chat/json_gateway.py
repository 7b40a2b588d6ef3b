"""The JSON dialect: a session behind a WebSocket. docs/protocols/chat.md is its description."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chat import wire
from chat.facts import stamp
from chat.gateway import Entrance, Visitor, WebSocket, is_ours
from chat.hub import Hub, Joined, me_of
from chat.people import ACCESS_COOKIE
from chat.room import MESSAGE_LENGTH, RATE, RATE_WINDOW_S
from chat.sessions import JSON, Session
from core.errors import DomainError, Malformed, Unavailable
from core.settings import Settings

PATH = "/chat"


class JsonHandler:
    """One session that speaks JSON."""

    __slots__ = ("_cookie", "_hub", "_socket", "session")

    def __init__(self, hub: Hub, socket: WebSocket, visitor: Visitor, cookie: str | None) -> None:
        self._hub = hub
        self._socket = socket
        self._cookie = cookie
        self.session = Session(socket, JSON, visitor.address)
        hub.opened(self.session)

    async def handle(self, message: bytes) -> None:
        """Work on one frame."""
        try:
            await self._obey(wire.decode(message))
        except DomainError as error:
            if isinstance(error, Malformed) and not self._socket.complain():
                return
            self.session.send({**error_event(error), **wire.context_of(message)})

    def closed(self) -> None:
        """The socket is gone."""
        self._hub.closed(self.session)

    async def _obey(self, command: wire.Command) -> None:
        match command:
            case wire.Hello(token):
                await self._hello(token)
            case wire.Join(channel, since, epoch):
                joined = await self._hub.join(self.session, channel, since, epoch)
                self.session.connection.write(joined_frame(self.session, joined))
            case wire.Part(channel):
                self._hub.part(self.session, channel)
            case wire.Say(channel, text, nonce, reply_to):
                notice = await self._hub.say(self.session, channel, text, nonce, reply_to)
                if notice is not None:
                    event = {"type": "notice", "channel": channel, "code": notice.code}
                    event["message"] = notice.message
                    if nonce is not None:
                        event["nonce"] = nonce
                    self.session.send(event)
            case wire.AckWarning(channel):
                await self._hub.acknowledge(self.session, channel)
            case wire.Vote(channel, poll, choice):
                await self._hub.vote(self.session, channel, poll, choice)
            case wire.Ping(t):
                self.session.send({"type": "pong"} if t is None else {"type": "pong", "t": t})

    async def _hello(self, token: str | None) -> None:
        token = token or self._cookie
        self._cookie = None
        if token is not None:
            await self._hub.log_in(self.session, token)
        user = self.session.user
        self.session.send(
            {
                "type": "welcome",
                "user": None
                if user is None
                else {
                    "id": str(user.id),
                    "login": user.login,
                    "name": user.name,
                    "color": user.color,
                },
                "limits": {
                    "message_length": MESSAGE_LENGTH,
                    "rate": RATE,
                    "rate_window_s": RATE_WINDOW_S,
                },
                "server_time": stamp(datetime.now(UTC)),
            }
        )


def error_event(error: DomainError) -> dict[str, Any]:
    """A refusal as a frame."""
    event: dict[str, Any] = {"type": "error", "code": error.code, "message": error.message}
    if error.field is not None:
        event["field"] = error.field
    if error.retry_after is not None:
        event["retry_after"] = round(error.retry_after, 3)
    if isinstance(error, Unavailable):
        event.setdefault("retry_after", 1)
    return event


def joined_frame(session: Session, joined: Joined) -> bytes:
    """The answer to `join`. The history is JSON already."""
    room = joined.room
    head = wire.encode(
        {
            "type": "joined",
            "channel": room.channel.login,
            "channel_id": str(room.id),
            "settings": room.facts.modes.public(),
            "me": me_of(session, joined.member),
            "offset": joined.offset,
            "epoch": room.epoch,
            "recovered": joined.recovered,
            "pinned": room.facts.pinned.get("message"),
            "poll": joined.poll,
            "raid": room.raid,
            "viewers": max(room.viewers, room.size),
        }
    )
    history = b",".join(event.payload for event in joined.history)
    return wire.framed(b'%b,"history":[%b]}' % (head[:-1], history))


def entrance(hub: Hub, settings: Settings) -> Entrance:
    """`/chat`: for our own pages, and for programs that send no Origin."""

    def make(socket: WebSocket, visitor: Visitor) -> JsonHandler:
        # Another site's page has the cookie sent along as well: it counts for our own pages only.
        cookie = (
            visitor.cookies.get(ACCESS_COOKIE) if is_ours(visitor, settings.public_url) else None
        )
        return JsonHandler(hub, socket, visitor, cookie)

    def admits(visitor: Visitor) -> bool:
        return visitor.origin is None or is_ours(visitor, settings.public_url)

    return Entrance(PATH, None, admits, make)
