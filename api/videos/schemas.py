"""JSON of videos."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field

from api import names
from api.operations import Input, Model, Page
from api.people import Person
from api.videos.addresses import Addresses
from api.videos.queries import Row, Selected, has_words
from core.db.models import Visibility
from core.db.video_models import Video, VideoKind, VideoStatus
from core.errors import Invalid

# No video is longer, seconds.
MOST_S = 1e7
Sort = Literal["newest", "oldest", "views", "longest", "shortest"]
MySort = Literal["newest", "views", "longest", "largest"]


def search_words(text: str) -> str:
    """What somebody searches for."""
    return names.clean_text(text, names.SEARCH_LENGTH, "q")


# In a query: all of it together has to fit into a request's first line, percent-encoded.
Search = Annotated[str, Field(max_length=names.SEARCH_LENGTH), AfterValidator(search_words)]
ThatCategory = Annotated[
    str, Field(max_length=names.CATEGORY_LENGTH), AfterValidator(names.clean_category)
]
ThatTag = Annotated[str, Field(max_length=50), AfterValidator(lambda t: names.clean_tag(t, "tag"))]
ThatLanguage = Annotated[str, Field(max_length=20), AfterValidator(names.clean_language)]
# In a body.
Category = Annotated[str, Field(max_length=1000), AfterValidator(names.clean_category)]
Language = Annotated[str, Field(max_length=20), AfterValidator(names.clean_language)]
Title = Annotated[str, Field(max_length=1000), AfterValidator(names.clean_title)]
Tags = Annotated[list[str], Field(max_length=50), AfterValidator(names.clean_tags)]
Description = Annotated[str, Field(max_length=20_000), AfterValidator(names.clean_description)]


def _moment(at: datetime) -> datetime:
    """A time in UTC that a video may be published at."""
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    if not 2000 <= at.year < 2200:
        raise Invalid("This is too far away.", code="invalid_field", field="published_at")
    return at.astimezone(UTC)


Moment = Annotated[datetime, Field(strict=False), AfterValidator(_moment)]


class VideosQuery(Page):
    """Which videos, in which order."""

    channel: str | None = Field(default=None, max_length=100, description="Of this login.")
    category: ThatCategory | None = Field(
        default=None, description="Exactly this category; upper and lower case are the same."
    )
    tag: ThatTag | None = Field(default=None, description="With this tag.")
    language: ThatLanguage | None = Field(
        default=None, description="In this language, such as `en`."
    )
    kind: VideoKind | None = None
    q: Search | None = Field(
        default=None,
        description="With all of these words in the title; the last one may be a word's beginning.",
    )
    sort: Sort = "newest"


class ManagedVideosQuery(Page):
    """Which videos, for those who look after them."""

    kind: VideoKind | None = None
    status: VideoStatus | None = None
    visibility: Visibility | None = None
    q: Search | None = Field(default=None, description="As for all videos.")

    def narrow(self, query: Selected) -> Selected:
        """The videos of `query` that are asked for."""
        for column, value in (
            (Video.kind, self.kind),
            (Video.status, self.status),
            (Video.visibility, self.visibility),
        ):
            if value is not None:
                query = query.where(column == value)
        return query if self.q is None else query.where(has_words(self.q))


class MyVideosQuery(ManagedVideosQuery):
    """Which of your videos, in which order."""

    trashed: bool = Field(default=False, description="What is in the trash, and nothing else.")
    sort: MySort = "newest"


class VideoView(Model):
    """A video in a list."""

    id: str
    channel: Person
    kind: VideoKind
    status: VideoStatus = Field(description="`live`: it grows while its broadcast runs.")
    title: str
    category: str | None
    tags: list[str]
    language: str | None
    mature: bool = Field(description="Whether its channel is for adults.")
    visibility: Visibility
    created_at: datetime
    started_at: datetime | None = Field(description="Of a broadcast: when it began.")
    published_at: datetime | None = Field(
        description="From when on others may watch it; null: not published."
    )
    duration_s: float
    width: int
    height: int
    has_audio: bool
    views: int
    playback_url: str | None = Field(
        description="Its multivariant playlist; null while there is nothing to play."
    )
    thumbnail_url: str | None
    storyboard_url: str | None = Field(
        description="WebVTT that names the picture for each time, for previews while seeking."
    )
    urls_expire_at: datetime | None = Field(
        description="When these addresses end, because not everybody may watch it: ask again "
        "before, and put the new one's path in the place of the old."
    )

    @classmethod
    def fields_of(cls, row: Row, urls: Addresses) -> dict[str, Any]:
        """The values of these fields."""
        video = row.video
        return {
            "id": str(video.id),
            "channel": row.channel,
            "mature": row.mature,
            "playback_url": urls.playback,
            "thumbnail_url": urls.thumbnail,
            "storyboard_url": urls.storyboard,
            "urls_expire_at": urls.expires_at,
            **{name: getattr(video, name) for name in _COPIED},
        }

    @classmethod
    def of(cls, row: Row, urls: Addresses) -> Self:
        """From its row."""
        return cls.model_validate(cls.fields_of(row, urls))


_COPIED = (
    *("kind", "status", "title", "category", "tags", "language", "visibility"),
    *("created_at", "started_at", "published_at"),
    *("duration_s", "width", "height", "has_audio", "views"),
)


class VideoPage(Model):
    """Videos."""

    items: list[VideoView]
    next_cursor: str | None


class Problem(Model):
    """Why a video could not be made, or not whole."""

    code: str
    message: str
    retry: bool = Field(
        default=False,
        description="Whether the uploaded file is kept and may be tried again (`…/retry`).",
    )


class OwnPart(Model):
    """What only its owner is told of a video."""

    size_bytes: int
    ready_at: datetime | None
    error: Problem | None = Field(
        description="Why it failed. Of one that plays: what is wrong with it (`recording_cut`)."
    )
    trashed_at: datetime | None
    purge_at: datetime | None = Field(description="When it is removed for good.")

    @classmethod
    def of(cls, video: Video) -> OwnPart:
        """From its row."""
        error = video.error
        return cls(
            size_bytes=video.size_bytes,
            ready_at=video.ready_at,
            error=None if error is None else Problem.model_validate(error),
            trashed_at=video.trashed_at,
            purge_at=video.purge_at,
        )


class MyVideo(VideoView):
    """One of your own videos in a list."""

    own: OwnPart

    @classmethod
    def of(cls, row: Row, urls: Addresses) -> Self:
        """From its row."""
        return cls.model_validate({**cls.fields_of(row, urls), "own": OwnPart.of(row.video)})


class MyVideoPage(Model):
    """Your videos."""

    items: list[MyVideo]
    next_cursor: str | None


class Chapter(Model):
    """From a time on: another title or category."""

    at_s: float
    title: str
    category: str | None


class Storyboard(Model):
    """How the storyboard's pictures are laid out."""

    interval_s: float
    columns: int
    rows: int
    width: int
    height: int
    count: int


class VideoDetail(VideoView):
    """A video's page."""

    description: str
    chapters: list[Chapter]
    storyboard: Storyboard | None
    source_video_id: str | None = Field(description="Of a highlight: what it was cut from.")
    position_s: float | None = Field(description="How far you have watched it.")
    may_edit: bool
    may_moderate: bool = Field(description="Whether you may delete messages of its chat.")
    own: OwnPart | None = Field(description="For whoever may edit it.")


class VideoBody(Input):
    """What of a video changes. `null` takes category or language away."""

    title: Title | None = Field(default=None, description=f"Up to {names.TITLE_LENGTH} characters.")
    description: Description | None = Field(
        default=None, description=f"Up to {names.DESCRIPTION_LENGTH} characters."
    )
    category: Category | None = None
    tags: Tags | None = None
    language: Language | None = None
    visibility: Annotated[Visibility, Field(strict=False)] | None = None
    published_at: Moment | None = Field(
        default=None,
        description="From when on others may watch it, also in the future; null: not published.",
    )

    def changes(self) -> dict[str, Any]:
        """What was given, as JSON; null means empty where there is no other way to have none."""
        empty = {"title": "", "description": "", "tags": []}
        given = {name: getattr(self, name) for name in self.model_fields_set}
        changes = {n: empty.get(n) if v is None else v for n, v in given.items()}
        if changes.get("visibility", ...) is None:
            del changes["visibility"]
        if isinstance(at := changes.get("published_at"), datetime):
            changes["published_at"] = at.isoformat()
        return changes


class HighlightBody(Input):
    """A longer cut of a video that becomes a video of its own."""

    start_s: float = Field(ge=0, le=MOST_S, description="In the video's time.")
    duration_s: float = Field(ge=1, le=86400)
    title: Title = Field(description=f"Up to {names.TITLE_LENGTH} characters.")


class PositionBody(Input):
    """How far one has watched."""

    at_s: float = Field(ge=0, le=MOST_S)


class PositionView(Model):
    """How far you have watched a video."""

    at_s: float = Field(description="0: not at all, or to its end.")
    updated_at: datetime | None


class WatchedView(VideoView):
    """A video that you have begun to watch."""

    position_s: float
    watched_at: datetime


class WatchedPage(Model):
    """Videos that you have begun to watch, the latest first."""

    items: list[WatchedView]
    next_cursor: str | None
