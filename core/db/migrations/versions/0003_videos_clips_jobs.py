"""Videos, clips, uploads and jobs

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LISTED = sa.text(
    "visibility = 'public' and status in ('live', 'ready') and trashed_at is null"
    " and published_at is not null"
)
UNGUESSABLE_ID = sa.text(
    "('x' || left(gen_random_uuid()::text, 4) || right(gen_random_uuid()::text, 12))::bit(64)::bigint"
    " & (1::bigint << 62) - 1"
)


def upgrade() -> None:
    """Videos, clips, uploads and jobs."""
    op.create_table(
        "videos",
        sa.Column(
            "id",
            sa.BigInteger(),
            autoincrement=False,
            server_default=UNGUESSABLE_ID,
            nullable=False,
        ),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("visibility", sa.Text(), server_default="public", nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("source_video_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_s", sa.Double(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("views", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("width", sa.Integer(), server_default="0", nullable=False),
        sa.Column("height", sa.Integer(), server_default="0", nullable=False),
        sa.Column("has_audio", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "renditions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
        sa.Column(
            "chapters", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column(
            "poster", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "storyboard",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "spans", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column("trashed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "words",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('simple'::regconfig, title)", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind in ('broadcast', 'upload', 'highlight')", name=op.f("ck_videos_kind")
        ),
        sa.CheckConstraint(
            "status in ('live', 'processing', 'ready', 'failed')", name=op.f("ck_videos_status")
        ),
        sa.CheckConstraint(
            "visibility in ('public', 'unlisted', 'private')", name=op.f("ck_videos_visibility")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_videos_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["source_video_id"],
            ["videos.id"],
            name=op.f("fk_videos_source_video_id_videos"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_videos")),
        sa.UniqueConstraint("session", name=op.f("uq_videos_session")),
        sa.UniqueConstraint("stream_id", name=op.f("uq_videos_stream_id")),
    )
    op.create_index(
        "ix_videos_channel_created",
        "videos",
        ["channel_id", sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.create_index(
        "ix_videos_created",
        "videos",
        [sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.create_index(
        "ix_videos_listed_kind",
        "videos",
        ["kind", sa.literal_column("published_at desc"), sa.literal_column("id desc")],
        unique=False,
        postgresql_where=LISTED,
    )
    op.create_index(
        "ix_videos_listed_language",
        "videos",
        ["language", sa.literal_column("published_at desc"), sa.literal_column("id desc")],
        unique=False,
        postgresql_where=LISTED,
    )
    op.create_index(
        "ix_videos_live_node",
        "videos",
        ["node"],
        unique=False,
        postgresql_where=sa.text("status = 'live'"),
    )
    op.create_index(
        "ix_videos_purge_at",
        "videos",
        ["purge_at"],
        unique=False,
        postgresql_where=sa.text("purged_at is null"),
    )
    op.create_index(
        "ix_videos_unpictured",
        "videos",
        [sa.literal_column("created_at desc")],
        unique=False,
        postgresql_where=sa.text(
            "status = 'ready' and purged_at is null and (storyboard ->> 'whole'::text) is null"
        ),
    )
    op.create_index("ix_videos_source_video_id", "videos", ["source_video_id"], unique=False)
    op.create_index("ix_videos_tags", "videos", ["tags"], unique=False, postgresql_using="gin")
    op.create_index("ix_videos_words", "videos", ["words"], unique=False, postgresql_using="gin")
    for name, column in (
        ("published", "published_at"),
        ("views", "views"),
        ("length", "duration_s"),
    ):
        keys: list[Any] = [sa.literal_column(f"{column} desc"), sa.literal_column("id desc")]
        filtered = ["kind", "language", "tags", "words"]
        if column != "published_at":
            filtered = ["published_at", *filtered]
        op.create_index(
            f"ix_videos_listed_{name}",
            "videos",
            keys,
            unique=False,
            postgresql_where=LISTED,
            postgresql_include=["channel_id", *filtered],
        )
        op.create_index(
            f"ix_videos_listed_channel_{name}",
            "videos",
            ["channel_id", *keys],
            unique=False,
            postgresql_where=LISTED,
            postgresql_include=filtered,
        )
        op.create_index(
            f"ix_videos_listed_category_{name}",
            "videos",
            [sa.literal_column("lower(category)"), *keys],
            unique=False,
            postgresql_where=LISTED,
        )
        op.execute(
            f"alter index ix_videos_listed_category_{name} alter column 1 set statistics 1000"
        )
    # How often a word, tag or category is there decides which index serves: for rare ones, too.
    op.execute("alter table videos alter column words set statistics 1000")
    op.execute("alter table videos alter column tags set statistics 1000")
    op.create_table(
        "clips",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("video_id", sa.BigInteger(), nullable=True),
        sa.Column("stream_id", sa.BigInteger(), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="processing", nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("views", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("entries", sa.LargeBinary(), server_default=sa.text("''::bytea"), nullable=False),
        sa.Column("width", sa.Integer(), server_default="0", nullable=False),
        sa.Column("height", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "renditions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("has_poster", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("has_file", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('processing', 'ready', 'failed')", name=op.f("ck_clips_status")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_clips_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["creator_id"],
            ["users.id"],
            name=op.f("fk_clips_creator_id_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_clips_video_id_videos"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clips")),
    )
    op.create_index(
        "ix_clips_creator_id",
        "clips",
        ["creator_id", sa.literal_column("created_at desc")],
        unique=False,
    )
    op.create_index(
        "ix_clips_listed_channel_created",
        "clips",
        ["channel_id", sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        unique=False,
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.create_index(
        "ix_clips_listed_channel_views",
        "clips",
        ["channel_id", sa.literal_column("views desc"), sa.literal_column("id desc")],
        unique=False,
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.create_index(
        "ix_clips_listed_created",
        "clips",
        [sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        unique=False,
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.create_index(
        "ix_clips_listed_views",
        "clips",
        [sa.literal_column("views desc"), sa.literal_column("id desc")],
        unique=False,
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.create_index("ix_clips_video_id", "clips", ["video_id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("video_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "chunks", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column("state", sa.Text(), server_default="receiving", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state in ('receiving', 'complete', 'cancelled')", name=op.f("ck_uploads_state")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_uploads_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_uploads_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index(
        "ix_uploads_expires_at",
        "uploads",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.create_index(
        "ix_uploads_user_id",
        "uploads",
        ["user_id", sa.literal_column("created_at desc")],
        unique=False,
    )
    op.create_table(
        "video_messages",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_video_messages_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", "at_s", "message_id", name=op.f("pk_video_messages")),
    )
    op.create_index("ix_video_messages_message_id", "video_messages", ["message_id"], unique=False)
    op.create_index(
        "ix_video_messages_user_id", "video_messages", ["user_id", "video_id"], unique=False
    )
    op.create_table(
        "video_chats",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "spans", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column("span", sa.Integer(), server_default="0", nullable=False),
        sa.Column("copied_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("copied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_video_chats_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video_chats")),
    )
    op.create_index(
        "ix_video_chats_channel_id", "video_chats", ["channel_id", "began_at"], unique=False
    )
    op.create_index(
        "ix_video_chats_waiting",
        "video_chats",
        ["began_at"],
        unique=False,
        postgresql_where=sa.text("copied_at is null"),
    )
    op.create_index(
        "ix_video_chats_purged",
        "video_chats",
        ["video_id"],
        unique=False,
        postgresql_where=sa.text("purged_at is not null"),
    )
    op.create_table(
        "video_positions",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_video_positions_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_video_positions_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "video_id", name=op.f("pk_video_positions")),
    )
    op.create_index(
        "ix_video_positions_user_id",
        "video_positions",
        ["user_id", sa.literal_column("updated_at desc")],
        unique=False,
    )
    op.create_table(
        "video_segments",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("msn", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("init", sa.Text(), nullable=False),
        sa.Column("discontinuity", sa.Boolean(), nullable=False),
        sa.Column("pdt", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_video_segments_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", "rendition", "msn", name=op.f("pk_video_segments")),
    )
    op.create_table(
        "video_timelines",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_video_timelines_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video_timelines")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("video_id", sa.BigInteger(), nullable=True),
        sa.Column("clip_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="100", nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("progress", sa.REAL(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column(
            "params", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "result", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_jobs_state"),
        ),
        sa.ForeignKeyConstraint(
            ["clip_id"], ["clips.id"], name=op.f("fk_jobs_clip_id_clips"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_jobs_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_jobs_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "ix_jobs_clip_id", "jobs", ["clip_id", sa.literal_column("id desc")], unique=False
    )
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["priority", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_jobs_user_id", "jobs", ["user_id", sa.literal_column("id desc")], unique=False
    )
    op.create_index(
        "ix_jobs_video_id", "jobs", ["video_id", sa.literal_column("id desc")], unique=False
    )
    op.add_column(
        "channels",
        sa.Column("video_visibility", sa.Text(), server_default="public", nullable=False),
    )
    op.add_column("channels", sa.Column("retention_days", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_channels_video_visibility"),
        "channels",
        "video_visibility in ('public', 'unlisted', 'private')",
    )
    op.add_column("reports", sa.Column("video_id", sa.BigInteger(), nullable=True))
    op.add_column("reports", sa.Column("clip_id", sa.Text(), nullable=True))
    op.drop_constraint(op.f("ck_reports_kind"), "reports")
    op.create_check_constraint(
        op.f("ck_reports_kind"),
        "reports",
        "kind in ('user', 'message', 'stream', 'video', 'clip')",
    )


def downgrade() -> None:
    """Undo it."""
    op.execute("delete from reports where kind = 'clip'")
    op.drop_constraint(op.f("ck_reports_kind"), "reports")
    op.create_check_constraint(
        op.f("ck_reports_kind"), "reports", "kind in ('user', 'message', 'stream', 'video')"
    )
    op.drop_column("reports", "clip_id")
    op.drop_column("reports", "video_id")
    op.drop_constraint(op.f("ck_channels_video_visibility"), "channels")
    op.drop_column("channels", "retention_days")
    op.drop_column("channels", "video_visibility")
    op.drop_index("ix_jobs_video_id", table_name="jobs")
    op.drop_index("ix_jobs_user_id", table_name="jobs")
    op.drop_index(
        "ix_jobs_running", table_name="jobs", postgresql_where=sa.text("state = 'running'")
    )
    op.drop_index("ix_jobs_queued", table_name="jobs", postgresql_where=sa.text("state = 'queued'"))
    op.drop_index("ix_jobs_clip_id", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("video_timelines")
    op.drop_table("video_segments")
    op.drop_index("ix_video_positions_user_id", table_name="video_positions")
    op.drop_table("video_positions")
    op.drop_table("video_chats")
    op.drop_index("ix_video_messages_user_id", table_name="video_messages")
    op.drop_index("ix_video_messages_message_id", table_name="video_messages")
    op.drop_table("video_messages")
    op.drop_index("ix_uploads_user_id", table_name="uploads")
    op.drop_index(
        "ix_uploads_expires_at",
        table_name="uploads",
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.drop_table("uploads")
    op.drop_index("ix_clips_video_id", table_name="clips")
    op.drop_index(
        "ix_clips_listed_created",
        table_name="clips",
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.drop_index(
        "ix_clips_listed_channel_views",
        table_name="clips",
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.drop_index(
        "ix_clips_listed_channel_created",
        table_name="clips",
        postgresql_where=sa.text("status = 'ready' and deleted_at is null"),
    )
    op.drop_index("ix_clips_creator_id", table_name="clips")
    op.drop_table("clips")
    op.drop_table("videos")
