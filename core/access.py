"""Who may do what: one function that every service asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from core.db.models import Role
from core.errors import Forbidden

_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class Actor:
    """Somebody known.

    `login_id` is the login in use, or None where there is none (a stream key, a command).
    """

    id: int
    login: str
    role: Role
    login_id: int | None = None

    def is_at_least(self, role: Role) -> bool:
        """Whether the actor's role includes `role`."""
        return _RANK[self.role] >= _RANK[role]


@dataclass(frozen=True)
class ChannelRef:
    """A channel as far as access needs it. Its id is its owner's id."""

    id: int


class Action(Enum):
    """Everything that is asked for permission."""

    PUBLISH = "publish"
    EDIT_CHANNEL = "edit_channel"
    END_STREAM = "end_stream"
    MANAGE_STREAM_KEYS = "manage_stream_keys"


_MESSAGES = {
    Action.PUBLISH: "This account may not stream.",
    Action.EDIT_CHANNEL: "Only the owner may change this channel.",
    Action.END_STREAM: "Only the owner and admins may end this stream.",
    Action.MANAGE_STREAM_KEYS: "This account may not stream.",
}


def allowed(actor: Actor, action: Action, channel: ChannelRef) -> bool:
    """Whether `actor` may do `action` to `channel`."""
    owner = actor.id == channel.id
    match action:
        case Action.PUBLISH | Action.MANAGE_STREAM_KEYS:
            return owner and actor.is_at_least(Role.CREATOR)
        case Action.EDIT_CHANNEL:
            return owner or actor.is_at_least(Role.ADMIN)
        case Action.END_STREAM:
            return owner or actor.is_at_least(Role.ADMIN)


def authorize(actor: Actor, action: Action, channel: ChannelRef) -> None:
    """Raise Forbidden unless `actor` may do `action` to `channel`."""
    if not allowed(actor, action, channel):
        code = (
            "streaming_not_allowed"
            if action in (Action.PUBLISH, Action.MANAGE_STREAM_KEYS)
            else None
        )
        raise Forbidden(_MESSAGES[action], code=code)
