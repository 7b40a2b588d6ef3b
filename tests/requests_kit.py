"""For each body that the API takes, one that is in order."""

from __future__ import annotations

from typing import Any

from api.operations import Operation
from tests.api_kit import PASSWORD
from tests.belongings import Belongings

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
    "f8cfc0f01f00050001ff56c72f0d0000000049454e44ae426082"
)


def body(operation: Operation, mine: Belongings) -> dict[str, Any] | None:
    """A body for `operation` that is about what is `mine`; None where it takes none.

    Raises KeyError for a kind of body that nobody has written here: every operation needs one.
    """
    if operation.body is None:
        return None
    # Two are named alike: a room's settings, and the site's.
    if operation.path.startswith("/admin/settings"):
        return {"registration_open": True}
    return _bodies(mine)[operation.body.__name__]


def _bodies(mine: Belongings) -> dict[str, dict[str, Any]]:
    user, channel = mine.banned.login, mine.owner.login
    text, password = "A text", {"password": PASSWORD}
    return {
        "RegisterBody": {"login": "a b", "email": "x@example.org", **password},
        "LoginBody": {"login": channel, **password},
        "RefreshBody": {"refresh_token": "none"},
        "ForgotBody": {"email": f"{mine.secret}@example.org"},
        "ResetBody": {"token": "none", **password},
        "MeBody": {"bio": text},
        "PasswordBody": {"current_password": "wrong password", "new_password": PASSWORD},
        "DeleteBody": {"password": "wrong password"},
        "ChannelBody": {"title": text},
        "KeyBody": {"name": text},
        "VideoBody": {"title": text},
        "HighlightBody": {"start_s": 0, "duration_s": 5, "title": text},
        "PosterForm": {"file": PICTURE},
        "PosterMoment": {"at_s": 1},
        "VideoSettingsBody": {"visibility": "private"},
        "PositionBody": {"at_s": 1},
        "NewExport": {"format": "mp4"},
        "ClipBody": {
            "video": str(mine.ids["videos"]),
            "start_s": 0,
            "duration_s": 5,
            "title": text,
        },
        "ClipTitleBody": {"title": text},
        "EmoteForm": {"code": "Pic", "file": PICTURE},
        "RaidBody": {"channel": user},
        "PinBody": {"message": str(mine.message)},
        "AnnouncementBody": {"text": text},
        "PollBody": {"question": "Which?", "choices": ["this", "that"]},
        "PollChange": {"status": "ended"},
        "BanBody": {"user": user},
        "WarningBody": {"user": user, "reason": text},
        "NoteBody": {"text": text},
        "SuspicionBody": {"status": "monitored"},
        "HeldBody": {"decision": "allow"},
        "SettingsBody": {"slow_s": 5},
        "ShieldBody": {"active": True},
        "TermBody": {"text": text},
        "UnbanBody": {"text": text},
        "UnbanDecisionBody": {"decision": "approve"},
        "TokenBody": {"name": text, "scopes": ["chat:read"]},
        "SuspensionBody": {"user": channel, "scope": "account", "reason": text},
        "AppealBody": {"text": text},
        "AppealDecisionBody": {"decision": "lifted", "answer": text},
        "ReportBody": {"kind": "user", "user": channel, "reason": "spam"},
        "ReportDecisionBody": {"decision": "none", "reason": text},
        "RoleBody": {"role": "viewer"},
    }
