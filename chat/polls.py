"""Polls: one at a time in a room, counted in PostgreSQL, told in bundles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from chat import facts
from chat.commands import (
    POLL_CHOICE_LENGTH,
    POLL_MAX_CHOICES,
    POLL_MAX_S,
    POLL_MIN_CHOICES,
    POLL_MIN_S,
    POLL_QUESTION_LENGTH,
)
from chat.decisions import Answer, Case, Desk, anybody, log, operation
from chat.reaching import reaching
from core.db.models import ChatBan, Poll, PollStatus, PollVote
from core.errors import Conflict, Forbidden, Invalid, NotFound

# In Redis: polls with votes that nobody was shown yet.
VOTED = "chat:voted"


def view(poll: Poll) -> dict[str, Any]:
    """A poll as clients get it."""
    pairs = zip(poll.choices, poll.votes, strict=True)
    return {
        "id": str(poll.id),
        "question": poll.question,
        "choices": [{"text": choice, "votes": votes} for choice, votes in pairs],
        "total": sum(poll.votes),
        "ends_at": facts.stamp(poll.ends_at),
        "status": poll.status,
    }


async def tell(desk: Desk, channel_id: int, login: str, poll: Poll) -> None:
    """Show the room how a poll stands."""
    event = {"type": "poll", "channel": login, "poll": view(poll)}
    await desk.store.publish(channel_id, event)


def _choices(case: Case) -> list[str]:
    given = case.fields.get("choices")
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise Invalid("`choices` is a list of texts.", field="choices")
    choices = [" ".join(each.split()) for each in given]
    if not POLL_MIN_CHOICES <= len(choices) <= POLL_MAX_CHOICES or len(set(choices)) < len(choices):
        raise Invalid("A poll has 2 to 5 different choices.", field="choices")
    if not all(1 <= len(choice) <= POLL_CHOICE_LENGTH for choice in choices):
        raise Invalid(f"A choice has 1 to {POLL_CHOICE_LENGTH} characters.", field="choices")
    return choices


@operation("poll.start")
async def start(desk: Desk, case: Case) -> Answer:
    """Ask the room."""
    choices = _choices(case)
    seconds = case.integer("duration_s")
    if not POLL_MIN_S <= seconds <= POLL_MAX_S:
        raise Invalid(f"A poll takes {POLL_MIN_S} to {POLL_MAX_S} seconds.", field="duration_s")
    now = datetime.now(UTC)
    poll = Poll(
        channel_id=case.channel.id,
        question=case.text("question", POLL_QUESTION_LENGTH, 1),
        choices=choices,
        votes=[0] * len(choices),
        started_at=now,
        ends_at=now + timedelta(seconds=seconds),
        status=PollStatus.RUNNING,
    )
    try:
        async with desk.database.session() as session:
            session.add(poll)
            await session.flush()
            entry = await log(session, case, "poll_start", None, "", question=poll.question)
    except IntegrityError as error:
        raise Conflict("A poll is running already.", code="poll_running") from error
    await tell(desk, case.channel.id, case.channel.login, poll)
    await desk.told(case, entry)
    return {"poll_id": poll.id, "poll": view(poll)}


@operation("poll.end")
async def end(desk: Desk, case: Case) -> Answer:
    """End the running poll (or the one of `poll_id`) before its time."""
    async with desk.database.session() as session:
        query = select(Poll).where(
            Poll.channel_id == case.channel.id, Poll.status == PollStatus.RUNNING
        )
        if case.fields.get("poll_id") is not None:
            query = query.where(Poll.id == case.integer("poll_id"))
        poll = await session.scalar(query.with_for_update())
        if poll is None:
            raise NotFound("No poll is running.", code="poll_not_found")
        poll.status, poll.ends_at = PollStatus.ENDED, datetime.now(UTC)
        entry = await log(session, case, "poll_end", None, "", question=poll.question)
    await tell(desk, case.channel.id, case.channel.login, poll)
    await desk.told(case, entry)
    return {"poll": view(poll)}


@operation("poll.vote", anybody, in_redis=False)
async def vote(desk: Desk, case: Case) -> Answer:
    """One vote a user; it stays."""
    user = case.actor
    if user is None:
        raise Forbidden("Log in to vote.", code="login_required")
    choice = case.integer("choice")
    async with desk.database.session() as session:
        query = select(Poll).where(
            Poll.channel_id == case.channel.id, Poll.status == PollStatus.RUNNING
        )
        if case.fields.get("poll_id") is not None:
            query = query.where(Poll.id == case.integer("poll_id"))
        poll = await session.scalar(query)
        if poll is None or poll.ends_at <= datetime.now(UTC):
            raise NotFound("No poll is running.", code="poll_not_found")
        if not 0 <= choice < len(poll.choices):
            raise Invalid("There is no such choice.", field="choice")
        banned = await session.get(ChatBan, (case.channel.id, user.id))
        if banned is not None and (
            banned.expires_at is None or banned.expires_at > datetime.now(UTC)
        ):
            raise Forbidden("You are banned from this chat.", code="msg_banned")
        added = await session.scalar(
            insert(PollVote)
            .values(poll_id=poll.id, user_id=user.id, choice=choice)
            .on_conflict_do_nothing()
            .returning(PollVote.choice)
        )
        if added is None:
            raise Conflict("You have voted already.", code="already_voted")
        await session.execute(
            text("update polls set votes[:place] = votes[:place] + 1 where id = :poll"),
            {"place": choice + 1, "poll": poll.id},
        )
    # Shown by `advance`, for all votes of a second together.
    async with reaching():
        await desk.store.redis.sadd(VOTED, str(poll.id))
    return {"poll_id": poll.id, "choice": choice}


async def voted(desk: Desk, poll_id: int, user_id: int) -> int | None:
    """What somebody has voted for."""
    async with desk.database.session() as session:
        return await session.scalar(
            select(PollVote.choice).where(PollVote.poll_id == poll_id, PollVote.user_id == user_id)
        )


async def running(desk: Desk, channel_id: int) -> Poll | None:
    """The room's poll."""
    async with desk.database.session() as session:
        return await session.scalar(
            select(Poll).where(Poll.channel_id == channel_id, Poll.status == PollStatus.RUNNING)
        )


async def advance(desk: Desk) -> None:
    """Show new votes, and end polls whose time is over."""
    async with reaching():
        counted = {int(name) for name in await desk.store.redis.spop(VOTED, 1000) or ()}
    async with desk.database.session() as session:
        ended = await session.scalars(
            update(Poll)
            .where(Poll.status == PollStatus.RUNNING, Poll.ends_at <= func.now())
            .values(status=PollStatus.ENDED)
            .returning(Poll)
        )
        polls = {poll.id: poll for poll in ended.all()}
        more = counted - set(polls)
        if more:
            rows = await session.scalars(select(Poll).where(Poll.id.in_(more)))
            polls |= {poll.id: poll for poll in rows.all()}
        channels = {
            poll.channel_id: await facts.channel_by_id(session, poll.channel_id)
            for poll in polls.values()
        }
    for poll in polls.values():
        await tell(desk, poll.channel_id, channels[poll.channel_id].login, poll)
