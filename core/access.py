"""Who may do what: one function that every service asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from core.db.models import ChatRoleKind, Role
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
    """A channel as far as access needs it. Its id is its owner's id.

    `chat_role` is what the actor is in its chat, for actions that depend on it.
    """

    id: int
    chat_role: ChatRoleKind | None = None


class Action(Enum):
    """Everything that is asked for permission."""

    PUBLISH = "publish"
    EDIT_CHANNEL = "edit_channel"
    END_STREAM = "end_stream"
    MANAGE_STREAM_KEYS = "manage_stream_keys"
    MODERATE_CHAT = "moderate_chat"
    ADD_EMOTES = "add_emotes"
    REMOVE_EMOTES = "remove_emotes"
    EDIT_VIDEOS = "edit_videos"
    UPLOAD_VIDEOS = "upload_videos"


class SiteAction(Enum):
    """What concerns the whole site and no channel."""

    HANDLE_REPORTS = "handle_reports"
    SUSPEND = "suspend"
    SEE_ACCOUNTS = "see_accounts"
    STOP_STREAMS = "stop_streams"
    SEE_PRIVATE_DATA = "see_private_data"
    SET_ROLES = "set_roles"
    SEE_AUDIT_LOG = "see_audit_log"
    REMOVE_VIDEOS = "remove_videos"
    SEE_STORAGE = "see_storage"
    SEE_OVERVIEW = "see_overview"
    CHANGE_SETTINGS = "change_settings"


# The least role that may.
_LEAST = {
    SiteAction.HANDLE_REPORTS: Role.MODERATOR,
    SiteAction.SUSPEND: Role.MODERATOR,
    SiteAction.SEE_ACCOUNTS: Role.MODERATOR,
    SiteAction.STOP_STREAMS: Role.MODERATOR,
    SiteAction.SEE_PRIVATE_DATA: Role.ADMIN,
    SiteAction.SET_ROLES: Role.ADMIN,
    SiteAction.SEE_AUDIT_LOG: Role.ADMIN,
    SiteAction.REMOVE_VIDEOS: Role.MODERATOR,
    SiteAction.SEE_STORAGE: Role.ADMIN,
    SiteAction.SEE_OVERVIEW: Role.ADMIN,
    SiteAction.CHANGE_SETTINGS: Role.ADMIN,
}


_MESSAGES = {
    Action.PUBLISH: "This account may not stream.",
    Action.EDIT_CHANNEL: "Only the owner may change this channel.",
    Action.END_STREAM: "Only the owner and admins may end this stream.",
    Action.MANAGE_STREAM_KEYS: "This account may not stream.",
    Action.MODERATE_CHAT: "Only moderators of this channel may do this.",
    Action.ADD_EMOTES: "Only the owner may add emotes to this channel.",
    Action.REMOVE_EMOTES: "Only the owner may remove emotes of this channel.",
    Action.UPLOAD_VIDEOS: "This account may not upload videos.",
    Action.EDIT_VIDEOS: "Only the owner may change this channel's videos.",
}


# Of what is refused for more than not being the owner.
_CODES = {
    Action.PUBLISH: "streaming_not_allowed",
    Action.MANAGE_STREAM_KEYS: "streaming_not_allowed",
    Action.UPLOAD_VIDEOS: "uploading_not_allowed",
}


def allowed(actor: Actor, action: Action, channel: ChannelRef) -> bool:
    """Whether `actor` may do `action` to `channel`."""
    owner = actor.id == channel.id
    match action:
        case Action.PUBLISH | Action.MANAGE_STREAM_KEYS | Action.UPLOAD_VIDEOS:
            return owner and actor.is_at_least(Role.CREATOR)
        case Action.EDIT_CHANNEL | Action.EDIT_VIDEOS:
            return owner or actor.is_at_least(Role.ADMIN)
        case Action.END_STREAM:
            return owner or actor.is_at_least(Role.ADMIN)
        case Action.MODERATE_CHAT:
            moderates = channel.chat_role is ChatRoleKind.MODERATOR
            return owner or moderates or actor.is_at_least(Role.MODERATOR)
        case Action.ADD_EMOTES:
            return owner
        case Action.REMOVE_EMOTES:
            return owner or actor.is_at_least(Role.MODERATOR)


def authorize(actor: Actor, action: Action, channel: ChannelRef) -> None:
    """Raise Forbidden unless `actor` may do `action` to `channel`."""
    if not allowed(actor, action, channel):
        raise Forbidden(_MESSAGES[action], code=_CODES.get(action))


def allowed_on_site(actor: Actor, action: SiteAction) -> bool:
    """Whether `actor` may do `action` on this site."""
    return actor.is_at_least(_LEAST[action])


def authorize_site(actor: Actor, action: SiteAction) -> None:
    """Raise Forbidden unless `actor` may do `action` on this site."""
    if not allowed_on_site(actor, action):
        who = "admins" if _LEAST[action] is Role.ADMIN else "moderators and admins"
        raise Forbidden(f"Only this site's {who} may do this.")


def outranks(actor: Actor, other: Role) -> bool:
    """Whether `actor`'s role is above `other`: nobody suspends their peers."""
    return _RANK[actor.role] > _RANK[other]
