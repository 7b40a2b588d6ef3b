"""Operations on reports."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from http import HTTPStatus

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import limits, pages
from api.accounts import letters
from api.moderation.access import decide
from api.moderation.bans import UNDELETABLE
from api.operations import AnyCall, Call, Operations
from api.people import find_user, people
from api.recorder import ask
from api.reports import reports as acts
from api.reports.schemas import (
    ReportBody,
    ReportDecisionBody,
    ReportMade,
    ReportPage,
    ReportsQuery,
    ReportView,
)
from api.suspensions.routes import tell_suspended
from api.suspensions.suspensions import suspend
from core.access import SiteAction, authorize_site
from core.db.models import Report, ReportKind, Suspension, SuspensionScope, User
from core.errors import Invalid, NotFound
from core.events import END_STREAM
from core.http import network_of

reports = Operations("Reports")

_NOT_FOUND = {HTTPStatus.NOT_FOUND: ("report_not_found",)}


@reports.post(
    "/reports",
    "Report somebody or something",
    body=ReportBody,
    answer=ReportMade,
    status=201,
    errors={
        HTTPStatus.NOT_FOUND: (
            *("user_not_found", "channel_not_found", "message_not_found"),
            *("video_not_found", "clip_not_found"),
        ),
        HTTPStatus.CONFLICT: ("already_reported",),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("own_report",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def create_report(call: Call[ReportBody, None]) -> ReportMade:
    """The site's moderators look at it. What is reported is kept as it is now."""
    await call.api.limiter.charge(
        "report",
        [
            (limits.REPORTS_ACCOUNT, str(call.actor.id)),
            (limits.REPORTS_ADDRESS, network_of(call.address)),
        ],
    )
    async with call.api.database.session() as session:
        row = await acts.add(session, call.actor, call.body)
    return ReportMade(id=str(row.id))


@reports.get(
    "/admin/reports",
    "Reports",
    query=ReportsQuery,
    answer=ReportPage,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.NOT_FOUND: ("user_not_found",),
    },
)
async def list_reports(call: Call[None, ReportsQuery]) -> ReportPage:
    """The newest first. For the site's moderators and admins."""
    authorize_site(call.actor, SiteAction.HANDLE_REPORTS)
    asked = call.query
    query = select(Report)
    if asked.status is not None:
        query = query.where(Report.status == asked.status)
    if asked.kind is not None:
        query = query.where(Report.kind == asked.kind)
    if asked.mine:
        query = query.where(Report.claimed_by == call.actor.id)
    async with call.api.database.session() as session:
        if asked.user is not None:
            user = await find_user(session, asked.user, "user")
            query = query.where(Report.subject_user_id == user.id)
        rows, cursor = await pages.fetch(session, query, asked, "reports", Report.id)
        found = [row.Report for row in rows]
        named = await people(session, (i for row in found for i in _people_of(row)))
    return ReportPage(items=[ReportView.of(row, named) for row in found], next_cursor=cursor)


def _people_of(row: Report) -> tuple[int | None, ...]:
    return (
        row.reporter_id,
        row.subject_user_id,
        row.channel_id,
        row.claimed_by,
        row.decided_by,
    )


async def _view(session: AsyncSession, row: Report) -> ReportView:
    return ReportView.of(row, await people(session, _people_of(row)))


@reports.get(
    "/admin/reports/{id}",
    "A report",
    answer=ReportView,
    errors={HTTPStatus.FORBIDDEN: ("forbidden",), **_NOT_FOUND},
)
async def get_report(call: Call[None, None]) -> ReportView:
    """With what was reported, as it was then."""
    authorize_site(call.actor, SiteAction.HANDLE_REPORTS)
    async with call.api.database.session() as session:
        return await _view(session, await acts.find(session, call.id()))


@reports.post(
    "/admin/reports/{id}/claim",
    "Claim a report",
    answer=ReportView,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.CONFLICT: ("report_claimed", "report_decided"),
        **_NOT_FOUND,
    },
)
async def claim_report(call: Call[None, None]) -> ReportView:
    """So that no two moderators work on it. A claim lasts half an hour; admins may take it over."""
    authorize_site(call.actor, SiteAction.HANDLE_REPORTS)
    async with call.api.database.session() as session:
        row = await acts.find(session, call.id(), lock=True)
        acts.claim(row, call.actor)
        return await _view(session, row)


@reports.delete(
    "/admin/reports/{id}/claim",
    "Give a report back",
    answer=ReportView,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden", "report_not_claimed"),
        HTTPStatus.CONFLICT: ("report_decided",),
        **_NOT_FOUND,
    },
)
async def release_report(call: Call[None, None]) -> ReportView:
    """Somebody else may claim it."""
    authorize_site(call.actor, SiteAction.HANDLE_REPORTS)
    async with call.api.database.session() as session:
        row = await acts.find(session, call.id(), lock=True)
        acts.release(row, call.actor)
        return await _view(session, row)


@reports.post(
    "/admin/reports/{id}/decision",
    "Decide a report",
    body=ReportDecisionBody,
    answer=ReportView,
    errors={
        HTTPStatus.FORBIDDEN: (
            "forbidden",
            "report_not_claimed",
            "own_report",
            "outranked",
            *UNDELETABLE,
        ),
        HTTPStatus.CONFLICT: ("report_decided", "video_live"),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("nothing_to_remove", *UNDELETABLE),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
        **_NOT_FOUND,
    },
)
async def decide_report(call: Call[ReportDecisionBody, None]) -> ReportView:
    """Carries the decision out: warns, suspends, removes the message or ends the stream.

    Whoever decides has claimed it before.
    """
    authorize_site(call.actor, SiteAction.HANDLE_REPORTS)
    body = call.body
    if body.decision == "suspended" and body.suspension is None:
        raise Invalid("For how long, and from what?", code="field_missing", field="suspension")
    async with call.api.database.session() as session:
        row = await acts.find(session, call.id())
        acts.require_claim(row, call.actor)
    if body.decision == "removed":
        # First: should it fail, the report waits on and may be decided again.
        await _remove(call, row)
    suspension = None
    async with call.api.database.session() as session:
        row = await acts.find(session, call.id(), lock=True)
        acts.require_claim(row, call.actor)
        user = await session.get_one(User, row.subject_user_id)
        if body.suspension is not None and body.decision == "suspended":
            suspension = await _suspend(call, session, user)
        acts.decide(session, row, call.actor, body.decision, body.reason, call.address)
        view = await _view(session, row)
    _tell(call, user, suspension)
    return view


async def _remove(call: AnyCall, row: Report) -> None:
    """Remove what a report is about; what has gone in the meantime is fine."""
    if row.kind == ReportKind.MESSAGE and row.channel_id is not None:
        try:
            await decide(call, row.channel_id, "message.delete", message_id=str(row.message_id))
        except NotFound:
            return
    elif row.kind == ReportKind.STREAM:
        await call.api.bus.request(END_STREAM, {"channel_id": row.subject_user_id})
    elif row.kind == ReportKind.VIDEO and row.video_id is not None:
        with contextlib.suppress(NotFound):
            await ask(call, "video.remove", video_id=row.video_id)
    elif row.kind == ReportKind.CLIP and row.clip_id is not None:
        with contextlib.suppress(NotFound):
            await ask(call, "clip.remove", clip_id=row.clip_id)
    else:
        raise Invalid(
            "An account is suspended, not removed.", code="nothing_to_remove", field="decision"
        )


async def _suspend(
    call: Call[ReportDecisionBody, None], session: AsyncSession, user: User
) -> Suspension:
    wanted = call.body.suspension
    if wanted is None:
        raise RuntimeError("a suspension without its terms")
    seconds = wanted.duration_s
    return await suspend(
        session,
        call.actor,
        user,
        SuspensionScope(wanted.scope),
        reason=call.body.reason,
        duration=None if seconds is None else timedelta(seconds=seconds),
        address=call.address,
    )


def _tell(call: Call[ReportDecisionBody, None], user: User, suspension: Suspension | None) -> None:
    if suspension is not None:
        tell_suspended(call, user, suspension)
    elif call.body.decision == "warned" and user.email:
        name = call.api.current.now.instance_name
        call.api.mailer.send(letters.warned(user.email, user.login, call.body.reason, name))
