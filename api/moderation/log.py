"""The mod log: who did what to whom in a channel's chat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.moderation.access import SEEN_BY_MODERATORS, moderated_channel, moderation
from api.operations import Call, Model, Page
from api.people import Person, find_user, people
from core.db.models import ModLogEntry


class LogEntryView(Model):
    """One line of the mod log."""

    id: str
    at: datetime
    moderator: Person | None = Field(description="Null: the system itself.")
    action: str
    target: Person | None
    reason: str
    data: dict[str, Any] = Field(description="What else belongs to the action.")


class LogPage(Model):
    """The mod log, the newest line first."""

    items: list[LogEntryView]
    next_cursor: str | None


class LogQuery(Page):
    """Which lines."""

    action: str | None = Field(default=None, pattern="^[a-z0-9_.]{1,40}$")
    user: str | None = Field(default=None, max_length=100, description="About this login.")
    moderator: str | None = Field(default=None, max_length=100, description="By this login.")


async def log_views(session: AsyncSession, entries: Sequence[ModLogEntry]) -> list[LogEntryView]:
    """Lines with the names of who is in them."""
    named = await people(session, (i for e in entries for i in (e.moderator_id, e.target_id)))
    return [
        LogEntryView(
            id=str(entry.id),
            at=entry.at,
            moderator=named.get(entry.moderator_id),
            action=entry.action,
            target=named.get(entry.target_id),
            reason=entry.reason,
            data=entry.data,
        )
        for entry in entries
    ]


@moderation.get(
    "/channels/{login}/moderation/log",
    "The mod log",
    query=LogQuery,
    answer=LogPage,
    errors={**SEEN_BY_MODERATORS, HTTPStatus.NOT_FOUND: ("user_not_found",)},
)
async def list_log(call: Call[None, LogQuery]) -> LogPage:
    """Every decision of moderators, and of the system, the newest first."""
    asked = call.query
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(ModLogEntry).where(ModLogEntry.channel_id == channel.id)
        if asked.action is not None:
            query = query.where(ModLogEntry.action == asked.action)
        if asked.user is not None:
            user = await find_user(session, asked.user, "user")
            query = query.where(ModLogEntry.target_id == user.id)
        if asked.moderator is not None:
            moderator = await find_user(session, asked.moderator, "moderator")
            query = query.where(ModLogEntry.moderator_id == moderator.id)
        rows, cursor = await pages.fetch(session, query, asked, "mod-log", ModLogEntry.id)
        views = await log_views(session, [row.ModLogEntry for row in rows])
    return LogPage(items=views, next_cursor=cursor)
