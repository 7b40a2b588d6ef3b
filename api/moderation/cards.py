"""What moderators know about one user of a channel: standing, messages, warnings, notes."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import names, pages
from api.channels.queries import ChannelRow
from api.follows.follows import followed_since
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
from api.moderation.bans import BanView
from api.moderation.log import LogEntryView, log_views
from api.moderation.warnings import ChatWarningView
from api.operations import Call, Input, Model, Page
from api.people import People, Person, find_user, people
from core.db.models import (
    ChatBan,
    ChatMessage,
    ChatNote,
    ChatRole,
    ChatSuspicious,
    ChatWarning,
    ModLogEntry,
    User,
)

NOTE_LENGTH = 500
# How much of each list is on a card.
LATEST = 20
# Lines of the mod log about bans and timeouts.
BARRING = ("ban", "unban", "timeout", "untimeout", "approve_unban_request")
Suspicion = Literal["none", "monitored", "restricted"]


def _note(text: str) -> str:
    return names.clean_words(text, NOTE_LENGTH, "text", least=1)


class NoteBody(Input):
    """A note."""

    text: Annotated[str, Field(max_length=2 * NOTE_LENGTH), AfterValidator(_note)]


class SuspicionBody(Input):
    """How the user is treated."""

    status: Suspicion = Field(
        description="`monitored`: moderators see a mark; `restricted`: every message is held."
    )


class NoteView(Model):
    """A moderator's note."""

    id: str
    author: Person | None
    text: str
    created_at: datetime

    @classmethod
    def of(cls, row: ChatNote, people: People) -> NoteView:
        """From its row."""
        return cls(
            id=str(row.id),
            author=people.get(row.author_id),
            text=row.text,
            created_at=row.created_at,
        )


class SuspicionView(Model):
    """Whether somebody is suspicious, and who says so."""

    status: Suspicion
    source: Literal["manual", "ban_evasion"] | None = None
    by: Person | None = None
    since: datetime | None = None


class MessageView(Model):
    """A message of the chat's history, removed or not."""

    id: str
    at: datetime
    text: str
    emotes: list[dict[str, Any]] = Field(
        description="Where it has emotes, as chat says it (docs/protocols/chat.md)."
    )
    kind: str
    deleted_at: datetime | None
    deleted_by: Person | None

    @classmethod
    def of(cls, row: ChatMessage, people: People) -> MessageView:
        """From its row."""
        return cls(
            id=str(row.id),
            at=row.at,
            text=row.text,
            emotes=row.data.get("emotes", []),
            kind=str(row.data.get("kind", "chat")),
            deleted_at=row.deleted_at,
            deleted_by=people.get(row.deleted_by),
        )


class MessagePage(Model):
    """A user's messages, the newest first."""

    items: list[MessageView]
    next_cursor: str | None


class CardView(Model):
    """A user as the channel's moderators see them; lists hold the latest."""

    user: Person
    account_created_at: datetime
    role: Literal["viewer", "vip", "moderator", "broadcaster"]
    follows_since: datetime | None
    banned: bool
    timed_out_until: datetime | None
    ban: BanView | None
    suspicious: SuspicionView
    message_count: int
    messages: list[MessageView]
    warnings: list[ChatWarningView]
    notes: list[NoteView]
    timeouts: list[LogEntryView] = Field(description="Timeouts and bans, and their ends.")


@moderation.get(
    "/channels/{login}/moderation/users/{user}",
    "What is known about a user",
    answer=CardView,
    errors={**SEEN_BY_MODERATORS, HTTPStatus.NOT_FOUND: ("user_not_found",)},
)
async def get_card(call: Call[None, None]) -> CardView:
    """Standing, messages, warnings, notes and what was done, as far as this channel goes."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        user = await find_user(session, call.path["user"])
        return await _card(session, channel, user)


async def _card(session: AsyncSession, channel: ChannelRow, user: User) -> CardView:
    key = (channel.id, user.id)
    ban = await session.get(ChatBan, key)
    if ban is not None and ban.expires_at is not None and ban.expires_at <= datetime.now(UTC):
        ban = None
    role = await session.get(ChatRole, key)
    suspicious = await session.get(ChatSuspicious, key)
    mine = (ChatMessage.channel_id == channel.id, ChatMessage.user_id == user.id)
    count = await session.scalar(select(func.count()).select_from(ChatMessage).where(*mine))
    messages = (
        await session.scalars(
            select(ChatMessage).where(*mine).order_by(ChatMessage.at.desc()).limit(LATEST)
        )
    ).all()
    warnings = (
        await session.scalars(
            select(ChatWarning)
            .where(ChatWarning.channel_id == channel.id, ChatWarning.user_id == user.id)
            .order_by(ChatWarning.id.desc())
            .limit(LATEST)
        )
    ).all()
    notes = (
        await session.scalars(
            select(ChatNote)
            .where(ChatNote.channel_id == channel.id, ChatNote.user_id == user.id)
            .order_by(ChatNote.id.desc())
            .limit(LATEST)
        )
    ).all()
    barred = (
        await session.scalars(
            select(ModLogEntry)
            .where(
                ModLogEntry.channel_id == channel.id,
                ModLogEntry.target_id == user.id,
                ModLogEntry.action.in_(BARRING),
            )
            .order_by(ModLogEntry.id.desc())
            .limit(LATEST)
        )
    ).all()
    named = await people(
        session,
        [
            user.id,
            None if ban is None else ban.moderator_id,
            None if suspicious is None else suspicious.by,
            *(message.deleted_by for message in messages),
            *(warning.moderator_id for warning in warnings),
            *(note.author_id for note in notes),
        ],
    )
    return CardView.model_validate(
        {
            "user": Person.of(user),
            "account_created_at": user.created_at,
            "role": "broadcaster" if user.id == channel.id else role.role if role else "viewer",
            "follows_since": await followed_since(session, user.id, channel.id),
            "banned": ban is not None and ban.expires_at is None,
            "timed_out_until": None if ban is None else ban.expires_at,
            "ban": None if ban is None else BanView.of(ban, named),
            "suspicious": _suspicion(suspicious, named),
            "message_count": count or 0,
            "messages": [MessageView.of(message, named) for message in messages],
            "warnings": [ChatWarningView.of(warning, named) for warning in warnings],
            "notes": [NoteView.of(note, named) for note in notes],
            "timeouts": await log_views(session, barred),
        }
    )


def _suspicion(row: ChatSuspicious | None, named: People) -> SuspicionView:
    if row is None:
        return SuspicionView(status="none")
    return SuspicionView.model_validate(
        {
            "status": row.status,
            "source": row.source,
            "by": named.get(row.by),
            "since": row.created_at,
        }
    )


@moderation.get(
    "/channels/{login}/moderation/users/{user}/messages",
    "A user's messages",
    query=Page,
    answer=MessagePage,
    errors={**SEEN_BY_MODERATORS, HTTPStatus.NOT_FOUND: ("user_not_found",)},
)
async def list_user_messages(call: Call[None, Page]) -> MessagePage:
    """In this channel, the newest first, removed ones included."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        user = await find_user(session, call.path["user"])
        query = select(ChatMessage).where(
            ChatMessage.channel_id == channel.id, ChatMessage.user_id == user.id
        )
        rows, cursor = await pages.fetch(
            session, query, call.query, "user-messages", ChatMessage.at, ChatMessage.offset
        )
        messages = [row.ChatMessage for row in rows]
        named = await people(session, (message.deleted_by for message in messages))
    return MessagePage(
        items=[MessageView.of(message, named) for message in messages], next_cursor=cursor
    )


@moderation.post(
    "/channels/{login}/moderation/users/{user}/notes",
    "Write a note about a user",
    body=NoteBody,
    answer=NoteView,
    status=201,
    errors=decided(not_found=("user_not_found",), conflict=("too_many_notes",)),
)
async def create_note(call: Call[NoteBody, None]) -> NoteView:
    """The channel's moderators see it, and nobody else."""
    channel, user = await channel_and_user(call, call.path["user"])
    answer = await decide(call, channel.id, "note.add", user_id=user.id, text=call.body.text)
    async with call.api.database.session() as session:
        row = await row_of(session, ChatNote, int(answer["note_id"]))
        return NoteView.of(row, await people(session, (row.author_id,)))


@moderation.delete(
    "/channels/{login}/moderation/notes/{id}",
    "Remove a note",
    errors=decided(not_found=("note_not_found",)),
)
async def delete_note(call: Call[None, None]) -> None:
    """One's own, or as the broadcaster any."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "note.remove", note_id=call.id())


@moderation.put(
    "/channels/{login}/moderation/users/{user}/suspicious",
    "Mark a user as suspicious",
    body=SuspicionBody,
    answer=SuspicionView,
    errors=decided(
        not_found=("user_not_found",),
        forbidden=tuple(f"bad_suspicious_{whom}" for whom in ("self", "mod", "broadcaster")),
    ),
)
async def put_suspicious(call: Call[SuspicionBody, None]) -> SuspicionView:
    """Or, with `none`, take the mark away."""
    channel, user = await channel_and_user(call, call.path["user"])
    status = call.body.status
    await decide(call, channel.id, "suspicious.set", user_id=user.id, status=status)
    async with call.api.database.session() as session:
        row = await session.get(ChatSuspicious, (channel.id, user.id))
        return _suspicion(row, await people(session, (None if row is None else row.by,)))
