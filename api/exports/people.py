"""Whom an export was made for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access import Actor
from core.db.models import Role, SuspensionScope, User
from core.suspensions import is_suspended


@dataclass(frozen=True)
class Account:
    """Somebody who may be written to."""

    actor: Actor
    email: str

    def __repr__(self) -> str:
        return f"Account({self.actor.login})"


async def account(session: AsyncSession, user_id: int) -> Account | None:
    """An account that is there and not suspended."""
    suspended = is_suspended(User.id, datetime.now(UTC), SuspensionScope.ACCOUNT)
    query = select(User).where(User.id == user_id, User.deleted_at.is_(None), ~suspended)
    user = await session.scalar(query)
    if user is None or user.email is None:
        return None
    return Account(Actor(user.id, user.login, Role(user.role)), user.email)
