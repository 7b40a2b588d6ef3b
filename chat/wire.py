"""The JSON dialect: text frames to commands, events to text frames. docs/protocols/chat.md tells it
to clients.

An event is a dict that becomes one JSON object; `framed` puts it into a WebSocket frame (RFC 6455),
once, for all the sockets that get it.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Invalid, Malformed

# What a client may send in one frame, bytes; what it may say in one message is `room.MESSAGE_LENGTH`.
FRAME_BYTES = 8 * 1024
NONCE_LENGTH = 64
TOKEN_LENGTH = 4096
_LOGIN = re.compile(r"[a-z0-9][a-z0-9_]{2,24}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)
_INT64 = 2**63
_TEXT_FRAME = 0x81
# Made once: json.dumps with options makes one for every call.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Hello:
    """Who is there. Without a token a cookie counts, or they only read."""

    token: str | None = None

    def __repr__(self) -> str:
        return "Hello()"


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a room; `since` and `epoch` are from before the connection was lost."""

    channel: str
    since: int | None = None
    epoch: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Leave a room."""

    channel: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say something, or give a command such as `/timeout ann`."""

    channel: str
    text: str
    nonce: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class AckWarning:
    """Acknowledge a warning."""

    channel: str


@dataclass(frozen=True, slots=True)
class Vote:
    """Vote in a poll."""

    channel: str
    poll: int
    choice: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there? `t` comes back."""

    t: int | float | str | None = None


Command = Hello | Join | Part | Say | AckWarning | Vote | Ping


def decode(payload: bytes) -> Command:
    """The command in a frame.

    Raises Malformed (`bad_frame`, `frame_too_long`, `unknown_type`) or Invalid with the field that is
    wrong.
    """
    if len(payload) > FRAME_BYTES:
        raise Malformed(f"A frame has at most {FRAME_BYTES} bytes.", code="frame_too_long")
    try:
        content = json.loads(payload.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed("A frame is one JSON object.", code="bad_frame") from error
    if not isinstance(content, dict):
        raise Malformed("A frame is one JSON object.", code="bad_frame")
    name = content.get("type")
    read = _READERS.get(name) if isinstance(name, str) else None
    if read is None:
        raise Malformed("There is no such type of frame.", code="unknown_type")
    return read(content)


def context_of(payload: bytes) -> dict[str, str]:
    """Nonce and channel of a frame that was refused, so that its sender knows which one it was."""
    try:
        content = json.loads(payload[:FRAME_BYTES])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    found = {name: content.get(name) for name in ("nonce", "channel")}
    return {
        # As above: what comes back has to be writable.
        name: value.encode("utf-8", "replace").decode()
        for name, value in found.items()
        if isinstance(value, str) and len(value) <= NONCE_LENGTH
    }


def _hello(content: dict[str, Any]) -> Command:
    return Hello(_text(content, "token", TOKEN_LENGTH))


def _join(content: dict[str, Any]) -> Command:
    since = content.get("since")
    if since is not None and (type(since) is not int or not 0 <= since < _INT64):
        raise Invalid("`since` is an offset.", field="since")
    return Join(_channel(content), since, _text(content, "epoch", NONCE_LENGTH))


def _part(content: dict[str, Any]) -> Command:
    return Part(_channel(content))


def _say(content: dict[str, Any]) -> Command:
    text = content.get("text")
    if not isinstance(text, str):
        raise Invalid("`text` is missing.", field="text")
    reply_to = _text(content, "reply_to", 36)
    if reply_to is not None and not _UUID.fullmatch(reply_to):
        raise Invalid("`reply_to` is a message's id.", field="reply_to")
    # Half of a surrogate pair is JSON but no text: it could not be written to any socket.
    text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return Say(_channel(content), text, _text(content, "nonce", NONCE_LENGTH), reply_to)


def _ack_warning(content: dict[str, Any]) -> Command:
    return AckWarning(_channel(content))


def _vote(content: dict[str, Any]) -> Command:
    poll, choice = content.get("poll"), content.get("choice")
    if isinstance(poll, str) and poll.isascii() and poll.isdigit() and len(poll) < 19:
        poll = int(poll)
    if type(poll) is not int or not 0 < poll < _INT64:
        raise Invalid("`poll` is a poll's id.", field="poll")
    if type(choice) is not int or not 0 <= choice < 100:
        raise Invalid("`choice` is the index of a choice.", field="choice")
    return Vote(_channel(content), poll, choice)


def _ping(content: dict[str, Any]) -> Command:
    t = content.get("t")
    return Ping(t if isinstance(t, int | float) or (isinstance(t, str) and len(t) < 65) else None)


_READERS: dict[str, Callable[[dict[str, Any]], Command]] = {
    "hello": _hello,
    "join": _join,
    "part": _part,
    "say": _say,
    "ack_warning": _ack_warning,
    "vote": _vote,
    "ping": _ping,
}


def _channel(content: dict[str, Any]) -> str:
    channel = content.get("channel")
    if not isinstance(channel, str) or not _LOGIN.fullmatch(channel.lower()):
        raise Invalid("`channel` is a channel's login.", field="channel")
    return channel.lower()


def _text(content: dict[str, Any], field: str, most: int) -> str | None:
    value = content.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise Invalid(f"`{field}` is a text of at most {most} characters.", field=field)
    # As above: what comes back to the client has to be writable.
    return value.encode("utf-8", "replace").decode()


def encode(event: Mapping[str, Any]) -> bytes:
    """An event as JSON, without the frame around it."""
    return _to_json(event).encode()


def parse(payload: bytes) -> dict[str, Any]:
    """An event from its JSON, which is our own."""
    content: dict[str, Any] = json.loads(payload)
    return content


def framed(payload: bytes) -> bytes:
    """`payload` as one unmasked, final text frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT_FRAME, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", _TEXT_FRAME, 126, length) + payload
    return struct.pack("!BBQ", _TEXT_FRAME, 127, length) + payload


def frame(event: Mapping[str, Any]) -> bytes:
    """An event as the bytes that a WebSocket gets."""
    return framed(encode(event))
