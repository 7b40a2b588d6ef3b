"""Operations on suspensions and appeals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from sqlalchemy import not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import limits, pages
from api.accounts import letters
from api.operations import AnyCall, Call, Operations
from api.people import find_user, people
from api.suspensions import suspensions as acts
from api.suspensions.schemas import (
    AppealBody,
    AppealDecisionBody,
    AppealItem,
    AppealPage,
    AppealsQuery,
    AppealView,
    MySuspension,
    MySuspensions,
    SuspensionBody,
    SuspensionPage,
    SuspensionsQuery,
    SuspensionView,
)
from core.access import SiteAction, authorize_site
from core.db.models import Appeal, Suspension, SuspensionScope, User
from core.suspensions import stands

own = Operations("Your account")
suspensions = Operations("Suspensions")


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


@own.get("/me/suspension", "Your suspensions", answer=MySuspensions)
async def my_suspensions(call: Call[None, None]) -> MySuspensions:
    """Those that stand, with your appeals; empty for nearly everybody."""
    query = (
        select(Suspension, Appeal)
        .outerjoin(Appeal, Appeal.suspension_id == Suspension.id)
        .where(Suspension.user_id == call.actor.id, stands(datetime.now(UTC)))
        .order_by(Suspension.id)
    )
    async with call.api.database.session() as session:
        rows = (await session.execute(query)).all()
    return MySuspensions(items=[MySuspension.of(row, appeal) for row, appeal in rows])


@own.post(
    "/me/suspension/{id}/appeal",
    "Appeal against a suspension",
    body=AppealBody,
    answer=AppealView,
    status=201,
    while_suspended=True,
    errors={
        HTTPStatus.NOT_FOUND: ("suspension_not_found",),
        HTTPStatus.CONFLICT: ("already_appealed", "suspension_over"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def appeal(call: Call[AppealBody, None]) -> AppealView:
    """Once for each suspension. Somebody else than who suspended you reads it."""
    await call.api.limiter.charge("appeal", [(limits.APPEALS_ACCOUNT, str(call.actor.id))])
    async with call.api.database.session() as session:
        row = await acts.appeal(session, call.actor, call.id(), call.body.text)
    return AppealView.of(row)


@suspensions.get(
    "/admin/suspensions",
    "Suspensions",
    query=SuspensionsQuery,
    answer=SuspensionPage,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.NOT_FOUND: ("user_not_found",),
    },
)
async def list_suspensions(call: Call[None, SuspensionsQuery]) -> SuspensionPage:
    """The newest first. For the site's moderators and admins."""
    authorize_site(call.actor, SiteAction.SUSPEND)
    asked = call.query
    query = select(Suspension, Appeal).outerjoin(Appeal, Appeal.suspension_id == Suspension.id)
    if asked.standing is not None:
        standing = stands(datetime.now(UTC))
        query = query.where(standing if asked.standing else not_(standing))
    async with call.api.database.session() as session:
        if asked.user is not None:
            user = await find_user(session, asked.user, "user")
            query = query.where(Suspension.user_id == user.id)
        rows, cursor = await pages.fetch(session, query, asked, "suspensions", Suspension.id)
        names = await people(
            session,
            (i for s, _ in rows for i in (s.user_id, s.by, s.lifted_by)),
        )
    items = [SuspensionView.seen(row, appeal, names) for row, appeal in rows]
    return SuspensionPage(items=items, next_cursor=cursor)


@suspensions.post(
    "/admin/suspensions",
    "Suspend somebody",
    body=SuspensionBody,
    answer=SuspensionView,
    status=201,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden", "outranked"),
        HTTPStatus.NOT_FOUND: ("user_not_found",),
    },
)
async def create_suspension(call: Call[SuspensionBody, None]) -> SuspensionView:
    """Ends their stream and closes their sockets at once.

    A suspension that stands in the same scope is replaced by this one.
    """
    body = call.body
    authorize_site(call.actor, SiteAction.SUSPEND)
    async with call.api.database.session() as session:
        user = await find_user(session, body.user, "user")
        row = await acts.suspend(
            session,
            call.actor,
            user,
            SuspensionScope(body.scope),
            reason=body.reason,
            duration=_duration(body.duration_s),
            address=call.address,
        )
        answer = await _view(session, row)
    tell_suspended(call, user, row)
    return answer


async def _view(session: AsyncSession, row: Suspension) -> SuspensionView:
    appeal = await session.scalar(select(Appeal).where(Appeal.suspension_id == row.id))
    names = await people(session, (row.user_id, row.by, row.lifted_by))
    return SuspensionView.seen(row, appeal, names)


def tell_suspended(call: AnyCall, user: User, row: Suspension) -> None:
    """Mail the suspended account why, where there is mail."""
    if user.email:
        settings = call.api.settings
        link = f"{settings.public_url}/settings"
        letter = letters.suspended(
            user.email, user.login, row.scope, row.reason, row.until, link, settings.instance_name
        )
        call.api.mailer.send(letter)


@suspensions.delete(
    "/admin/suspensions/{id}",
    "Lift a suspension",
    answer=SuspensionView,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.NOT_FOUND: ("suspension_not_found",),
        HTTPStatus.CONFLICT: ("suspension_over",),
    },
)
async def lift_suspension(call: Call[None, None]) -> SuspensionView:
    """Ends it now."""
    authorize_site(call.actor, SiteAction.SUSPEND)
    async with call.api.database.session() as session:
        row = await acts.find(session, call.id(), lock=True)
        await acts.lift(session, call.actor, row, call.address)
        return await _view(session, row)


@suspensions.get(
    "/admin/appeals",
    "Appeals",
    query=AppealsQuery,
    answer=AppealPage,
    errors={HTTPStatus.FORBIDDEN: ("forbidden",)},
)
async def list_appeals(call: Call[None, AppealsQuery]) -> AppealPage:
    """The newest first. For the site's moderators and admins."""
    authorize_site(call.actor, SiteAction.SUSPEND)
    query = select(Appeal, Suspension).join(Suspension, Suspension.id == Appeal.suspension_id)
    if call.query.open is not None:
        decided = Appeal.decided_at.is_not(None)
        query = query.where(not_(decided) if call.query.open else decided)
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(session, query, call.query, "appeals", Appeal.id)
        names = await people(
            session,
            (i for a, s in rows for i in (a.decided_by, s.user_id, s.by, s.lifted_by)),
        )
    items = [AppealItem.of(row, suspension, names) for row, suspension in rows]
    return AppealPage(items=items, next_cursor=cursor)


@suspensions.post(
    "/admin/appeals/{id}",
    "Decide about an appeal",
    body=AppealDecisionBody,
    answer=AppealItem,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden", "own_suspension"),
        HTTPStatus.NOT_FOUND: ("appeal_not_found",),
        HTTPStatus.CONFLICT: ("appeal_decided", "suspension_over"),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("not_shorter",),
    },
)
async def decide_appeal(call: Call[AppealDecisionBody, None]) -> AppealItem:
    """Whoever suspended does not decide about it, unless it is an admin."""
    body = call.body
    authorize_site(call.actor, SiteAction.SUSPEND)
    async with call.api.database.session() as session:
        row, suspension = await acts.decide_appeal(
            session,
            call.actor,
            call.id(),
            body.decision,
            answer=body.answer,
            duration=_duration(body.duration_s),
            address=call.address,
        )
        names = await people(
            session,
            (row.decided_by, suspension.user_id, suspension.by, suspension.lifted_by),
        )
        user = await session.get(User, suspension.user_id)
    if user is not None and user.email:
        name = call.api.current.now.instance_name
        letter = letters.appeal_decided(user.email, user.login, body.decision, body.answer, name)
        call.api.mailer.send(letter)
    return AppealItem.of(row, suspension, names)
