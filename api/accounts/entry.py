"""Operations on logins: making an account, logging in, going on, logging out."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, limits, names
from api.accounts import logins, users
from api.accounts.area import auth
from api.accounts.schemas import LoggedIn, LoginBody, RefreshBody, RegisterBody, UserView
from api.authentication import (
    ACCESS_COOKIE,
    REFRESH_COOKIE,
    bearer_token,
    refuse_other_sites,
)
from api.operations import AnyCall, Auth, Call, Reply
from core.db.models import Role, User
from core.errors import DomainError, Forbidden, Unauthorized
from core.http import network_of
from core.instance_settings import InstanceSettings


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
