"""Who is at the other end: an access token, the web UI's cookie, or an app token."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, or_, select, update

from chat import facts
from chat.room import User
from core import app_tokens
from core.db.engine import Database
from core.db.models import AppToken, Login
from core.errors import Unauthorized
from core.tokens import Tokens

# The cookie of the web UI that holds an access token (api.authentication).
ACCESS_COOKIE = "footlight_access"
LAST_USED_S = 60


@dataclass(frozen=True)
class Identity:
    """Who a token stands for, and what it may be used for (None: everything)."""

    user: User
    login_id: int | None = None
    token_id: int | None = None
    scopes: frozenset[str] | None = None


class People:
    """Finds out who holds a token."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    async def identify(self, token: str) -> Identity:
        """Who holds `token`. Raises Unauthorized, Unavailable."""
        given = app_tokens.parse(token)
        if given is not None:
            return await self._by_app_token(given)
        said = await self._tokens.verify(token)
        async with self._database.session() as session:
            stands = await session.scalar(
                select(Login.id).where(
                    Login.id == said.login_id,
                    Login.user_id == said.user_id,
                    Login.ended_at.is_(None),
                    Login.expires_at > func.now(),
                )
            )
            if stands is None:
                raise Unauthorized("This login is over. Log in again.", code="login_ended")
            user = await facts.user_by_id(session, said.user_id)
        return Identity(user, login_id=said.login_id)

    async def _by_app_token(self, given: app_tokens.AppToken) -> Identity:
        async with self._database.session() as session:
            row = await session.scalar(
                select(AppToken).where(
                    AppToken.id == given.id,
                    AppToken.sha256 == given.digest,
                    AppToken.revoked_at.is_(None),
                    or_(AppToken.expires_at.is_(None), AppToken.expires_at > func.now()),
                )
            )
            if row is None:
                raise Unauthorized("The app token is not valid.", code="invalid_token")
            user = await facts.user_by_id(session, row.user_id)
            await session.execute(
                update(AppToken)
                .where(
                    AppToken.id == row.id,
                    or_(
                        AppToken.last_used_at.is_(None),
                        AppToken.last_used_at
                        < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, LAST_USED_S),
                    ),
                )
                .values(last_used_at=func.now())
            )
        return Identity(user, token_id=row.id, scopes=frozenset(row.scopes))
