"""Bans, timeouts, and messages that are removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import or_, select

from api import names, pages
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    asked_channel,
    channel_and_user,
    decide,
    decided,
    moderated_channel,
    moderation,
    row_of,
)
from api.operations import Call, Input, Model, Page
from api.people import People, Person, people
from core.db.models import ChatBan

REASON_LENGTH = 500
LONGEST_TIMEOUT_S = 1_209_600


def clean_reason(text: str) -> str:
    """Why; may be empty."""
    return names.clean_words(text, REASON_LENGTH, "reason")


Reason = Annotated[str, Field(max_length=2 * REASON_LENGTH), AfterValidator(clean_reason)]
UserField = Annotated[str, Field(max_length=100, description="A login.")]


class BanBody(Input):
    """Whom to ban, or to time out."""

    user: UserField
    duration_s: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_TIMEOUT_S,
        description="Seconds: a timeout. Left out: a ban, without end.",
    )
    reason: Reason = ""


class BanView(Model):
    """A ban, or a timeout that is not over."""

    user: Person
    moderator: Person | None = Field(description="Null: the system.")
    reason: str
    created_at: datetime
    expires_at: datetime | None = Field(description="Null: a ban, without end.")

    @classmethod
    def of(cls, row: ChatBan, people: People) -> BanView:
        """From its row."""
        return cls(
            user=people[row.user_id],
            moderator=people.get(row.moderator_id),
            reason=row.reason,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


class BanPage(Model):
    """Bans and timeouts, the newest first."""

    items: list[BanView]
    next_cursor: str | None


@moderation.get(
    "/channels/{login}/moderation/bans",
    "Who is banned or timed out",
    query=Page,
    answer=BanPage,
    errors=SEEN_BY_MODERATORS,
)
async def list_bans(call: Call[None, Page]) -> BanPage:
    """Those that are in force, the newest first."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(ChatBan).where(
            ChatBan.channel_id == channel.id,
            or_(ChatBan.expires_at.is_(None), ChatBan.expires_at > datetime.now(UTC)),
        )
        rows, cursor = await pages.fetch(
            session, query, call.query, "bans", ChatBan.created_at, ChatBan.user_id
        )
        bans = [row.ChatBan for row in rows]
        named = await people(session, (i for b in bans for i in (b.user_id, b.moderator_id)))
    return BanPage(items=[BanView.of(ban, named) for ban in bans], next_cursor=cursor)


BARRED = tuple(
    f"bad_{what}_{whom}"
    for what in ("ban", "timeout")
    for whom in ("self", "mod", "broadcaster", "admin", "staff")
)


@moderation.post(
    "/channels/{login}/moderation/bans",
    "Ban somebody, or time them out",
    body=BanBody,
    answer=BanView,
    status=201,
    errors=decided(
        forbidden=BARRED,
        not_found=("user_not_found",),
        conflict=("already_banned",),
        unprocessable_entity=("bad_timeout_duration",),
    ),
)
async def create_ban(call: Call[BanBody, None]) -> BanView:
    """Their messages are cleared from the chat. When it answers, nothing of them gets through."""
    body = call.body
    channel, user = await channel_and_user(call, body.user, "user")
    await decide(
        call,
        channel.id,
        "ban",
        user_id=user.id,
        duration_s=body.duration_s,
        reason=body.reason,
    )
    async with call.api.database.session() as session:
        ban = await row_of(session, ChatBan, (channel.id, user.id))
        return BanView.of(ban, await people(session, (ban.user_id, ban.moderator_id)))


@moderation.delete(
    "/channels/{login}/moderation/bans/{user}",
    "Lift a ban or timeout",
    errors=decided(not_found=("user_not_found",), conflict=("bad_unban_no_ban",)),
)
async def delete_ban(call: Call[None, None]) -> None:
    """They may chat again at once."""
    channel, user = await channel_and_user(call, call.path["user"])
    await decide(call, channel.id, "unban", user_id=user.id, reason="")


@moderation.delete(
    "/channels/{login}/moderation/messages",
    "Clear the chat",
    errors=decided(),
)
async def clear_messages(call: Call[None, None]) -> None:
    """Takes every message off everybody's screen; moderators still find them in the history."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "messages.clear")


UNDELETABLE = tuple(f"bad_delete_message_{why}" for why in ("mod", "broadcaster", "error"))


@moderation.delete(
    "/channels/{login}/moderation/messages/{message}",
    "Remove a message",
    errors=decided(
        forbidden=UNDELETABLE,
        not_found=("message_not_found",),
        unprocessable_entity=UNDELETABLE,
    ),
)
async def delete_message(call: Call[None, None]) -> None:
    """One that is at most six hours old, and neither the broadcaster's nor a moderator's."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "message.delete", message_id=call.path["message"])
