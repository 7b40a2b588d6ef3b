"""Removes what is over: logins, tokens, reset links, held-back logins, revoked keys, pictures."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.emotes.emotes import discard_removed
from core.db.engine import Database
from core.db.models import (
    AppToken,
    Base,
    Login,
    PasswordReset,
    RefreshToken,
    RetiredLogin,
    StreamKey,
)
from core.errors import Unavailable
from core.logs import logger
from core.storage import Storage

log = logger(__name__)

INTERVAL_S = 3600.0
# Rows of one statement, so that none is long or holds many locks.
BATCH = 1000
# Long enough to tell an owner what became of a login or key, not longer.
KEEP_ENDED = timedelta(days=30)


def _over(now: datetime) -> list[tuple[type[Base], ColumnElement[bool]]]:
    ended = now - KEEP_ENDED
    return [
        (RefreshToken, RefreshToken.expires_at < now),
        (Login, (Login.expires_at < now) | (Login.ended_at < ended)),
        (PasswordReset, PasswordReset.expires_at < now),
        (RetiredLogin, RetiredLogin.until < now),
        (StreamKey, StreamKey.revoked_at < ended),
        (AppToken, (AppToken.revoked_at < ended) | (AppToken.expires_at < ended)),
    ]


async def clean(database: Database, now: datetime) -> int:
    """Delete what is over at `now`, a bounded number of rows in each transaction: their number."""
    count = 0
    for model, over in _over(now):
        deleted = BATCH
        while deleted == BATCH:
            async with database.session() as session:
                deleted = await _delete_some(session, model, over)
            count += deleted
    return count


async def _delete_some(session: AsyncSession, model: type[Base], over: ColumnElement[bool]) -> int:
    key = inspect(model).primary_key[0]
    some = select(key).where(over).limit(BATCH)
    gone = await session.execute(delete(model).where(key.in_(some)).returning(key))
    return len(gone.all())


async def run(database: Database, storage: Storage) -> None:
    """Clean every hour until cancelled. Two processes that do so at once do no harm."""
    while True:
        try:
            count = await clean(database, datetime.now(UTC))
            await discard_removed(database, storage, datetime.now(UTC))
            log.info("cleaned", rows=count)
        except Unavailable as error:
            log.warning("not_cleaned", reason=error.message)
        await asyncio.sleep(INTERVAL_S)
