"""Who may do what, as a table."""

from __future__ import annotations

import pytest

from core.access import (
    Action,
    Actor,
    ChannelRef,
    SiteAction,
    allowed,
    allowed_on_site,
    authorize,
    authorize_site,
    outranks,
)
from core.db.models import ChatRoleKind, Role
from core.errors import Forbidden

OWN, FOREIGN = ChannelRef(1), ChannelRef(2)
#                     own channel: viewer creator moderator admin     another's
TABLE = {
    Action.PUBLISH: ((False, True, True, True), (False, False, False, False)),
    Action.MANAGE_STREAM_KEYS: ((False, True, True, True), (False, False, False, False)),
    Action.EDIT_CHANNEL: ((True, True, True, True), (False, False, False, True)),
    Action.END_STREAM: ((True, True, True, True), (False, False, False, True)),
    Action.MODERATE_CHAT: ((True, True, True, True), (False, False, True, True)),
    Action.ADD_EMOTES: ((True, True, True, True), (False, False, False, False)),
    Action.REMOVE_EMOTES: ((True, True, True, True), (False, False, True, True)),
    Action.EDIT_VIDEOS: ((True, True, True, True), (False, False, False, True)),
    Action.UPLOAD_VIDEOS: ((False, True, True, True), (False, False, False, False)),
}
#                                viewer creator moderator admin
SITE_TABLE = {
    SiteAction.HANDLE_REPORTS: (False, False, True, True),
    SiteAction.SUSPEND: (False, False, True, True),
    SiteAction.SEE_ACCOUNTS: (False, False, True, True),
    SiteAction.STOP_STREAMS: (False, False, True, True),
    SiteAction.SEE_PRIVATE_DATA: (False, False, False, True),
    SiteAction.SET_ROLES: (False, False, False, True),
    SiteAction.SEE_AUDIT_LOG: (False, False, False, True),
    SiteAction.REMOVE_VIDEOS: (False, False, True, True),
    SiteAction.SEE_STORAGE: (False, False, False, True),
    SiteAction.SEE_OVERVIEW: (False, False, False, True),
    SiteAction.CHANGE_SETTINGS: (False, False, False, True),
}


@pytest.mark.parametrize("action", Action)
def test_table(action: Action) -> None:
    for channel, expected in zip((OWN, FOREIGN), TABLE[action], strict=True):
        answers = tuple(allowed(Actor(1, "ann", role), action, channel) for role in Role)
        assert answers == expected


@pytest.mark.parametrize("action", SiteAction)
def test_site_table(action: SiteAction) -> None:
    assert SITE_TABLE[action] == tuple(
        allowed_on_site(Actor(1, "ann", role), action) for role in Role
    )


@pytest.mark.parametrize("role", Role)
def test_a_channels_moderators_moderate_its_chat(role: Role) -> None:
    ann = Actor(1, "ann", role)
    assert allowed(ann, Action.MODERATE_CHAT, ChannelRef(2, ChatRoleKind.MODERATOR))
    is_site_moderator = ann.is_at_least(Role.MODERATOR)
    vip = ChannelRef(2, ChatRoleKind.VIP)
    assert allowed(ann, Action.MODERATE_CHAT, vip) == is_site_moderator


def test_nobody_outranks_their_peers() -> None:
    roles = list(Role)
    for high, role in enumerate(roles):
        for low, other in enumerate(roles):
            assert outranks(Actor(1, "ann", role), other) == (high > low)


def test_authorize_site_says_who() -> None:
    with pytest.raises(Forbidden, match="admins may"):
        authorize_site(Actor(1, "ann", Role.MODERATOR), SiteAction.SET_ROLES)
    authorize_site(Actor(1, "ann", Role.MODERATOR), SiteAction.SUSPEND)


def test_roles_include_the_ones_before() -> None:
    roles = list(Role)
    for high, role in enumerate(roles):
        for low, wanted in enumerate(roles):
            assert Actor(1, "ann", role).is_at_least(wanted) == (high >= low)


def test_authorize_says_why() -> None:
    with pytest.raises(Forbidden) as refused:
        authorize(Actor(1, "ann", Role.VIEWER), Action.PUBLISH, OWN)
    assert refused.value.code == "streaming_not_allowed"
    authorize(Actor(1, "ann", Role.CREATOR), Action.PUBLISH, OWN)
