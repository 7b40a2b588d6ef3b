"""A poster of one's own for a video: a picture that is uploaded, or a moment of the video."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from http import HTTPStatus

from PIL import Image, ImageOps
from pydantic import Field

from api import limits
from api.emotes.images import FORMATS
from api.operations import AnyCall, Call, Input, Model
from api.recorder import ask
from api.videos.area import NOT_FOUND, OWNERS, videos
from api.videos.queries import find_video, no_video
from api.videos.sight import sight
from core.access import Action, ChannelRef, allowed, authorize
from core.db.video_models import Video
from core.errors import Invalid

MOST_BYTES = 8_000_000
LONGEST_SIDE = 8192
MOST_PIXELS = 40_000_000
# What is kept: as large as a player shows it before it plays.
WIDTH, HEIGHT = 1280, 1280
QUALITY = 88
_ERRORS = {
    **NOT_FOUND,
    **OWNERS,
    HTTPStatus.CONFLICT: ("video_not_ready",),
    HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
}


class PosterForm(Input):
    """A form with a picture."""

    file: bytes = Field(
        min_length=1, max_length=MOST_BYTES, description="PNG, WebP, GIF or AVIF, or JPEG, to 8 MB."
    )


class PosterMoment(Input):
    """A moment of the video."""

    at_s: float = Field(ge=0, le=1e6, description="The keyframe at or before it is taken.")


class Poster(Model):
    """A video's poster."""

    width: int
    height: int
    thumbnail_url: str | None


@videos.put(
    "/videos/{id}/poster",
    "Upload a poster",
    body=PosterForm,
    form_limit=MOST_BYTES,
    answer=Poster,
    errors={
        **_ERRORS,
        HTTPStatus.UNPROCESSABLE_ENTITY: ("invalid_image", "image_too_large"),
    },
)
async def upload_poster(call: Call[PosterForm, None]) -> Poster:
    """It is made into a JPEG of at most 1280 pixels; nothing else of the file is kept."""
    video = await _own(call)
    jpeg, width, height = await call.api.renderer.work(to_jpeg, call.body.file)
    await call.api.storage.put(f"videos/{video.id}/poster.jpg", jpeg)
    await ask(call, "video.poster", video_id=video.id, width=width, height=height)
    return await _answer(call, video.id)


@videos.post(
    "/videos/{id}/poster",
    "Choose a poster",
    body=PosterMoment,
    answer=Poster,
    errors={**_ERRORS, HTTPStatus.UNPROCESSABLE_ENTITY: ("no_picture",)},
)
async def choose_poster(call: Call[PosterMoment, None]) -> Poster:
    """A picture of the video itself."""
    video = await _own(call)
    await ask(call, "video.poster", video_id=video.id, at_s=call.body.at_s)
    return await _answer(call, video.id)


async def _own(call: AnyCall) -> Video:
    """The actor's video. Raises NotFound, Forbidden, RateLimited."""
    async with call.api.database.session() as session:
        video = (await find_video(session, call.id())).video
    channel = ChannelRef(video.channel_id)
    if not allowed(call.actor, Action.EDIT_VIDEOS, channel) and (
        sight(video, call.actor.id, datetime.now(UTC)) is None
    ):
        raise no_video()
    authorize(call.actor, Action.EDIT_VIDEOS, channel)
    await call.api.limiter.charge("poster", [(limits.POSTERS_ACCOUNT, str(call.actor.id))])
    return video


async def _answer(call: AnyCall, video_id: int) -> Poster:
    async with call.api.database.session() as session:
        row = await find_video(session, video_id)
    video = row.video
    found = call.api.addresses.of(video, row.channel.login, datetime.now(UTC))
    return Poster(
        width=int(video.poster.get("width", 0)),
        height=int(video.poster.get("height", 0)),
        thumbnail_url=found.thumbnail,
    )


def to_jpeg(data: bytes) -> tuple[bytes, int, int]:
    """The picture in `data` as a JPEG, and its size. Raises Invalid (`invalid_image`,
    `image_too_large`).
    """
    try:
        with Image.open(io.BytesIO(data), formats=(*FORMATS, "JPEG")) as image:
            width, height = image.size
            if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
                text = f"A poster has at most {LONGEST_SIDE} pixels on a side."
                raise Invalid(text, code="image_too_large", field="file")
            picture = ImageOps.exif_transpose(image).convert("RGB")
        picture.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    except Invalid:
        raise
    except Exception as error:
        # A decoder that is given rubbish may raise anything.
        text = "This is not a PNG, JPEG, WebP, GIF or AVIF picture."
        raise Invalid(text, code="invalid_image", field="file") from error
    return file.getvalue(), picture.width, picture.height
