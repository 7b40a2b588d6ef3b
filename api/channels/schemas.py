"""JSON of channels and stream keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from api import names
from api.channels.queries import ChannelRow
from api.operations import Input, Model
from api.streams.queries import RunningStream
from api.streams.schemas import StreamView
from core.db.models import StreamKey


def _by(rule: Callable[[str], object]) -> AfterValidator:
    return AfterValidator(lambda text: rule(text))


class ChannelBody(Input):
    """What of the channel changes. `null` takes category or language away."""

    title: Annotated[str, Field(max_length=1000), _by(names.clean_title)] | None = Field(
        default=None, description=f"Up to {names.TITLE_LENGTH} characters."
    )
    category: Annotated[str, Field(max_length=1000), _by(names.clean_category)] | None = Field(
        default=None, description=f"Up to {names.CATEGORY_LENGTH} characters."
    )
    tags: Annotated[list[str], Field(max_length=50), AfterValidator(names.clean_tags)] | None = (
        Field(
            default=None,
            description=f"Up to {names.TAG_COUNT} of up to {names.TAG_LENGTH} characters.",
        )
    )
    language: Annotated[str, Field(max_length=20), _by(names.clean_language)] | None = Field(
        default=None, description="ISO 639 code, such as `en`."
    )
    mature: bool | None = Field(default=None, description="Whether it is for adults.")


class ChannelStream(StreamView):
    """A channel's running stream."""

    video_id: str | None = Field(
        description="Its video so far, if everybody may watch that: the broadcast can be rewound."
    )

    @classmethod
    def of(cls, login: str, stream: RunningStream) -> ChannelStream:
        """Of a channel's running stream."""
        video_id = None if stream.video_id is None else str(stream.video_id)
        return cls(**cls.fields_of(login, stream), video_id=video_id)


class ChannelView(Model):
    """A channel's page."""

    id: str
    login: str
    display_name: str
    bio: str
    title: str
    category: str | None
    tags: list[str]
    language: str | None
    mature: bool
    created_at: datetime
    live: bool
    stream: ChannelStream | None
    last_stream_at: datetime | None = Field(description="When the latest stream ended.")
    followers: int
    suspended: bool = Field(
        description="Whether it may not stream, its chat is closed, and its videos are hidden."
    )

    @classmethod
    def of(
        cls, row: ChannelRow, running: RunningStream | None, last_stream_at: datetime | None
    ) -> ChannelView:
        """From its rows."""
        visible = running is not None and running.is_visible
        stream = ChannelStream.of(row.login, running) if running and visible else None
        return cls(
            id=str(row.id),
            login=row.login,
            display_name=row.display_name,
            bio=row.bio,
            title=row.title,
            category=row.category,
            tags=row.tags,
            language=row.language,
            mature=row.mature,
            created_at=row.created_at,
            live=stream is not None,
            stream=stream,
            last_stream_at=last_stream_at,
            followers=row.followers,
            suspended=row.suspended,
        )


class KeyBody(Input):
    """A new stream key."""

    name: Annotated[
        str, Field(max_length=1000), AfterValidator(lambda t: names.clean_key_name(t))
    ] = Field(description="What it is for, such as the encoder's place.")


class KeyView(Model):
    """A stream key, without its secret."""

    id: str
    name: str
    hint: str = Field(description="Its last four characters.")
    created_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: StreamKey) -> KeyView:
        """From its row."""
        return cls(
            id=str(row.id),
            name=row.name,
            hint=row.hint,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )


class NewKeyView(KeyView):
    """A stream key that was just made. This is the only time that it is shown."""

    key: str
    server: str = Field(description="What to enter as server in OBS.")


class KeyPage(Model):
    """Stream keys, the oldest first."""

    items: list[KeyView]
    next_cursor: str | None
