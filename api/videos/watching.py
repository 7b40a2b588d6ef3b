"""Operations of whoever watches: views, how far they have come, what to go on with."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from api import limits, pages
from api.operations import Auth, Call, Page
from api.videos.area import NOT_FOUND, videos
from api.videos.catalogue import view
from api.videos.queries import no_video, rows_of
from api.videos.queries import videos as select_videos
from api.videos.schemas import PositionBody, PositionView, WatchedPage, WatchedView
from api.videos.sight import sight, watchable
from api.viewings import Viewed, viewer_of
from core.db.video_models import Video, VideoPosition, VideoStatus
from core.http import network_of

# Whoever has come so near to the end has watched it.
END_S = 15.0


@videos.post(
    "/videos/{id}/views",
    "Count a view",
    auth=Auth.OPTIONAL,
    while_suspended=True,
    errors={**NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",)},
)
async def view_video(call: Call[None, None]) -> None:
    """A player says that it has begun. Each viewer counts once a day, the owner not at all."""
    api, actor = call.api, call.maybe_actor
    await api.limiter.charge("view", [(limits.VIEWS_ADDRESS, network_of(call.address))])
    async with api.database.session() as session:
        video = await session.get(Video, call.id())
    viewer_id = None if actor is None else actor.id
    if video is None or sight(video, viewer_id, datetime.now(UTC)) is None:
        raise no_video()
    if viewer_id != video.channel_id:
        await api.viewings.count(Viewed.VIDEO, str(video.id), viewer_of(call))


@videos.get(
    "/videos/{id}/position", "How far you have watched", answer=PositionView, errors=NOT_FOUND
)
async def get_position(call: Call[None, None]) -> PositionView:
    """Where to go on. It is there for videos that one may watch."""
    async with call.api.database.session() as session:
        query = (
            select(Video.id, VideoPosition)
            .outerjoin(
                VideoPosition,
                (VideoPosition.video_id == Video.id) & (VideoPosition.user_id == call.actor.id),
            )
            .where(Video.id == call.id(), watchable(call.actor.id))
        )
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise no_video()
    position = row.VideoPosition
    if position is None:
        return PositionView(at_s=0, updated_at=None)
    return PositionView(at_s=position.at_s, updated_at=position.updated_at)


@videos.put(
    "/videos/{id}/position",
    "Say how far you have watched",
    body=PositionBody,
    errors={**NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",)},
    while_suspended=True,
)
async def put_position(call: Call[PositionBody, None]) -> None:
    """For players: every ten seconds or so, and when one leaves. At the end: 0."""
    actor_id = call.actor.id
    await call.api.limiter.charge("position", [(limits.POSITIONS_ACCOUNT, str(actor_id))])
    async with call.api.database.session() as session:
        there = await session.scalar(
            select(Video.id).where(Video.id == call.id(), watchable(actor_id))
        )
        if there is None:
            raise no_video()
        values = {"at_s": call.body.at_s, "updated_at": func.now()}
        await session.execute(
            insert(VideoPosition)
            .values(user_id=actor_id, video_id=there, **values)
            .on_conflict_do_update(index_elements=["user_id", "video_id"], set_=values)
        )


@videos.delete("/videos/{id}/position", "Forget how far you have watched", while_suspended=True)
async def delete_position(call: Call[None, None]) -> None:
    """It is no longer among those to go on with."""
    async with call.api.database.session() as session:
        await session.execute(
            delete(VideoPosition).where(
                VideoPosition.user_id == call.actor.id, VideoPosition.video_id == call.id()
            )
        )


@videos.get("/me/watching", "Continue watching", query=Page, answer=WatchedPage)
async def list_watching(call: Call[None, Page]) -> WatchedPage:
    """What you have begun to watch and not watched to its end, the latest first."""
    query = (
        select_videos()
        .join(VideoPosition, VideoPosition.video_id == Video.id)
        .add_columns(VideoPosition)
        .where(
            VideoPosition.user_id == call.actor.id,
            VideoPosition.at_s > 0,
            or_(VideoPosition.at_s < Video.duration_s - END_S, Video.status == VideoStatus.LIVE),
            watchable(call.actor.id),
        )
    )
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(
            session,
            query,
            call.query,
            "watching",
            VideoPosition.updated_at,
            VideoPosition.video_id,
        )
        found = await rows_of(session, [row.Video for row in rows])
    now = datetime.now(UTC)
    items = [
        WatchedView(
            **view(call, shown, now).model_dump(),
            position_s=row.VideoPosition.at_s,
            watched_at=row.VideoPosition.updated_at,
        )
        for row, shown in zip(rows, found, strict=True)
    ]
    return WatchedPage(items=items, next_cursor=cursor)
