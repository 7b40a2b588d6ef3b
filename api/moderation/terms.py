"""Blocked and permitted terms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from sqlalchemy import ColumnElement, select

from api import names, pages
from api.channels.queries import find_channel
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    asked_channel,
    decide,
    decided,
    moderated_channel,
    moderation,
    row_of,
)
from api.operations import Auth, Call, Input, Model, Page
from api.people import People, Person, people
from core.db.models import ChatTerm

Kind = Literal["blocked", "permitted"]
TERM_LENGTH = 500
LONGEST_S = 366 * 86400


def _text(text: str) -> str:
    return names.clean_text(text, TERM_LENGTH, "text")


class TermBody(Input):
    """A new term."""

    text: Annotated[str, Field(min_length=2, max_length=1000), AfterValidator(_text)] = Field(
        description="Words; a `*` may stand at the start or the end of each.",
    )
    kind: Kind = Field(
        default="blocked", description="Keeps messages out, or lets them past AutoMod."
    )
    public: bool = Field(default=False, description="Whether everybody may see it in a list.")
    duration_s: int | None = Field(
        default=None, ge=60, le=LONGEST_S, description="Seconds; left out: until it is removed."
    )


class TermView(Model):
    """A term."""

    id: str
    text: str
    kind: Kind
    public: bool
    created_by: Person | None
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: ChatTerm, people: People) -> TermView:
        """From its row."""
        return cls.model_validate(
            {
                "id": str(row.id),
                "text": row.text,
                "kind": row.kind,
                "public": row.public,
                "created_by": people.get(row.created_by),
                "created_at": row.created_at,
                "expires_at": row.expires_at,
            }
        )


class TermPage(Model):
    """Terms, the newest first."""

    items: list[TermView]
    next_cursor: str | None


class PublicTerm(Model):
    """A term that the channel's moderators let everybody see."""

    text: str
    kind: Kind


class PublicTerms(Model):
    """Public terms, by text."""

    items: list[PublicTerm]
    next_cursor: None = None


class TermsQuery(Page):
    """Which terms."""

    kind: Kind = "blocked"


@moderation.get(
    "/channels/{login}/moderation/blocked-terms",
    "Blocked or permitted terms",
    query=TermsQuery,
    answer=TermPage,
    errors=SEEN_BY_MODERATORS,
)
async def list_terms(call: Call[None, TermsQuery]) -> TermPage:
    """The newest first; those that have run out are gone."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(ChatTerm).where(
            ChatTerm.channel_id == channel.id,
            ChatTerm.kind == call.query.kind,
            _not_over(),
        )
        order = f"terms:{call.query.kind}"
        rows, cursor = await pages.fetch(session, query, call.query, order, ChatTerm.id)
        terms = [row.ChatTerm for row in rows]
        named = await people(session, (term.created_by for term in terms))
    return TermPage(items=[TermView.of(term, named) for term in terms], next_cursor=cursor)


@moderation.get(
    "/channels/{login}/blocked-terms",
    "A channel's public terms",
    answer=PublicTerms,
    auth=Auth.ANYONE,
)
async def list_public_terms(call: Call[None, None]) -> PublicTerms:
    """What the channel's moderators let everybody know of its rules."""
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        query = select(ChatTerm).where(
            ChatTerm.channel_id == channel.id, ChatTerm.public, _not_over()
        )
        terms = (await session.scalars(query.order_by(ChatTerm.text))).all()
    items = [PublicTerm.model_validate({"text": t.text, "kind": t.kind}) for t in terms]
    return PublicTerms(items=items)


def _not_over() -> ColumnElement[bool]:
    return ChatTerm.expires_at.is_(None) | (ChatTerm.expires_at > datetime.now(UTC))


@moderation.post(
    "/channels/{login}/moderation/blocked-terms",
    "Add a term",
    body=TermBody,
    answer=TermView,
    status=201,
    errors=decided(
        conflict=("term_exists", "too_many_terms"), unprocessable_entity=("invalid_term",)
    ),
)
async def create_term(call: Call[TermBody, None]) -> TermView:
    """Terms are compared as people read: without regard to case, accents and look-alikes."""
    body = call.body
    channel = await asked_channel(call)
    life = body.duration_s
    expires_at = None if life is None else datetime.now(UTC) + timedelta(seconds=life)
    answer = await decide(
        call,
        channel.id,
        "term.add",
        kind=body.kind,
        text=body.text,
        public=body.public,
        expires_at=None if expires_at is None else expires_at.isoformat(),
    )
    async with call.api.database.session() as session:
        term = await row_of(session, ChatTerm, int(answer["term_id"]))
        return TermView.of(term, await people(session, (term.created_by,)))


@moderation.delete(
    "/channels/{login}/moderation/blocked-terms/{id}",
    "Remove a term",
    errors=decided(not_found=("term_not_found",)),
)
async def delete_term(call: Call[None, None]) -> None:
    """Blocked or permitted."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "term.remove", term_id=call.id())
