"""Polls."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from sqlalchemy import select

from api import names, pages
from api.channels.queries import find_channel
from api.moderation.access import asked_channel, decide, decided, row_of
from api.operations import Auth, Call, Input, Model, Operations, Page
from core.app_tokens import Scope
from core.db.models import Poll
from core.errors import NotFound

QUESTION_LENGTH = 120
CHOICE_LENGTH = 60

polls = Operations("Polls", scope=Scope.CHANNEL_MODERATE)


def _question(text: str) -> str:
    return names.clean_words(text, QUESTION_LENGTH, "question", least=1)


def _choice(text: str) -> str:
    return names.clean_words(text, CHOICE_LENGTH, "choices", least=1)


class PollBody(Input):
    """A new poll."""

    question: Annotated[str, Field(max_length=1000), AfterValidator(_question)]
    choices: Annotated[
        list[Annotated[str, Field(max_length=1000), AfterValidator(_choice)]],
        Field(min_length=2, max_length=5),
    ]
    duration_s: int = Field(default=60, ge=15, le=1800)


class PollChange(Input):
    """Ends a poll before its time."""

    status: Literal["ended"]


class ChoiceView(Model):
    """A choice and its votes."""

    text: str
    votes: int


class PollView(Model):
    """A poll; its votes are final once it has ended, and before that as of the last seconds."""

    id: str
    question: str
    choices: list[ChoiceView]
    total: int
    started_at: datetime
    ends_at: datetime
    status: Literal["running", "ended"]

    @classmethod
    def of(cls, row: Poll) -> PollView:
        """From its row."""
        votes = [*row.votes, *[0] * (len(row.choices) - len(row.votes))]
        pairs = zip(row.choices, votes, strict=False)
        return cls.model_validate(
            {
                "id": str(row.id),
                "question": row.question,
                "choices": [ChoiceView(text=text, votes=count) for text, count in pairs],
                "total": sum(votes),
                "started_at": row.started_at,
                "ends_at": row.ends_at,
                "status": row.status,
            }
        )


class PollPage(Model):
    """Polls, the newest first."""

    items: list[PollView]
    next_cursor: str | None


@polls.get(
    "/channels/{login}/polls", "A channel's polls", query=Page, answer=PollPage, auth=Auth.ANYONE
)
async def list_polls(call: Call[None, Page]) -> PollPage:
    """The newest first; a running one is the first of all."""
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        query = select(Poll).where(Poll.channel_id == channel.id)
        rows, cursor = await pages.fetch(session, query, call.query, "polls", Poll.id)
    return PollPage(items=[PollView.of(row.Poll) for row in rows], next_cursor=cursor)


@polls.post(
    "/channels/{login}/polls",
    "Start a poll",
    body=PollBody,
    answer=PollView,
    status=201,
    errors=decided(conflict=("poll_running",)),
)
async def create_poll(call: Call[PollBody, None]) -> PollView:
    """Everybody in the chat may vote once. One runs at a time."""
    channel = await asked_channel(call)
    body = call.body
    answer = await decide(
        call,
        channel.id,
        "poll.start",
        question=body.question,
        choices=list(body.choices),
        duration_s=body.duration_s,
    )
    async with call.api.database.session() as session:
        return PollView.of(await row_of(session, Poll, int(answer["poll_id"])))


@polls.patch(
    "/channels/{login}/polls/{id}",
    "End a poll",
    body=PollChange,
    answer=PollView,
    errors=decided(not_found=("poll_not_found",)),
)
async def end_poll(call: Call[PollChange, None]) -> PollView:
    """Before its time; what was voted until now counts."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "poll.end", poll_id=call.id())
    async with call.api.database.session() as session:
        row = await session.get(Poll, call.id())
        if row is None:
            raise NotFound("There is no such poll.", code="poll_not_found")
        return PollView.of(row)
