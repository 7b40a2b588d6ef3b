"""Raids: a channel's viewers go on to another, after a countdown that can be cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from chat import facts
from chat.decisions import Answer, Case, Desk, anybody, log, operation
from chat.facts import ChannelFacts
from chat.messages import say, system_frame
from chat.presence import NAMED, chatters, count
from chat.room import Rank
from core.db.models import ChatBan, ChatSettings, Follow, Raid, RaidState
from core.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from core.logs import logger

log_ = logger(__name__)


def view(login: str, to: ChannelFacts, raid: Raid, state: str, at: datetime) -> dict[str, Any]:
    """A raid as clients get it."""
    return {
        "type": "raid",
        "channel": login,
        "state": state,
        "to": {"id": str(to.id), "login": to.login, "name": to.name},
        "viewers": raid.viewers,
        "at": facts.stamp(at),
    }


async def _target(session: AsyncSession, case: Case) -> ChannelFacts:
    if case.fields.get("to_channel_id") is not None:
        to = await facts.channel_by_id(session, case.integer("to_channel_id"))
    else:
        to = await facts.channel_by_login(session, case.text("to", 25, 1).lower())
    if to.id == case.channel.id:
        raise Invalid("A channel cannot raid itself.", code="raid_self", field="to")
    settings = await session.get(ChatSettings, to.id)
    accepts = "all" if settings is None else settings.accept_raids
    if accepts == "followed":
        follows = await session.get(Follow, (to.id, case.channel.id))
        accepts = "all" if follows is not None else "none"
    banned = await session.get(ChatBan, (to.id, case.channel.id))
    if accepts == "none" or to.suspended or banned is not None:
        raise Forbidden("This channel does not accept the raid.", code="raid_not_accepted")
    return to


@operation("raid.start")
async def start(desk: Desk, case: Case) -> Answer:
    """Count down to a raid on the channel `to`."""
    viewers = await count(desk.store, case.channel.id)
    now = datetime.now(UTC)
    try:
        async with desk.database.session() as session:
            to = await _target(session, case)
            raid = Raid(
                from_channel=case.channel.id,
                to_channel=to.id,
                viewers=viewers,
                state=RaidState.PENDING,
                created_at=now,
            )
            session.add(raid)
            await session.flush()
            entry = await log(session, case, "raid", None, "", to=to.login, viewers=viewers)
    except IntegrityError as error:
        raise Conflict("A raid is being counted down already.", code="raid_pending") from error
    goes_at = now + timedelta(seconds=desk.settings.chat_raid_s)
    event = view(case.channel.login, to, raid, "pending", goes_at)
    await desk.store.publish(case.channel.id, event)
    await desk.told(case, entry)
    return {"raid_id": raid.id, "at": facts.stamp(goes_at), "viewers": viewers}


@operation("raid.cancel")
async def cancel(desk: Desk, case: Case) -> Answer:
    """Stop the countdown."""
    async with desk.database.session() as session:
        raid = await session.scalar(
            select(Raid)
            .where(Raid.from_channel == case.channel.id, Raid.state == RaidState.PENDING)
            .with_for_update()
        )
        if raid is None:
            raise NotFound("No raid is being counted down.", code="no_raid")
        raid.state, raid.done_at = RaidState.CANCELLED, datetime.now(UTC)
        to = await facts.channel_by_id(session, raid.to_channel)
        entry = await log(session, case, "unraid", None, "", to=to.login)
    event = view(case.channel.login, to, raid, "cancelled", datetime.now(UTC))
    await desk.store.publish(case.channel.id, event)
    await desk.told(case, entry)
    return {}


async def pending(desk: Desk, channel: ChannelFacts) -> dict[str, Any] | None:
    """The raid that is being counted down in a room, as its event."""
    async with desk.database.session() as session:
        raid = await session.scalar(
            select(Raid).where(Raid.from_channel == channel.id, Raid.state == RaidState.PENDING)
        )
        if raid is None:
            return None
        to = await facts.channel_by_id(session, raid.to_channel)
    at = raid.created_at + timedelta(seconds=desk.settings.chat_raid_s)
    return view(channel.login, to, raid, "pending", at)


async def advance(desk: Desk) -> None:
    """Carry out raids whose countdown is over."""
    async with desk.database.session() as session:
        rows = await session.scalars(
            update(Raid)
            .where(
                Raid.state == RaidState.PENDING,
                Raid.created_at
                <= func.now() - func.make_interval(0, 0, 0, 0, 0, 0, desk.settings.chat_raid_s),
            )
            .values(state=RaidState.DONE, done_at=func.now())
            .returning(Raid)
        )
        due = list(rows.all())
    for raid in due:
        try:
            await _go(desk, raid)
        except DomainError as error:
            log_.warning("raid_failed", raid_id=raid.id, reason=error.message)


async def _go(desk: Desk, raid: Raid) -> None:
    async with desk.database.session() as session:
        source = await facts.channel_by_id(session, raid.from_channel)
        to = await facts.channel_by_id(session, raid.to_channel)
        raider = await facts.user_by_id(session, source.id)
        raid.viewers = await count(desk.store, source.id)
        await session.execute(update(Raid).where(Raid.id == raid.id).values(viewers=raid.viewers))
    event = view(source.login, to, raid, "go", datetime.now(UTC))
    await desk.store.publish(source.id, event)
    people = "viewer" if raid.viewers == 1 else "viewers"
    text = f"{source.name} is raiding with {raid.viewers} {people}."
    frame = {
        **system_frame(to.login, raider, Rank.VIEWER, "raid", text),
        "raid": {"from": {"login": source.login, "name": source.name}, "viewers": raid.viewers},
    }
    await say(desk, to.id, raider.id, frame)


@operation("chatters", anybody, in_redis=False)
async def chatters_list(desk: Desk, case: Case) -> Answer:
    """Who is in the room: at most `limit` of those who are logged in."""
    limit = case.integer("limit") if case.fields.get("limit") is not None else NAMED
    return await chatters(desk.store, case.channel.id, min(limit, NAMED))
