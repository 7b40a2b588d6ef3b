"""App tokens: made, listed, used, revoked."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.logins import Known
from core import app_tokens
from core.access import Actor
from core.app_tokens import Scope
from core.db.models import AppToken, Role, SuspensionScope, User
from core.errors import Conflict, NotFound
from core.events import AppTokenRevoked
from core.outbox import emit
from core.suspensions import is_suspended

MOST_TOKENS = 50
# The time of the last use is for people: a bot's every request need not write.
USE_NOTED_EVERY = timedelta(minutes=1)


async def add_token(
    session: AsyncSession, user_id: int, name: str, scopes: list[Scope], life: timedelta | None
) -> tuple[AppToken, app_tokens.AppToken]:
    """A new token: its row, and the token itself, which cannot be had again.

    Raises Conflict (`too_many_tokens`).
    """
    # Locks the account, so that tokens made side by side are counted one after the other.
    await session.execute(select(User.id).where(User.id == user_id).with_for_update())
    count = await session.scalar(
        select(func.count())
        .select_from(AppToken)
        .where(AppToken.user_id == user_id, AppToken.revoked_at.is_(None))
    )
    if (count or 0) >= MOST_TOKENS:
        raise Conflict(
            f"An account can have {MOST_TOKENS} app tokens. Delete one first.",
            code="too_many_tokens",
        )
    # The id is part of what is hashed, so it has to be known first.
    token_id = await session.scalar(
        select(func.nextval(func.pg_get_serial_sequence("app_tokens", "id")))
    )
    token = app_tokens.AppToken(int(token_id or 0), app_tokens.new_secret())
    row = AppToken(
        id=token.id,
        user_id=user_id,
        name=name,
        sha256=token.digest,
        scopes=[str(scope) for scope in scopes],
        expires_at=None if life is None else datetime.now(UTC) + life,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row, token


async def use(
    session: AsyncSession, token: app_tokens.AppToken
) -> tuple[Known, frozenset[Scope]] | None:
    """Whose token it is and what it may be used for; None for one that is not valid (any more)."""
    now = datetime.now(UTC)
    suspended = is_suspended(User.id, now, SuspensionScope.ACCOUNT)
    row = (
        await session.execute(
            select(AppToken, User.login, User.role, suspended.label("suspended"))
            .join(User, User.id == AppToken.user_id)
            .where(
                AppToken.id == token.id,
                AppToken.revoked_at.is_(None),
                or_(AppToken.expires_at.is_(None), AppToken.expires_at > now),
                User.deleted_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.AppToken.sha256, token.digest):
        return None
    stored: AppToken = row.AppToken
    if stored.last_used_at is None or now - stored.last_used_at > USE_NOTED_EVERY:
        stored.last_used_at = now
    actor = Actor(stored.user_id, row.login, Role(row.role))
    return Known(actor, row.suspended), frozenset(map(Scope, stored.scopes))


async def revoke_token(session: AsyncSession, user_id: int, token_id: int) -> None:
    """End a token of a user. Raises NotFound (`app_token_not_found`)."""
    if not await _revoke(session, user_id, token_id):
        raise NotFound("There is no such app token.", code="app_token_not_found")


async def revoke_all_tokens(session: AsyncSession, user_id: int) -> None:
    """End every token of a user."""
    await _revoke(session, user_id, None)


async def _revoke(session: AsyncSession, user_id: int, token_id: int | None) -> bool:
    query = (
        update(AppToken)
        .where(AppToken.user_id == user_id, AppToken.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
        .returning(AppToken.id)
    )
    if token_id is not None:
        query = query.where(AppToken.id == token_id)
    revoked = (await session.scalars(query)).all()
    for one in revoked:
        await emit(session, AppTokenRevoked(token_id=one, user_id=user_id))
    return bool(revoked)
