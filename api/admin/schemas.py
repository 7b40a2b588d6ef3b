"""JSON of the site's administration."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.operations import Input, Model, Page
from api.people import People, Person
from core.db.models import AuditEntry, Channel, Role, Stream, StreamStatus, User

SuspendedIn = Literal["account", "channel"]


class AccountView(Model):
    """An account as the site's moderators see it."""

    id: str
    login: str
    display_name: str
    email: str | None = Field(description="For admins only.")
    role: Role
    bio: str
    created_at: datetime
    deleted_at: datetime | None
    followers: int
    suspended: list[SuspendedIn] = Field(description="Scopes of suspensions that stand.")

    @classmethod
    def of(
        cls, user: User, followers: int, suspended: list[SuspendedIn], *, private: bool
    ) -> AccountView:
        """From its row."""
        return cls(
            id=str(user.id),
            login=user.login,
            display_name=user.display_name,
            email=user.email if private else None,
            role=Role(user.role),
            bio=user.bio,
            created_at=user.created_at,
            deleted_at=user.deleted_at,
            followers=followers,
            suspended=suspended,
        )


class AccountPage(Model):
    """Accounts, the newest first."""

    items: list[AccountView]
    next_cursor: str | None


class AccountsQuery(Page):
    """Which accounts."""

    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Part of the login or name, or (for admins) the whole e-mail address.",
    )
    role: Role | None = None
    suspended: bool | None = Field(default=None, description="Whether a suspension stands.")


class RoleBody(Input):
    """What an account may do from now on."""

    role: Annotated[Role, Field(strict=False)]


class AuditView(Model):
    """One line of the audit log."""

    id: str
    at: datetime
    actor: Person | None = Field(description="Null: the system, or the command line.")
    action: str
    target: str = Field(description="Such as `user:7`.")
    target_user: Person | None
    address: str
    data: dict[str, Any]

    @classmethod
    def of(cls, row: AuditEntry, people: People) -> AuditView:
        """From its row."""
        return cls(
            id=str(row.id),
            at=row.at,
            actor=people.get(row.actor_id),
            action=row.action,
            target=row.target,
            target_user=people.get(account_of(row.target)),
            address=row.address,
            data=row.data,
        )


def account_of(target: str) -> int | None:
    """The id in `user:7` or `channel:7`; None for other targets."""
    kind, _, number = target.partition(":")
    return int(number) if kind in ("user", "channel") and number.isdecimal() else None


class AuditPage(Model):
    """The audit log, the newest line first."""

    items: list[AuditView]
    next_cursor: str | None


class AuditQuery(Page):
    """Which lines."""

    actor: str | None = Field(default=None, max_length=100, description="By this login.")
    user: str | None = Field(default=None, max_length=100, description="About this login.")
    action: str | None = Field(default=None, pattern="^[a-z0-9_.]{1,60}$")


class RunningStreamView(Model):
    """A stream that has not ended, also one that has no picture yet."""

    id: str
    channel: Person
    title: str
    status: StreamStatus
    started_at: datetime
    viewers: int
    peak_viewers: int
    node: str
    source: dict[str, Any] = Field(description="What the encoder sends.")

    @classmethod
    def of(cls, stream: Stream, channel: Channel, user: User) -> RunningStreamView:
        """From its rows."""
        return cls(
            id=str(stream.id),
            channel=Person.of(user),
            title=channel.title,
            status=StreamStatus(stream.status),
            started_at=stream.started_at,
            viewers=stream.viewers,
            peak_viewers=stream.peak_viewers,
            node=stream.node,
            source=stream.source,
        )


class RunningStreamPage(Model):
    """Running streams, the newest first."""

    items: list[RunningStreamView]
    next_cursor: str | None
