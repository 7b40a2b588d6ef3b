"""Decisions about messages: deleted, cleared, held, pinned, announced."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from chat import emotes, facts, history, wire
from chat.decisions import Answer, Case, Desk, Entry, log, operation
from chat.message_ids import new_message_id
from chat.room import (
    MESSAGE_LENGTH,
    RATE_MODERATOR,
    Accepted,
    Gate,
    Rank,
    Standing,
    User,
    clean,
    may_delete,
)
from chat.rooms import Room
from chat.sessions import Session
from chat.store import Absent, Audience, Stale
from core.db.models import ChatHeld, ChatMessage, ChatSettings, HeldDecision
from core.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable

ATTEMPTS = 5
# Lets everything through but bans: for what a moderator has looked at, and what the service says.
OPEN_GATE = Gate(rate=100_000, slow_s=0, unique=False, barrable=True, duplicates=False)
COLORS = ("primary", "blue", "green", "orange", "purple")


# --- deleting -------------------------------------------------------------------------------------


async def find(desk: Desk, channel_id: int, message_id: str) -> dict[str, Any]:
    """A message that was shown, as a row. Raises NotFound."""
    for entry in reversed(await desk.store.latest(channel_id, desk.settings.chat_recovery)):
        if message_id.encode() in entry.frame and wire.parse(entry.frame)["id"] == message_id:
            return history.row_of(channel_id, entry)
    try:
        wanted = uuid.UUID(message_id)
    except ValueError as error:
        raise _no_message() from error
    async with desk.database.session() as session:
        row = await session.scalar(
            select(ChatMessage).where(
                ChatMessage.id == wanted, ChatMessage.channel_id == channel_id
            )
        )
    if row is None:
        raise _no_message()
    columns = ("channel_id", "offset", "at", "id", "user_id", "text", "data")
    return {name: getattr(row, name) for name in columns}


def _no_message() -> NotFound:
    return NotFound("There is no such message.", code="message_not_found")


@operation("message.delete")
async def message_delete(desk: Desk, case: Case) -> Answer:
    """Take one message away."""
    message_id = case.text("message_id", 36, 1).lower()
    row = await find(desk, case.channel.id, message_id)
    now = datetime.now(UTC)
    async with desk.database.session() as session:
        rank = await facts.rank(session, case.channel.id, row["user_id"])
        age_s = (now - row["at"]).total_seconds()
        # The site's staff removes what breaks its rules, whosever it is and however old.
        if not case.staff:
            may_delete(case.actor_id or 0, row["user_id"], rank, case.rank, age_s)
        await history.delete_message(session, row, case.actor_id, now)
        author = await facts.user_by_id(session, row["user_id"])
        entry = await log(
            session, case, "delete", author, "", message_id=message_id, text=row["text"]
        )
    await tell_deleted(desk, case, author, message_id, row["text"])
    await desk.told(case, entry)
    return {"id": message_id}


async def tell_deleted(desk: Desk, case: Case, author: User, message_id: str, text: str) -> None:
    """Take a message that is deleted off every screen."""
    await desk.store.forget(case.channel.id, [message_id])
    event = {
        "type": "deleted",
        "channel": case.channel.login,
        "id": message_id,
        "user": {"id": str(author.id), "login": author.login},
        "text": text,
    }
    await desk.store.publish(case.channel.id, event, Audience.OTHERS)
    by = None if case.actor is None else case.actor.login
    await desk.store.publish(case.channel.id, {**event, "by": by}, Audience.MODERATORS)


@operation("messages.clear")
async def messages_clear(desk: Desk, case: Case) -> Answer:
    """Take everything off every screen."""
    while await desk.history.persist(case.channel.id):
        pass
    logged = await desk.store.latest(case.channel.id, desk.settings.chat_room_cap)
    async with desk.database.session() as session:
        after = datetime.now(UTC) - timedelta(hours=6)
        await history.delete_all_of(session, case.channel.id, None, case.actor_id, after)
        entry = await log(session, case, "clear")
    await desk.store.forget(case.channel.id, [wire.parse(e.frame)["id"] for e in logged])
    await desk.store.publish(case.channel.id, {"type": "cleared", "channel": case.channel.login})
    await desk.told(case, entry)
    return {}


# --- held -----------------------------------------------------------------------------------------


async def hold(
    desk: Desk, session: Session, room: Room, frame: dict[str, Any], held: Accepted
) -> None:
    """Put a message before the moderators; nobody else sees it."""
    user = session.user
    if user is None:
        raise Forbidden("Log in to chat.", code="login_required")
    now = datetime.now(UTC)
    row = ChatHeld(
        id=uuid.UUID(frame["id"]),
        channel_id=room.id,
        user_id=user.id,
        text=frame["text"],
        reason=held.held or "automod",
        categories=list(held.categories),
        data=frame,
        created_at=now,
        expires_at=now + timedelta(seconds=desk.current.now.chat_held_s),
        decision=HeldDecision.PENDING,
    )
    async with desk.database.session() as database:
        database.add(row)
    await desk.store.publish(
        room.id,
        {
            "type": "held",
            "channel": room.channel.login,
            "id": frame["id"],
            "user": frame["user"],
            "text": frame["text"],
            "reason": row.reason,
            "categories": row.categories,
            "expires_at": facts.stamp(row.expires_at),
        },
        Audience.MODERATORS,
    )


@operation("held.decide")
async def held_decide(desk: Desk, case: Case) -> Answer:
    """Allow a held message, which then appears, or deny it. The first decision holds."""
    try:
        held_id = uuid.UUID(case.text("held_id", 36, 1))
    except ValueError as error:
        raise NotFound("There is no such message.", code="held_not_found") from error
    wanted = case.text("decision", 10)
    if wanted not in ("allow", "deny"):
        raise Invalid("`decision` is allow or deny.", field="decision")
    decision = HeldDecision.ALLOWED if wanted == "allow" else HeldDecision.DENIED
    async with desk.database.session() as session:
        row = await session.get(ChatHeld, held_id, with_for_update=True)
        if row is None or row.channel_id != case.channel.id:
            raise NotFound("There is no such message.", code="held_not_found")
        if row.decision != HeldDecision.PENDING or row.expires_at <= datetime.now(UTC):
            raise Conflict("It is decided already.", code="held_decided")
        row.decision, row.decided_by = decision, case.actor_id
        row.decided_at = datetime.now(UTC)
        author = await facts.user_by_id(session, row.user_id)
        entry = await log(session, case, f"{wanted}_held", author, "", text=row.text)
    if decision == HeldDecision.ALLOWED:
        try:
            await say(desk, case.channel.id, author.id, row.data)
        except DomainError:
            # Its author was banned meanwhile, or Redis is away: nobody was shown it.
            async with desk.database.session() as session:
                await session.execute(
                    update(ChatHeld)
                    .where(ChatHeld.id == held_id)
                    .values(decision=HeldDecision.DENIED)
                )
            await _tell_decided(desk, case.channel.id, case.channel.login, row, "denied", case)
            raise
    await _tell_decided(desk, case.channel.id, case.channel.login, row, str(decision), case)
    await desk.told(case, entry)
    return {"decision": str(decision)}


async def _tell_decided(
    desk: Desk, channel_id: int, login: str, row: ChatHeld, decision: str, case: Case | None
) -> None:
    by = None if case is None or case.actor is None else case.actor.login
    event = {"type": "held_decided", "channel": login, "id": str(row.id), "decision": decision}
    await desk.store.publish(channel_id, {**event, "by": by}, Audience.MODERATORS)
    if decision != HeldDecision.ALLOWED:
        texts = {
            "denied": "The moderators did not allow your message.",
            "expired": "Nobody looked at your message in time.",
        }
        notice = {
            "type": "notice",
            "channel": login,
            "code": f"held_{decision}",
            "message": texts[decision],
            "id": str(row.id),
        }
        await desk.store.tell(channel_id, row.user_id, notice)


async def expire_held(desk: Desk) -> None:
    """Held messages that nobody decided about in time are gone."""
    async with desk.database.session() as session:
        due = (
            select(ChatHeld.id)
            .where(ChatHeld.decision == HeldDecision.PENDING, ChatHeld.expires_at <= func.now())
            .limit(100)
            .with_for_update(skip_locked=True)
        )
        rows = await session.scalars(
            update(ChatHeld)
            .where(ChatHeld.id.in_(due))
            .values(decision=HeldDecision.EXPIRED, decided_at=func.now())
            .returning(ChatHeld)
        )
        expired = list(rows.all())
    for row in expired:
        async with desk.database.session() as session:
            channel = await facts.channel_by_id(session, row.channel_id)
        await _tell_decided(desk, channel.id, channel.login, row, "expired", None)


async def say(
    desk: Desk, channel_id: int, user_id: int, frame: dict[str, Any], gate: Gate = OPEN_GATE
) -> int:
    """Publish a message that is no longer to be judged: its offset. Raises what the gate says."""
    restarted = False
    for _ in range(ATTEMPTS):
        position = await desk.reload.ensure(channel_id, restarted=restarted)
        try:
            offset = await desk.store.accept(
                channel_id, user_id, position.rev, gate, frame["text"], frame
            )
        except (Absent, Stale) as error:
            restarted = isinstance(error, Absent)
            continue
        desk.history.dirty.add(channel_id)
        return offset
    raise Unavailable("The room changes too quickly. Try again.", retry_after=1)


# --- announcements and pins -----------------------------------------------------------------------


@operation("announce")
async def announce(desk: Desk, case: Case) -> Answer:
    """A message of a moderator that stands out."""
    text = clean(case.text("text", MESSAGE_LENGTH, 1))
    color = case.text("color", 20) or "primary"
    if color not in COLORS:
        raise Invalid("There is no such colour.", field="color")
    user = case.actor
    if user is None:
        raise Forbidden("Log in first.", code="login_required")
    async with desk.database.session() as session:
        codes = await facts.emotes_of(session, case.channel.id)
        entry = await log(session, case, "announce", None, "", text=text, color=color)
    frame = {
        **system_frame(case.channel.login, user, case.rank, "announcement", text),
        "emotes": emotes.find(text, codes),
        "color": color,
    }
    gate = Gate(RATE_MODERATOR, 0, False, case.rank < Rank.BROADCASTER, False)
    offset = await say(desk, case.channel.id, user.id, frame, gate)
    await desk.told(case, entry)
    return {"id": frame["id"], "offset": offset}


def system_frame(login: str, user: User, rank: Rank, kind: str, text: str) -> dict[str, Any]:
    """A message that the service puts together."""
    return {
        "channel": login,
        "id": new_message_id(),
        "kind": kind,
        "user": {
            "id": str(user.id),
            "login": user.login,
            "name": user.name,
            "color": user.color,
            "badges": Standing(rank=rank).badges,
        },
        "text": text,
        "emotes": [],
    }


@operation("pin.set")
async def pin_set(desk: Desk, case: Case) -> Answer:
    """Keep a message above the chat for a while."""
    message_id = case.text("message_id", 36, 1).lower()
    row = await find(desk, case.channel.id, message_id)
    if message_id in await desk.store.gone(case.channel.id):
        raise _no_message()
    message = history.frame_of(ChatMessage(**row))
    wanted = case.fields.get("duration_s")
    life_s = desk.current.now.chat_pin_s if wanted is None else case.integer("duration_s")
    until = datetime.now(UTC) + timedelta(seconds=life_s)
    by = None if case.actor is None else case.actor.login
    pinned = {"message": message, "by": by, "until": facts.stamp(until)}
    entry = await _pin(desk, case, pinned, "pin")
    await desk.told(case, entry)
    return {"message": message, "until": facts.stamp(until)}


@operation("pin.clear")
async def pin_clear(desk: Desk, case: Case) -> Answer:
    """Take the pinned message away."""
    async with desk.database.session() as session:
        if not (await facts.room_facts(session, case.channel.id)).pinned:
            raise NotFound("Nothing is pinned.", code="no_pin")
    entry = await _pin(desk, case, {}, "unpin")
    await desk.told(case, entry)
    return {}


async def _pin(desk: Desk, case: Case, pinned: dict[str, Any], action: str) -> Entry:
    async with desk.database.session() as session:
        await session.execute(
            insert(ChatSettings)
            .values(channel_id=case.channel.id, pinned=pinned)
            .on_conflict_do_update(index_elements=["channel_id"], set_={"pinned": pinned})
        )
        message = pinned.get("message", {})
        entry = await log(session, case, action, None, "", text=message.get("text", ""))
    await _tell_pinned(desk, case.channel.id, case.channel.login, pinned)
    return entry


async def _tell_pinned(desk: Desk, channel_id: int, login: str, pinned: dict[str, Any]) -> None:
    await desk.store.control({"kind": "room"}, channel_id)
    await desk.store.publish(
        channel_id, {"type": "pinned", "channel": login, "message": pinned.get("message")}
    )


async def unpin_expired(desk: Desk) -> None:
    """A message does not stay pinned for ever."""
    async with desk.database.session() as session:
        until = ChatSettings.pinned["until"].astext
        rows = await session.scalars(
            update(ChatSettings)
            .where(
                ChatSettings.pinned.has_key("until"),
                until <= facts.stamp(datetime.now(UTC)),
            )
            .values(pinned={})
            .returning(ChatSettings.channel_id)
        )
        ended = list(rows.all())
    for channel_id in ended:
        async with desk.database.session() as session:
            channel = await facts.channel_by_id(session, channel_id)
        await _tell_pinned(desk, channel.id, channel.login, {})
