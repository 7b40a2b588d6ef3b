"""Accounts and how they log in. Written by api."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, one_of


class Role(StrEnum):
    """What an account may do on the whole site, each including the ones before it."""

    VIEWER = "viewer"
    CREATOR = "creator"
    MODERATOR = "moderator"
    ADMIN = "admin"


class User(Base):
    """An account.

    A deleted one keeps its row, without anything personal, so that ids are never reused.
    """

    __tablename__ = "users"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    # Lower case; `~<id>`, which nobody can register, once deleted.
    login: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str]
    bio: Mapped[str] = mapped_column(server_default="")
    # Lower case; null once deleted.
    email: Mapped[str | None] = mapped_column(unique=True)
    # argon2id; null: no password login.
    password_hash: Mapped[str | None]
    password_changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    role: Mapped[str] = mapped_column(server_default=Role.VIEWER)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    # #RRGGBB of the name in chat; null: one is derived from the id.
    chat_color: Mapped[str | None]


class RetiredLogin(Base):
    """Logins of deleted accounts, held for a while so that nobody poses as their owner."""

    __tablename__ = "retired_logins"

    login: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    until: Mapped[datetime] = mapped_column(index=True)


class Login(Base):
    """One login of a user: the family of refresh tokens that follow from it."""

    __tablename__ = "logins"
    __table_args__ = (
        Index("ix_logins_user_id_open", "user_id", "id", postgresql_where=text("ended_at is null")),
        Index("ix_logins_expires_at", "expires_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # logout, revoked, reuse, password, deleted
    end_reason: Mapped[str | None]
    user_agent: Mapped[str] = mapped_column(server_default="")
    address: Mapped[str] = mapped_column(server_default="")
    # Whether its tokens live in cookies.
    cookies: Mapped[bool] = mapped_column(server_default=text("false"))


class RefreshToken(Base):
    """A refresh token, by its SHA-256.

    A used one is kept until it expires: using it again is the alarm.
    """

    __tablename__ = "refresh_tokens"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    login_id: Mapped[int] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PasswordReset(Base):
    """A password reset link that was mailed, by its token's SHA-256."""

    __tablename__ = "password_resets"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SigningKey(Base):
    """A key that signs access tokens; the private half is encrypted under the master secret."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    public_key: Mapped[bytes]
    private_key: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Set when a newer key signs; tokens of this one are accepted until then.
    verify_until: Mapped[datetime | None]


class AppToken(Base):
    """A token for a bot or a chat client, by its SHA-256 (`core.app_tokens`)."""

    __tablename__ = "app_tokens"
    __table_args__ = (
        Index(
            "ix_app_tokens_user_id_open",
            "user_id",
            "id",
            postgresql_where=text("revoked_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
