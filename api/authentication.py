"""Who asks: a bearer token, an app token, or the web UI's cookies with a CSRF token bound to the login."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from aiohttp import web

from api.accounts import logins
from api.app_tokens import tokens
from core import app_tokens
from core.access import Actor
from core.app_tokens import AppToken, Scope
from core.db.engine import Database
from core.derived import Purpose, derive
from core.errors import Forbidden, Unauthorized
from core.settings import Settings
from core.tokens import Tokens

ACCESS_COOKIE = "footlight_access"
REFRESH_COOKIE = "footlight_refresh"
CSRF_COOKIE = "footlight_csrf"
CSRF_HEADER = "X-CSRF-Token"
# Sent nowhere but where it is exchanged.
REFRESH_PATH = "/api/v1/auth"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Authentication:
    """Finds the actor of a request and writes the cookies of a login."""

    def __init__(self, database: Database, tokens: Tokens, settings: Settings) -> None:
        self._database = database
        self._tokens = tokens
        self._csrf_key = derive(settings, Purpose.CSRF)
        self._secure = settings.secure
        self._access_s = settings.access_token_s
        self._login_s = int(timedelta(days=settings.login_days).total_seconds())

    async def require(
        self, request: web.Request, *, scope: Scope | None = None, while_suspended: bool = False
    ) -> Actor:
        """Who asks.

        An app token counts where `scope` is given and among its own. Raises Unauthorized, or
        Forbidden for cookies without their CSRF token, for a token without the scope, and for a
        suspended account unless it only reads or `while_suspended` says that it may.
        """
        bearer = bearer_token(request)
        token = bearer or request.cookies.get(ACCESS_COOKIE)
        if not token:
            raise Unauthorized("Log in first.", code="not_logged_in")
        if bearer is not None and (app_token := app_tokens.parse(bearer)) is not None:
            known = await self._of_app_token(app_token, scope)
        else:
            known = await self._of_login(request, token, is_cookie=bearer is None)
        may = while_suspended or request.method in SAFE_METHODS
        if known.suspended and not may:
            raise Forbidden("This account is suspended.", code="account_suspended")
        return known.actor

    async def recognise(
        self, request: web.Request, *, while_suspended: bool = False
    ) -> Actor | None:
        """Who asks, or None for somebody without a login; an app token counts for nothing here.

        Raises as `require`, also for a browser whose access cookie is over and whose login is not:
        it renews it and asks again, and is not taken for a stranger meanwhile.
        """
        bearer = bearer_token(request)
        if bearer is None and ACCESS_COOKIE not in request.cookies:
            if CSRF_COOKIE in request.cookies:
                raise Unauthorized("Renew the login first.", code="token_expired")
            return None
        if bearer is not None and app_tokens.parse(bearer) is not None:
            return None
        return await self.require(request, while_suspended=while_suspended)

    async def _of_login(self, request: web.Request, token: str, *, is_cookie: bool) -> logins.Known:
        said = await self._tokens.verify(token)
        if is_cookie and request.method not in SAFE_METHODS:
            self.check_csrf(request, said.login_id)
        async with self._database.session() as session:
            known = await logins.actor_of(session, said.user_id, said.login_id)
        if known is None:
            raise Unauthorized("This login is over. Log in again.", code="login_ended")
        return known

    async def _of_app_token(self, token: AppToken, scope: Scope | None) -> logins.Known:
        async with self._database.session() as session:
            found = await tokens.use(session, token)
        if found is None:
            raise Unauthorized("This app token is not valid.", code="invalid_token")
        known, scopes = found
        if scope is None or scope not in scopes:
            needed = f"an app token with {scope}" if scope else "a login, not an app token"
            raise Forbidden(f"This needs {needed}.", code="insufficient_scope")
        return known

    def csrf_token(self, login_id: int) -> str:
        """The CSRF token of a login: the same as long as the login lasts."""
        return hmac.digest(self._csrf_key, str(login_id).encode(), hashlib.sha256).hex()[:40]

    def check_csrf(self, request: web.Request, login_id: int) -> None:
        """Raise Forbidden unless a request with cookies is from our own pages."""
        refuse_other_sites(request)
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self.csrf_token(login_id).encode()
        ):
            raise Forbidden(
                "The X-CSRF-Token header does not belong to this login.", code="csrf_failed"
            )

    def set_cookies(self, response: web.Response, login_id: int, access: str, refresh: str) -> None:
        """Give a browser its login."""
        self._set(response, ACCESS_COOKIE, access, self._access_s)
        self._set(response, REFRESH_COOKIE, refresh, self._login_s, path=REFRESH_PATH)
        csrf = self.csrf_token(login_id)
        self._set(response, CSRF_COOKIE, csrf, self._login_s, readable=True)

    def clear_cookies(self, response: web.Response) -> None:
        """Take a browser's login away."""
        for name, path in (
            (ACCESS_COOKIE, "/"),
            (REFRESH_COOKIE, REFRESH_PATH),
            (CSRF_COOKIE, "/"),
        ):
            response.del_cookie(name, path=path, secure=self._secure, samesite="Lax")

    def _set(
        self,
        response: web.Response,
        name: str,
        value: str,
        life_s: int,
        *,
        path: str = "/",
        readable: bool = False,
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=life_s,
            path=path,
            secure=self._secure,
            httponly=not readable,
            samesite="Lax",
        )


def bearer_token(request: web.Request) -> str | None:
    """The token of the Authorization header, None without one.

    Raises Unauthorized for another scheme.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(
            "The Authorization header has to be a bearer token.", code="invalid_token"
        )
    return token.strip()


def refuse_other_sites(request: web.Request) -> None:
    """Raise Forbidden for a request that a browser says another site's page made."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise Forbidden("Requests from other sites are not accepted.", code="cross_site")
