"""Bans, timeouts, warnings, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from chat import facts, wire
from chat.decisions import Answer, Case, Desk, anybody, log, moderators, operation, target_of
from chat.history import delete_all_of
from chat.room import REASON_LENGTH, User, check_duration, may_bar
from chat.store import Audience
from core.db.models import (
    ChatBan,
    ChatRole,
    ChatWarning,
    UnbanMessage,
    UnbanRequest,
    UnbanStatus,
)
from core.errors import Conflict, Forbidden, NotFound

# How far back a ban takes messages off the screen.
PURGE = timedelta(hours=6)
UNBAN_TEXT = 500


@operation("ban")
async def ban(desk: Desk, case: Case) -> Answer:
    """A ban, or with `duration_s` a timeout; their messages are cleared."""
    duration = case.fields.get("duration_s")
    seconds = None if duration is None else check_duration(case.integer("duration_s"))
    reason = case.text("reason", REASON_LENGTH)
    what = "ban" if seconds is None else "timeout"
    now = datetime.now(UTC)
    until = None if seconds is None else now + timedelta(seconds=seconds)
    async with desk.database.session() as session:
        target, target_rank = await target_of(session, case)
        may_bar(case.actor_id or 0, case.rank, target.id, target_rank, what)
        standing = await session.get(ChatBan, (case.channel.id, target.id), with_for_update=True)
        if standing is not None and standing.expires_at is None:
            raise Conflict("They are banned already.", code="already_banned")
        values = {
            "moderator_id": case.actor_id,
            "reason": reason,
            "created_at": now,
            "expires_at": until,
        }
        await session.execute(
            insert(ChatBan)
            .values(channel_id=case.channel.id, user_id=target.id, **values)
            .on_conflict_do_update(index_elements=["channel_id", "user_id"], set_=values)
        )
        # A moderator whom the broadcaster bars is none any more.
        demoted = await session.execute(
            delete(ChatRole)
            .where(ChatRole.channel_id == case.channel.id, ChatRole.user_id == target.id)
            .returning(ChatRole.user_id)
        )
        is_demoted = demoted.first() is not None
        data = {} if until is None else {"duration_s": seconds, "expires_at": facts.stamp(until)}
        entry = await log(session, case, what, target, reason, **data)
    await desk.store.bar(
        case.channel.id, target.id, 0 if until is None else int(until.timestamp() * 1000)
    )
    if is_demoted:
        await desk.store.revise(case.channel.id)
    await clear_user(desk, case, target, seconds, reason)
    await desk.restand(case, target.id)
    await desk.told(case, entry)
    return {"user_id": target.id, "until": facts.stamp(until)}


async def clear_user(
    desk: Desk, case: Case, target: User, seconds: int | None, reason: str
) -> None:
    """Take what somebody has said off every screen and out of the history."""
    # They cannot add to it any more, so what is written now is all of it.
    while await desk.history.persist(case.channel.id):
        pass
    async with desk.database.session() as session:
        await delete_all_of(
            session, case.channel.id, target.id, case.actor_id, datetime.now(UTC) - PURGE
        )
    logged = await desk.store.latest(case.channel.id, desk.settings.chat_room_cap)
    frames = [wire.parse(entry.frame) for entry in logged]
    gone = [frame["id"] for frame in frames if frame["user"]["id"] == str(target.id)]
    await desk.store.forget(case.channel.id, gone)
    event: dict[str, Any] = {
        "type": "cleared",
        "channel": case.channel.login,
        "user": {"id": str(target.id), "login": target.login},
    }
    if seconds is not None:
        event["duration_s"] = seconds
    await desk.store.publish(case.channel.id, event, Audience.OTHERS)
    by = None if case.actor is None else case.actor.login
    told = {**event, "by": by, "reason": reason}
    await desk.store.publish(case.channel.id, told, Audience.MODERATORS)


@operation("unban")
async def unban(desk: Desk, case: Case) -> Answer:
    """No ban and no timeout any more. With `timeout_only` a ban stays."""
    async with desk.database.session() as session:
        target, _ = await target_of(session, case)
        was_timeout = await lift(session, case, target, case.flag("timeout_only"))
        action = "untimeout" if was_timeout else "unban"
        entry = await log(session, case, action, target, case.text("reason", REASON_LENGTH))
    await _lifted(desk, case, target)
    await desk.told(case, entry)
    return {"user_id": target.id, "was_timeout": was_timeout}


async def lift(session: AsyncSession, case: Case, target: User, timeout_only: bool) -> bool:
    """Remove what bars somebody; whether it was a timeout. Raises Conflict."""
    row = await session.get(ChatBan, (case.channel.id, target.id), with_for_update=True)
    over = row is not None and row.expires_at is not None and row.expires_at <= datetime.now(UTC)
    if row is None or over or (timeout_only and row.expires_at is None):
        code = "timeout_no_timeout" if timeout_only else "bad_unban_no_ban"
        raise Conflict("They are not banned or timed out.", code=code)
    await session.delete(row)
    return row.expires_at is not None


async def _lifted(desk: Desk, case: Case, target: User) -> None:
    await desk.store.unbar(case.channel.id, target.id)
    await desk.restand(case, target.id)


async def forget_expired(desk: Desk) -> None:
    """Timeouts that are over need no row any more; the mod log has them."""
    async with desk.database.session() as session:
        await session.execute(
            delete(ChatBan).where(
                ChatBan.expires_at < func.now() - func.make_interval(0, 0, 0, 0, 1)
            )
        )


# --- warnings -------------------------------------------------------------------------------------


@operation("warn")
async def warn(desk: Desk, case: Case) -> Answer:
    """A warning, which has to be acknowledged before one can chat on."""
    reason = case.text("reason", REASON_LENGTH, 1)
    async with desk.database.session() as session:
        target, target_rank = await target_of(session, case)
        may_bar(case.actor_id or 0, case.rank, target.id, target_rank, "warn")
        row = ChatWarning(
            channel_id=case.channel.id,
            user_id=target.id,
            moderator_id=case.actor_id,
            reason=reason,
        )
        session.add(row)
        await session.flush()
        entry = await log(session, case, "warn", target, reason)
    await desk.store.warn(case.channel.id, target.id, True)
    warned = {"type": "warned", "channel": case.channel.login, "reason": reason}
    await desk.store.tell(case.channel.id, target.id, warned)
    await desk.restand(case, target.id)
    await desk.told(case, entry)
    return {"warning_id": row.id}


@operation("warning.acknowledge", anybody)
async def acknowledge(desk: Desk, case: Case) -> Answer:
    """The actor has read their warnings."""
    user = case.actor
    if user is None:
        raise Forbidden("Log in first.", code="login_required")
    async with desk.database.session() as session:
        done = await session.scalars(
            update(ChatWarning)
            .where(
                ChatWarning.channel_id == case.channel.id,
                ChatWarning.user_id == user.id,
                ChatWarning.acknowledged_at.is_(None),
            )
            .values(acknowledged_at=func.now())
            .returning(ChatWarning.id)
        )
        if not done.all():
            raise Conflict("There is no warning to acknowledge.", code="no_warning")
        entry = await log(session, case, "acknowledge_warning", user)
    await desk.store.warn(case.channel.id, user.id, False)
    await desk.restand(case, user.id)
    await desk.told(case, entry)
    return {}


# --- unban requests -------------------------------------------------------------------------------


@operation("unban.request", anybody)
async def unban_request(desk: Desk, case: Case) -> Answer:
    """Somebody who is banned asks to be let in again."""
    user = case.actor
    if user is None:
        raise Forbidden("Log in first.", code="login_required")
    text = case.text("text", UNBAN_TEXT, 1)
    try:
        async with desk.database.session() as session:
            banned = await session.scalar(
                select(ChatBan.user_id).where(
                    ChatBan.channel_id == case.channel.id,
                    ChatBan.user_id == user.id,
                    or_(ChatBan.expires_at.is_(None), ChatBan.expires_at > func.now()),
                )
            )
            if banned is None:
                raise Conflict("You are not banned here.", code="not_banned")
            request = UnbanRequest(channel_id=case.channel.id, user_id=user.id)
            session.add(request)
            await session.flush()
            session.add(UnbanMessage(request_id=request.id, author_id=user.id, text=text))
            entry = await log(session, case, "unban_request", user, "", text=text)
    except IntegrityError as error:
        raise Conflict("Your request is still open.", code="unban_request_open") from error
    await desk.told(case, entry)
    return {"request_id": request.id}


async def _open_request(session: AsyncSession, case: Case) -> UnbanRequest:
    request = await session.get(UnbanRequest, case.integer("request_id"), with_for_update=True)
    if request is None or request.channel_id != case.channel.id:
        raise NotFound("There is no such request.", code="unban_request_not_found")
    if request.status != UnbanStatus.OPEN:
        raise Conflict("The request is decided already.", code="unban_request_decided")
    return request


@operation("unban.message", anybody)
async def unban_message(desk: Desk, case: Case) -> Answer:
    """A word about an open request, by its author or a moderator."""
    text = case.text("text", UNBAN_TEXT, 1)
    async with desk.database.session() as session:
        request = await _open_request(session, case)
        if request.user_id != case.actor_id:
            moderators(case)
        message = UnbanMessage(request_id=request.id, author_id=case.actor_id, text=text)
        session.add(message)
        await session.flush()
    return {"message_id": message.id}


@operation("unban.cancel", anybody)
async def unban_cancel(desk: Desk, case: Case) -> Answer:
    """One takes one's own request back."""
    async with desk.database.session() as session:
        request = await _open_request(session, case)
        if request.user_id != case.actor_id:
            raise NotFound("There is no such request.", code="unban_request_not_found")
        request.status, request.decided_at = UnbanStatus.CANCELLED, datetime.now(UTC)
    return {}


@operation("unban.decide")
async def unban_decide(desk: Desk, case: Case) -> Answer:
    """Approve (the ban ends) or deny."""
    approved = case.text("decision", 10) in ("approve", "approved")
    text = case.text("text", UNBAN_TEXT)
    async with desk.database.session() as session:
        request = await _open_request(session, case)
        target = await facts.user_by_id(session, request.user_id)
        request.status = UnbanStatus.APPROVED if approved else UnbanStatus.DENIED
        request.decided_by, request.decided_at = case.actor_id, datetime.now(UTC)
        if text:
            session.add(UnbanMessage(request_id=request.id, author_id=case.actor_id, text=text))
        if approved:
            await session.execute(
                delete(ChatBan).where(
                    ChatBan.channel_id == case.channel.id, ChatBan.user_id == target.id
                )
            )
        action = "approve_unban_request" if approved else "deny_unban_request"
        entry = await log(session, case, action, target, text)
    if approved:
        await _lifted(desk, case, target)
    await desk.told(case, entry)
    return {"status": str(request.status)}
