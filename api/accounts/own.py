"""Operations on one's own account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from sqlalchemy import Select, select

from api import audit, cursors, limits, names
from api.accounts import letters, logins, users
from api.accounts.area import me
from api.accounts.recovery import tell_password_changed
from api.accounts.schemas import (
    DeleteBody,
    LoginPage,
    LoginView,
    MeBody,
    PasswordBody,
    UserView,
)
from api.operations import AnyCall, Call, Page, Reply
from core.db.models import Login
from core.errors import Forbidden, Invalid
from core.events import ChannelUpdated, UserUpdated
from core.outbox import emit


@me.get("/me", "Your account", answer=UserView)
async def get_me(call: Call[None, None]) -> UserView:
    """The account of the login in use."""
    async with call.api.database.session() as session:
        return UserView.of(await users.get_user(session, call.actor.id))


@me.patch(
    "/me",
    "Change your account",
    body=MeBody,
    answer=UserView,
    errors={
        HTTPStatus.CONFLICT: ("email_taken",),
        HTTPStatus.FORBIDDEN: ("wrong_password",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def patch_me(call: Call[MeBody, None]) -> UserView:
    """Changes what is given. A new e-mail address needs `current_password`."""
    body = call.body
    if body.email is not None:
        await _confirm(call, body.current_password, field="current_password")
    async with call.api.database.session() as session:
        user = await users.get_user(session, call.actor.id, lock=True)
        old_email = user.email
        if body.display_name is not None:
            user.display_name = body.display_name
        if body.bio is not None:
            user.bio = body.bio
        if body.email is not None and body.email != old_email:
            await users.set_email(session, user, body.email)
            audit.record(
                session,
                "email.changed",
                actor_id=user.id,
                target=f"user:{user.id}",
                address=call.address,
            )
        if body.display_name is not None or body.bio is not None:
            await emit(session, ChannelUpdated(channel_id=user.id, login=user.login))
        if body.display_name is not None:
            await emit(session, UserUpdated(user_id=user.id, login=user.login))
    if old_email and user.email != old_email:
        name = call.api.current.now.instance_name
        call.api.mailer.send(letters.email_changed(old_email, user.login, name))
    return UserView.of(user)


async def _confirm(call: AnyCall, password: str | None, field: str) -> None:
    """Raise unless `password` is the actor's."""
    if password is None:
        raise Invalid("This needs your password.", code="field_missing", field=field)
    await call.api.limiter.charge("confirm", [(limits.CONFIRM_ACCOUNT, str(call.actor.id))])
    async with call.api.database.session() as session:
        stored = (await users.get_user(session, call.actor.id)).password_hash
    if not await call.api.passwords.verify(stored, password):
        raise Forbidden("The password is wrong.", code="wrong_password", field=field)


@me.post(
    "/me/password",
    "Change your password",
    while_suspended=True,
    body=PasswordBody,
    errors={
        HTTPStatus.FORBIDDEN: ("wrong_password",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def change_password(call: Call[PasswordBody, None]) -> None:
    """Changes the password and ends every other login."""
    api, body = call.api, call.body
    await _confirm(call, body.current_password, field="current_password")
    async with api.database.session() as session:
        user = await users.get_user(session, call.actor.id)
    password = names.clean_password(
        body.new_password, user.login, user.email or "", field="new_password"
    )
    password_hash = await api.passwords.hash(password)
    async with api.database.session() as session:
        user = await users.get_user(session, call.actor.id, lock=True)
        await users.set_password(session, user, password_hash, but=call.actor.login_id)
        audit.record(
            session,
            "password.changed",
            actor_id=user.id,
            target=f"user:{user.id}",
            address=call.address,
        )
    tell_password_changed(call, user)


@me.delete(
    "/me",
    "Delete your account",
    while_suspended=True,
    body=DeleteBody,
    errors={
        HTTPStatus.FORBIDDEN: ("wrong_password",),
        HTTPStatus.CONFLICT: ("last_admin",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def delete_me(call: Call[DeleteBody, None]) -> Reply:
    """Ends every login and stream key, ends a running stream, and removes what is personal.

    Nobody can register the login again for the time that the installation sets.
    """
    api = call.api
    await _confirm(call, call.body.password, field="password")
    hold = timedelta(days=api.current.now.login_hold_days)
    async with api.database.session() as session:
        await users.delete_user(
            session, call.actor.id, hold, actor_id=call.actor.id, address=call.address
        )
    return Reply(None, cookies=api.authentication.clear_cookies)


@me.get("/me/logins", "Where you are logged in", query=Page, answer=LoginPage)
async def list_logins(call: Call[None, Page]) -> LoginPage:
    """Your logins, the newest first."""
    query, limit = _open_logins(call), call.query.limit
    async with call.api.database.session() as session:
        rows = list((await session.scalars(query.limit(limit + 1))).all())
    more = len(rows) > limit
    return LoginPage(
        items=[LoginView.of(row, call.actor.login_id) for row in rows[:limit]],
        next_cursor=cursors.encode("logins", rows[limit - 1].id) if more else None,
    )


def _open_logins(call: Call[None, Page]) -> Select[Login]:
    query = select(Login).where(
        Login.user_id == call.actor.id,
        Login.ended_at.is_(None),
        Login.expires_at > datetime.now(UTC),
    )
    if call.query.cursor is not None:
        (after,) = cursors.decode(call.query.cursor, "logins", int)
        query = query.where(Login.id < after)
    return query.order_by(Login.id.desc())


@me.delete(
    "/me/logins/{id}",
    "End one of your logins",
    while_suspended=True,
    errors={HTTPStatus.NOT_FOUND: ("login_not_found",)},
)
async def end_login(call: Call[None, None]) -> None:
    """Its tokens work no more."""
    async with call.api.database.session() as session:
        await logins.end_own_login(session, call.actor, call.id())
