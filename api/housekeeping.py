"""Removes what is over: logins, tokens, reset links, held-back logins, revoked keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.models import Login, PasswordReset, RefreshToken, RetiredLogin, StreamKey
from core.errors import Unavailable
from core.logs import logger

log = logger(__name__)

INTERVAL_S = 3600.0
# Long enough to tell an owner what became of a login or key, not longer.
KEEP_ENDED = timedelta(days=30)


async def clean(session: AsyncSession, now: datetime) -> int:
    """Delete what is over at `now`: the number of rows."""
    ended = now - KEEP_ENDED
    statements = (
        delete(RefreshToken).where(RefreshToken.expires_at < now),
        delete(Login).where(Login.expires_at < now),
        delete(Login).where(Login.ended_at < ended),
        delete(PasswordReset).where(PasswordReset.expires_at < now),
        delete(RetiredLogin).where(RetiredLogin.until < now),
        delete(StreamKey).where(StreamKey.revoked_at < ended),
    )
    count = 0
    for statement in statements:
        count += (await session.execute(statement)).rowcount  # type: ignore[attr-defined]
    return count


async def run(database: Database) -> None:
    """Clean every hour until cancelled. Two processes that do so at once do no harm."""
    while True:
        try:
            async with database.session() as session:
                count = await clean(session, datetime.now(UTC))
            log.info("cleaned", rows=count)
        except Unavailable as error:
            log.warning("not_cleaned", reason=error.message)
        await asyncio.sleep(INTERVAL_S)
