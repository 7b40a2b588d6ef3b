"""Operations for who has forgotten their password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, limits, names
from api.accounts import letters, logins, users
from api.accounts.area import auth
from api.accounts.schemas import ForgotBody, ResetBody
from api.mail import Mail
from api.operations import AnyCall, Auth, Call
from core.db.models import PasswordReset, User
from core.errors import Conflict, Invalid
from core.http import network_of

RESET_PREFIX = "flp_"
# Older links of the same account stop working beyond this many.
RESETS_AT_ONCE = 3


@auth.post(
    "/auth/forgot",
    "Ask for a new password",
    body=ForgotBody,
    status=202,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.CONFLICT: ("mail_disabled",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def forgot(call: Call[ForgotBody, None]) -> None:
    """Mails a link if there is an account with this address.

    The answer does not tell whether there is.
    """
    api, email = call.api, call.body.email
    if not api.mailer.enabled:
        raise Conflict(
            "This installation sends no mail. Ask whoever runs it for a new password.",
            code="mail_disabled",
        )
    await api.limiter.charge(
        "forgot",
        [
            (limits.FORGOT_ACCOUNT, api.limit_subject(email)),
            (limits.FORGOT_ADDRESS, network_of(call.address)),
        ],
    )

    async def letter() -> Mail | None:
        async with api.database.session() as session:
            return await _reset_mail(call, session, email)

    api.mailer.post(letter)


async def _reset_mail(
    call: Call[ForgotBody, None], session: AsyncSession, email: str
) -> Mail | None:
    settings = call.api.settings
    user = await users.find_for_login(session, email)
    if user is None:
        return None
    older = (
        select(PasswordReset.sha256)
        .where(PasswordReset.user_id == user.id)
        .order_by(PasswordReset.created_at.desc())
        .offset(RESETS_AT_ONCE - 1)
    )
    await session.execute(delete(PasswordReset).where(PasswordReset.sha256.in_(older)))
    token = logins.new_token(RESET_PREFIX)
    life = timedelta(seconds=settings.reset_token_s)
    session.add(
        PasswordReset(
            sha256=logins.hash_token(token), user_id=user.id, expires_at=datetime.now(UTC) + life
        )
    )
    audit.record(
        session,
        "password.reset_asked",
        actor_id=None,
        target=f"user:{user.id}",
        address=call.address,
    )
    # Behind the #: a browser sends it to nobody, so it is in no log and no Referer.
    url = f"{settings.public_url}/reset#token={token}"
    minutes = settings.reset_token_s // 60
    return letters.reset(email, user.login, url, settings.instance_name, minutes)


@auth.post(
    "/auth/reset",
    "Set a new password with a mailed link",
    body=ResetBody,
    auth=Auth.ANYONE,
    errors={
        HTTPStatus.UNPROCESSABLE_ENTITY: ("invalid_reset_token",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def reset(call: Call[ResetBody, None]) -> None:
    """Sets the password and ends every login of the account. The link works once."""
    api, body = call.api, call.body
    await api.limiter.charge("reset", [(limits.RESET_ADDRESS, network_of(call.address))])
    wrong = Invalid(
        "This link is over or was used. Ask for a new one.",
        code="invalid_reset_token",
        field="token",
    )
    async with api.database.session() as session:
        user = await session.scalar(_user_of_reset(body.token))
    if user is None:
        raise wrong
    password = names.clean_password(body.password, user.login, user.email or "")
    password_hash = await api.passwords.hash(password)
    async with api.database.session() as session:
        user = await session.scalar(_user_of_reset(body.token).with_for_update())
        if user is None:
            raise wrong
        await users.set_password(session, user, password_hash)
        audit.record(
            session,
            "password.reset",
            actor_id=user.id,
            target=f"user:{user.id}",
            address=call.address,
        )
    tell_password_changed(call, user)


def _user_of_reset(token: str) -> Select[User]:
    return (
        select(User)
        .join(PasswordReset, PasswordReset.user_id == User.id)
        .where(
            PasswordReset.sha256 == logins.hash_token(token),
            PasswordReset.expires_at > datetime.now(UTC),
            User.deleted_at.is_(None),
        )
    )


def tell_password_changed(call: AnyCall, user: User) -> None:
    """By mail, so that whoever did not change it finds out."""
    if user.email:
        name = call.api.current.now.instance_name
        call.api.mailer.send(letters.password_changed(user.email, user.login, name))
