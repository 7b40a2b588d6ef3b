"""Chat and moderation, follows, reports, suspensions, emotes, app tokens

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Chat and moderation, follows, reports, suspensions, emotes, app tokens."""
    op.create_table(
        "chat_messages",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel_id", "offset", "at", name=op.f("pk_chat_messages")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "ix_chat_messages_channel_id_at", "chat_messages", ["channel_id", "at"], unique=False
    )
    op.create_index("ix_chat_messages_id", "chat_messages", ["id"], unique=False)
    op.create_index(
        "ix_chat_messages_user", "chat_messages", ["channel_id", "user_id", "at"], unique=False
    )
    op.create_table(
        "app_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_app_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_app_tokens_sha256")),
    )
    op.create_index(
        "ix_app_tokens_user_id_open",
        "app_tokens",
        ["user_id", "id"],
        unique=False,
        postgresql_where=sa.text("revoked_at is null"),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("reporter_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.UUID(), nullable=True),
        sa.Column("stream_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "snapshot", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decision_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "decision in ('none', 'warned', 'suspended', 'removed')",
            name=op.f("ck_reports_decision"),
        ),
        sa.CheckConstraint(
            "kind in ('user', 'message', 'stream', 'video')", name=op.f("ck_reports_kind")
        ),
        sa.CheckConstraint(
            "status in ('open', 'claimed', 'decided')", name=op.f("ck_reports_status")
        ),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["users.id"],
            name=op.f("fk_reports_reporter_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subject_user_id"],
            ["users.id"],
            name=op.f("fk_reports_subject_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_status", "reports", ["status", "id"], unique=False)
    op.create_index(
        "ix_reports_subject_user_id", "reports", ["subject_user_id", "id"], unique=False
    )
    op.create_table(
        "suspensions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("scope in ('account', 'channel')", name=op.f("ck_suspensions_scope")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_suspensions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspensions")),
    )
    op.create_index(
        "ix_suspensions_user_id_standing",
        "suspensions",
        ["user_id", "scope"],
        unique=False,
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.create_table(
        "appeals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("suspension_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["suspension_id"],
            ["suspensions.id"],
            name=op.f("fk_appeals_suspension_id_suspensions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
        sa.UniqueConstraint("suspension_id", name=op.f("uq_appeals_suspension_id")),
    )
    op.create_index(
        "ix_appeals_open",
        "appeals",
        ["id"],
        unique=False,
        postgresql_where=sa.text("decided_at is null"),
    )
    op.create_table(
        "chat_bans",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("moderator_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_bans_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_chat_bans_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_chat_bans")),
    )
    op.create_index(
        "ix_chat_bans_channel_id",
        "chat_bans",
        ["channel_id", sa.literal_column("created_at desc"), "user_id"],
        unique=False,
    )
    op.create_index("ix_chat_bans_expires_at", "chat_bans", ["expires_at"], unique=False)
    op.create_table(
        "chat_held",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.Text(), server_default="pending", nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "decision in ('pending', 'allowed', 'denied', 'expired')",
            name=op.f("ck_chat_held_decision"),
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_held_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_chat_held_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_held")),
    )
    op.create_index(
        "ix_chat_held_pending",
        "chat_held",
        ["channel_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("decision = 'pending'"),
    )
    op.create_table(
        "chat_notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_notes_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_chat_notes_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_notes")),
    )
    op.create_index(
        "ix_chat_notes_channel_id_user_id",
        "chat_notes",
        ["channel_id", "user_id", "id"],
        unique=False,
    )
    op.create_table(
        "chat_roles",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("role in ('moderator', 'vip')", name=op.f("ck_chat_roles_role")),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_roles_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_chat_roles_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_chat_roles")),
    )
    op.create_index("ix_chat_roles_user_id", "chat_roles", ["user_id"], unique=False)
    op.create_table(
        "chat_settings",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slow_s", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("followers_min", sa.BigInteger(), nullable=True),
        sa.Column(
            "subscribers_only", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("emote_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("unique_chat", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("delay_s", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("links_from", sa.Text(), server_default="everyone", nullable=False),
        sa.Column("links_action", sa.Text(), server_default="hold", nullable=False),
        sa.Column(
            "automod", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("shield", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "shield_settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column(
            "raid_guard",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("accept_raids", sa.Text(), server_default="all", nullable=False),
        sa.Column(
            "pinned", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_settings_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_chat_settings")),
    )
    op.create_table(
        "chat_suspicious",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), server_default="manual", nullable=False),
        sa.Column("by", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status in ('monitored', 'restricted')", name=op.f("ck_chat_suspicious_status")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_suspicious_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_chat_suspicious_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_chat_suspicious")),
    )
    op.create_table(
        "chat_terms",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("public", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('blocked', 'permitted')", name=op.f("ck_chat_terms_kind")),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_terms_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_terms")),
        sa.UniqueConstraint(
            "channel_id", "kind", "folded", name=op.f("uq_chat_terms_channel_id_kind_folded")
        ),
    )
    op.create_table(
        "chat_warnings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("moderator_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_chat_warnings_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_chat_warnings_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_warnings")),
    )
    op.create_index(
        "ix_chat_warnings_channel_id_user_id",
        "chat_warnings",
        ["channel_id", "user_id", "id"],
        unique=False,
    )
    op.create_table(
        "emotes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("animated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uploader_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("code ~ '^[A-Za-z0-9]{2,30}$'", name=op.f("ck_emotes_code")),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_emotes_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emotes")),
    )
    op.create_index(
        "uq_emotes_channel_code",
        "emotes",
        ["channel_id", "code"],
        unique=True,
        postgresql_where=sa.text("deleted_at is null and channel_id is not null"),
    )
    op.create_index(
        "uq_emotes_global_code",
        "emotes",
        ["code"],
        unique=True,
        postgresql_where=sa.text("deleted_at is null and channel_id is null"),
    )
    op.create_table(
        "follows",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_follows_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_follows_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "channel_id", name=op.f("pk_follows")),
    )
    op.create_index(
        "ix_follows_channel_id",
        "follows",
        ["channel_id", sa.literal_column("created_at desc"), "user_id"],
        unique=False,
    )
    op.create_table(
        "mod_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("moderator_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_mod_log_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mod_log")),
    )
    op.create_index(
        "ix_mod_log_channel_id",
        "mod_log",
        ["channel_id", sa.literal_column("id desc")],
        unique=False,
    )
    op.create_index(
        "ix_mod_log_target_id",
        "mod_log",
        ["channel_id", "target_id", sa.literal_column("id desc")],
        unique=False,
    )
    op.create_table(
        "polls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("choices", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("votes", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.CheckConstraint("status in ('running', 'ended')", name=op.f("ck_polls_status")),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_polls_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_polls")),
    )
    op.create_index(
        "ix_polls_channel_id", "polls", ["channel_id", sa.literal_column("id desc")], unique=False
    )
    op.create_index(
        "uq_polls_running",
        "polls",
        ["channel_id"],
        unique=True,
        postgresql_where=sa.text("status='running'"),
    )
    op.create_table(
        "raids",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("from_channel", sa.BigInteger(), nullable=False),
        sa.Column("to_channel", sa.BigInteger(), nullable=False),
        sa.Column("viewers", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('pending', 'done', 'cancelled')", name=op.f("ck_raids_state")
        ),
        sa.ForeignKeyConstraint(
            ["from_channel"],
            ["channels.id"],
            name=op.f("fk_raids_from_channel_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["to_channel"],
            ["channels.id"],
            name=op.f("fk_raids_to_channel_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raids")),
    )
    op.create_index(
        "uq_raids_pending",
        "raids",
        ["from_channel"],
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "unban_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('open', 'approved', 'denied', 'cancelled')",
            name=op.f("ck_unban_requests_status"),
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_unban_requests_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_unban_requests_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unban_requests")),
    )
    op.create_index(
        "ix_unban_requests_channel_id_status",
        "unban_requests",
        ["channel_id", "status", "id"],
        unique=False,
    )
    op.create_index(
        "uq_unban_requests_open",
        "unban_requests",
        ["channel_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "poll_votes",
        sa.Column("poll_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("choice", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["poll_id"], ["polls.id"], name=op.f("fk_poll_votes_poll_id_polls"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_poll_votes_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("poll_id", "user_id", name=op.f("pk_poll_votes")),
    )
    op.create_table(
        "unban_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["unban_requests.id"],
            name=op.f("fk_unban_messages_request_id_unban_requests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unban_messages")),
    )
    op.create_index(
        op.f("ix_unban_messages_request_id"), "unban_messages", ["request_id"], unique=False
    )
    op.add_column(
        "channels", sa.Column("followers", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("users", sa.Column("chat_color", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo it."""
    op.drop_column("users", "chat_color")
    op.drop_column("channels", "followers")
    op.drop_index(op.f("ix_unban_messages_request_id"), table_name="unban_messages")
    op.drop_table("unban_messages")
    op.drop_table("poll_votes")
    op.drop_index(
        "uq_unban_requests_open",
        table_name="unban_requests",
        postgresql_where=sa.text("status = 'open'"),
    )
    op.drop_index("ix_unban_requests_channel_id_status", table_name="unban_requests")
    op.drop_table("unban_requests")
    op.drop_index(
        "uq_raids_pending", table_name="raids", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_table("raids")
    op.drop_index(
        "uq_polls_running", table_name="polls", postgresql_where=sa.text("status='running'")
    )
    op.drop_index("ix_polls_channel_id", table_name="polls")
    op.drop_table("polls")
    op.drop_index("ix_mod_log_target_id", table_name="mod_log")
    op.drop_index("ix_mod_log_channel_id", table_name="mod_log")
    op.drop_table("mod_log")
    op.drop_index("ix_follows_channel_id", table_name="follows")
    op.drop_table("follows")
    op.drop_index(
        "uq_emotes_global_code",
        table_name="emotes",
        postgresql_where=sa.text("deleted_at is null and channel_id is null"),
    )
    op.drop_index(
        "uq_emotes_channel_code",
        table_name="emotes",
        postgresql_where=sa.text("deleted_at is null and channel_id is not null"),
    )
    op.drop_table("emotes")
    op.drop_index("ix_chat_warnings_channel_id_user_id", table_name="chat_warnings")
    op.drop_table("chat_warnings")
    op.drop_table("chat_terms")
    op.drop_table("chat_suspicious")
    op.drop_table("chat_settings")
    op.drop_index("ix_chat_roles_user_id", table_name="chat_roles")
    op.drop_table("chat_roles")
    op.drop_index("ix_chat_notes_channel_id_user_id", table_name="chat_notes")
    op.drop_table("chat_notes")
    op.drop_index(
        "ix_chat_held_pending",
        table_name="chat_held",
        postgresql_where=sa.text("decision = 'pending'"),
    )
    op.drop_table("chat_held")
    op.drop_index("ix_chat_bans_expires_at", table_name="chat_bans")
    op.drop_index("ix_chat_bans_channel_id", table_name="chat_bans")
    op.drop_table("chat_bans")
    op.drop_index(
        "ix_appeals_open", table_name="appeals", postgresql_where=sa.text("decided_at is null")
    )
    op.drop_table("appeals")
    op.drop_index(
        "ix_suspensions_user_id_standing",
        table_name="suspensions",
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.drop_table("suspensions")
    op.drop_index("ix_reports_subject_user_id", table_name="reports")
    op.drop_index("ix_reports_status", table_name="reports")
    op.drop_table("reports")
    op.drop_index(
        "ix_app_tokens_user_id_open",
        table_name="app_tokens",
        postgresql_where=sa.text("revoked_at is null"),
    )
    op.drop_table("app_tokens")
    op.drop_index("ix_chat_messages_user", table_name="chat_messages")
    op.drop_index("ix_chat_messages_id", table_name="chat_messages")
    op.drop_index("ix_chat_messages_channel_id_at", table_name="chat_messages")
    op.drop_table("chat_messages")
