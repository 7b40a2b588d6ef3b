"""Unban requests: somebody banned asks to be let in again, and talks with the moderators about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import limits, names, pages
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    asked_channel,
    decide,
    decided,
    moderated_channel,
    moderation,
    row_of,
)
from api.operations import AnyCall, Call, Input, Model, Operations, Page
from api.people import People, Person, people
from core.db.models import UnbanMessage, UnbanRequest
from core.errors import Invalid, NotFound

TEXT_LENGTH = 500
# Of one request; a conversation that is longer is not about the ban any more.
MOST_MESSAGES = 200
Status = Literal["open", "approved", "denied", "cancelled"]

unban_requests = Operations("Unban requests")


def _text(text: str) -> str:
    return names.clean_words(text, TEXT_LENGTH, "text", least=1)


Text = Annotated[str, Field(max_length=2 * TEXT_LENGTH), AfterValidator(_text)]


class UnbanBody(Input):
    """What to say."""

    text: Text


class UnbanDecisionBody(Input):
    """A decision, a message, or both."""

    decision: Literal["approve", "deny"] | None = None
    text: Text | None = None


class UnbanMessageView(Model):
    """What was said about an unban request."""

    id: str
    author: Person | None
    text: str
    created_at: datetime


class UnbanView(Model):
    """An unban request with its conversation, oldest message first."""

    id: str
    user: Person
    status: Status
    created_at: datetime
    decided_by: Person | None
    decided_at: datetime | None
    messages: list[UnbanMessageView]

    @classmethod
    def of(cls, row: UnbanRequest, said: Sequence[UnbanMessage], people: People) -> UnbanView:
        """From its rows."""
        return cls.model_validate(
            {
                "id": str(row.id),
                "user": people[row.user_id],
                "status": row.status,
                "created_at": row.created_at,
                "decided_by": people.get(row.decided_by),
                "decided_at": row.decided_at,
                "messages": [
                    UnbanMessageView(
                        id=str(message.id),
                        author=people.get(message.author_id),
                        text=message.text,
                        created_at=message.created_at,
                    )
                    for message in said
                ],
            }
        )


class UnbanPage(Model):
    """Unban requests, the newest first."""

    items: list[UnbanView]
    next_cursor: str | None


class UnbansQuery(Page):
    """Which requests."""

    status: Status | None = Field(default="open", description="Default: those that are open.")


async def _views(session: AsyncSession, requests: Sequence[UnbanRequest]) -> list[UnbanView]:
    ids = [request.id for request in requests]
    said = (
        await session.scalars(
            select(UnbanMessage)
            .where(UnbanMessage.request_id.in_(ids))
            .order_by(UnbanMessage.id)
            .limit(MOST_MESSAGES * max(1, len(ids)))
        )
    ).all()
    ids_of_people = [i for r in requests for i in (r.user_id, r.decided_by)]
    named = await people(session, [*ids_of_people, *(message.author_id for message in said)])
    return [
        UnbanView.of(request, [m for m in said if m.request_id == request.id], named)
        for request in requests
    ]


async def _view(call: AnyCall, request_id: int) -> UnbanView:
    async with call.api.database.session() as session:
        request = await row_of(session, UnbanRequest, request_id)
        return (await _views(session, [request]))[0]


@moderation.get(
    "/channels/{login}/moderation/unban-requests",
    "Unban requests",
    query=UnbansQuery,
    answer=UnbanPage,
    errors=SEEN_BY_MODERATORS,
)
async def list_unban_requests(call: Call[None, UnbansQuery]) -> UnbanPage:
    """With what was said, the newest request first."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(UnbanRequest).where(UnbanRequest.channel_id == channel.id)
        if call.query.status is not None:
            query = query.where(UnbanRequest.status == call.query.status)
        rows, cursor = await pages.fetch(session, query, call.query, "unbans", UnbanRequest.id)
        views = await _views(session, [row.UnbanRequest for row in rows])
    return UnbanPage(items=views, next_cursor=cursor)


@moderation.post(
    "/channels/{login}/moderation/unban-requests/{id}",
    "Answer or decide an unban request",
    body=UnbanDecisionBody,
    answer=UnbanView,
    errors=decided(not_found=("unban_request_not_found",), conflict=("unban_request_decided",)),
)
async def decide_unban_request(call: Call[UnbanDecisionBody, None]) -> UnbanView:
    """Approving lifts the ban."""
    body = call.body
    channel = await asked_channel(call)
    if body.decision is not None:
        await decide(
            call,
            channel.id,
            "unban.decide",
            request_id=call.id(),
            decision=body.decision,
            text=body.text or "",
        )
    elif body.text is not None:
        await decide(call, channel.id, "unban.message", request_id=call.id(), text=body.text)
    else:
        raise Invalid("Decide or say something.", code="field_missing", field="decision")
    return await _view(call, call.id())


@unban_requests.get(
    "/channels/{login}/unban-requests",
    "Your unban requests",
    query=Page,
    answer=UnbanPage,
)
async def my_unban_requests(call: Call[None, Page]) -> UnbanPage:
    """Of this channel, the newest first, with what the moderators said."""
    channel = await asked_channel(call)
    query = select(UnbanRequest).where(
        UnbanRequest.channel_id == channel.id, UnbanRequest.user_id == call.actor.id
    )
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(session, query, call.query, "my-unbans", UnbanRequest.id)
        views = await _views(session, [row.UnbanRequest for row in rows])
    return UnbanPage(items=views, next_cursor=cursor)


@unban_requests.post(
    "/channels/{login}/unban-requests",
    "Ask to be unbanned",
    body=UnbanBody,
    answer=UnbanView,
    status=201,
    errors=decided(conflict=("not_banned", "unban_request_open")),
)
async def create_unban_request(call: Call[UnbanBody, None]) -> UnbanView:
    """One may be open at a time."""
    channel = await asked_channel(call)
    account = str(call.actor.id)
    await call.api.limiter.charge("unban", [(limits.UNBAN_REQUESTS_ACCOUNT, account)])
    answer = await decide(call, channel.id, "unban.request", text=call.body.text)
    return await _view(call, int(answer["request_id"]))


async def _own_request(call: AnyCall) -> int:
    """The id of the channel of the actor's own request. Raises NotFound."""
    channel = await asked_channel(call)
    async with call.api.database.session() as session:
        request = await session.get(UnbanRequest, call.id())
    mine = request is not None and request.user_id == call.actor.id
    if request is None or not mine or request.channel_id != channel.id:
        raise NotFound("There is no such request.", code="unban_request_not_found")
    return channel.id


_OWN = decided(not_found=("unban_request_not_found",), conflict=("unban_request_decided",))


@unban_requests.post(
    "/channels/{login}/unban-requests/{id}",
    "Say something about your unban request",
    body=UnbanBody,
    answer=UnbanView,
    errors=_OWN,
)
async def say_about_unban_request(call: Call[UnbanBody, None]) -> UnbanView:
    """While it is open."""
    channel_id = await _own_request(call)
    account = str(call.actor.id)
    await call.api.limiter.charge("unban", [(limits.UNBAN_REQUESTS_ACCOUNT, account)])
    await decide(call, channel_id, "unban.message", request_id=call.id(), text=call.body.text)
    return await _view(call, call.id())


@unban_requests.delete(
    "/channels/{login}/unban-requests/{id}",
    "Withdraw your unban request",
    errors=_OWN,
)
async def cancel_unban_request(call: Call[None, None]) -> None:
    """The ban stays."""
    channel_id = await _own_request(call)
    await decide(call, channel_id, "unban.cancel", request_id=call.id())
