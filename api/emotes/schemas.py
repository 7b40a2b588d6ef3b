"""JSON of emotes, and the form that uploads one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.emotes.images import MOST_BYTES
from api.operations import Input, Model
from core.db.models import Emote


class EmoteForm(Input):
    """A form with a picture."""

    code: Annotated[str, Field(pattern="^[A-Za-z0-9]{2,30}$")] = Field(
        description="What is typed in chat: 2 to 30 letters and digits."
    )
    file: bytes = Field(
        min_length=1,
        max_length=MOST_BYTES,
        description="PNG, WebP, GIF or AVIF, also animated, up to 1 MB.",
    )


class EmoteView(Model):
    """An emote."""

    id: str
    code: str
    animated: bool
    url: str = Field(description="Of its pictures: append `/28`, `/56` or `/112`. WebP.")
    created_at: datetime

    @classmethod
    def of(cls, row: Emote) -> EmoteView:
        """From its row."""
        return cls(
            id=str(row.id),
            code=row.code,
            animated=row.animated,
            url=f"/emotes/{row.id}",
            created_at=row.created_at,
        )


class Emotes(Model):
    """Every emote, by code."""

    items: list[EmoteView]
    next_cursor: None = None

    @classmethod
    def of(cls, rows: Iterable[Emote]) -> Emotes:
        """From their rows."""
        return cls(items=[EmoteView.of(row) for row in rows])
