"""Chat: how a room is run, what is said in it, polls and raids. Written by chat."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import Base, Json, one_of


class ChatRoleKind(StrEnum):
    """What a channel's broadcaster has made somebody in its chat."""

    MODERATOR = "moderator"
    VIP = "vip"


class PollStatus(StrEnum):
    """Where a poll stands."""

    RUNNING = "running"
    ENDED = "ended"


class RaidState(StrEnum):
    """Where a raid stands."""

    PENDING = "pending"
    DONE = "done"
    CANCELLED = "cancelled"


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
