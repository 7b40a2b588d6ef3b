"""The site's moderation: reports, suspensions, appeals. Written by api."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, Json, one_of


class SuspensionScope(StrEnum):
    """What a suspension takes away: everything but reading, or only the channel (its stream, its chat
    and its videos).
    """

    ACCOUNT = "account"
    CHANNEL = "channel"


class ReportKind(StrEnum):
    """What is reported."""

    USER = "user"
    MESSAGE = "message"
    STREAM = "stream"
    VIDEO = "video"
    CLIP = "clip"


class ReportStatus(StrEnum):
    """Where a report stands in the queue."""

    OPEN = "open"
    CLAIMED = "claimed"
    DECIDED = "decided"


class ReportDecision(StrEnum):
    """What came of a report."""

    NONE = "none"
    WARNED = "warned"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class Report(Base):
    """A viewer's report, and what the site's moderators made of it."""

    __tablename__ = "reports"
    __table_args__ = (
        one_of("kind", ReportKind),
        one_of("status", ReportStatus),
        one_of("decision", ReportDecision),
        Index("ix_reports_status", "status", "id"),
        Index("ix_reports_subject_user_id", "subject_user_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    reporter_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    subject_user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    channel_id: Mapped[int | None]
    message_id: Mapped[uuid.UUID | None]
    stream_id: Mapped[int | None]
    video_id: Mapped[int | None]
    clip_id: Mapped[str | None]
    # A code of a fixed list (spam, harassment, …).
    reason: Mapped[str]
    text: Mapped[str] = mapped_column(server_default="")
    # What was reported as it was then: it may be deleted by the time somebody looks.
    snapshot: Mapped[Json] = mapped_column(server_default="{}")
    status: Mapped[str] = mapped_column(server_default=ReportStatus.OPEN)
    claimed_by: Mapped[int | None]
    claimed_at: Mapped[datetime | None]
    decision: Mapped[str | None]
    decision_reason: Mapped[str] = mapped_column(server_default="")
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Suspension(Base):
    """An account or a channel is suspended, for a time or for good."""

    __tablename__ = "suspensions"
    __table_args__ = (
        one_of("scope", SuspensionScope),
        Index(
            "ix_suspensions_user_id_standing",
            "user_id",
            "scope",
            postgresql_where=text("lifted_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    scope: Mapped[str]
    reason: Mapped[str]
    by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Null: for good.
    until: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[int | None]


class Appeal(Base):
    """The suspended user's word against a suspension, and the answer."""

    __tablename__ = "appeals"
    __table_args__ = (Index("ix_appeals_open", "id", postgresql_where=text("decided_at is null")),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    # One per suspension.
    suspension_id: Mapped[int] = mapped_column(
        ForeignKey("suspensions.id", ondelete="CASCADE"), unique=True
    )
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # upheld, shortened, lifted
    decision: Mapped[str | None]
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(server_default="")
