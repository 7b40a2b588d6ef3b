"""Broadcasts, and who tried to begin one. Written by ingest."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, Json, one_of


class StreamStatus(StrEnum):
    """Where a stream stands. `CONNECTING`: admitted, no picture yet; not listed anywhere."""

    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


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
