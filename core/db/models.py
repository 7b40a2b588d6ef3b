"""Every table but those of videos (core.db.video_models). Each has one service that writes it, named
above it; the others read it, or ask that service.

Ids are 64-bit identity columns, decimal digits in JSON. Times are `timestamptz` in UTC.
"""

from __future__ import annotations

import uuid
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
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
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
        list[int]: ARRAY(BigInteger),
        uuid.UUID: UUID(as_uuid=True),
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


class ChatRoleKind(StrEnum):
    """What a channel's broadcaster has made somebody in its chat."""

    MODERATOR = "moderator"
    VIP = "vip"


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


class PollStatus(StrEnum):
    """Where a poll stands."""

    RUNNING = "running"
    ENDED = "ended"


class RaidState(StrEnum):
    """Where a raid stands."""

    PENDING = "pending"
    DONE = "done"
    CANCELLED = "cancelled"


class Visibility(StrEnum):
    """Who may watch a video: everybody, whoever has its address, or its owner."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """The check that a column holds one of an enumeration's values."""
    return CheckConstraint(f"{column} in ({', '.join(repr(str(v)) for v in values)})", name=column)


# --- written by api -------------------------------------------------------------------------------


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


class Channel(Base):
    """What a user's channel page says. Its id is the user's id."""

    __tablename__ = "channels"
    __table_args__ = (
        Index("ix_channels_tags", "tags", postgresql_using="gin"),
        Index("ix_channels_category", func.lower(text("category"))),
        Index("ix_channels_language", "language"),
        one_of("video_visibility", Visibility),
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
    # Rows of `follows`, counted in the same transaction.
    followers: Mapped[int] = mapped_column(server_default="0")
    # Who may watch the videos that broadcasts become.
    video_visibility: Mapped[str] = mapped_column(server_default=Visibility.PUBLIC)
    # Days for which they are kept; null: as long as the site keeps videos.
    retention_days: Mapped[int | None]


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


class Follow(Base):
    """Somebody follows a channel."""

    __tablename__ = "follows"
    __table_args__ = (
        Index("ix_follows_channel_id", "channel_id", text("created_at desc"), "user_id"),
    )

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


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


class Emote(Base):
    """An emote: of the whole site (no channel), or of a channel. Its pictures are in S3."""

    __tablename__ = "emotes"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Za-z0-9]{2,30}$'", name="code"),
        Index(
            "uq_emotes_channel_code",
            "channel_id",
            "code",
            unique=True,
            postgresql_where=text("deleted_at is null and channel_id is not null"),
        ),
        Index(
            "uq_emotes_global_code",
            "code",
            unique=True,
            postgresql_where=text("deleted_at is null and channel_id is null"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    code: Mapped[str]
    animated: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    uploader_id: Mapped[int | None]


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


# --- written by the command line ------------------------------------------------------------------


class BackupRun(Base):
    """A backup that was taken, or could not be."""

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


# --- written by ingest ----------------------------------------------------------------------------


class Stream(Base):
    """One broadcast of a channel, through all its reconnects."""

    __tablename__ = "streams"
    __table_args__ = (
        one_of("status", StreamStatus),
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


# --- written by chat ------------------------------------------------------------------------------


class ChatSettings(Base):
    """How a channel's chat is run. A channel without a row has the defaults."""

    __tablename__ = "chat_settings"

    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    # Seconds between two messages of one user; 0: off.
    slow_s: Mapped[int] = mapped_column(server_default="0")
    # Minutes one has to have followed; null: off.
    followers_min: Mapped[int | None]
    subscribers_only: Mapped[bool] = mapped_column(server_default=text("false"))
    emote_only: Mapped[bool] = mapped_column(server_default=text("false"))
    unique_chat: Mapped[bool] = mapped_column(server_default=text("false"))
    # Seconds after which others than moderators see a message: 0, 2, 4, 6.
    delay_s: Mapped[int] = mapped_column(server_default="0")
    # From whom links are welcome: everyone, followers, vips, moderators.
    links_from: Mapped[str] = mapped_column(server_default="everyone")
    # What happens to a link of anybody else: hold, refuse.
    links_action: Mapped[str] = mapped_column(server_default="hold")
    # {"overall": 0-4} or {"categories": {category: 0-4}}.
    automod: Mapped[Json] = mapped_column(server_default="{}")
    shield: Mapped[bool] = mapped_column(server_default=text("false"))
    # What the shield switches on: settings that hold while it is up.
    shield_settings: Mapped[Json] = mapped_column(server_default="{}")
    # When joins or follows come too fast: {"joins": n, "follows": n, "window_s": s, "shield": bool}.
    raid_guard: Mapped[Json] = mapped_column(server_default="{}")
    # Who may raid: all, followed (by the broadcaster), none.
    accept_raids: Mapped[str] = mapped_column(server_default="all")
    # {message id, by, at, until} of the pinned message; {}: none.
    pinned: Mapped[Json] = mapped_column(server_default="{}")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ChatRole(Base):
    """A moderator or VIP of a channel. Nobody is both."""

    __tablename__ = "chat_roles"
    __table_args__ = (
        one_of("role", ChatRoleKind),
        Index("ix_chat_roles_user_id", "user_id"),
    )

    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[str]
    granted_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


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


class ChatMessage(Base):
    """A message that was shown, in weekly partitions (`chat.history` makes and drops them)."""

    __tablename__ = "chat_messages"
    __table_args__ = (
        Index("ix_chat_messages_channel_id_at", "channel_id", "at"),
        Index("ix_chat_messages_user", "channel_id", "user_id", "at"),
        Index("ix_chat_messages_id", "id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # Position in the room; grows by one a message, and by a leap where Redis was lost.
    offset: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # By Redis' clock, which numbers the messages.
    at: Mapped[datetime] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID]
    user_id: Mapped[int]
    text: Mapped[str]
    # {login, name, color, badges, emotes, reply_to, kind}
    data: Mapped[Json] = mapped_column(server_default="{}")
    deleted_at: Mapped[datetime | None]
    deleted_by: Mapped[int | None]


class Poll(Base):
    """A poll in a channel's chat."""

    __tablename__ = "polls"
    __table_args__ = (
        one_of("status", PollStatus),
        Index(
            "uq_polls_running", "channel_id", unique=True, postgresql_where=text("status='running'")
        ),
        Index("ix_polls_channel_id", "channel_id", text("id desc")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    question: Mapped[str]
    choices: Mapped[list[str]]
    # As many as choices; final once the poll has ended.
    votes: Mapped[list[int]]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(server_default=PollStatus.RUNNING)


class PollVote(Base):
    """One user's vote."""

    __tablename__ = "poll_votes"

    poll_id: Mapped[int] = mapped_column(
        ForeignKey("polls.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    # Index into the poll's choices.
    choice: Mapped[int]


class Raid(Base):
    """A channel sends its viewers on to another."""

    __tablename__ = "raids"
    __table_args__ = (
        one_of("state", RaidState),
        Index(
            "uq_raids_pending",
            "from_channel",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    from_channel: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    to_channel: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    viewers: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default=RaidState.PENDING)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]
