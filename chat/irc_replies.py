"""What the server says in Twitch's IRC dialect: greetings, states, notices, and what happens in a room.

Events come as docs/protocols/chat.md has them. Tags are those that Twitch writes, in the form that clients
insist on: a partial ROOMSTATE names only what has changed, a NOTICE has no tag but `msg-id`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from chat.irc import CAPABILITIES, HOST, Message, Ping
from core.errors import DomainError


class Person(NamedTuple):
    """Somebody as tags describe them."""

    id: str
    login: str
    name: str
    color: str
    badges: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """`login!login@login.tmi.twitch.tv`."""
        return f"{self.login}!{self.login}@{self.login}.{HOST}"

    def _has(self, badge: str) -> bool:
        return any(own.partition("/")[0] == badge for own in self.badges)

    def tags(self) -> dict[str, str]:
        """The tags that messages and states of theirs have in common."""
        mod = self._has("moderator")
        tags = {
            "badge-info": "",
            "badges": ",".join(self.badges),
            "color": self.color,
            "display-name": self.name,
            "mod": "1" if mod else "0",
            "subscriber": "1" if self._has("subscriber") else "0",
            "turbo": "0",
            "user-type": "mod" if mod else "",
        }
        if self._has("vip"):
            tags["vip"] = "1"
        return tags


def person(user: Mapping[str, Any]) -> Person:
    """From an event's `user`."""
    badges = tuple(user.get("badges", ()))
    color = user.get("color") or ""
    return Person(str(user["id"]), user["login"], user.get("name") or user["login"], color, badges)


def server(verb: str, *params: str, tags: Mapping[str, str] | None = None) -> Message:
    """A line of the server's own."""
    return Message(verb, params, HOST, tags or {})


def welcome(nick: str) -> list[Message]:
    """The greeting. Clients count themselves connected at 376."""
    lines = (
        ("001", "Welcome, GLHF!"),
        ("002", f"Your host is {HOST}"),
        ("003", "This server is rather new"),
        ("004", "-"),
        ("375", "-"),
        ("372", "You are in a maze of twisty passages, all alike."),
        ("376", ">"),
    )
    return [Message(code, (nick, text), HOST) for code, text in lines]


def capabilities(asked: tuple[str, ...] | None) -> tuple[Message, tuple[str, ...]]:
    """The answer to CAP, and what is switched on by it: all of it or nothing."""
    if asked is None:
        return server("CAP", "*", "LS", " ".join(CAPABILITIES)), ()
    if asked and set(asked) <= set(CAPABILITIES):
        return server("CAP", "*", "ACK", " ".join(asked)), asked
    return server("CAP", "*", "NAK", " ".join(asked)), ()


def global_user_state(who: Person) -> Message:
    """Who one is, after logging in."""
    tags = {
        "badge-info": "",
        "badges": "",
        "color": who.color,
        "display-name": who.name,
        "emote-sets": "0",
        "user-id": who.id,
        "user-type": "",
    }
    return server("GLOBALUSERSTATE", tags=tags)


def user_state(channel: str, who: Person) -> Message:
    """Who one is in a room: after joining it, and after each message of one's own."""
    tags = who.tags() | {"emote-sets": "0", "user-id": who.id}
    tags.pop("turbo")
    return server("USERSTATE", f"#{channel}", tags=tags)


_STATES = {
    "emote_only": "emote-only",
    "followers_min": "followers-only",
    "unique_chat": "r9k",
    "slow_s": "slow",
    "subscribers_only": "subs-only",
}


def room_state(channel: str, room_id: str, settings: Mapping[str, Any]) -> Message | None:
    """How a room is run, or what of it has changed; None where nothing has that IRC knows."""
    tags = {
        tag: "-1" if settings[key] is None else str(int(settings[key]))
        for key, tag in _STATES.items()
        if key in settings
    }
    if not tags:
        return None
    return server("ROOMSTATE", f"#{channel}", tags={**tags, "room-id": room_id})


def joined(channel: str, login: str) -> list[Message]:
    """One's own way into a room, and its names: as on Twitch, one's own."""
    own = f"{login}.{HOST}"
    return [
        Message("JOIN", (f"#{channel}",), f"{login}!{login}@{own}"),
        Message("353", (login, "=", f"#{channel}", login), own),
        Message("366", (login, f"#{channel}", "End of /NAMES list"), own),
    ]


def parted(channel: str, login: str) -> Message:
    """One's own way out."""
    return Message("PART", (f"#{channel}",), f"{login}!{login}@{login}.{HOST}")


def notice(channel: str | None, code: str | None, text: str) -> Message:
    """A word to one client. The only tag is the code: TwitchIO takes whatever comes first for it."""
    tags = {} if code is None else {"msg-id": code}
    return server("NOTICE", "*" if channel is None else f"#{channel}", text or "-", tags=tags)


LOGIN_FAILED = notice(None, None, "Login unsuccessful")
RECONNECT = server("RECONNECT")
PING = Message("PING", (HOST,))
# RFC 1459, 4.6.4: before a connection is closed by the server.
TOO_MANY = Message("ERROR", ("Closing link: too many connections",))


def pong(asked: Ping) -> Message:
    """A bare PING is tmi.js's, which wants no source; others look for their own token."""
    if asked.token is None:
        return Message("PONG", (HOST,))
    return server("PONG", HOST, asked.token)


def unknown(nick: str, verb: str) -> Message:
    """A command that we do not have."""
    return server("421", nick, verb, "Unknown command")


# Refusals of our own beside Twitch's ids that clients know.
_CODES = {
    "login_required": "msg_verified_email",
    "suspended": "msg_suspended",
    "channel_not_found": "msg_room_not_found",
    "not_joined": "msg_room_not_found",
    "forbidden": "no_permission",
    "missing_scope": "no_permission",
    "message_too_long": "msg_too_long",
    "message_empty": "usage_me",
}


def refusal(channel: str | None, error: DomainError) -> Message:
    """What kept a client from something."""
    text = error.message
    if error.retry_after is not None and error.retry_after > 0:
        text += f" Wait {max(1, round(error.retry_after))} s."
    return notice(channel, _CODES.get(error.code, error.code), text)


# --- what happens in a room -----------------------------------------------------------------------


def happened(event: Mapping[str, Any], room_id: str, now_ms: int) -> list[Message]:
    """The lines of an event, none where IRC has no word for it. `now_ms` stands where it names no time."""
    channel = f"#{event.get('channel', '')}"
    when = _milliseconds(event.get("ts"), now_ms)
    match event["type"]:
        case "message":
            return _message(event, channel, room_id, when)
        case "deleted":
            return [_deleted(event, channel, when)]
        case "cleared":
            return [_cleared(event, channel, room_id, when)]
        case "settings":
            return _settings(event["channel"], room_id, event["settings"])
        case "notice":
            return [notice(event["channel"], event["code"], event["message"])]
        case "warned":
            text = f"A moderator has warned you: {event['reason']}"
            return [notice(event["channel"], "warned", text)]
        case "shutdown":
            return [RECONNECT]
    return []


def _milliseconds(stamp: str | None, otherwise: int) -> str:
    if stamp is None:
        return str(otherwise)
    return str(round(datetime.fromisoformat(stamp).timestamp() * 1000))


def _message(event: Mapping[str, Any], channel: str, room_id: str, when: str) -> list[Message]:
    who = person(event["user"])
    kind = event.get("kind", "chat")
    tags = who.tags() | {
        "emotes": emotes(event.get("emotes", ())),
        "first-msg": "1" if event.get("first") else "0",
        "flags": "",
        "id": event["id"],
        "returning-chatter": "0",
        "room-id": room_id,
        "tmi-sent-ts": when,
        "user-id": who.id,
    }
    if kind == "raid":
        return [_raid(event["raid"], tags, channel)]
    if kind == "announcement":
        color = (event.get("color") or "primary").upper()
        tags |= {"login": who.login, "msg-id": "announcement", "msg-param-color": color}
        return [server("USERNOTICE", channel, event["text"], tags={**tags, "system-msg": ""})]
    if (parent := event.get("reply_to")) is not None:
        tags |= _reply(parent)
    text = event["text"]
    if kind == "action":
        text = f"\x01ACTION {text}\x01"
    return [Message("PRIVMSG", (channel, text), who.source, _sorted(tags))]


def _sorted(tags: dict[str, str]) -> dict[str, str]:
    return dict(sorted(tags.items()))


def emotes(found: Any) -> str:
    """`25:0-4,12-16/30:6-10`: positions in code points, the end included."""
    places: dict[str, list[str]] = {}
    for emote in found:
        places.setdefault(str(emote["id"]), []).append(f"{emote['start']}-{emote['end']}")
    return "/".join(f"{id_}:{','.join(at)}" for id_, at in places.items())


def _reply(parent: Mapping[str, Any]) -> dict[str, str]:
    user = parent["user"]
    return {
        "reply-parent-display-name": user.get("name") or user["login"],
        "reply-parent-msg-body": parent.get("text", ""),
        "reply-parent-msg-id": parent["id"],
        "reply-parent-user-id": str(user.get("id", "")),
        "reply-parent-user-login": user["login"],
    }


def _raid(raid: Mapping[str, Any], tags: dict[str, str], channel: str) -> Message:
    source, viewers = raid["from"], str(raid["viewers"])
    name = source.get("name") or source["login"]
    tags |= {
        "display-name": name,
        "login": source["login"],
        "msg-id": "raid",
        "msg-param-displayName": name,
        "msg-param-login": source["login"],
        "msg-param-viewerCount": viewers,
        "system-msg": f"{viewers} raiders from {name} have joined!",
    }
    return server("USERNOTICE", channel, tags=_sorted(tags))


def _deleted(event: Mapping[str, Any], channel: str, when: str) -> Message:
    user = event.get("user") or {}
    tags = {
        "login": user.get("login", ""),
        "room-id": "",
        "target-msg-id": event["id"],
        "tmi-sent-ts": when,
    }
    return server("CLEARMSG", channel, event.get("text", ""), tags=tags)


def _cleared(event: Mapping[str, Any], channel: str, room_id: str, when: str) -> Message:
    user, duration = event.get("user"), event.get("duration_s")
    tags = {"room-id": room_id, "tmi-sent-ts": when}
    if user is None:
        return server("CLEARCHAT", channel, tags=tags)
    if duration is not None:
        tags["ban-duration"] = str(duration)
    tags["target-user-id"] = str(user["id"])
    return server("CLEARCHAT", channel, user["login"], tags=_sorted(tags))


# What a mode's change is called: on, off, and the sentence.
_MODES = {
    "emote_only": ("emote_only", "emote-only mode"),
    "unique_chat": ("r9k", "unique-chat mode"),
    "subscribers_only": ("subs", "subscribers-only mode"),
    "slow_s": ("slow", "slow mode"),
    "followers_min": ("followers", "followers-only mode"),
}
# Codes of modes that are as they were to become already.
MODES_IN_VAIN = {
    "already_slow_on": "slow_s",
    "already_slow_off": "slow_s",
    "already_followers_on": "followers_min",
    "already_followers_on_zero": "followers_min",
    "already_followers_off": "followers_min",
}


def _settings(channel: str, room_id: str, changed: Mapping[str, Any]) -> list[Message]:
    """One ROOMSTATE for each mode: tmi.js takes one with `subs-only` in it for a whole state."""
    lines: list[Message] = []
    for key, (name, mode) in _MODES.items():
        if key not in changed:
            continue
        value = changed[key]
        on = value is not None if key == "followers_min" else bool(value)
        code = f"{name}_{'on' if on else 'off'}"
        if key == "followers_min" and value == 0:
            code = "followers_on_zero"
        state = "now in" if on else "no longer in"
        lines.append(notice(channel, code, f"This room is {state} {mode}."))
        if (partial := room_state(channel, room_id, {key: value})) is not None:
            lines.append(partial)
    return lines
