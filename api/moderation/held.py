"""Messages that were held back and wait for a moderator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select

from api import pages
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    asked_channel,
    decide,
    decided,
    moderated_channel,
    moderation,
    row_of,
)
from api.operations import Call, Input, Model, Page
from api.people import People, Person, people
from core.db.models import ChatHeld, HeldDecision

Decision = Literal["pending", "allowed", "denied", "expired"]


class HeldBody(Input):
    """What becomes of it."""

    decision: Literal["allow", "deny"]


class HeldView(Model):
    """A message that was held back before anybody saw it."""

    id: str
    user: Person
    text: str
    reason: str
    categories: list[str]
    created_at: datetime
    expires_at: datetime
    decision: Decision
    decided_by: Person | None
    decided_at: datetime | None

    @classmethod
    def of(cls, row: ChatHeld, people: People) -> HeldView:
        """From its row."""
        return cls.model_validate(
            {
                "id": str(row.id),
                "user": people[row.user_id],
                "text": row.text,
                "reason": row.reason,
                "categories": row.categories,
                "created_at": row.created_at,
                "expires_at": row.expires_at,
                "decision": row.decision,
                "decided_by": people.get(row.decided_by),
                "decided_at": row.decided_at,
            }
        )


class HeldPage(Model):
    """Messages that wait for a decision, the newest first."""

    items: list[HeldView]
    next_cursor: str | None


@moderation.get(
    "/channels/{login}/moderation/automod",
    "Messages that are held",
    query=Page,
    answer=HeldPage,
    errors=SEEN_BY_MODERATORS,
)
async def list_held(call: Call[None, Page]) -> HeldPage:
    """Those that wait for a decision. After five minutes they are denied by themselves."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(ChatHeld).where(
            ChatHeld.channel_id == channel.id,
            ChatHeld.decision == HeldDecision.PENDING,
            ChatHeld.expires_at > datetime.now(UTC),
        )
        rows, cursor = await pages.fetch(
            session, query, call.query, "held", ChatHeld.created_at, ChatHeld.id
        )
        held = [row.ChatHeld for row in rows]
        named = await people(session, (i for h in held for i in (h.user_id, h.decided_by)))
    return HeldPage(items=[HeldView.of(row, named) for row in held], next_cursor=cursor)


@moderation.post(
    "/channels/{login}/moderation/automod/{message}",
    "Allow or deny a held message",
    body=HeldBody,
    answer=HeldView,
    errors=decided(not_found=("held_not_found",), conflict=("held_decided",)),
)
async def decide_held(call: Call[HeldBody, None]) -> HeldView:
    """An allowed message appears in the chat as if it had just been sent. The first decision holds."""
    channel = await asked_channel(call)
    held_id = call.path["message"]
    await decide(call, channel.id, "held.decide", held_id=held_id, decision=call.body.decision)
    async with call.api.database.session() as session:
        row = await row_of(session, ChatHeld, UUID(held_id))
        return HeldView.of(row, await people(session, (row.user_id, row.decided_by)))
