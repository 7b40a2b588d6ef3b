"""Channels and what belongs to them. Written by api."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, one_of


class Visibility(StrEnum):
    """Who may watch a video: everybody, whoever has its address, or its owner."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


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
