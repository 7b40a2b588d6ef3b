"""The instance itself: its audit log, events, settings and backups. Written by api, where nothing else is said."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, Json


class AuditEntry(Base):
    """Who did what to whom, where it matters later. No secrets in `data`."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_actor_id", "actor_id", "id"),
        Index("ix_audit_log_target", "target", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Null: the system itself, or an operator on the command line.
    actor_id: Mapped[int | None]
    action: Mapped[str]
    target: Mapped[str] = mapped_column(server_default="")
    address: Mapped[str] = mapped_column(server_default="")
    data: Mapped[Json] = mapped_column(server_default="{}")


class OutboxEvent(Base):
    """An event written in the same transaction as what it tells of; a relay publishes and deletes
    it.

    Every service adds rows for its own events.
    """

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    # Becomes the message's Nats-Msg-Id.
    message_id: Mapped[str]
    subject: Mapped[str]
    payload: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SettingsVersion(Base):
    """What the instance's admins chose of its settings (core.instance_settings): the newest row holds, the
    others are its history. Versions have no gaps.
    """

    __tablename__ = "instance_settings"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Null: an operator on the command line.
    actor_id: Mapped[int | None]
    # Everything that is chosen; what is missing has its default.
    chosen: Mapped[Json]
    # {name: {"before", "after"}}: what this version changed of what holds.
    changes: Mapped[Json]
    # The version that this one took back.
    undoes: Mapped[int | None]


class BackupRun(Base):
    """A backup that was taken, or could not be. Written by the command line."""

    __tablename__ = "backups"
    __table_args__ = (Index("ix_backups_started_at", text("started_at desc")),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    # Of the archive; 0 when there is none.
    size_bytes: Mapped[int] = mapped_column(server_default="0")
    place: Mapped[str]
    # Why there is none.
    error: Mapped[str | None]
