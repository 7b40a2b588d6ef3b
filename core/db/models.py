"""Every table. Each has one service that writes it, named above it; the others read it, or ask that
service.

Ids are 64-bit identity columns, decimal digits in JSON. Times are `timestamptz` in UTC.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]


class Base(DeclarativeBase):
    """Base of all models. Constraint names are fixed so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (declared by SQLAlchemy as a plain class attribute)
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        bytes: LargeBinary,
        list[str]: ARRAY(Text),
        Json: JSONB,
        list[Json]: JSONB,
    }


class Role(StrEnum):
    """What an account may do on the whole site, each including the ones before it."""

    VIEWER = "viewer"
    CREATOR = "creator"
    MODERATOR = "moderator"
    ADMIN = "admin"


class StreamStatus(StrEnum):
    """Where a stream stands. `CONNECTING`: admitted, no picture yet; not listed anywhere."""

    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} in ({', '.join(repr(str(v)) for v in values)})", name=column)


# --- written by api -------------------------------------------------------------------------------


class User(Base):
    """An account.

    A deleted one keeps its row, without anything personal, so that ids are never reused.
    """

    __tablename__ = "users"
    __table_args__ = (_one_of("role", Role),)

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


class RetiredLogin(Base):
    """Logins of deleted accounts, held for a while so that nobody poses as their owner."""

    __tablename__ = "retired_logins"

    login: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    until: Mapped[datetime] = mapped_column(index=True)


class Channel(Base):
    """What a user's channel page says. Its id is the user's id."""

    __tablename__ = "channels"
    __table_args__ = (
        Index("ix_channels_tags", "tags", postgresql_using="gin"),
        Index("ix_channels_category", func.lower(text("category"))),
        Index("ix_channels_language", "language"),
    )

    id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    title: Mapped[str] = mapped_column(server_default="")
    category: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(server_default="{}")
    # BCP 47 primary language subtag, lower case.
    language: Mapped[str | None]
    mature: Mapped[bool] = mapped_column(server_default=text("false"))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


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


class StreamKey(Base):
    """A stream key, by its HMAC under the pepper (`core.stream_keys`)."""

    __tablename__ = "stream_keys"
    __table_args__ = (
        Index(
            "ix_stream_keys_channel_id_open",
            "channel_id",
            "id",
            postgresql_where=text("revoked_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    name: Mapped[str]
    secret_hmac: Mapped[bytes]
    hint: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SigningKey(Base):
    """A key that signs access tokens; the private half is encrypted under the master secret."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    public_key: Mapped[bytes]
    private_key: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Set when a newer key signs; tokens of this one are accepted until then.
    verify_until: Mapped[datetime | None]


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


# --- written by ingest ----------------------------------------------------------------------------


class Stream(Base):
    """One broadcast of a channel, through all its reconnects."""

    __tablename__ = "streams"
    __table_args__ = (
        _one_of("status", StreamStatus),
        # A channel has one running stream; the newest publisher takes it over.
        Index(
            "uq_streams_running_channel",
            "channel_id",
            unique=True,
            postgresql_where=text("status <> 'ended'"),
        ),
        # The live directory, and the running streams of a node that starts again.
        Index(
            "ix_streams_live_viewers",
            text("viewers desc"),
            text("id desc"),
            postgresql_where=text("status in ('live', 'reconnecting')"),
        ),
        Index(
            "ix_streams_live_started",
            text("started_at desc"),
            text("id desc"),
            postgresql_where=text("status in ('live', 'reconnecting')"),
        ),
        Index("ix_streams_running_node", "node", postgresql_where=text("status <> 'ended'")),
        # The latest stream of a channel.
        Index("ix_streams_channel_id", "channel_id", text("id desc")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    # Name of the stream in nginx and of its media folder; never the key.
    session: Mapped[str] = mapped_column(unique=True)
    node: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=StreamStatus.CONNECTING)
    # When the first picture was there; when admitted before that.
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    viewers: Mapped[int] = mapped_column(server_default="0")
    peak_viewers: Mapped[int] = mapped_column(server_default="0")
    # What the encoder sends: codecs, size, rate.
    source: Mapped[Json] = mapped_column(server_default="{}")
    renditions: Mapped[list[Json]] = mapped_column(server_default="[]")
    # [{code, message}]: what the streamer should mend now.
    warnings: Mapped[list[Json]] = mapped_column(server_default="[]")
    key_id: Mapped[int | None]
    thumbnail_at: Mapped[datetime | None]
    # Ingest's own memory of the connection that feeds it: nginx's boot, client id, takeovers.
    publisher: Mapped[Json] = mapped_column(server_default="{}")


class PublishAttempt(Base):
    """Somebody pushed to us: admitted, or refused with a reason that the streamer is shown."""

    __tablename__ = "publish_attempts"
    __table_args__ = (
        Index("ix_publish_attempts_channel_id_at", "channel_id", text("at desc"), text("id desc")),
        Index("ix_publish_attempts_at", "at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    # Null: the key named no channel.
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    accepted: Mapped[bool]
    code: Mapped[str]
    message: Mapped[str] = mapped_column(server_default="")


class StreamHealth(Base):
    """One sample of a stream's health; the series is kept for the stream's length."""

    __tablename__ = "stream_health"

    stream_id: Mapped[int] = mapped_column(
        ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime] = mapped_column(primary_key=True)
    data: Mapped[Json]
