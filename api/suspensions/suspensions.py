"""Suspending, lifting, appealing and deciding, each within the caller's transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from core.access import Actor, SiteAction, authorize_site, outranks
from core.db.models import Appeal, Role, Suspension, SuspensionScope, User
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.events import SuspensionLifted, UserSuspended
from core.outbox import emit
from core.suspensions import stands


async def suspend(
    session: AsyncSession,
    actor: Actor,
    user: User,
    scope: SuspensionScope,
    *,
    reason: str,
    duration: timedelta | None,
    address: str,
) -> Suspension:
    """Suspend an account or its channel from now on; one that stands in this scope is replaced.

    Raises Forbidden (`outranked`) for somebody of the actor's own rank or above.
    """
    authorize_site(actor, SiteAction.SUSPEND)
    # Locked, so that two moderators who decide at once leave one suspension.
    user = (await session.scalars(select(User).where(User.id == user.id).with_for_update())).one()
    if user.deleted_at is not None:
        raise NotFound("There is no such user.", code="user_not_found", field="user")
    if not outranks(actor, Role(user.role)):
        raise Forbidden("This account's role is not below yours.", code="outranked")
    now = datetime.now(UTC)
    before = select(Suspension).where(
        Suspension.user_id == user.id, Suspension.scope == scope, stands(now)
    )
    for old in await session.scalars(before):
        old.lifted_at, old.lifted_by = now, actor.id
    row = Suspension(
        user_id=user.id,
        scope=scope,
        reason=reason,
        by=actor.id,
        until=None if duration is None else now + duration,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await _tell(session, row, user.login)
    audit.record(
        session,
        f"{scope}.suspended",
        actor_id=actor.id,
        target=f"user:{user.id}",
        address=address,
        suspension_id=row.id,
        reason=reason,
        until=None if row.until is None else row.until.isoformat(),
    )
    return row


async def _tell(session: AsyncSession, row: Suspension, login: str) -> None:
    await emit(
        session,
        UserSuspended(
            suspension_id=row.id,
            user_id=row.user_id,
            login=login,
            scope=row.scope,
            until=row.until,
        ),
    )


async def find(session: AsyncSession, suspension_id: int, *, lock: bool = False) -> Suspension:
    """A suspension. Raises NotFound (`suspension_not_found`)."""
    query = select(Suspension).where(Suspension.id == suspension_id)
    found: Suspension | None = await session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound("There is no such suspension.", code="suspension_not_found")
    return found


def is_over(row: Suspension, now: datetime) -> bool:
    """Whether a suspension has been lifted or has run out."""
    return row.lifted_at is not None or (row.until is not None and row.until <= now)


async def lift(session: AsyncSession, actor: Actor, row: Suspension, address: str) -> None:
    """End a locked suspension now. Raises Conflict (`suspension_over`)."""
    authorize_site(actor, SiteAction.SUSPEND)
    now = datetime.now(UTC)
    if is_over(row, now):
        raise Conflict("This suspension is over.", code="suspension_over")
    row.lifted_at, row.lifted_by = now, actor.id
    login = await session.scalar(select(User.login).where(User.id == row.user_id))
    await emit(
        session,
        SuspensionLifted(
            suspension_id=row.id, user_id=row.user_id, login=login or "", scope=row.scope
        ),
    )
    audit.record(
        session,
        f"{row.scope}.suspension_lifted",
        actor_id=actor.id,
        target=f"user:{row.user_id}",
        address=address,
        suspension_id=row.id,
    )


async def appeal(session: AsyncSession, actor: Actor, suspension_id: int, text: str) -> Appeal:
    """Appeal against an own suspension, once.

    Raises NotFound, Conflict (`suspension_over`, `already_appealed`).
    """
    row = await find(session, suspension_id)
    if row.user_id != actor.id:
        raise NotFound("There is no such suspension.", code="suspension_not_found")
    if is_over(row, datetime.now(UTC)):
        raise Conflict("This suspension is over.", code="suspension_over")
    added = Appeal(suspension_id=row.id, text=text)
    session.add(added)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("You have appealed already.", code="already_appealed") from error
    await session.refresh(added)
    return added


async def decide_appeal(
    session: AsyncSession,
    actor: Actor,
    appeal_id: int,
    decision: str,
    *,
    answer: str,
    duration: timedelta | None,
    address: str,
) -> tuple[Appeal, Suspension]:
    """Answer an appeal: `upheld`, `shortened` (to `duration` from now) or `lifted`.

    Whoever suspended does not decide about it, unless it is an admin. Raises NotFound, Forbidden,
    Conflict (`appeal_decided`, `suspension_over`), Invalid.
    """
    authorize_site(actor, SiteAction.SUSPEND)
    found = await session.scalar(select(Appeal).where(Appeal.id == appeal_id).with_for_update())
    if found is None:
        raise NotFound("There is no such appeal.", code="appeal_not_found")
    if found.decided_at is not None:
        raise Conflict("This appeal was decided.", code="appeal_decided")
    row = await find(session, found.suspension_id, lock=True)
    if row.by == actor.id and not actor.is_at_least(Role.ADMIN):
        raise Forbidden("Somebody else decides about your suspensions.", code="own_suspension")
    match decision:
        case "lifted":
            await lift(session, actor, row, address)
        case "shortened":
            await _shorten(session, row, duration)
    found.decision, found.answer = decision, answer
    found.decided_by, found.decided_at = actor.id, datetime.now(UTC)
    audit.record(
        session,
        "appeal.decided",
        actor_id=actor.id,
        target=f"user:{row.user_id}",
        address=address,
        appeal_id=found.id,
        suspension_id=row.id,
        decision=decision,
    )
    return found, row


async def _shorten(session: AsyncSession, row: Suspension, duration: timedelta | None) -> None:
    if duration is None:
        raise Invalid("To what is it shortened?", code="field_missing", field="duration_s")
    now = datetime.now(UTC)
    if is_over(row, now):
        raise Conflict("This suspension is over.", code="suspension_over")
    until = now + duration
    if row.until is not None and until >= row.until:
        raise Invalid("It ends before that as it is.", code="not_shorter", field="duration_s")
    row.until = until
    login = await session.scalar(select(User.login).where(User.id == row.user_id))
    await _tell(session, row, login or "")
