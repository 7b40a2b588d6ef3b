"""User rows: making, finding, changing and deleting them, each within the caller's transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from api.accounts.logins import end_all_logins
from api.app_tokens.tokens import revoke_all_tokens
from api.channels.keys import revoke_all_keys
from api.emotes.emotes import remove_all as remove_all_emotes
from api.follows.follows import forget_follows
from core.db.models import Channel, Login, PasswordReset, RefreshToken, RetiredLogin, Role, User
from core.db.video_models import VideoPosition
from core.errors import Conflict, Unauthorized
from core.events import UserDeleted
from core.outbox import emit

_TAKEN = {
    "uq_users_login": ("This login is taken.", "login_taken", "login"),
    "uq_users_email": ("There is an account with this e-mail address.", "email_taken", "email"),
}


async def add_user(
    session: AsyncSession,
    *,
    login: str,
    email: str,
    password_hash: str,
    role: Role,
    display_name: str | None = None,
) -> User:
    """A new account with its channel; the values are clean.

    Raises Conflict: `login_taken`, `email_taken`.
    """
    user = User(
        login=login,
        email=email,
        display_name=display_name or login,
        password_hash=password_hash,
        role=role,
    )
    session.add(user)
    await _flush(session)
    # After the row is there: a deletion that frees this login at the same moment has been waited
    # for.
    held = select(RetiredLogin.login).where(
        RetiredLogin.login == login, RetiredLogin.until > func.now()
    )
    if await session.scalar(held) is not None:
        message, code, field = _TAKEN["uq_users_login"]
        raise Conflict(message, code=code, field=field)
    session.add(Channel(id=user.id))
    await session.flush()
    await session.refresh(user)
    return user


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        for constraint, (message, code, field) in _TAKEN.items():
            if constraint in str(error.orig):
                raise Conflict(message, code=code, field=field) from error
        raise


async def find_for_login(session: AsyncSession, name: str) -> User | None:
    """The account with this login or, with an @ in it, this e-mail address."""
    column = User.email if "@" in name else User.login
    found: User | None = await session.scalar(
        select(User).where(column == name, User.deleted_at.is_(None))
    )
    return found


async def get_user(session: AsyncSession, user_id: int, *, lock: bool = False) -> User:
    """The account behind a login that was just checked.

    Raises Unauthorized when it has gone since.
    """
    query = select(User).where(User.id == user_id, User.deleted_at.is_(None))
    found: User | None = await session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise Unauthorized("This account is gone.", code="login_ended")
    return found


async def set_password(
    session: AsyncSession, user: User, password_hash: str, *, but: int | None = None
) -> None:
    """Replace the password; every login ends, except `but`, and no reset link works any more."""
    user.password_hash = password_hash
    user.password_changed_at = datetime.now(UTC)
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    await end_all_logins(session, user.id, "password", but=but)


async def set_email(session: AsyncSession, user: User, email: str) -> None:
    """Replace the address; reset links sent to the old one work no more. Raises Conflict."""
    user.email = email
    await _flush(session)
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))


async def delete_user(
    session: AsyncSession, user_id: int, hold: timedelta, *, actor_id: int | None, address: str = ""
) -> None:
    """Delete an account: logins and stream keys end, what is personal goes, its login is held back
    for `hold`.

    Raises Conflict (`last_admin`) for the only admin there is.
    """
    user = await get_user(session, user_id, lock=True)
    if user.role == Role.ADMIN:
        await refuse_last_admin(session)
    await end_all_logins(session, user.id, "deleted")
    await revoke_all_keys(session, user.id)
    await revoke_all_tokens(session, user.id)
    await forget_follows(session, user.id)
    await remove_all_emotes(session, user.id)
    logins_of_user = select(Login.id).where(Login.user_id == user.id)
    await session.execute(delete(RefreshToken).where(RefreshToken.login_id.in_(logins_of_user)))
    await session.execute(delete(Login).where(Login.user_id == user.id))
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    await session.execute(delete(VideoPosition).where(VideoPosition.user_id == user.id))
    await session.execute(
        update(Channel)
        .where(Channel.id == user.id)
        .values(title="", category=None, tags=[], language=None, mature=False)
    )
    login = user.login
    until = datetime.now(UTC) + hold
    await session.merge(RetiredLogin(login=login, user_id=user.id, until=until))
    user.login, user.display_name, user.bio = f"~{user.id}", "", ""
    user.email = user.password_hash = None
    user.role = Role.VIEWER
    user.deleted_at = datetime.now(UTC)
    await emit(session, UserDeleted(user_id=user.id, login=login))
    audit.record(
        session, "account.deleted", actor_id=actor_id, target=f"user:{user.id}", address=address
    )


async def refuse_last_admin(session: AsyncSession) -> None:
    """Raise Conflict (`last_admin`) when there is but one admin, whom the caller is about to remove."""
    # Locked, so that two admins who leave at once do not both see the other.
    admins = (
        await session.scalars(
            select(User.id)
            .where(User.role == Role.ADMIN, User.deleted_at.is_(None))
            .order_by(User.id)
            .with_for_update()
        )
    ).all()
    if len(admins) < 2:
        raise Conflict(
            "This is the only admin. Make somebody else an admin first.", code="last_admin"
        )
