"""Moderation of chats: who may not speak, what may not be said, what was decided. Written by chat."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, Json, one_of


class TermKind(StrEnum):
    """Whether a term holds a message back, or lets it past AutoMod."""

    BLOCKED = "blocked"
    PERMITTED = "permitted"


class HeldDecision(StrEnum):
    """What became of a held message."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"


class SuspiciousStatus(StrEnum):
    """How a suspicious user is treated: seen by moderators, or every message held."""

    MONITORED = "monitored"
    RESTRICTED = "restricted"


class UnbanStatus(StrEnum):
    """Where an unban request stands."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELLED = "cancelled"


class ChatBan(Base):
    """A ban (no end) or timeout that stands. One that is over is a line of the mod log."""

    __tablename__ = "chat_bans"
    __table_args__ = (
        Index("ix_chat_bans_channel_id", "channel_id", text("created_at desc"), "user_id"),
        Index("ix_chat_bans_expires_at", "expires_at"),
    )

    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    # Null: the system.
    moderator_id: Mapped[int | None]
    reason: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]


class ChatWarning(Base):
    """A warning: its receiver has to acknowledge it before they can chat on."""

    __tablename__ = "chat_warnings"
    __table_args__ = (Index("ix_chat_warnings_channel_id_user_id", "channel_id", "user_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    moderator_id: Mapped[int | None]
    reason: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    acknowledged_at: Mapped[datetime | None]


class ChatTerm(Base):
    """A blocked or permitted term of a channel."""

    __tablename__ = "chat_terms"
    __table_args__ = (
        one_of("kind", TermKind),
        UniqueConstraint("channel_id", "kind", "folded"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    text: Mapped[str]
    kind: Mapped[str]
    # Whether everybody may see it in the list of terms, or moderators only.
    public: Mapped[bool] = mapped_column(server_default=false())
    # As it is compared (chat.terms).
    folded: Mapped[str]
    created_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]


class ChatHeld(Base):
    """A message that waits for a moderator's decision, or waited for one."""

    __tablename__ = "chat_held"
    __table_args__ = (
        one_of("decision", HeldDecision),
        Index(
            "ix_chat_held_pending",
            "channel_id",
            "created_at",
            postgresql_where=text("decision = 'pending'"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    text: Mapped[str]
    # Why: automod, link, suspicious.
    reason: Mapped[str]
    categories: Mapped[list[str]] = mapped_column(server_default="{}")
    # The message as it will be published when it is allowed.
    data: Mapped[Json] = mapped_column(server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    decision: Mapped[str] = mapped_column(server_default=HeldDecision.PENDING)
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None]


class ChatSuspicious(Base):
    """A user whom a channel's moderators watch, or whose messages are all held."""

    __tablename__ = "chat_suspicious"
    __table_args__ = (one_of("status", SuspiciousStatus),)

    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    status: Mapped[str]
    # manual, ban_evasion
    source: Mapped[str] = mapped_column(server_default="manual")
    by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ChatNote(Base):
    """A moderator's note about a user, seen by the channel's moderators only."""

    __tablename__ = "chat_notes"
    __table_args__ = (Index("ix_chat_notes_channel_id_user_id", "channel_id", "user_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    author_id: Mapped[int | None]
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UnbanRequest(Base):
    """A banned user asks to be let in again."""

    __tablename__ = "unban_requests"
    __table_args__ = (
        one_of("status", UnbanStatus),
        Index("ix_unban_requests_channel_id_status", "channel_id", "status", "id"),
        Index(
            "uq_unban_requests_open",
            "channel_id",
            "user_id",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default=UnbanStatus.OPEN)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None]


class UnbanMessage(Base):
    """One message of the conversation about an unban request."""

    __tablename__ = "unban_messages"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    request_id: Mapped[int] = mapped_column(
        ForeignKey("unban_requests.id", ondelete="CASCADE"), index=True
    )
    author_id: Mapped[int | None]
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ModLogEntry(Base):
    """What a moderator, or the system, did in a channel."""

    __tablename__ = "mod_log"
    __table_args__ = (
        Index("ix_mod_log_channel_id", "channel_id", text("id desc")),
        Index("ix_mod_log_target_id", "channel_id", "target_id", text("id desc")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Null: the system.
    moderator_id: Mapped[int | None]
    action: Mapped[str]
    target_id: Mapped[int | None]
    reason: Mapped[str] = mapped_column(server_default="")
    data: Mapped[Json] = mapped_column(server_default="{}")
