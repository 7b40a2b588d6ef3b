"""JSON of app tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from api import names
from api.operations import Input, Model
from core.app_tokens import Scope
from core.db.models import AppToken


class TokenBody(Input):
    """A new app token."""

    name: Annotated[
        str, Field(max_length=1000), AfterValidator(lambda text: names.clean_key_name(text))
    ] = Field(description="What it is for, such as the bot's name.")
    # JSON has no enums: their values are taken as such.
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1)] = Field(
        max_length=20, description="What it may be used for."
    )
    expires_in_days: int | None = Field(
        default=None, ge=1, le=3650, description="Default: it lasts until it is deleted."
    )


class TokenView(Model):
    """An app token, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def of(cls, row: AppToken) -> TokenView:
        """From its row."""
        return cls(
            id=str(row.id),
            name=row.name,
            scopes=[Scope(scope) for scope in row.scopes],
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
        )


class NewTokenView(TokenView):
    """An app token that was just made. This is the only time that it is shown."""

    token: str = Field(description="IRC clients send `PASS oauth:` and this.")


class TokenPage(Model):
    """App tokens, the newest first."""

    items: list[TokenView]
    next_cursor: str | None
