"""Accounts as they are named in other things: who did it, whom it is about."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.names import LOGIN
from api.operations import Model
from core.db.models import User
from core.errors import NotFound


class Person(Model):
    """An account's names."""

    id: str
    login: str
    display_name: str

    @classmethod
    def of(cls, user: User) -> Person:
        """From its row."""
        return cls(id=str(user.id), login=user.login, display_name=user.display_name)


class People:
    """The people of an answer, by id."""

    def __init__(self, users: Iterable[User]) -> None:
        self._by_id = {user.id: Person.of(user) for user in users}

    def __getitem__(self, user_id: int) -> Person:
        return self._by_id[user_id]

    def get(self, user_id: int | None) -> Person | None:
        """None for nobody: the system itself, or an account that never was."""
        return None if user_id is None else self._by_id.get(user_id)


async def people(session: AsyncSession, ids: Iterable[int | None]) -> People:
    """The accounts with these ids, deleted ones included, in one query."""
    wanted = {user_id for user_id in ids if user_id is not None}
    if not wanted:
        return People(())
    return People((await session.scalars(select(User).where(User.id.in_(wanted)))).all())


async def find_user(session: AsyncSession, login: str, field: str | None = None) -> User:
    """The account with this login, upper or lower case. Raises NotFound (`user_not_found`)."""
    login = login.lower()
    user = None
    if LOGIN.fullmatch(login):
        user = await session.scalar(select(User).where(User.login == login))
    if user is None:
        raise NotFound("There is no such user.", code="user_not_found", field=field)
    return user
