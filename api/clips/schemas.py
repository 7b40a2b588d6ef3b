"""JSON of clips."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from api import names
from api.operations import Input, Model, Page
from api.people import People, Person
from api.videos.schemas import MOST_S, Problem
from core.db.video_models import Clip, ClipStatus, Video
from core.errors import Invalid

SHORTEST_S, LONGEST_S = 5.0, 60.0


def _tenths(seconds: float) -> float:
    return round(seconds, 1)


def _title(text: str) -> str:
    title = names.clean_title(text)
    if not title:
        raise Invalid("A clip needs a title.", code="too_short", field="title")
    return title


ClipTitle = Annotated[str, Field(max_length=1000), AfterValidator(_title)]


class ClipBody(Input):
    """What is cut out: of a `channel` that is live, or of a `video`."""

    channel: str | None = Field(default=None, max_length=100, description="A login.")
    video: str | None = Field(default=None, pattern="^[0-9]{1,19}$", description="An id.")
    start_s: Annotated[float, AfterValidator(_tenths)] | None = Field(
        default=None,
        ge=0,
        le=MOST_S,
        description="In the video's time; without it, of a channel, the newest seconds. In steps of "
        "0.1 s.",
    )
    duration_s: Annotated[float, AfterValidator(_tenths)] = Field(
        ge=SHORTEST_S, le=LONGEST_S, description="In steps of 0.1 s."
    )
    title: ClipTitle = Field(description=f"Up to {names.TITLE_LENGTH} characters.")
    request_id: str | None = Field(
        default=None,
        pattern="^[A-Za-z0-9_-]{16,64}$",
        description="Chosen by you at random, one for each clip: asked again with the same, it is the "
        "same clip.",
    )

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.channel is None) == (self.video is None):
            raise Invalid("Of a channel or of a video?", code="field_missing", field="video")
        if self.video is not None and self.start_s is None:
            raise Invalid("This is missing.", code="field_missing", field="start_s")
        return self


class ClipTitleBody(Input):
    """What of a clip changes."""

    title: ClipTitle


class ClipsQuery(Page):
    """Which clips, in which order."""

    channel: str | None = Field(default=None, max_length=100, description="Of this login.")
    video: str | None = Field(
        default=None, pattern="^[0-9]{1,19}$", description="Cut from this video."
    )
    creator: str | None = Field(default=None, max_length=100, description="Cut by this login.")
    sort: Literal["newest", "views"] = "newest"
    days: int | None = Field(
        default=None, ge=1, le=366, description="Only those of the last so many days."
    )


class ClipVideo(Model):
    """The video that a clip was cut from."""

    id: str
    title: str
    category: str | None


class ClipView(Model):
    """A clip."""

    id: str
    channel: Person
    creator: Person | None = Field(description="Null once the account is gone.")
    video: ClipVideo | None = Field(description="While everybody may watch that.")
    title: str
    status: ClipStatus = Field(description="`processing` lasts a second or two.")
    error: Problem | None
    start_s: float = Field(description="Where it begins in the video.")
    duration_s: float
    started_at: datetime | None = Field(description="When its first frame was live.")
    created_at: datetime
    views: int
    width: int
    height: int
    playback_url: str | None = Field(description="Its multivariant playlist.")
    thumbnail_url: str | None = Field(
        description="Its first picture, a second or two after it plays."
    )
    download_url: str | None = Field(description="The clip as MP4, a second or two after it plays.")

    @classmethod
    def of(cls, clip: Clip, people: People, video: Video | None) -> ClipView:
        """From its row; `video` is None unless everybody may watch it."""
        plays = clip.status == ClipStatus.READY and not clip.suspended
        base = f"/clip-media/{clip.id}"
        of_video = None
        if video is not None:
            of_video = ClipVideo(id=str(video.id), title=video.title, category=video.category)
        return cls(
            id=clip.id,
            channel=people[clip.channel_id],
            creator=people.get(clip.creator_id),
            video=of_video,
            title=clip.title,
            status=ClipStatus(clip.status),
            error=None if clip.error is None else Problem.model_validate(clip.error),
            start_s=clip.start_s,
            duration_s=clip.duration_s,
            started_at=clip.started_at,
            created_at=clip.created_at,
            views=clip.views,
            width=clip.width,
            height=clip.height,
            playback_url=f"{base}/index.m3u8" if plays else None,
            thumbnail_url=f"{base}/poster.jpg" if plays and clip.has_poster else None,
            download_url=f"{base}/clip.mp4" if plays and clip.has_file else None,
        )


class ClipDetail(ClipView):
    """A clip's page."""

    may_edit: bool = Field(description="Whether you may change its title.")
    may_delete: bool


class ClipPage(Model):
    """Clips."""

    items: list[ClipView]
    next_cursor: str | None
