"""Every table but those of videos (core.db.video_models), by subject. Each has one service that writes it, named
where it is; the others read it, or ask that service.

Ids are 64-bit identity columns, decimal digits in JSON. Times are `timestamptz` in UTC.
"""

from __future__ import annotations

from core.db.models.accounts import (
    AppToken,
    Login,
    PasswordReset,
    RefreshToken,
    RetiredLogin,
    Role,
    SigningKey,
    User,
)
from core.db.models.base import Base, Json, one_of
from core.db.models.channels import Channel, Emote, Follow, StreamKey, Visibility
from core.db.models.chat import (
    ChatMessage,
    ChatRole,
    ChatRoleKind,
    ChatSettings,
    Poll,
    PollStatus,
    PollVote,
    Raid,
    RaidState,
)
from core.db.models.moderation import (
    ChatBan,
    ChatHeld,
    ChatNote,
    ChatSuspicious,
    ChatTerm,
    ChatWarning,
    HeldDecision,
    ModLogEntry,
    SuspiciousStatus,
    TermKind,
    UnbanMessage,
    UnbanRequest,
    UnbanStatus,
)
from core.db.models.reports import (
    Appeal,
    Report,
    ReportDecision,
    ReportKind,
    ReportStatus,
    Suspension,
    SuspensionScope,
)
from core.db.models.site import AuditEntry, BackupRun, OutboxEvent, SettingsVersion
from core.db.models.streams import PublishAttempt, Stream, StreamHealth, StreamStatus

__all__ = [
    "AppToken",
    "Appeal",
    "AuditEntry",
    "BackupRun",
    "Base",
    "Channel",
    "ChatBan",
    "ChatHeld",
    "ChatMessage",
    "ChatNote",
    "ChatRole",
    "ChatRoleKind",
    "ChatSettings",
    "ChatSuspicious",
    "ChatTerm",
    "ChatWarning",
    "Emote",
    "Follow",
    "HeldDecision",
    "Json",
    "Login",
    "ModLogEntry",
    "OutboxEvent",
    "PasswordReset",
    "Poll",
    "PollStatus",
    "PollVote",
    "PublishAttempt",
    "Raid",
    "RaidState",
    "RefreshToken",
    "Report",
    "ReportDecision",
    "ReportKind",
    "ReportStatus",
    "RetiredLogin",
    "Role",
    "SettingsVersion",
    "SigningKey",
    "Stream",
    "StreamHealth",
    "StreamKey",
    "StreamStatus",
    "Suspension",
    "SuspensionScope",
    "SuspiciousStatus",
    "TermKind",
    "UnbanMessage",
    "UnbanRequest",
    "UnbanStatus",
    "User",
    "Visibility",
    "one_of",
]
