"""Warnings: who gets one has to acknowledge it before chatting on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import select

from api import names, pages
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    channel_and_user,
    decide,
    decided,
    moderated_channel,
    moderation,
    row_of,
)
from api.moderation.bans import REASON_LENGTH, UserField
from api.operations import Call, Input, Model, Page
from api.people import People, Person, people
from core.db.models import ChatWarning


def _reason(text: str) -> str:
    return names.clean_words(text, REASON_LENGTH, "reason", least=1)


class WarningBody(Input):
    """Whom to warn."""

    user: UserField
    reason: Annotated[str, Field(max_length=2 * REASON_LENGTH), AfterValidator(_reason)]


class ChatWarningView(Model):
    """A warning."""

    id: str
    user: Person
    moderator: Person | None
    reason: str
    created_at: datetime
    acknowledged_at: datetime | None

    @classmethod
    def of(cls, row: ChatWarning, people: People) -> ChatWarningView:
        """From its row."""
        return cls(
            id=str(row.id),
            user=people[row.user_id],
            moderator=people.get(row.moderator_id),
            reason=row.reason,
            created_at=row.created_at,
            acknowledged_at=row.acknowledged_at,
        )


class WarningPage(Model):
    """Warnings, the newest first."""

    items: list[ChatWarningView]
    next_cursor: str | None


@moderation.get(
    "/channels/{login}/moderation/warnings",
    "Warnings",
    query=Page,
    answer=WarningPage,
    errors=SEEN_BY_MODERATORS,
)
async def list_warnings(call: Call[None, Page]) -> WarningPage:
    """The newest first, acknowledged or not."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(ChatWarning).where(ChatWarning.channel_id == channel.id)
        rows, cursor = await pages.fetch(session, query, call.query, "warnings", ChatWarning.id)
        found = [row.ChatWarning for row in rows]
        named = await people(session, (i for w in found for i in (w.user_id, w.moderator_id)))
    return WarningPage(items=[ChatWarningView.of(row, named) for row in found], next_cursor=cursor)


@moderation.post(
    "/channels/{login}/moderation/warnings",
    "Warn somebody",
    body=WarningBody,
    answer=ChatWarningView,
    status=201,
    errors=decided(
        forbidden=tuple(f"bad_warn_{whom}" for whom in ("self", "mod", "broadcaster")),
        not_found=("user_not_found",),
    ),
)
async def create_warning(call: Call[WarningBody, None]) -> ChatWarningView:
    """They have to acknowledge it before they can chat on."""
    channel, user = await channel_and_user(call, call.body.user, "user")
    answer = await decide(call, channel.id, "warn", user_id=user.id, reason=call.body.reason)
    async with call.api.database.session() as session:
        row = await row_of(session, ChatWarning, int(answer["warning_id"]))
        return ChatWarningView.of(row, await people(session, (row.user_id, row.moderator_id)))
