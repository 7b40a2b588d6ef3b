"""Logins and the tokens that follow from them.

A login is a family of refresh tokens, each used once to get the next. A token that comes a second
time was copied by somebody, and nobody can say which of the two is the thief: the family ends. Only
SHA-256s are stored; the tokens have 256 random bits, so nothing slower is needed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from core.access import Actor
from core.db.models import Login, RefreshToken, Role, SuspensionScope, User
from core.errors import Conflict, DomainError, NotFound, Unauthorized
from core.events import LoginEnded
from core.outbox import emit
from core.suspensions import is_suspended

REFRESH_PREFIX = "flr_"
# Two tabs of one browser share their cookies and may refresh at the same moment; the later one is
# told so and finds the new token in its cookies. It gets no token from us, so a thief gains nothing
# from these seconds.
RACE_S = 10
USER_AGENT_LENGTH = 200


@dataclass(frozen=True)
class Client:
    """Where a login is used from."""

    address: str
    user_agent: str

    @classmethod
    def of(cls, address: str, user_agent: str) -> Client:
        """With the user agent cut and made printable."""
        printable = "".join(c for c in user_agent[:USER_AGENT_LENGTH] if c.isprintable())
        return cls(address, printable)


@dataclass(frozen=True)
class Opened:
    """A login just made or renewed, with the refresh token in the clear."""

    login_id: int
    user: User
    refresh_token: str
    cookies: bool

    def __repr__(self) -> str:
        return f"Opened(login_id={self.login_id})"


def hash_token(token: str) -> bytes:
    """What is stored of a refresh or reset token."""
    # A header or cookie may hold any bytes; they come as surrogates.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def new_token(prefix: str) -> str:
    """256 random bits behind a prefix by which leaked ones are recognised."""
    return prefix + secrets.token_urlsafe(32)


async def open_login(
    session: AsyncSession, user: User, client: Client, life: timedelta, *, cookies: bool
) -> Opened:
    """A new login for `user`."""
    expires_at = datetime.now(UTC) + life
    login = Login(
        user_id=user.id,
        expires_at=expires_at,
        user_agent=client.user_agent,
        address=client.address,
        cookies=cookies,
    )
    session.add(login)
    await session.flush()
    token = _add_token(session, login.id, expires_at)
    return Opened(login.id, user, token, cookies)


def _add_token(session: AsyncSession, login_id: int, expires_at: datetime) -> str:
    token = new_token(REFRESH_PREFIX)
    session.add(RefreshToken(sha256=hash_token(token), login_id=login_id, expires_at=expires_at))
    return token


async def refresh(
    session: AsyncSession, token: str, client: Client, life: timedelta
) -> Opened | DomainError:
    """Exchange a refresh token for the next one.

    What went wrong is returned, not raised: the end of a stolen family has to be committed.
    """
    found = await _find(session, token, lock=True)
    if found is None:
        return _no_longer()
    stored, login, user = found
    now = datetime.now(UTC)
    if login.ended_at is not None or user.deleted_at is not None or stored.expires_at <= now:
        return _no_longer()
    if stored.used_at is not None:
        return await _used_again(session, stored.used_at, login, client, now)
    stored.used_at = now
    login.last_used_at = now
    login.expires_at = now + life
    login.address, login.user_agent = client.address, client.user_agent
    fresh = _add_token(session, login.id, login.expires_at)
    return Opened(login.id, user, fresh, login.cookies)


async def _find(
    session: AsyncSession, token: str, *, lock: bool
) -> Row[RefreshToken, Login, User] | None:
    query = (
        select(RefreshToken, Login, User)
        .join(Login, Login.id == RefreshToken.login_id)
        .join(User, User.id == Login.user_id)
        .where(RefreshToken.sha256 == hash_token(token))
    )
    if lock:
        # The login, since all tokens of a family meet there.
        query = query.with_for_update(of=(Login, RefreshToken))
    return (await session.execute(query)).one_or_none()


async def login_of(session: AsyncSession, token: str) -> int | None:
    """The id of the login that a refresh token belongs to, used or not; None for no token of ours."""
    found = await _find(session, token, lock=False)
    return None if found is None else found[1].id


async def _used_again(
    session: AsyncSession, used_at: datetime, login: Login, client: Client, now: datetime
) -> DomainError:
    if login.cookies and now - used_at < timedelta(seconds=RACE_S):
        return Conflict("This login was renewed a moment ago.", code="refresh_raced")
    await end_logins(session, [login.id], "reuse")
    audit.record(
        session,
        "login.reuse_detected",
        actor_id=None,
        target=f"user:{login.user_id}",
        address=client.address,
        login_id=login.id,
    )
    return Unauthorized(
        "This refresh token was used before. The login has been ended.", code="refresh_token_reused"
    )


def _no_longer() -> Unauthorized:
    return Unauthorized("This login is over. Log in again.", code="invalid_refresh_token")


async def end_logins(session: AsyncSession, ids: Sequence[int], reason: str) -> list[int]:
    """End those of these logins that still stand, and tell everybody: their ids."""
    if not ids:
        return []
    ended = (
        await session.execute(
            update(Login)
            .where(Login.id.in_(ids), Login.ended_at.is_(None))
            .values(ended_at=datetime.now(UTC), end_reason=reason)
            .returning(Login.id, Login.user_id)
        )
    ).all()
    for login_id, user_id in ended:
        await emit(session, LoginEnded(login_id=login_id, user_id=user_id))
    return [login_id for login_id, _ in ended]


async def end_all_logins(
    session: AsyncSession, user_id: int, reason: str, *, but: int | None = None
) -> list[int]:
    """End every login of a user, except `but`."""
    open_logins = select(Login.id).where(Login.user_id == user_id, Login.ended_at.is_(None))
    ids = [i for i in (await session.scalars(open_logins)).all() if i != but]
    return await end_logins(session, ids, reason)


async def end_own_login(session: AsyncSession, actor: Actor, login_id: int) -> None:
    """End one login of `actor`. Raises NotFound when it is over or somebody else's."""
    mine = select(Login.id).where(
        Login.id == login_id, Login.user_id == actor.id, Login.ended_at.is_(None)
    )
    if await session.scalar(mine) is None:
        raise NotFound("There is no such login.", code="login_not_found")
    await end_logins(session, [login_id], "revoked")


@dataclass(frozen=True)
class Known:
    """Who asks, and whether their account is suspended."""

    actor: Actor
    suspended: bool


async def actor_of(session: AsyncSession, user_id: int, login_id: int) -> Known | None:
    """Who uses this login, or None when it is over or the account gone."""
    suspended = is_suspended(User.id, datetime.now(UTC), SuspensionScope.ACCOUNT)
    row = (
        await session.execute(
            select(User.login, User.role, suspended.label("suspended"))
            .join(Login, Login.user_id == User.id)
            .where(
                Login.id == login_id,
                Login.user_id == user_id,
                Login.ended_at.is_(None),
                User.deleted_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    return Known(Actor(user_id, row.login, Role(row.role), login_id), row.suspended)
