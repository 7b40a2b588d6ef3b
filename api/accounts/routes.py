"""Operations on accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import web
from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, cursors, limits, names
from api.accounts import letters, logins, users
from api.accounts.schemas import (
    DeleteBody,
    ForgotBody,
    LoggedIn,
    LoginBody,
    LoginPage,
    LoginView,
    MeBody,
    PasswordBody,
    RefreshBody,
    RegisterBody,
    ResetBody,
    UserView,
)
from api.authentication import (
    ACCESS_COOKIE,
    REFRESH_COOKIE,
    bearer_token,
    refuse_other_sites,
)
from api.mail import Mail
from api.operations import AnyCall, Auth, Call, Operations, Page, Reply
from core.db.models import Login, PasswordReset, Role, User
from core.errors import Conflict, DomainError, Forbidden, Invalid, Unauthorized
from core.events import ChannelUpdated, UserUpdated
from core.http import network_of
from core.instance_settings import InstanceSettings
from core.outbox import emit

auth = Operations("Logging in")
me = Operations("Your account")

RESET_PREFIX = "flp_"
# Older links of the same account stop working beyond this many.
RESETS_AT_ONCE = 3


def _first_role(now: InstanceSettings) -> Role:
    """What a new account may do."""
    return Role.CREATOR if now.who_may_stream == "everybody" else Role.VIEWER


@auth.post(
    "/auth/register",
    "Make an account",
    body=RegisterBody,
    answer=LoggedIn,
    status=201,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.CONFLICT: ("login_taken", "email_taken"),
        HTTPStatus.FORBIDDEN: ("registration_closed",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def register(call: Call[RegisterBody, None]) -> Reply:
    """Makes an account and logs it in. Whether it may stream is the installation's setting."""
    api, body = call.api, call.body
    if body.session == "cookie":
        refuse_other_sites(call.request)
    if not api.current.now.registration_open:
        raise Forbidden("This installation takes no new accounts.", code="registration_closed")
    password = names.clean_password(body.password, body.login, body.email)
    await api.limiter.charge("register", [(limits.REGISTER_ADDRESS, network_of(call.address))])
    password_hash = await api.passwords.hash(password)
    role = _first_role(api.current.now)
    async with api.database.session() as session:
        user = await users.add_user(
            session,
            login=body.login,
            email=body.email,
            password_hash=password_hash,
            role=role,
            display_name=body.display_name,
        )
        audit.record(
            session,
            "account.registered",
            actor_id=user.id,
            target=f"user:{user.id}",
            address=call.address,
        )
        opened = await _open(call, session, user, body.session)
    return await _logged_in(call, opened)


@auth.post(
    "/auth/login",
    "Log in",
    body=LoginBody,
    answer=LoggedIn,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.UNAUTHORIZED: ("wrong_credentials",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def log_in(call: Call[LoginBody, None]) -> Reply:
    """Answers tokens, or sets cookies.

    An unknown login and a wrong password look the same and take the same time.
    """
    api, body = call.api, call.body
    if body.session == "cookie":
        refuse_other_sites(call.request)
    name = body.login.strip().lower()
    network = network_of(call.address)
    await api.limiter.charge(
        "login",
        [
            (limits.LOGIN_ACCOUNT_FROM_ADDRESS, f"{network}:{api.limit_subject(name)}"),
            (limits.LOGIN_ACCOUNT, api.limit_subject(name)),
            (limits.LOGIN_ADDRESS, network),
        ],
    )
    async with api.database.session() as session:
        user = await users.find_for_login(session, name) if _is_storable(name) else None
    stored = user.password_hash if user is not None else None
    # Without a transaction: hashing takes long, and the pool is small.
    if not await api.passwords.verify(stored, body.password) or user is None or stored is None:
        raise Unauthorized("Login or password is wrong.", code="wrong_credentials")
    fresh = await api.passwords.hash(body.password) if api.passwords.is_outdated(stored) else None
    async with api.database.session() as session:
        user = await users.get_user(session, user.id, lock=True)
        if user.password_hash != stored:
            # Changed or reset while we looked at the old one.
            raise Unauthorized("Login or password is wrong.", code="wrong_credentials")
        if fresh is not None:
            user.password_hash = fresh
        opened = await _open(call, session, user, body.session)
    return await _logged_in(call, opened)


def _is_storable(name: str) -> bool:
    # PostgreSQL's text has no NUL; asking for one is an error there.
    return "\0" not in name


async def _open(call: AnyCall, session: AsyncSession, user: User, kind: str) -> logins.Opened:
    life = timedelta(days=call.api.settings.login_days)
    return await logins.open_login(
        session, user, _client(call.request, call.address), life, cookies=kind == "cookie"
    )


def _client(request: web.Request, address: str) -> logins.Client:
    return logins.Client.of(address, request.headers.get("User-Agent", ""))


async def _logged_in(call: AnyCall, opened: logins.Opened) -> Reply:
    api = call.api
    access, life = await api.tokens.issue(opened.user.id, opened.login_id)
    user = UserView.of(opened.user)
    if not opened.cookies:
        answer = LoggedIn(
            user=user,
            access_token=access,
            token_type="Bearer",  # noqa: S106 (the type's name)
            expires_in=life,
            refresh_token=opened.refresh_token,
        )
        return Reply(answer)
    csrf = api.authentication.csrf_token(opened.login_id)

    def set_cookies(response: web.Response) -> None:
        api.authentication.set_cookies(response, opened.login_id, access, opened.refresh_token)

    return Reply(LoggedIn(user=user, expires_in=life, csrf_token=csrf), cookies=set_cookies)


@auth.post(
    "/auth/refresh",
    "Renew a login",
    body=RefreshBody,
    body_optional=True,
    answer=LoggedIn,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.UNAUTHORIZED: ("invalid_refresh_token", "refresh_token_reused"),
        HTTPStatus.FORBIDDEN: ("csrf_failed", "cross_site"),
        HTTPStatus.CONFLICT: ("refresh_raced",),
    },
)
async def refresh(call: Call[RefreshBody, None]) -> Reply:
    """Exchanges a refresh token for a new pair. Each works once; one that comes again ends the
    login.

    `refresh_raced`: another tab of this browser renewed the same cookies a moment ago; simply go
    on.
    """
    api = call.api
    token = call.body.refresh_token or call.request.cookies.get(REFRESH_COOKIE)
    if not token:
        raise Unauthorized("There is no refresh token.", code="invalid_refresh_token")
    life = timedelta(days=api.settings.login_days)
    async with api.database.session() as session:
        if call.body.refresh_token is None:
            await _check_csrf_of(call, session, token)
        result = await logins.refresh(session, token, _client(call.request, call.address), life)
    if isinstance(result, DomainError):
        raise result
    return await _logged_in(call, result)


async def _check_csrf_of(call: AnyCall, session: AsyncSession, token: str) -> None:
    login_id = await logins.login_of(session, token)
    if login_id is None:
        raise Unauthorized("This login is over. Log in again.", code="invalid_refresh_token")
    call.api.authentication.check_csrf(call.request, login_id)


@auth.post(
    "/auth/logout",
    "Log out",
    body=RefreshBody,
    body_optional=True,
    auth=Auth.ANYONE,
    errors={HTTPStatus.FORBIDDEN: ("csrf_failed", "cross_site")},
)
async def log_out(call: Call[RefreshBody, None]) -> Reply:
    """Ends the login of the access token, the refresh token or the cookies, whichever is there;
    clears the cookies.
    """
    api = call.api
    async with api.database.session() as session:
        login_id = await _login_to_end(call, session)
        if login_id is not None:
            await logins.end_logins(session, [login_id], "logout")
    return Reply(None, cookies=api.authentication.clear_cookies)


async def _login_to_end(call: Call[RefreshBody, None], session: AsyncSession) -> int | None:
    api, request = call.api, call.request
    if call.body.refresh_token is not None:
        return await logins.login_of(session, call.body.refresh_token)
    if (bearer := bearer_token(request)) is not None:
        return (await api.tokens.verify(bearer)).login_id
    login_id = None
    if (token := request.cookies.get(REFRESH_COOKIE)) is not None:
        login_id = await logins.login_of(session, token)
    if login_id is None and (access := request.cookies.get(ACCESS_COOKIE)) is not None:
        try:
            login_id = (await api.tokens.verify(access)).login_id
        except Unauthorized:
            # Over already; the cookies go all the same.
            return None
    if login_id is not None:
        api.authentication.check_csrf(request, login_id)
    return login_id


@auth.post(
    "/auth/forgot",
    "Ask for a new password",
    body=ForgotBody,
    status=202,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.CONFLICT: ("mail_disabled",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def forgot(call: Call[ForgotBody, None]) -> None:
    """Mails a link if there is an account with this address.

    The answer does not tell whether there is.
    """
    api, email = call.api, call.body.email
    if not api.mailer.enabled:
        raise Conflict(
            "This installation sends no mail. Ask whoever runs it for a new password.",
            code="mail_disabled",
        )
    await api.limiter.charge(
        "forgot",
        [
            (limits.FORGOT_ACCOUNT, api.limit_subject(email)),
            (limits.FORGOT_ADDRESS, network_of(call.address)),
        ],
    )

    async def letter() -> Mail | None:
        async with api.database.session() as session:
            return await _reset_mail(call, session, email)

    api.mailer.post(letter)


async def _reset_mail(
    call: Call[ForgotBody, None], session: AsyncSession, email: str
) -> Mail | None:
    settings = call.api.settings
    user = await users.find_for_login(session, email)
    if user is None:
        return None
    older = (
        select(PasswordReset.sha256)
        .where(PasswordReset.user_id == user.id)
        .order_by(PasswordReset.created_at.desc())
        .offset(RESETS_AT_ONCE - 1)
    )
    await session.execute(delete(PasswordReset).where(PasswordReset.sha256.in_(older)))
    token = logins.new_token(RESET_PREFIX)
    life = timedelta(seconds=settings.reset_token_s)
    session.add(
        PasswordReset(
            sha256=logins.hash_token(token), user_id=user.id, expires_at=datetime.now(UTC) + life
        )
    )
    audit.record(
        session,
        "password.reset_asked",
        actor_id=None,
        target=f"user:{user.id}",
        address=call.address,
    )
    # Behind the #: a browser sends it to nobody, so it is in no log and no Referer.
    url = f"{settings.public_url}/reset#token={token}"
    minutes = settings.reset_token_s // 60
    return letters.reset(email, user.login, url, settings.instance_name, minutes)


@auth.post(
    "/auth/reset",
    "Set a new password with a mailed link",
    body=ResetBody,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.UNPROCESSABLE_ENTITY: ("invalid_reset_token",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def reset(call: Call[ResetBody, None]) -> None:
    """Sets the password and ends every login of the account. The link works once."""
    api, body = call.api, call.body
    await api.limiter.charge("reset", [(limits.RESET_ADDRESS, network_of(call.address))])
    wrong = Invalid(
        "This link is over or was used. Ask for a new one.",
        code="invalid_reset_token",
        field="token",
    )
    async with api.database.session() as session:
        user = await session.scalar(_user_of_reset(body.token))
    if user is None:
        raise wrong
    password = names.clean_password(body.password, user.login, user.email or "")
    password_hash = await api.passwords.hash(password)
    async with api.database.session() as session:
        user = await session.scalar(_user_of_reset(body.token).with_for_update())
        if user is None:
            raise wrong
        await users.set_password(session, user, password_hash)
        audit.record(
            session,
            "password.reset",
            actor_id=user.id,
            target=f"user:{user.id}",
            address=call.address,
        )
    _tell_password_changed(call, user)


def _user_of_reset(token: str) -> Select[User]:
    return (
        select(User)
        .join(PasswordReset, PasswordReset.user_id == User.id)
        .where(
            PasswordReset.sha256 == logins.hash_token(token),
            PasswordReset.expires_at > datetime.now(UTC),
            User.deleted_at.is_(None),
        )
    )


def _tell_password_changed(call: AnyCall, user: User) -> None:
    if user.email:
        name = call.api.current.now.instance_name
        call.api.mailer.send(letters.password_changed(user.email, user.login, name))


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
    _tell_password_changed(call, user)


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
