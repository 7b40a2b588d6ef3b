"""Suspensions that stand: read by every service before it lets somebody act.

One that runs out ends by itself: whoever asks compares with the time, and nobody is told.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Exists, Function, Select, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from core.db.models import Suspension, SuspensionScope

# Somebody's clock, or PostgreSQL's.
Now = datetime | Function[datetime]


def stands(now: Now) -> ColumnElement[bool]:
    """Whether a row is in force at `now`."""
    return Suspension.lifted_at.is_(None) & or_(Suspension.until.is_(None), Suspension.until > now)


def is_suspended(user_id: Mapped[int], now: Now, *scopes: SuspensionScope) -> Exists:
    """Whether the user of the query's row is suspended in one of these scopes."""
    mine = (Suspension.user_id == user_id, Suspension.scope.in_(scopes), stands(now))
    return exists().where(*mine).correlate_except(Suspension)


def suspended_users(now: Now, *scopes: SuspensionScope) -> Select[int]:
    """Who is suspended in one of these scopes. For lists: they are few, looked up once, while
    `is_suspended` is looked up for every row, or has the planner misjudge how many rows are left.
    """
    return select(Suspension.user_id).where(Suspension.scope.in_(scopes), stands(now))


async def standing(
    session: AsyncSession, user_id: int, now: datetime
) -> dict[SuspensionScope, datetime | None]:
    """The scopes in which a user is suspended, each with its end (None: for good)."""
    rows = await session.execute(
        select(Suspension.scope, Suspension.until).where(Suspension.user_id == user_id, stands(now))
    )
    return {SuspensionScope(row.scope): row.until for row in rows}
