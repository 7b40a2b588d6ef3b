"""Twitch's IRC dialect: lines, and what clients say in them. `chat.irc_replies` has what the server says, and
docs/protocols/irc.md tells both to clients. Pure.

Grammar: RFC 1459 section 2.3.1 with IRCv3's message tags and their escapes. What a line holds is hostile:
`parse` takes any text and either returns a Message or raises Malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import Malformed

HOST = "tmi.twitch.tv"
# Tags take up to 8191 bytes in IRCv3, and a text of 500 code points up to 2000.
LINE_BYTES = 8 * 1024
TAGS, COMMANDS, MEMBERSHIP = "twitch.tv/tags", "twitch.tv/commands", "twitch.tv/membership"
CAPABILITIES = (TAGS, COMMANDS, MEMBERSHIP)
_ESCAPES = {";": "\\:", " ": "\\s", "\\": "\\\\", "\r": "\\r", "\n": "\\n"}
_ESCAPE_TABLE = str.maketrans(_ESCAPES)
_UNESCAPES = {written[1]: meant for meant, written in _ESCAPES.items()}
_BREAKS = str.maketrans("", "", "\r\n\0")
_NICK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,31}", re.ASCII)
_CHANNEL = re.compile(r"#[a-z0-9][a-z0-9_]{2,24}", re.ASCII)
_ANONYMOUS = re.compile(r"justinfan[0-9]{1,20}", re.ASCII)


# --- lines ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One line. A tag without a value is ""."""

    verb: str
    params: tuple[str, ...] = ()
    source: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        # A PASS line holds a token.
        return f"Message({self.verb!r})"

    def line(self, *, tags: bool = True) -> str:
        """The line, without its end. `tags` false leaves them out."""
        parts = []
        if tags and self.tags:
            written = ";".join(f"{key}={escape(value)}" for key, value in self.tags.items())
            parts.append(f"@{written}")
        if self.source is not None:
            parts.append(f":{self.source}")
        parts.append(self.verb)
        if self.params:
            *middle, last = self.params
            parts += middle
            parts.append(f":{last}" if self._is_text(last) else last)
        return " ".join(parts).translate(_BREAKS)

    def _is_text(self, last: str) -> bool:
        """Whether the last parameter has to be, or at Twitch is, written with a colon before it."""
        if not last or last.startswith(":") or " " in last or self.verb in ("PING", "PONG"):
            return True
        return len(self.params) > 1 and (self.verb in _TEXTUAL or self.verb.isdecimal())


# Their last of two or more parameters is a text.
_TEXTUAL = frozenset({"PRIVMSG", "NOTICE", "USERNOTICE", "CLEARCHAT", "CLEARMSG", "CAP"})


def escape(value: str) -> str:
    """A tag's value as it is written."""
    return value.translate(_ESCAPE_TABLE)


def unescape(written: str) -> str:
    """What a tag's value means: a stray backslash is dropped, as IRCv3 has it."""
    if "\\" not in written:
        return written
    meant: list[str] = []
    characters = iter(written)
    for character in characters:
        if character == "\\":
            character = next(characters, "")
            character = _UNESCAPES.get(character, character)
        meant.append(character)
    return "".join(meant)


def parse(line: str) -> Message:
    """The message in a line without its end. Raises Malformed (`bad_line`)."""
    rest = line
    tags: dict[str, str] = {}
    source = None
    if rest.startswith("@"):
        written, _, rest = rest[1:].partition(" ")
        for tag in written.split(";"):
            key, _, value = tag.partition("=")
            if key:
                tags[key] = unescape(value)
        rest = rest.lstrip(" ")
    if rest.startswith(":"):
        source, _, rest = rest[1:].partition(" ")
        rest = rest.lstrip(" ")
    # A colon after a space begins the last parameter, which may hold anything.
    head, colon, trailing = rest.partition(" :")
    words = [word for word in head.split(" ") if word]
    if not words:
        raise Malformed("A line needs a command.", code="bad_line")
    if colon:
        words.append(trailing)
    return Message(words[0], tuple(words[1:]), source, tags)


class Lines:
    """Bytes in any chunking to lines. A line that is too long ends the connection: Malformed."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Lines that `data` completes, without their ends. Raises Malformed (`line_too_long`)."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES or any(len(line) > LINE_BYTES for line in lines):
            self._rest = b""
            raise Malformed(f"A line has at most {LINE_BYTES} bytes.", code="line_too_long")
        return [line.rstrip(b"\r") for line in lines]


# --- what clients send ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`CAP LS`, or `CAP REQ` with names; `CAP END` and others are `Nothing`."""

    request: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Pass:
    """The token, without `oauth:`."""

    token: str

    def __repr__(self) -> str:
        return "Pass()"


@dataclass(frozen=True, slots=True)
class Nick:
    """Who the client says it is; a token knows better."""

    name: str

    @property
    def anonymous(self) -> bool:
        """Whether it only reads: Twitch's justinfan and a number."""
        return _ANONYMOUS.fullmatch(self.name.lower()) is not None


@dataclass(frozen=True, slots=True)
class Join:
    """Enter rooms, by login."""

    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Leave rooms."""

    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Say something; `/me` is a text like the other commands."""

    channel: str
    text: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there? None for a bare PING."""

    token: str | None


@dataclass(frozen=True, slots=True)
class Quit:
    """Goodbye."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """What IRC clients say by habit and nobody has to answer: USER, PONG, CAP END, MODE, WHO."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A command that we do not have."""

    verb: str


Command = (
    Capabilities | Pass | Nick | Join | Part | Say | Ping | Quit | Nothing | Unknown
)  # fmt: skip
# Rooms in one JOIN; a session has at most a hundred in all.
_JOINS = 100
_ACTION = re.compile(r"\x01ACTION (.*?)\x01?", re.DOTALL)
_SILENT = frozenset({"USER", "PONG", "MODE", "WHO", "NAMES", "USERHOST", "ISON", "AWAY", "TOPIC"})


def read(line: str) -> Command:
    """The command in a line. Raises Malformed (`bad_line`)."""
    message = parse(line)
    params = message.params
    match message.verb.upper():
        case "CAP":
            return _capabilities(params)
        case "PASS":
            return Pass(_first(message).removeprefix("oauth:"))
        case "NICK":
            nick = _first(message)
            if not _NICK.fullmatch(nick):
                raise Malformed("This is no nickname.", code="bad_nick")
            return Nick(nick.lower())
        case "JOIN":
            return Join(_channels(_first(message)))
        case "PART":
            return Part(_channels(_first(message)))
        case "PRIVMSG":
            return _say(message)
        case "PING":
            return Ping(params[0] if params else None)
        case "QUIT":
            return Quit()
        case verb if verb in _SILENT:
            return Nothing()
    return Unknown(message.verb[:32])


def _first(message: Message) -> str:
    if not message.params:
        raise Malformed(f"{message.verb[:32]} needs a parameter.", code="bad_line")
    return message.params[0]


def _capabilities(params: tuple[str, ...]) -> Command:
    match [param.upper() for param in params[:1]]:
        case ["LS" | "LIST"]:
            return Capabilities(None)
        case ["REQ"]:
            return Capabilities(tuple(" ".join(params[1:]).split()[:20]))
    return Nothing()


def _channels(written: str) -> tuple[str, ...]:
    """Logins of `#a,#b`. What is no channel is left out, as Twitch does."""
    names = [name.lower() for name in written.split(",")[:_JOINS]]
    return tuple(dict.fromkeys(name[1:] for name in names if _CHANNEL.fullmatch(name)))


def _say(message: Message) -> Command:
    if len(message.params) < 2:
        raise Malformed("PRIVMSG needs a channel and a text.", code="bad_line")
    channels = _channels(message.params[0])
    if len(channels) != 1:
        return Nothing()
    text = message.params[1]
    action = _ACTION.fullmatch(text)
    if action is not None:
        text = f"/me {action[1]}"
    return Say(channels[0], text, message.tags.get("reply-parent-msg-id") or None)
