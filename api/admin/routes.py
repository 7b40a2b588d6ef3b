"""Operations for the site's moderators and admins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from sqlalchemy import ColumnElement, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, pages
from api.accounts.users import refuse_last_admin
from api.admin.schemas import (
    AccountPage,
    AccountsQuery,
    AccountView,
    AuditPage,
    AuditQuery,
    AuditView,
    RoleBody,
    RunningStreamPage,
    RunningStreamView,
    account_of,
)
from api.operations import Call, Operations, Page
from api.people import find_user, people
from api.streams.queries import IS_RUNNING
from core.access import Actor, SiteAction, allowed_on_site, authorize_site
from core.db.models import AuditEntry, Channel, Role, Stream, Suspension, SuspensionScope, User
from core.errors import Conflict, Invalid, NotFound
from core.events import END_STREAM, UserUpdated
from core.outbox import emit
from core.suspensions import is_suspended, stands

admin = Operations("Administration")

_FORBIDDEN = {HTTPStatus.FORBIDDEN: ("forbidden",)}


@admin.get(
    "/admin/users",
    "Accounts",
    query=AccountsQuery,
    answer=AccountPage,
    errors=_FORBIDDEN,
)
async def list_accounts(call: Call[None, AccountsQuery]) -> AccountPage:
    """The newest first. For the site's moderators and admins; only these see e-mail addresses."""
    authorize_site(call.actor, SiteAction.SEE_ACCOUNTS)
    asked = call.query
    query = (
        select(User, Channel.followers)
        .join(Channel, Channel.id == User.id)
        .where(User.deleted_at.is_(None))
    )
    if asked.q is not None:
        query = query.where(_matches(call.actor, asked.q.strip()))
    if asked.role is not None:
        query = query.where(User.role == asked.role)
    if asked.suspended is not None:
        suspended = is_suspended(User.id, datetime.now(UTC), *SuspensionScope)
        query = query.where(suspended if asked.suspended else not_(suspended))
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(session, query, asked, "accounts", User.id)
        items = await _views(session, call.actor, [(row.User, row.followers) for row in rows])
    return AccountPage(items=items, next_cursor=cursor)


def _matches(actor: Actor, text: str) -> ColumnElement[bool]:
    if "\0" in text:
        # PostgreSQL's text has no NUL; asking for one is an error there.
        raise Invalid("This cannot be searched for.", code="invalid_field", field="q")
    conditions: list[ColumnElement[bool]] = [
        User.login.contains(text.lower(), autoescape=True),
        func.lower(User.display_name).contains(text.lower(), autoescape=True),
    ]
    if allowed_on_site(actor, SiteAction.SEE_PRIVATE_DATA):
        conditions.append(User.email == text.lower())
    return or_(*conditions)


async def _views(
    session: AsyncSession, actor: Actor, found: Sequence[tuple[User, int]]
) -> list[AccountView]:
    private = allowed_on_site(actor, SiteAction.SEE_PRIVATE_DATA)
    ids = [user.id for user, _ in found]
    rows = await session.execute(
        select(Suspension.user_id, Suspension.scope)
        .where(Suspension.user_id.in_(ids), stands(datetime.now(UTC)))
        .order_by(Suspension.scope)
    )
    scopes: dict[int, list[Any]] = {}
    for user_id, scope in rows:
        scopes.setdefault(user_id, []).append(scope)
    return [
        AccountView.of(user, followers, scopes.get(user.id, []), private=private)
        for user, followers in found
    ]


async def _account(session: AsyncSession, actor: Actor, user_id: int) -> AccountView:
    query = select(User, Channel.followers).join(Channel, Channel.id == User.id)
    row = (await session.execute(query.where(User.id == user_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such user.", code="user_not_found")
    return (await _views(session, actor, [(row.User, row.followers)]))[0]


@admin.get(
    "/admin/users/{id}",
    "An account",
    answer=AccountView,
    errors={**_FORBIDDEN, HTTPStatus.NOT_FOUND: ("user_not_found",)},
)
async def get_account(call: Call[None, None]) -> AccountView:
    """Deleted ones, too, as far as there is anything left."""
    authorize_site(call.actor, SiteAction.SEE_ACCOUNTS)
    async with call.api.database.session() as session:
        return await _account(session, call.actor, call.id())


@admin.put(
    "/admin/users/{id}/role",
    "Set an account's role",
    body=RoleBody,
    answer=AccountView,
    errors={
        **_FORBIDDEN,
        HTTPStatus.NOT_FOUND: ("user_not_found",),
        HTTPStatus.CONFLICT: ("last_admin",),
    },
)
async def put_role(call: Call[RoleBody, None]) -> AccountView:
    """For admins. It holds from the account's next request on."""
    authorize_site(call.actor, SiteAction.SET_ROLES)
    role = call.body.role
    async with call.api.database.session() as session:
        user = await session.scalar(
            select(User).where(User.id == call.id(), User.deleted_at.is_(None)).with_for_update()
        )
        if user is None:
            raise NotFound("There is no such user.", code="user_not_found")
        if user.role == Role.ADMIN and role is not Role.ADMIN:
            await refuse_last_admin(session)
        if user.role != role:
            before, user.role = user.role, role
            await emit(session, UserUpdated(user_id=user.id, login=user.login))
            audit.record(
                session,
                "account.role_changed",
                actor_id=call.actor.id,
                target=f"user:{user.id}",
                address=call.address,
                before=str(before),
                after=role.value,
            )
        await session.flush()
        return await _account(session, call.actor, user.id)


@admin.get(
    "/admin/audit",
    "The audit log",
    query=AuditQuery,
    answer=AuditPage,
    errors={**_FORBIDDEN, HTTPStatus.NOT_FOUND: ("user_not_found",)},
)
async def list_audit(call: Call[None, AuditQuery]) -> AuditPage:
    """Who did what to whom, the newest first. For admins: it holds addresses."""
    authorize_site(call.actor, SiteAction.SEE_AUDIT_LOG)
    asked = call.query
    query = select(AuditEntry)
    if asked.action is not None:
        query = query.where(AuditEntry.action == asked.action)
    async with call.api.database.session() as session:
        if asked.actor is not None:
            actor = await find_user(session, asked.actor, "actor")
            query = query.where(AuditEntry.actor_id == actor.id)
        if asked.user is not None:
            user = await find_user(session, asked.user, "user")
            targets = (f"user:{user.id}", f"channel:{user.id}")
            query = query.where(AuditEntry.target.in_(targets))
        rows, cursor = await pages.fetch(session, query, asked, "audit", AuditEntry.id)
        found = [row.AuditEntry for row in rows]
        named = await people(
            session, (i for e in found for i in (e.actor_id, account_of(e.target)))
        )
    return AuditPage(items=[AuditView.of(entry, named) for entry in found], next_cursor=cursor)


@admin.get(
    "/admin/streams",
    "Running streams",
    query=Page,
    answer=RunningStreamPage,
    errors=_FORBIDDEN,
)
async def list_running_streams(call: Call[None, Page]) -> RunningStreamPage:
    """The newest first, also those without a picture yet. For the site's moderators and admins."""
    authorize_site(call.actor, SiteAction.STOP_STREAMS)
    query = (
        select(Stream, Channel, User)
        .join(Channel, Channel.id == Stream.channel_id)
        .join(User, User.id == Channel.id)
        .where(IS_RUNNING)
    )
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(session, query, call.query, "running", Stream.id)
    items = [RunningStreamView.of(row.Stream, row.Channel, row.User) for row in rows]
    return RunningStreamPage(items=items, next_cursor=cursor)


@admin.post(
    "/admin/streams/{id}/stop",
    "End a running stream",
    errors={
        **_FORBIDDEN,
        HTTPStatus.NOT_FOUND: ("stream_not_found",),
        HTTPStatus.CONFLICT: ("stream_offline",),
    },
)
async def stop_stream(call: Call[None, None]) -> None:
    """At once, without waiting for the encoder to come back. The channel may go live again."""
    authorize_site(call.actor, SiteAction.STOP_STREAMS)
    async with call.api.database.session() as session:
        stream = await session.get(Stream, call.id())
    if stream is None:
        raise NotFound("There is no such stream.", code="stream_not_found")
    offline = Conflict("This stream is over.", code="stream_offline")
    if stream.ended_at is not None:
        raise offline
    answer = await call.api.bus.request(END_STREAM, {"channel_id": stream.channel_id})
    if not answer.get("ended"):
        raise offline
    async with call.api.database.session() as session:
        audit.record(
            session,
            "stream.stopped",
            actor_id=call.actor.id,
            target=f"channel:{stream.channel_id}",
            address=call.address,
            stream_id=stream.id,
        )
