"""Who may do what, as a table."""

from __future__ import annotations

import pytest

from core.access import Action, Actor, ChannelRef, allowed, authorize
from core.db.models import Role
from core.errors import Forbidden

OWN, FOREIGN = ChannelRef(1), ChannelRef(2)
#                     own channel: viewer creator moderator admin     another's
TABLE = {
    Action.PUBLISH: ((False, True, True, True), (False, False, False, False)),
    Action.MANAGE_STREAM_KEYS: ((False, True, True, True), (False, False, False, False)),
    Action.EDIT_CHANNEL: ((True, True, True, True), (False, False, False, True)),
    Action.END_STREAM: ((True, True, True, True), (False, False, False, True)),
}


@pytest.mark.parametrize("action", Action)
def test_table(action: Action) -> None:
    for channel, expected in zip((OWN, FOREIGN), TABLE[action], strict=True):
        answers = tuple(allowed(Actor(1, "ann", role), action, channel) for role in Role)
        assert answers == expected


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
