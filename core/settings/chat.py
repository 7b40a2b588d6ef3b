"""Settings: chat."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Chat(BaseModel):
    """Chat."""

    chat_flush_s: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description=(
            "In a busy room messages of this time go out together, seconds. A quiet room's go out "
            "at once."
        ),
    )
    chat_buffer_bytes: int = Field(
        default=256 * 1024,
        ge=16 * 1024,
        description="What may wait for a slow reader before it is dropped, bytes.",
    )
    chat_join_history: int = Field(
        default=50, ge=0, le=500, description="Messages that somebody sees who enters a room."
    )
    chat_recovery: int = Field(
        default=1000,
        ge=0,
        le=10_000,
        description="Most messages that a reconnecting client is given; beyond it a gap is said.",
    )
    chat_persist_s: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="How often messages are written to PostgreSQL, seconds.",
    )
    chat_room_cap: int = Field(
        default=20_000,
        ge=100,
        description=(
            "Most messages of a room that Redis holds when PostgreSQL does not take them; older ones"
            " are then lost, counted and alerted."
        ),
    )
    chat_retention_days: int = Field(
        default=365,
        ge=0,
        le=36_500,
        description="Days after which chat messages are removed, by the week; 0: kept for good.",
    )
    chat_held_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How long a held message waits for a moderator, seconds.",
    )
    chat_raid_s: float = Field(
        default=90.0,
        gt=0,
        description="Countdown of a raid, seconds.",
    )
    chat_pin_s: float = Field(
        default=1200.0, gt=0, le=604_800, description="How long a message stays pinned, seconds."
    )
