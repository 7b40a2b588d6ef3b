"""The tables of videos, clips, uploads and their jobs. As in core.db.models, each has one service that
writes it.

Times within a video are seconds of its own media time: 0 is its first frame, and gaps of a reconnect
are left out.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import REAL, Computed, Double, ForeignKey, Identity, Index, Integer, func, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, column_property, mapped_column

from core.db.models import Base, Json, SuspensionScope, Visibility, one_of
from core.suspensions import is_suspended


class VideoKind(StrEnum):
    """Where a video comes from."""

    BROADCAST = "broadcast"
    UPLOAD = "upload"
    HIGHLIGHT = "highlight"


class VideoStatus(StrEnum):
    """`LIVE`: its broadcast still runs, and it plays up to what is stored."""

    LIVE = "live"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class ClipStatus(StrEnum):
    """Whether a clip plays."""

    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class JobState(StrEnum):
    """Where a job stands. A running one whose lease is over counts as queued."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UploadState(StrEnum):
    """Where an upload stands."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    CANCELLED = "cancelled"


#: What the catalogue shows. `published_at` may still be to come: queries compare it with now.
LISTED = text(
    "visibility = 'public' and status in ('live', 'ready') and trashed_at is null"
    " and published_at is not null"
)
#: And of clips.
LISTED_CLIP = text("status = 'ready' and deleted_at is null")
#: What has to be pictured yet.
UNPICTURED = text(
    "status = 'ready' and purged_at is null and (storyboard ->> 'whole'::text) is null"
)

#: 62 bits of PostgreSQL's secure random numbers. Of a version 4 UUID the first four and the last twelve
#: digits are wholly random.
UNGUESSABLE_ID = text(
    "('x' || left(gen_random_uuid()::text, 4) || right(gen_random_uuid()::text, 12))::bit(64)::bigint"
    " & (1::bigint << 62) - 1"
)
#: What filters ask of a video, beside its category.
FILTERED = ["kind", "language", "tags", "words"]


def _listed(name: str, column: str) -> list[Index]:
    """The catalogue in one order: of the site, of a channel, of a category."""
    keys = (text(f"{column} desc"), text("id desc"))
    filtered = FILTERED if column == "published_at" else ["published_at", *FILTERED]
    return [
        Index(
            f"ix_videos_listed_{name}",
            *keys,
            postgresql_where=LISTED,
            postgresql_include=["channel_id", *filtered],
        ),
        Index(
            f"ix_videos_listed_channel_{name}",
            "channel_id",
            *keys,
            postgresql_where=LISTED,
            postgresql_include=filtered,
        ),
        Index(
            f"ix_videos_listed_category_{name}",
            func.lower(text("category")),
            *keys,
            postgresql_where=LISTED,
        ),
    ]


# --- written by recorder --------------------------------------------------------------------------


class Video(Base):
    """A broadcast that was recorded, an upload, or a highlight.

    The row of a purged one stays, with its objects gone, so that its address says so.
    """

    __tablename__ = "videos"
    __table_args__ = (
        one_of("kind", VideoKind),
        one_of("status", VideoStatus),
        one_of("visibility", Visibility),
        # The catalogue in each of its orders: of the site, of a channel, of a category. Where filters may
        # pass over thousands of videos before a page is full, they are answered by the index alone.
        *_listed("published", "published_at"),
        *_listed("views", "views"),
        *_listed("length", "duration_s"),
        Index(
            "ix_videos_listed_kind",
            "kind",
            text("published_at desc"),
            text("id desc"),
            postgresql_where=LISTED,
        ),
        Index(
            "ix_videos_listed_language",
            "language",
            text("published_at desc"),
            text("id desc"),
            postgresql_where=LISTED,
        ),
        Index("ix_videos_tags", "tags", postgresql_using="gin"),
        Index("ix_videos_words", "words", postgresql_using="gin"),
        # Everything: of a channel, for its owner, and of the site, for admins.
        Index("ix_videos_channel_created", "channel_id", text("created_at desc"), text("id desc")),
        Index("ix_videos_created", text("created_at desc"), text("id desc")),
        Index("ix_videos_live_node", "node", postgresql_where=text("status = 'live'")),
        Index("ix_videos_source_video_id", "source_video_id"),
        Index("ix_videos_purge_at", "purge_at", postgresql_where=text("purged_at is null")),
        # Those whose storyboard is still to be made, or to be finished.
        Index("ix_videos_unpictured", text("created_at desc"), postgresql_where=UNPICTURED),
    )

    # Whoever has an unlisted video's address may watch it: no id says what another one is. They have no
    # order, therefore; `created_at` has.
    id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, server_default=UNGUESSABLE_ID
    )
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    kind: Mapped[str]
    status: Mapped[str]
    title: Mapped[str] = mapped_column(server_default="")
    description: Mapped[str] = mapped_column(server_default="")
    category: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(server_default="{}")
    language: Mapped[str | None]
    visibility: Mapped[str] = mapped_column(server_default=Visibility.PUBLIC)
    # Of a broadcast: its stream, the stream's media session and the node that archives it.
    stream_id: Mapped[int | None] = mapped_column(unique=True)
    session: Mapped[str | None] = mapped_column(unique=True)
    node: Mapped[str | None]
    # Of a highlight: what it was cut from.
    source_video_id: Mapped[int | None] = mapped_column(
        ForeignKey("videos.id", ondelete="SET NULL")
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Of a broadcast: the wall clock of its first frame.
    started_at: Mapped[datetime | None]
    # Null: not published.
    published_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    duration_s: Mapped[float] = mapped_column(Double, server_default="0")
    # Of all renditions together.
    size_bytes: Mapped[int] = mapped_column(server_default="0")
    views: Mapped[int] = mapped_column(server_default="0")
    width: Mapped[int] = mapped_column(Integer, server_default="0")
    height: Mapped[int] = mapped_column(Integer, server_default="0")
    has_audio: Mapped[bool] = mapped_column(server_default=text("true"))
    # [{name, codecs, width, height, frame_rate, bandwidth, average_bandwidth}], the best first;
    # bandwidths in bits a second.
    renditions: Mapped[list[Json]] = mapped_column(server_default="[]")
    # [{at_s, title, category}].
    chapters: Mapped[list[Json]] = mapped_column(server_default="[]")
    # {width, height, version, …}; `chosen`: by its owner, and not changed by us. {}: none yet.
    poster: Mapped[Json] = mapped_column(server_default="{}")
    # {interval_s, columns, rows, width, height, count}, and `whole` once there will be no more; {}: none
    # yet.
    storyboard: Mapped[Json] = mapped_column(server_default="{}")
    # {code, message} of a failed one.
    error: Mapped[Json | None]
    # [[start_s, wall clock there, duration_s]]: the runs without a gap, as in VideoReady.
    spans: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    trashed_at: Mapped[datetime | None]
    # When its objects go, because it is in the trash or its retention is over.
    purge_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]
    # Those of the title, to be searched for.
    words: Mapped[str] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple'::regconfig, title)", persisted=True), deferred=True
    )
    # Whether its channel is, when the row is read: nobody else sees it meanwhile.
    suspended: Mapped[bool] = column_property(
        is_suspended(channel_id, func.now(), *SuspensionScope)
    )


class VideoSegment(Base):
    """A stored segment of a video that is still live; a ready one has a timeline instead."""

    __tablename__ = "video_segments"

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    rendition: Mapped[str] = mapped_column(primary_key=True)
    # Media sequence number: counts the rendition's segments, from 1, over reconnects.
    msn: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    start_s: Mapped[float] = mapped_column(Double)
    duration_s: Mapped[float] = mapped_column(Double)
    size: Mapped[int]
    sha256: Mapped[bytes]
    # Name of the initialization section it needs.
    init: Mapped[str]
    # Whether it does not continue the one before it.
    discontinuity: Mapped[bool]
    # Wall clock of its first frame.
    pdt: Mapped[datetime]


class VideoTimeline(Base):
    """All segments of all renditions of a ready video, as recorder.timeline encodes them."""

    __tablename__ = "video_timelines"

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    entries: Mapped[bytes]


class Clip(Base):
    """A short cut of a video or of a running broadcast. It outlives what it was cut from."""

    __tablename__ = "clips"
    __table_args__ = (
        one_of("status", ClipStatus),
        Index(
            "ix_clips_listed_channel_created",
            "channel_id",
            text("created_at desc"),
            text("id desc"),
            postgresql_where=LISTED_CLIP,
        ),
        Index(
            "ix_clips_listed_channel_views",
            "channel_id",
            text("views desc"),
            text("id desc"),
            postgresql_where=LISTED_CLIP,
        ),
        Index(
            "ix_clips_listed_created",
            text("created_at desc"),
            text("id desc"),
            postgresql_where=LISTED_CLIP,
        ),
        Index(
            "ix_clips_listed_views",
            text("views desc"),
            text("id desc"),
            postgresql_where=LISTED_CLIP,
        ),
        Index("ix_clips_video_id", "video_id"),
        Index("ix_clips_creator_id", "creator_id", text("created_at desc")),
    )

    # 11 characters of base64url that cannot be guessed.
    id: Mapped[str] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    # A purged video's row stays: it says which of its objects clips still need (recorder.borrowed).
    video_id: Mapped[int | None] = mapped_column(ForeignKey("videos.id", ondelete="SET NULL"))
    stream_id: Mapped[int | None]
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str] = mapped_column(server_default=ClipStatus.PROCESSING)
    # Of the video's media time.
    start_s: Mapped[float] = mapped_column(Double)
    duration_s: Mapped[float] = mapped_column(Double)
    # Wall clock of its first frame.
    started_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    views: Mapped[int] = mapped_column(server_default="0")
    # A timeline of its own, with every object's key in full.
    entries: Mapped[bytes] = mapped_column(server_default=text("''::bytea"))
    width: Mapped[int] = mapped_column(Integer, server_default="0")
    height: Mapped[int] = mapped_column(Integer, server_default="0")
    # As a video's.
    renditions: Mapped[list[Json]] = mapped_column(server_default="[]")
    size_bytes: Mapped[int] = mapped_column(server_default="0")
    # What follows a second or two after it plays: its picture, and the MP4 to keep.
    has_poster: Mapped[bool] = mapped_column(server_default=text("false"))
    has_file: Mapped[bool] = mapped_column(server_default=text("false"))
    error: Mapped[Json | None]
    deleted_at: Mapped[datetime | None]
    # When the objects of a deleted one were removed.
    purged_at: Mapped[datetime | None]
    # Whether its channel is, when the row is read: nobody else sees it meanwhile.
    suspended: Mapped[bool] = column_property(
        is_suspended(channel_id, func.now(), *SuspensionScope)
    )


class Job(Base):
    """Work that takes longer than a request. A message only wakes workers; the row is the truth."""

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        Index("ix_jobs_queued", "priority", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_jobs_running", "lease_until", postgresql_where=text("state = 'running'")),
        Index("ix_jobs_video_id", "video_id", text("id desc")),
        Index("ix_jobs_clip_id", "clip_id", text("id desc")),
        Index("ix_jobs_user_id", "user_id", text("id desc")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    # transcode, export_mp4, export_mp3, clip, storyboard, …
    kind: Mapped[str]
    video_id: Mapped[int | None] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    clip_id: Mapped[str | None] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"))
    # Who asked for it, and is told.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The smallest goes first.
    priority: Mapped[int] = mapped_column(Integer, server_default="100")
    state: Mapped[str] = mapped_column(server_default=JobState.QUEUED)
    # 0 to 1.
    progress: Mapped[float] = mapped_column(REAL, server_default="0")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None]
    params: Mapped[Json] = mapped_column(server_default="{}")
    result: Mapped[Json] = mapped_column(server_default="{}")
    # {code, message} of a failed one.
    error: Mapped[Json | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


# --- written by api -------------------------------------------------------------------------------


class Upload(Base):
    """A file on its way to us, in chunks (tus 1.0)."""

    __tablename__ = "uploads"
    __table_args__ = (
        one_of("state", UploadState),
        Index("ix_uploads_user_id", "user_id", text("created_at desc")),
        Index("ix_uploads_expires_at", "expires_at", postgresql_where=text("state = 'receiving'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    video_id: Mapped[int | None] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    name: Mapped[str]
    size: Mapped[int]
    # Bytes that are kept.
    received: Mapped[int] = mapped_column(server_default="0")
    # Where they are, as the upload's code describes it.
    chunks: Mapped[list[Json]] = mapped_column(server_default="[]")
    state: Mapped[str] = mapped_column(server_default=UploadState.RECEIVING)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class VideoPosition(Base):
    """How far somebody has watched a video."""

    __tablename__ = "video_positions"
    __table_args__ = (Index("ix_video_positions_user_id", "user_id", text("updated_at desc")),)

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at_s: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


# --- written by chat ------------------------------------------------------------------------------


class VideoMessage(Base):
    """A broadcast's chat message beside its video, kept as long as that."""

    __tablename__ = "video_messages"
    __table_args__ = (
        Index("ix_video_messages_message_id", "message_id"),
        Index("ix_video_messages_user_id", "user_id", "video_id"),
    )

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at_s: Mapped[float] = mapped_column(Double, primary_key=True)
    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    # Wall clock.
    at: Mapped[datetime]
    user_id: Mapped[int]
    text: Mapped[str]
    # As in chat_messages.
    data: Mapped[Json] = mapped_column(server_default="{}")
    deleted_at: Mapped[datetime | None]


class VideoChat(Base):
    """How far a broadcast's chat has been copied beside its video; until it is, chat keeps it."""

    __tablename__ = "video_chats"
    __table_args__ = (
        Index("ix_video_chats_channel_id", "channel_id", "began_at"),
        Index("ix_video_chats_waiting", "began_at", postgresql_where=text("copied_at is null")),
        Index("ix_video_chats_purged", "video_id", postgresql_where=text("purged_at is not null")),
    )

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    channel_id: Mapped[int]
    # Wall clock of its first frame, and of its last once it is whole.
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # As in VideoReady; empty until then.
    spans: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    # What is copied: the spans before this one, and of this one the messages up to this.
    span: Mapped[int] = mapped_column(Integer, server_default="0")
    copied_to: Mapped[datetime | None]
    copied_at: Mapped[datetime | None]
    # When the video went; what clips still show stays.
    purged_at: Mapped[datetime | None]
