"""JSON of streams."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from api import names
from api.operations import Model, Page, Query
from api.streams.queries import DirectoryRow, RunningStream
from core.db.models import PublishAttempt, StreamHealth, StreamStatus

MOST_SAMPLES = 1000


class StreamView(Model):
    """A running stream."""

    id: str
    status: StreamStatus
    started_at: datetime
    viewers: int
    playback_url: str
    thumbnail_url: str | None

    @classmethod
    def fields_of(cls, login: str, stream: RunningStream) -> dict[str, Any]:
        """The values of these fields."""
        at = stream.thumbnail_at
        # The time makes a new picture a new address, so that caches may keep each.
        thumbnail = f"/live/{login}/thumbnail.jpg?t={int(at.timestamp())}" if at else None
        return {
            "id": str(stream.id),
            "status": stream.status,
            "started_at": stream.started_at,
            "viewers": stream.viewers,
            "playback_url": f"/live/{login}/index.m3u8",
            "thumbnail_url": thumbnail,
        }

    @classmethod
    def of(cls, login: str, stream: RunningStream) -> StreamView:
        """Of a channel's running stream."""
        return cls(**cls.fields_of(login, stream))


class ChannelName(Model):
    """Whose stream it is."""

    id: str
    login: str
    display_name: str


class DirectoryItem(StreamView):
    """A live stream in the directory."""

    channel: ChannelName
    title: str
    category: str | None
    tags: list[str]
    language: str | None
    mature: bool

    @classmethod
    def of_row(cls, row: DirectoryRow) -> DirectoryItem:
        """From the query's row."""
        return cls(
            **cls.fields_of(row.login, row.stream),
            channel=ChannelName(
                id=str(row.channel_id), login=row.login, display_name=row.display_name
            ),
            title=row.title,
            category=row.category,
            tags=row.tags,
            language=row.language,
            mature=row.mature,
        )


class DirectoryPage(Model):
    """Who is live."""

    items: list[DirectoryItem]
    next_cursor: str | None


class DirectoryQuery(Page):
    """Which streams, in which order."""

    category: Annotated[str, AfterValidator(names.clean_category)] | None = Field(
        default=None, description="Exactly this category; upper and lower case are the same."
    )
    tag: Annotated[str, AfterValidator(lambda text: names.clean_tag(text, "tag"))] | None = Field(
        default=None, description="With this tag."
    )
    language: Annotated[str, AfterValidator(names.clean_language)] | None = Field(
        default=None, description="In this language, such as `en`."
    )
    sort: Literal["viewers", "started"] = Field(
        default="viewers", description="Most viewers first, or newest first."
    )


class WarningView(Model):
    """Something that the streamer should mend."""

    code: str
    message: str


class AttemptView(Model):
    """An encoder that connected: admitted, or refused with a reason."""

    at: datetime
    accepted: bool
    code: str
    message: str

    @classmethod
    def of(cls, row: PublishAttempt) -> AttemptView:
        """From its row."""
        return cls(at=row.at, accepted=row.accepted, code=row.code, message=row.message)


class HealthSample(Model, extra="allow"):
    """The stream's measured state at one time; what is measured depends on the source."""

    at: datetime

    @classmethod
    def of(cls, row: StreamHealth) -> HealthSample:
        """From its row."""
        return cls(**{**row.data, "at": row.at})


class MyStream(Model):
    """The own channel's connection, stream and health."""

    state: Literal["offline", "connecting", "live", "reconnecting"]
    stream: StreamView | None
    health: HealthSample | None
    warnings: list[WarningView]
    attempts: list[AttemptView]


class HealthSeries(Model):
    """Samples, oldest first; a long stream's are thinned to at most a thousand."""

    items: list[HealthSample]


class HealthQuery(Query):
    """Which samples."""

    since: datetime | None = Field(
        default=None, description="Only samples after this time; default: the whole stream."
    )
