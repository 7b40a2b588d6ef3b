"""Operations on videos: the catalogue, a video's page, and what its owner does to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus

from pydantic import Field
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, limits, pages
from api.channels.queries import find_channel
from api.operations import AnyCall, Auth, Call, Query
from api.recorder import ask
from api.videos.area import NOT_FOUND, OWNERS, videos
from api.videos.queries import (
    Row,
    chat_role,
    find_video,
    has_words,
    no_video,
    plan_anew,
    rows_of,
)
from api.videos.queries import videos as select_videos
from api.videos.schemas import (
    Chapter,
    HighlightBody,
    MyVideo,
    MyVideoPage,
    MyVideosQuery,
    OwnPart,
    Storyboard,
    VideoBody,
    VideoDetail,
    VideoPage,
    VideosQuery,
    VideoView,
)
from api.videos.sight import listed, not_suspended, sight
from core.access import Action, Actor, ChannelRef, allowed, authorize
from core.db.video_models import Video, VideoPosition

_SORTS: dict[str, tuple[pages.Column, bool]] = {
    "newest": (Video.published_at, False),
    "oldest": (Video.published_at, True),
    "views": (Video.views, False),
    "longest": (Video.duration_s, False),
    "shortest": (Video.duration_s, True),
}
_MY_SORTS: dict[str, tuple[pages.Column, ...]] = {
    "newest": (Video.created_at, Video.id),
    "views": (Video.views, Video.id),
    "longest": (Video.duration_s, Video.id),
    "largest": (Video.size_bytes, Video.id),
}


@videos.get(
    "/videos",
    "The catalogue",
    query=VideosQuery,
    answer=VideoPage,
    auth=Auth.ANYONE,
    errors={HTTPStatus.NOT_FOUND: ("channel_not_found",)},
)
async def list_videos(call: Call[None, VideosQuery]) -> VideoPage:
    """Public videos, also those of broadcasts that still run.

    A video whose views or length change while you page may be seen twice or not at all.
    """
    asked = call.query
    column, ascending = _SORTS[asked.sort]
    async with call.api.database.session() as session:
        if asked.channel is None:
            whose = not_suspended(Video.channel_id)
        else:
            channel = await find_channel(session, asked.channel)
            if channel.suspended:
                return VideoPage(items=[], next_cursor=None)
            whose = Video.channel_id == channel.id
        await plan_anew(session)
        rows, cursor = await pages.fetch_narrow(
            session,
            select_videos(),
            [listed(), whose, *_filters(asked)],
            asked,
            f"videos:{asked.sort}",
            column,
            Video.id,
            ascending=ascending,
        )
        found = await rows_of(session, [row.Video for row in rows])
    now = datetime.now(UTC)
    return VideoPage(items=[view(call, row, now) for row in found], next_cursor=cursor)


def _filters(asked: VideosQuery) -> Iterator[ColumnElement[bool]]:
    if asked.category is not None:
        yield func.lower(Video.category) == asked.category.lower()
    if asked.tag is not None:
        yield Video.tags.contains([asked.tag])
    if asked.language is not None:
        yield Video.language == asked.language
    if asked.kind is not None:
        yield Video.kind == asked.kind
    if asked.q is not None:
        yield has_words(asked.q)


def view(call: AnyCall, row: Row, now: datetime) -> VideoView:
    """A row for somebody who may change it or watch it."""
    book, video, viewer = call.api.addresses, row.video, call.maybe_actor
    may_watch = sight(video, None if viewer is None else viewer.id, now) is not None
    addresses = book.of if may_watch else book.for_anybody
    return VideoView.of(row, addresses(video, row.channel.login, now))


@videos.get("/me/videos", "Your videos", query=MyVideosQuery, answer=MyVideoPage)
async def list_my_videos(call: Call[None, MyVideosQuery]) -> MyVideoPage:
    """All of them, whoever may watch them, or with `trashed` those in the trash."""
    asked = call.query
    query = select_videos().where(
        Video.channel_id == call.actor.id,
        Video.purged_at.is_(None),
        Video.trashed_at.is_not(None) if asked.trashed else Video.trashed_at.is_(None),
    )
    query = asked.narrow(query)
    async with call.api.database.session() as session:
        await plan_anew(session)
        rows, cursor = await pages.fetch(
            session, query, asked, f"my-videos:{asked.sort}", *_MY_SORTS[asked.sort]
        )
        found = await rows_of(session, [row.Video for row in rows])
    return MyVideoPage(items=[_mine(call, row) for row in found], next_cursor=cursor)


def _mine(call: AnyCall, row: Row) -> MyVideo:
    urls = call.api.addresses.of(row.video, row.channel.login, datetime.now(UTC))
    return MyVideo.of(row, urls)


async def watchable_video(call: AnyCall, session: AsyncSession) -> Row:
    """The video in the path. Raises NotFound unless whoever asks may watch it."""
    row = await find_video(session, call.id())
    actor = call.maybe_actor
    if sight(row.video, None if actor is None else actor.id, datetime.now(UTC)) is None:
        raise no_video()
    return row


@videos.get("/videos/{id}", "A video", answer=VideoDetail, auth=Auth.OPTIONAL, errors=NOT_FOUND)
async def get_video(call: Call[None, None]) -> VideoDetail:
    """What a video's page shows. One that not everybody may watch is there for its owner only, with
    addresses that end: ask again for new ones.
    """
    async with call.api.database.session() as session:
        row = await watchable_video(call, session)
        return await _detail(call, session, row)


async def _detail(call: AnyCall, session: AsyncSession, row: Row) -> VideoDetail:
    video, actor = row.video, call.maybe_actor
    fields = view(call, row, datetime.now(UTC)).model_dump()
    may_edit = actor is not None and allowed(
        actor, Action.EDIT_VIDEOS, ChannelRef(video.channel_id)
    )
    return VideoDetail(
        **fields,
        description=video.description,
        chapters=[Chapter.model_validate({"category": None, **c}) for c in video.chapters],
        storyboard=Storyboard.model_validate(video.storyboard) if video.storyboard else None,
        source_video_id=None if video.source_video_id is None else str(video.source_video_id),
        position_s=None if actor is None else await _position(session, actor, video),
        may_edit=may_edit,
        may_moderate=actor is not None and await _moderates(session, actor, video),
        own=OwnPart.of(video) if may_edit else None,
    )


async def _position(session: AsyncSession, actor: Actor, video: Video) -> float | None:
    found: float | None = await session.scalar(
        select(VideoPosition.at_s).where(
            VideoPosition.user_id == actor.id, VideoPosition.video_id == video.id
        )
    )
    return found


async def _moderates(session: AsyncSession, actor: Actor, video: Video) -> bool:
    role = await chat_role(session, video.channel_id, actor.id)
    return allowed(actor, Action.MODERATE_CHAT, ChannelRef(video.channel_id, role))


async def editable_video(call: AnyCall) -> Video:
    """The video in the path. Raises NotFound unless whoever asks may see or change it, Forbidden unless
    they may change it. Admins may change what they may not watch.
    """
    async with call.api.database.session() as session:
        video = (await find_video(session, call.id())).video
    channel = ChannelRef(video.channel_id)
    if video.purged_at is not None or (
        not allowed(call.actor, Action.EDIT_VIDEOS, channel)
        and sight(video, call.actor.id, datetime.now(UTC)) is None
    ):
        raise no_video()
    authorize(call.actor, Action.EDIT_VIDEOS, channel)
    return video


async def answer_video(call: AnyCall, video_id: int) -> VideoDetail:
    """A video as it is now, for whoever has changed it; with its addresses if they may watch it."""
    async with call.api.database.session() as session:
        return await _detail(call, session, await find_video(session, video_id))


def note(session: AsyncSession, call: AnyCall, video: Video, action: str, **data: object) -> None:
    """Write into the audit log what somebody has done to another's video."""
    if call.actor.id != video.channel_id:
        audit.record(
            session,
            action,
            actor_id=call.actor.id,
            target=f"channel:{video.channel_id}",
            address=call.address,
            video_id=str(video.id),
            **data,
        )


@videos.patch(
    "/videos/{id}",
    "Change a video",
    body=VideoBody,
    answer=VideoDetail,
    errors={**NOT_FOUND, **OWNERS},
)
async def patch_video(call: Call[VideoBody, None]) -> VideoDetail:
    """Changes what is given. The owner may, and admins.

    A video becomes visible at its `published_at` by itself; until then only its owner sees it.
    """
    video = await editable_video(call)
    changes = call.body.changes()
    if changes:
        await ask(call, "video.update", video_id=video.id, changes=changes)
        async with call.api.database.session() as session:
            note(session, call, video, "video.edited", fields=sorted(changes))
    return await answer_video(call, video.id)


class DeleteQuery(Query):
    """How a video is deleted."""

    forever: bool = Field(default=False, description="At once, without a way back.")


@videos.delete(
    "/videos/{id}",
    "Delete a video",
    query=DeleteQuery,
    errors={**NOT_FOUND, **OWNERS, HTTPStatus.CONFLICT: ("video_live",)},
)
async def delete_video(call: Call[None, DeleteQuery]) -> None:
    """Puts it into the trash, from where it can be restored for some days; with `forever` it is
    removed with all that is stored of it. Clips that were cut from it stay.
    """
    video = await editable_video(call)
    op = "video.remove" if call.query.forever else "video.trash"
    await ask(call, op, video_id=video.id)
    async with call.api.database.session() as session:
        note(session, call, video, "video.deleted", forever=call.query.forever)


@videos.post(
    "/videos/{id}/restore",
    "Restore a deleted video",
    answer=VideoDetail,
    errors={**NOT_FOUND, **OWNERS, HTTPStatus.CONFLICT: ("not_trashed",)},
)
async def restore_video(call: Call[None, None]) -> VideoDetail:
    """Takes it out of the trash, as it was."""
    video = await editable_video(call)
    await ask(call, "video.restore", video_id=video.id)
    return await answer_video(call, video.id)


@videos.post(
    "/videos/{id}/highlights",
    "Make a highlight",
    body=HighlightBody,
    answer=VideoDetail,
    status=201,
    errors={
        **NOT_FOUND,
        **OWNERS,
        HTTPStatus.CONFLICT: ("video_not_ready",),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("not_recorded", "clip_too_short"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def create_highlight(call: Call[HighlightBody, None]) -> VideoDetail:
    """A cut of the video becomes a video of its own, which stays when this one goes. Its owner may,
    and admins.
    """
    video = await editable_video(call)
    body, actor = call.body, str(call.actor.id)
    await call.api.limiter.charge("highlight", [(limits.HIGHLIGHTS_ACCOUNT, actor)])
    made = await ask(
        call,
        "highlight.create",
        video_id=video.id,
        start_s=body.start_s,
        duration_s=body.duration_s,
        title=body.title,
    )
    return await answer_video(call, int(made["video_id"]))
