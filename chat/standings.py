"""Who is what in a room: moderators and VIPs, suspicious users, notes."""

from __future__ import annotations

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from chat import facts
from chat.decisions import (
    Answer,
    Case,
    Desk,
    log,
    names,
    operation,
    owner,
    person,
    target_of,
)
from chat.room import Rank, may_bar
from core.db.models import (
    ChatBan,
    ChatNote,
    ChatRole,
    ChatRoleKind,
    ChatSuspicious,
    SuspiciousStatus,
)
from core.errors import Conflict, Forbidden, Invalid, NotFound

NOTE_LENGTH = 500
NOTES = 200
_HAS = {
    ChatRoleKind.MODERATOR: ("bad_mod_mod", "bad_unmod_mod", "mod", "unmod"),
    ChatRoleKind.VIP: ("bad_vip_grantee_already_vip", "bad_unvip_grantee_not_vip", "vip", "unvip"),
}


def _kind(case: Case) -> ChatRoleKind:
    try:
        return ChatRoleKind(case.text("role", 20))
    except ValueError as error:
        raise Invalid("`role` is moderator or vip.", field="role") from error


@operation("role.set", owner)
async def role_set(desk: Desk, case: Case) -> Answer:
    """Make somebody a moderator or VIP; nobody is both."""
    kind = _kind(case)
    has_already, _, action, _ = _HAS[kind]
    async with desk.database.session() as session:
        target, rank = await target_of(session, case)
        if rank == Rank.BROADCASTER or rank == _RANKS[kind]:
            raise Conflict(f"They are that already: {kind}.", code=has_already)
        banned = await session.scalar(
            select(ChatBan.user_id).where(
                ChatBan.channel_id == case.channel.id,
                ChatBan.user_id == target.id,
                or_(ChatBan.expires_at.is_(None), ChatBan.expires_at > func.now()),
            )
        )
        if banned is not None:
            code = "bad_mod_banned" if kind == ChatRoleKind.MODERATOR else "bad_vip_grantee_banned"
            raise Forbidden("They are banned or timed out.", code=code)
        await session.execute(
            insert(ChatRole)
            .values(
                channel_id=case.channel.id,
                user_id=target.id,
                role=kind,
                granted_by=case.actor_id,
            )
            .on_conflict_do_update(
                index_elements=["channel_id", "user_id"],
                set_={"role": kind, "granted_by": case.actor_id, "created_at": func.now()},
            )
        )
        entry = await log(session, case, action, target)
    await _changed(desk, case, target.id)
    await desk.told(case, entry)
    return {"user_id": target.id}


_RANKS = {ChatRoleKind.MODERATOR: Rank.MODERATOR, ChatRoleKind.VIP: Rank.VIP}


@operation("role.unset", owner)
async def role_unset(desk: Desk, case: Case) -> Answer:
    """They are no moderator or VIP any more."""
    kind = _kind(case)
    _, has_not, _, action = _HAS[kind]
    async with desk.database.session() as session:
        target, _ = await target_of(session, case)
        gone = await session.execute(
            delete(ChatRole)
            .where(
                ChatRole.channel_id == case.channel.id,
                ChatRole.user_id == target.id,
                ChatRole.role == kind,
            )
            .returning(ChatRole.user_id)
        )
        if gone.first() is None:
            raise Conflict(f"They are no {kind}.", code=has_not)
        entry = await log(session, case, action, target)
    await _changed(desk, case, target.id)
    await desk.told(case, entry)
    return {"user_id": target.id}


async def _changed(desk: Desk, case: Case, user_id: int) -> None:
    await desk.store.revise(case.channel.id)
    # The new revision reaches the processes before they ask where people stand.
    await desk.store.control({"kind": "room"}, case.channel.id)
    await desk.restand(case, user_id)


@operation("roles.list", in_redis=False)
async def roles_list(desk: Desk, case: Case) -> Answer:
    """Who has a role."""
    kind = _kind(case)
    async with desk.database.session() as session:
        rows = await session.scalars(
            select(ChatRole.user_id)
            .where(ChatRole.channel_id == case.channel.id, ChatRole.role == kind)
            .order_by(ChatRole.created_at)
        )
        ids = list(rows.all())
        known = await names(session, set(ids))
    return {"items": [person(known[user_id]) for user_id in ids if user_id in known]}


@operation("suspicious.set")
async def suspicious_set(desk: Desk, case: Case) -> Answer:
    """Watch somebody, hold all that they write, or (`none`) neither."""
    status = case.text("status", 20)
    if status not in (*SuspiciousStatus, "none"):
        raise Invalid("`status` is monitored, restricted or none.", field="status")
    source = case.text("source", 20) or "manual"
    async with desk.database.session() as session:
        target, target_rank = await target_of(session, case)
        may_bar(case.actor_id or 0, case.rank, target.id, target_rank, "suspicious")
        here = (ChatSuspicious.channel_id == case.channel.id, ChatSuspicious.user_id == target.id)
        if status == "none":
            await session.execute(delete(ChatSuspicious).where(*here))
        else:
            values = {"status": status, "source": source, "by": case.actor_id}
            await session.execute(
                insert(ChatSuspicious)
                .values(channel_id=case.channel.id, user_id=target.id, **values)
                .on_conflict_do_update(index_elements=["channel_id", "user_id"], set_=values)
            )
        action = "unmark_suspicious" if status == "none" else f"mark_{status}"
        entry = await log(session, case, action, target, "", source=source)
    await _changed(desk, case, target.id)
    await desk.told(case, entry)
    return {"user_id": target.id}


@operation("note.add", in_redis=False)
async def note_add(desk: Desk, case: Case) -> Answer:
    """A note about somebody, for the channel's moderators."""
    text = case.text("text", NOTE_LENGTH, 1)
    async with desk.database.session() as session:
        target = await facts.user_by_id(session, case.integer("user_id"))
        count = await session.scalar(
            select(func.count()).where(
                ChatNote.channel_id == case.channel.id, ChatNote.user_id == target.id
            )
        )
        if (count or 0) >= NOTES:
            raise Conflict(
                f"There are at most {NOTES} notes about one user.", code="too_many_notes"
            )
        row = ChatNote(
            channel_id=case.channel.id, user_id=target.id, author_id=case.actor_id, text=text
        )
        session.add(row)
        await session.flush()
    return {"note_id": row.id}


@operation("note.remove", in_redis=False)
async def note_remove(desk: Desk, case: Case) -> Answer:
    """Take one's own note away; as the broadcaster any."""
    async with desk.database.session() as session:
        row = await session.get(ChatNote, case.integer("note_id"))
        mine = row is not None and row.author_id == case.actor_id
        if row is None or row.channel_id != case.channel.id:
            raise NotFound("There is no such note.", code="note_not_found")
        if not mine and case.rank < Rank.BROADCASTER and not case.admin:
            raise Forbidden("It is somebody else's note.", code="no_permission")
        await session.delete(row)
    return {}
