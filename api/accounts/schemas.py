"""JSON of accounts: what comes in and what goes out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api import names
from api.operations import Input, Model
from core.db.models import Login, Role, User

# Bounds what is looked at at all; `api.names` has the rules.
_Raw = Field(max_length=1000)
Password = Annotated[str, Field(max_length=1000, description="The account's password.")]
NewPassword = Annotated[str, Field(max_length=1000, description="8 to 128 characters.")]
Session = Annotated[
    Literal["token", "cookie"],
    Field(
        description="`cookie` sets HttpOnly cookies and answers a CSRF token in place of tokens."
    ),
]


def _email(text: str) -> str:
    return names.clean_email(text)


def _login(text: str) -> str:
    return names.clean_login(text)


def _display_name(text: str) -> str:
    return names.clean_display_name(text)


def _bio(text: str) -> str:
    return names.clean_bio(text)


Email = Annotated[str, _Raw, AfterValidator(_email)]
DisplayName = Annotated[str, _Raw, AfterValidator(_display_name)]


class RegisterBody(Input):
    """A new account."""

    login: Annotated[str, _Raw, AfterValidator(_login), Field(description=names.LOGIN_RULE)]
    email: Email
    password: NewPassword
    display_name: DisplayName | None = Field(default=None, description="Default: the login.")
    session: Session = "token"


class LoginBody(Input):
    """Who logs in."""

    login: Annotated[str, Field(max_length=300, description="The login, or the e-mail address.")]
    password: Password
    session: Session = "token"


class RefreshBody(Input):
    """The refresh token; left out by the web UI, whose cookie has it."""

    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class ForgotBody(Input):
    """Whose password is forgotten."""

    email: Email


class ResetBody(Input):
    """A new password with the token from the mail."""

    token: Annotated[str, Field(max_length=200)]
    password: NewPassword


class PasswordBody(Input):
    """Changing the password."""

    current_password: Password
    new_password: NewPassword


class DeleteBody(Input):
    """Deleting the account."""

    password: Password


class MeBody(Input):
    """What of the account changes; the address needs the password as well."""

    display_name: DisplayName | None = None
    bio: Annotated[str, _Raw, AfterValidator(_bio)] | None = None
    email: Email | None = None
    current_password: Password | None = None


class UserView(Model):
    """An account, as its owner sees it."""

    id: str
    login: str
    display_name: str
    email: str
    role: Role
    bio: str
    may_stream: bool
    chat_color: str | None = Field(
        description="Of the name in chat, set there with `/color`; null: one that suits the id."
    )
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> UserView:
        """From its row."""
        return cls(
            id=str(user.id),
            login=user.login,
            display_name=user.display_name,
            email=user.email or "",
            role=Role(user.role),
            bio=user.bio,
            may_stream=Role(user.role) is not Role.VIEWER,
            chat_color=user.chat_color,
            created_at=user.created_at,
        )


class LoggedIn(Model):
    """A login: tokens, or for `session: cookie` the CSRF token."""

    user: UserView
    access_token: str | None = None
    token_type: Literal["Bearer"] | None = None
    expires_in: int = Field(description="Seconds until the access token is over.")
    refresh_token: str | None = None
    csrf_token: str | None = None


class LoginView(Model):
    """One of the places where somebody is logged in."""

    id: str
    current: bool
    created_at: datetime
    last_used_at: datetime
    user_agent: str
    ip: str

    @classmethod
    def of(cls, login: Login, current: int | None) -> LoginView:
        """From its row."""
        return cls(
            id=str(login.id),
            current=login.id == current,
            created_at=login.created_at,
            last_used_at=login.last_used_at,
            user_agent=login.user_agent,
            ip=login.address,
        )


class LoginPage(Model):
    """Logins, the newest first."""

    items: list[LoginView]
    next_cursor: str | None
