"""Commands that people type, such as `/timeout ann 600 spam`, as values. Both dialects share them.

`parse` reads a text; whether its writer may do what it says is decided by the room. The names, defaults and
limits are Twitch's, so that bots which send such texts work unchanged. Errors are `core.errors.Invalid` with
Twitch's IRC message ids as codes: `usage_…` where something is missing, `unrecognized_cmd`, `invalid_user`,
`bad_timeout_duration`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn
from uuid import UUID

from core.errors import Invalid

TIMEOUT_DEFAULT_S, TIMEOUT_MAX_S = 600, 1_209_600
SLOW_DEFAULT_S, SLOW_MIN_S, SLOW_MAX_S = 30, 3, 120
FOLLOWERS_MAX_MIN = 129_600
REASON_LENGTH = 500
TEXT_LENGTH = 500
POLL_DEFAULT_S, POLL_MIN_S, POLL_MAX_S = 60, 15, 1800
POLL_QUESTION_LENGTH, POLL_CHOICE_LENGTH = 60, 25
POLL_MIN_CHOICES, POLL_MAX_CHOICES = 2, 5


class Grant(StrEnum):
    """Roles that a broadcaster gives in their channel."""

    MODERATOR = "moderator"
    VIP = "vip"


class AnnouncementColor(StrEnum):
    """The stripe beside an announcement; `primary` is the channel's own colour."""

    PRIMARY = "primary"
    BLUE = "blue"
    GREEN = "green"
    ORANGE = "orange"
    PURPLE = "purple"


class Mark(StrEnum):
    """What a suspicious user's mark says."""

    MONITORED = "monitored"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Me:
    """`/me text`: a message that is shown as an action of its sender."""

    text: str


@dataclass(frozen=True, slots=True)
class Ban:
    """Keep `login` out for good."""

    login: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Timeout:
    """Keep `login` from writing for `seconds`."""

    login: str
    seconds: int = TIMEOUT_DEFAULT_S
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unban:
    """End a ban or a timeout; `timeout_only` is what `/untimeout` asks for."""

    login: str
    timeout_only: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one message."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Delete every message that is shown."""


@dataclass(frozen=True, slots=True)
class Slow:
    """One message per `seconds` and viewer; 0 switches it off."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Followers:
    """Only those who have followed for `minutes` may write; None switches it off."""

    minutes: int | None


@dataclass(frozen=True, slots=True)
class Subscribers:
    """Only subscribers may write."""

    on: bool


@dataclass(frozen=True, slots=True)
class EmoteOnly:
    """Messages consist of emotes."""

    on: bool


@dataclass(frozen=True, slots=True)
class UniqueChat:
    """No message may repeat a recent one."""

    on: bool


@dataclass(frozen=True, slots=True)
class Shield:
    """Switch what the channel has set up for attacks on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetRole:
    """Make `login` a moderator or VIP, or (`on` false) no longer."""

    login: str
    role: Grant
    on: bool


@dataclass(frozen=True, slots=True)
class ListRole:
    """Who has a role."""

    role: Grant


@dataclass(frozen=True, slots=True)
class Announce:
    """A message that stands out."""

    text: str
    color: AnnouncementColor = AnnouncementColor.PRIMARY


@dataclass(frozen=True, slots=True)
class Warn:
    """Warn `login`, who has to acknowledge it before writing on."""

    login: str
    reason: str


@dataclass(frozen=True, slots=True)
class MarkUser:
    """Mark `login` as suspicious; `mark` None takes the mark away."""

    login: str
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Raid:
    """Take the viewers to another channel."""

    login: str


@dataclass(frozen=True, slots=True)
class Unraid:
    """Cancel the raid that is counted down."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask the viewers."""

    question: str
    choices: tuple[str, ...]
    seconds: int = POLL_DEFAULT_S


@dataclass(frozen=True, slots=True)
class EndPoll:
    """End the running poll early."""


@dataclass(frozen=True, slots=True)
class Vote:
    """Vote in the running poll; `choice` counts from 0."""

    choice: int


@dataclass(frozen=True, slots=True)
class Pin:
    """Show a message above the chat."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Unpin:
    """Take the pinned message away."""


@dataclass(frozen=True, slots=True)
class Color:
    """Set the colour of one's own name, `#RRGGBB`."""

    value: str


@dataclass(frozen=True, slots=True)
class Help:
    """What commands there are; with a `name`, how that one is used."""

    name: str | None = None

    @property
    def text(self) -> str:
        """The answer, one line. Raises Invalid (`no_help`) for a command that is unknown."""
        if self.name is None:
            return "Commands: " + " ".join(f"/{name}" for name in sorted(_SPECS))
        spec = _SPECS.get(_ALIASES.get(self.name, self.name))
        if spec is None:
            raise Invalid(f"There is no command /{self.name}.", code="no_help")
        return spec.usage


Command = (
    Me | Ban | Timeout | Unban | Delete | Clear | Slow | Followers | Subscribers | EmoteOnly | UniqueChat
    | Shield | SetRole | ListRole | Announce | Warn | MarkUser | Raid | Unraid | Poll | EndPoll | Vote
    | Pin | Unpin | Color | Help
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Spec:
    """One command: `read` turns what follows its name into a value, or calls `fail`."""

    read: Callable[[str, Callable[[], NoReturn]], Command]
    usage: str
    code: str


def parse(text: str) -> Command | None:
    """The command in `text`, or None where it is an ordinary message.

    As on Twitch a dot may stand for the slash, but only before a command that exists: "..." and ".5" are
    texts. Raises Invalid as this file's head says.
    """
    if text[:1] not in ("/", "."):
        return None
    word, _, rest = text[1:].partition(" ")
    name = word.lower()
    spec = _SPECS.get(_ALIASES.get(name, name))
    if spec is None:
        if text[0] == ".":
            return None
        raise Invalid(f"There is no command /{word[:40]}.", code="unrecognized_cmd")
    found = spec

    def fail() -> NoReturn:
        raise Invalid(found.usage, code=found.code)

    return spec.read(rest.strip(), fail)


Fail = Callable[[], NoReturn]
_LOGIN = re.compile(r"[a-z0-9][a-z0-9_]{2,24}", re.ASCII)


def clean_login(text: str) -> str:
    """A login as people write it: `@Ann,` is ann. Raises Invalid: `invalid_user`."""
    login = text.removeprefix("@").rstrip(",").lower()
    if not _LOGIN.fullmatch(login):
        raise Invalid(f"There is no user {text[:40]}.", code="invalid_user", field="user")
    return login


def _login_and_rest(rest: str, fail: Fail) -> tuple[str, str]:
    name, _, more = rest.partition(" ")
    if not name:
        fail()
    return clean_login(name), more.strip()


def _only_login(rest: str, fail: Fail) -> str:
    return _login_and_rest(rest, fail)[0]


_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 604_800),
    **dict.fromkeys(("mo", "mon", "month", "months"), 2_592_000),
}
_DURATION_PART = re.compile(r"([0-9]{1,9})[ ]?([a-z]{0,7})[ ]?", re.ASCII)


def parse_duration(text: str, unit_s: int) -> int | None:
    """Seconds of `600`, `10m`, `1d2h`, `1 week`; a bare number counts in `unit_s`. None for anything else."""
    total, position, text = 0, 0, text.strip().lower()
    while position < len(text):
        part = _DURATION_PART.match(text, position)
        if part is None:
            return None
        number, unit = part.groups()
        if unit:
            if unit not in _UNITS:
                return None
            total += int(number) * _UNITS[unit]
        elif part.end() < len(text) or position:
            return None
        else:
            total += int(number) * unit_s
        position = part.end()
    return total if text else None


def _ban(rest: str, fail: Fail) -> Command:
    login, reason = _login_and_rest(rest, fail)
    return Ban(login, reason[:REASON_LENGTH])


def _timeout(rest: str, fail: Fail) -> Command:
    login, more = _login_and_rest(rest, fail)
    if not more:
        return Timeout(login)
    first, _, reason = more.partition(" ")
    seconds = parse_duration(first, 1)
    if seconds is None:
        # Twitch's own clients take the default when only a reason follows.
        if first[:1].isdigit() or first[:1] in "-+":
            fail()
        return Timeout(login, reason=more[:REASON_LENGTH])
    if not 1 <= seconds <= TIMEOUT_MAX_S:
        raise Invalid("A timeout lasts from 1 second to 2 weeks.", code="bad_timeout_duration")
    return Timeout(login, seconds, reason.strip()[:REASON_LENGTH])


def _delete(rest: str, fail: Fail) -> Command:
    return Delete(_message_id(rest, fail))


def _message_id(rest: str, fail: Fail) -> str:
    try:
        return str(UUID(rest.split(" ", 1)[0]))
    except ValueError:
        fail()


def _slow(rest: str, fail: Fail) -> Command:
    seconds = parse_duration(rest, 1) if rest else SLOW_DEFAULT_S
    if seconds is None or not SLOW_MIN_S <= seconds <= SLOW_MAX_S:
        fail()
    return Slow(seconds)


def _followers(rest: str, fail: Fail) -> Command:
    seconds = parse_duration(rest, 60) if rest else 0
    if seconds is None or seconds > FOLLOWERS_MAX_MIN * 60:
        fail()
    return Followers(seconds // 60)


def _announce(color: AnnouncementColor) -> Callable[[str, Fail], Command]:
    def read(rest: str, fail: Fail) -> Command:
        return Announce(rest or fail(), color)

    return read


def _warn(rest: str, fail: Fail) -> Command:
    login, reason = _login_and_rest(rest, fail)
    return Warn(login, reason[:REASON_LENGTH] or fail())


def _poll(rest: str, fail: Fail) -> Command:
    head, _, tail = rest.partition(" ")
    seconds = parse_duration(head, 1)
    if seconds is None:
        seconds, tail = POLL_DEFAULT_S, rest
    question, *choices = [" ".join(part.split()) for part in tail.split("|")]
    if (
        not POLL_MIN_S <= seconds <= POLL_MAX_S
        or not 1 <= len(question) <= POLL_QUESTION_LENGTH
        or not POLL_MIN_CHOICES <= len(choices) <= POLL_MAX_CHOICES
        or not all(1 <= len(choice) <= POLL_CHOICE_LENGTH for choice in choices)
        or len(set(choices)) < len(choices)
    ):
        fail()
    return Poll(question, tuple(choices), seconds)


def _vote(rest: str, fail: Fail) -> Command:
    if rest not in tuple("12345"):
        fail()
    return Vote(int(rest) - 1)


# The names of Twitch's palette; any other colour is written as #RRGGBB.
COLORS = {
    "blue": "#0000FF", "blueviolet": "#8A2BE2", "cadetblue": "#5F9EA0", "chocolate": "#D2691E",
    "coral": "#FF7F50", "dodgerblue": "#1E90FF", "firebrick": "#B22222", "goldenrod": "#DAA520",
    "green": "#008000", "hotpink": "#FF69B4", "orangered": "#FF4500", "red": "#FF0000",
    "seagreen": "#2E8B57", "springgreen": "#00FF7F", "yellowgreen": "#9ACD32",
}  # fmt: skip
_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)


def _color(rest: str, fail: Fail) -> Command:
    value = COLORS.get(rest.lower().replace("_", "").replace(" ", ""), rest)
    if not _HEX_COLOR.fullmatch(value):
        fail()
    return Color(value.upper())


def _help(rest: str, fail: Fail) -> Command:
    return Help(rest.removeprefix("/").lower()[:40] or None)


def _always(command: Command) -> Callable[[str, Fail], Command]:
    return lambda _rest, _fail: command


def _role(role: Grant, on: bool) -> Callable[[str, Fail], Command]:
    return lambda rest, fail: SetRole(_only_login(rest, fail), role, on)


def _mark(mark: Mark | None) -> Callable[[str, Fail], Command]:
    return lambda rest, fail: MarkUser(_only_login(rest, fail), mark)


_SPECS: dict[str, _Spec] = {
    name: _Spec(read, f"Usage: /{name}{' ' if usage else ''}{usage}", code or f"usage_{name}")
    for name, usage, code, read in (
        ("me", "<text>", "", lambda rest, fail: Me(rest or fail())),
        ("ban", "<user> [reason]", "", _ban),
        ("unban", "<user>", "", lambda rest, fail: Unban(_only_login(rest, fail))),
        ("timeout", "<user> [600 | 10m | 1d2h] [reason]", "", _timeout),
        ("untimeout", "<user>", "", lambda rest, fail: Unban(_only_login(rest, fail), True)),
        ("delete", "<message id>", "", _delete),
        ("clear", "", "", _always(Clear())),
        ("slow", "[3 to 120 seconds]", "usage_slow_on", _slow),
        ("slowoff", "", "usage_slow_off", _always(Slow(0))),
        ("followers", "[30m | 1 week, at most 90 days]", "usage_followers_on", _followers),
        ("followersoff", "", "usage_followers_off", _always(Followers(None))),
        ("subscribers", "", "usage_subs_on", _always(Subscribers(True))),
        ("subscribersoff", "", "usage_subs_off", _always(Subscribers(False))),
        ("emoteonly", "", "usage_emote_only_on", _always(EmoteOnly(True))),
        ("emoteonlyoff", "", "usage_emote_only_off", _always(EmoteOnly(False))),
        ("uniquechat", "", "usage_r9k_on", _always(UniqueChat(True))),
        ("uniquechatoff", "", "usage_r9k_off", _always(UniqueChat(False))),
        ("shield", "", "", _always(Shield(True))),
        ("shieldoff", "", "", _always(Shield(False))),
        ("mod", "<user>", "", _role(Grant.MODERATOR, True)),
        ("unmod", "<user>", "", _role(Grant.MODERATOR, False)),
        ("mods", "", "", _always(ListRole(Grant.MODERATOR))),
        ("vip", "<user>", "", _role(Grant.VIP, True)),
        ("unvip", "<user>", "", _role(Grant.VIP, False)),
        ("vips", "", "", _always(ListRole(Grant.VIP))),
        ("announce", "<text>", "", _announce(AnnouncementColor.PRIMARY)),
        *(
            (f"announce{color}", "<text>", "usage_announce", _announce(color))
            for color in AnnouncementColor if color is not AnnouncementColor.PRIMARY
        ),
        ("warn", "<user> <reason>", "", _warn),
        ("monitor", "<user>", "", _mark(Mark.MONITORED)),
        ("restrict", "<user>", "", _mark(Mark.RESTRICTED)),
        ("unmonitor", "<user>", "", _mark(None)),
        ("raid", "<channel>", "", lambda rest, fail: Raid(_only_login(rest, fail))),
        ("unraid", "", "", _always(Unraid())),
        ("poll", "[15 to 1800 seconds] <question> | <choice> | <choice> …", "", _poll),
        ("endpoll", "", "", _always(EndPoll())),
        ("vote", "<1 to 5>", "", _vote),
        ("pin", "<message id>", "", lambda rest, fail: Pin(_message_id(rest, fail))),
        ("unpin", "", "", _always(Unpin())),
        ("color", "<name of a colour | #RRGGBB>", "", _color),
        ("help", "[command]", "", _help),
    )
}  # fmt: skip
_ALIASES = {
    "r9kbeta": "uniquechat", "r9kbetaoff": "uniquechatoff", "r9kmode": "uniquechat",
    "r9kmodeoff": "uniquechatoff", "unique": "uniquechat", "uniqueoff": "uniquechatoff",
    "colour": "color", "unrestrict": "unmonitor",
}  # fmt: skip

NAMES = tuple(sorted(_SPECS))
"""Every command, for completion and for documents."""
