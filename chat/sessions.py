"""Somebody's connection, whatever they speak: what the rooms know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from chat import wire
from chat.room import Standing, User

if TYPE_CHECKING:
    from chat.rooms import Room


class Event:
    """Something that happened in a room: its JSON, decoded once when somebody needs to look inside."""

    __slots__ = ("_content", "audience", "payload")

    def __init__(self, audience: str, payload: bytes) -> None:
        self.audience = audience
        self.payload = payload
        self._content: dict[str, Any] | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The event as docs/protocols/chat.md has it."""
        if self._content is None:
            self._content = wire.parse(self.payload)
        return self._content

    @property
    def is_message(self) -> bool:
        """Whether it is somebody's message."""
        return self.payload.startswith(MESSAGE)

    @property
    def offset(self) -> int:
        """A message's place in the room. It stands first in the frame, so nothing is decoded."""
        end = self.payload.index(b",", len(MESSAGE))
        return int(self.payload[len(MESSAGE) : end])

    @property
    def sender(self) -> int | None:
        """The id of a message's sender."""
        return int(self.content["user"]["id"]) if self.is_message else None


# How accept.lua begins every message.
MESSAGE = b'{"type":"message","offset":'


class Dialect(Protocol):
    """A way to write events. One object serves all sockets that get the same bytes."""

    def render(self, room: Room, event: Event, moderator: bool) -> bytes:
        """The bytes for a socket; b"" where this dialect has no word for the event."""
        ...

    def goodbye(self, retry_after_s: int) -> bytes:
        """What tells a client that this process stops, and to come back within that time."""
        ...


class Json:
    """The JSON dialect over WebSocket."""

    def render(self, room: Room, event: Event, moderator: bool) -> bytes:
        """A text frame."""
        return wire.framed(event.payload)

    def goodbye(self, retry_after_s: int) -> bytes:
        """A frame as well."""
        return wire.frame({"type": "shutdown", "retry_after": retry_after_s})


JSON = Json()


class Connection(Protocol):
    """A socket, as a session uses it."""

    def write(self, data: bytes) -> None:
        """Send what is already in the socket's form. Never waits: a reader too slow is dropped."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close."""
        ...

    def drop(self, why: str) -> None:
        """End it without a word, and count it."""
        ...


@dataclass(slots=True)
class Member:
    """A session in a room."""

    standing: Standing
    # Whether they have written here before.
    spoke: bool
    # The room's revision before this was read: at a later one it has to be read again.
    rev: str = ""


class Session:
    """One connection's user and rooms."""

    __slots__ = (
        "address",
        "connection",
        "dialect",
        "login_id",
        "members",
        "scopes",
        "tag",
        "token_id",
        "user",
    )

    def __init__(self, connection: Connection, dialect: Dialect, address: str = "") -> None:
        self.connection = connection
        self.dialect = dialect
        self.address = address
        self.user: User | None = None
        # The login or app token that it stands on, and what the token may be used for (None: all).
        self.login_id: int | None = None
        self.token_id: int | None = None
        self.scopes: frozenset[str] | None = None
        self.members: dict[Room, Member] = {}
        # Set where one's own messages are not sent back: messages with this nonce are left out.
        self.tag: str | None = None

    @property
    def user_id(self) -> int | None:
        """The user's id, if they are logged in."""
        return None if self.user is None else self.user.id

    def send(self, event: dict[str, Any]) -> None:
        """Send an event to this session alone (JSON dialect)."""
        self.connection.write(wire.frame(event))
