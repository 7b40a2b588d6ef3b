"""Operations on clips."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, limits, pages
from api.channels.queries import find_channel
from api.clips.queries import (
    find_clip,
    find_shown_clip,
    is_banned,
    listed_clips,
    live_video,
    views_of,
)
from api.clips.schemas import (
    ClipBody,
    ClipDetail,
    ClipPage,
    ClipsQuery,
    ClipTitleBody,
)
from api.operations import AnyCall, Auth, Call, Operations
from api.people import find_user
from api.recorder import ask
from api.videos.queries import chat_role, find_video, no_video, plan_anew
from api.videos.replay import ReplayPage, ReplayQuery, page_of, part_of, said_in
from api.videos.sight import sight
from api.viewings import Viewed, viewer_of
from core.access import Action, ChannelRef, allowed
from core.db.video_models import Clip, Video
from core.errors import Conflict, Forbidden
from core.http import network_of

clips = Operations("Clips")

# A second or two, as a rule; on a busy machine it is made all the same.
_MADE_WITHIN_S = 15.0

_NOT_FOUND = {HTTPStatus.NOT_FOUND: ("clip_not_found",)}


@clips.post(
    "/clips",
    "Make a clip",
    body=ClipBody,
    answer=ClipDetail,
    status=201,
    errors={
        HTTPStatus.FORBIDDEN: ("banned",),
        HTTPStatus.NOT_FOUND: (
            *("channel_not_found", "video_not_found"),
            *("not_recorded", "segment_moved"),
        ),
        HTTPStatus.CONFLICT: ("stream_offline", "video_not_ready"),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("not_recorded", "clip_too_short", "clip_too_long"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
        HTTPStatus.SERVICE_UNAVAILABLE: ("clip_failed",),
    },
)
async def create_clip(call: Call[ClipBody, None]) -> ClipDetail:
    """Exact to the frame at both ends. It plays when the answer comes, a second or two later, and
    stays when the video goes. Whoever is banned from the channel's chat cuts nothing of it. With a
    `request_id` it can be asked for again when the answer got lost, and is not made twice.
    """
    body, actor = call.body, call.actor
    await call.api.limiter.charge(
        "clip",
        [
            (limits.CLIPS_ACCOUNT, str(actor.id)),
            (limits.CLIPS_ADDRESS, network_of(call.address)),
        ],
    )
    async with call.api.database.session() as session:
        video = await _cut_from(call, session)
        if await is_banned(session, video.channel_id, actor.id):
            raise Forbidden("You are banned from this channel.", code="banned")
    made = await ask(
        call,
        "clip.create",
        within_s=_MADE_WITHIN_S,
        video_id=video.id,
        start_s=body.start_s,
        duration_s=body.duration_s,
        title=body.title,
        request_id=body.request_id,
    )
    async with call.api.database.session() as session:
        return await _detail(call, session, await find_clip(session, str(made["clip_id"])))


async def _cut_from(call: Call[ClipBody, None], session: AsyncSession) -> Video:
    """The video that is named, or that of the running broadcast, which everybody sees anyway."""
    body = call.body
    if body.channel is not None:
        channel = await find_channel(session, body.channel)
        live = await live_video(session, channel.id)
        if live is None or live.suspended:
            raise Conflict("This channel is not live.", code="stream_offline")
        return live
    number = int(body.video or 0)
    if number >= 2**63:
        raise no_video()
    video = (await find_video(session, number)).video
    if sight(video, call.actor.id, datetime.now(UTC)) is None or video.trashed_at is not None:
        raise no_video()
    return video


async def _shown(call: AnyCall, session: AsyncSession) -> Clip:
    """The clip in the path. Raises NotFound unless whoever asks may see it."""
    actor = call.maybe_actor
    return await find_shown_clip(session, call.path["clip"], None if actor is None else actor.id)


async def _detail(call: AnyCall, session: AsyncSession, clip: Clip) -> ClipDetail:
    (seen,) = await views_of(session, [clip])
    return ClipDetail(
        **seen.model_dump(),
        may_edit=_may_edit(call, clip),
        may_delete=await _may_delete(call, session, clip),
    )


def _may_edit(call: AnyCall, clip: Clip) -> bool:
    actor = call.maybe_actor
    if actor is None:
        return False
    return actor.id == clip.creator_id or allowed(
        actor, Action.EDIT_VIDEOS, ChannelRef(clip.channel_id)
    )


async def _may_delete(call: AnyCall, session: AsyncSession, clip: Clip) -> bool:
    actor = call.maybe_actor
    if actor is None or actor.id == clip.creator_id:
        return actor is not None
    role = await chat_role(session, clip.channel_id, actor.id)
    return allowed(actor, Action.MODERATE_CHAT, ChannelRef(clip.channel_id, role))


@clips.get(
    "/clips",
    "Clips",
    query=ClipsQuery,
    answer=ClipPage,
    auth=Auth.ANYONE,
    errors={HTTPStatus.NOT_FOUND: ("channel_not_found", "user_not_found")},
)
async def list_clips(call: Call[None, ClipsQuery]) -> ClipPage:
    """Of a channel, of a video, by somebody, or of the whole site.

    A clip whose views change while you page may be seen twice or not at all.
    """
    asked = call.query
    column: pages.Column = Clip.views if asked.sort == "views" else Clip.created_at
    async with call.api.database.session() as session:
        channel_id = creator_id = None
        if asked.channel is not None:
            channel = await find_channel(session, asked.channel)
            if channel.suspended:
                return ClipPage(items=[], next_cursor=None)
            channel_id = channel.id
        if asked.creator is not None:
            creator_id = (await find_user(session, asked.creator, "creator")).id
        query = listed_clips(asked, channel_id=channel_id, creator_id=creator_id)
        await plan_anew(session)
        rows, cursor = await pages.fetch(
            session, query, asked, f"clips:{asked.sort}", column, Clip.id
        )
        items = await views_of(session, [row.Clip for row in rows])
    return ClipPage(items=items, next_cursor=cursor)


@clips.get("/clips/{clip}", "A clip", answer=ClipDetail, auth=Auth.OPTIONAL, errors=_NOT_FOUND)
async def get_clip(call: Call[None, None]) -> ClipDetail:
    """What a clip's page shows, also while it is being made."""
    async with call.api.database.session() as session:
        return await _detail(call, session, await _shown(call, session))


@clips.patch(
    "/clips/{clip}",
    "Change a clip's title",
    body=ClipTitleBody,
    answer=ClipDetail,
    errors={**_NOT_FOUND, HTTPStatus.FORBIDDEN: ("forbidden",)},
)
async def patch_clip(call: Call[ClipTitleBody, None]) -> ClipDetail:
    """Whoever made it may, its channel's owner, and admins."""
    async with call.api.database.session() as session:
        clip = await _shown(call, session)
    if not _may_edit(call, clip):
        raise Forbidden("Only whoever made this clip may change it.")
    await ask(call, "clip.update", clip_id=clip.id, changes={"title": call.body.title})
    async with call.api.database.session() as session:
        return await _detail(call, session, await find_clip(session, clip.id))


@clips.delete(
    "/clips/{clip}",
    "Delete a clip",
    errors={**_NOT_FOUND, HTTPStatus.FORBIDDEN: ("forbidden",)},
)
async def delete_clip(call: Call[None, None]) -> None:
    """For good. Whoever made it may, its channel's owner and moderators, and the site's."""
    async with call.api.database.session() as session:
        clip = await find_clip(session, call.path["clip"])
        if not await _may_delete(call, session, clip):
            raise Forbidden("Only whoever made this clip and moderators may delete it.")
    await ask(call, "clip.remove", clip_id=clip.id)
    if call.actor.id != clip.creator_id:
        async with call.api.database.session() as session:
            audit.record(
                session,
                "clip.deleted",
                actor_id=call.actor.id,
                target=f"channel:{clip.channel_id}",
                address=call.address,
                clip_id=clip.id,
                title=clip.title,
            )


@clips.post(
    "/clips/{clip}/views",
    "Count a view of a clip",
    auth=Auth.OPTIONAL,
    while_suspended=True,
    errors={**_NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",)},
)
async def view_clip(call: Call[None, None]) -> None:
    """A player says that it has begun. Each viewer counts once a day."""
    api = call.api
    await api.limiter.charge("view", [(limits.VIEWS_ADDRESS, network_of(call.address))])
    async with api.database.session() as session:
        clip = await _shown(call, session)
    await api.viewings.count(Viewed.CLIP, clip.id, viewer_of(call))


@clips.get(
    "/clips/{clip}/chat",
    "A clip's chat",
    query=ReplayQuery,
    answer=ReplayPage,
    auth=Auth.ANYONE,
    errors=_NOT_FOUND,
)
async def get_clip_chat(call: Call[None, ReplayQuery]) -> ReplayPage:
    """What was said during what it shows, by the clip's own time. It stays when the video goes."""
    async with call.api.database.session() as session:
        clip = await _shown(call, session)
        part = part_of(call.query, offset_s=clip.start_s, end_s=clip.start_s + clip.duration_s)
        video = None if clip.video_id is None else await session.get(Video, clip.video_id)
        said = [] if video is None else await said_in(session, video, part)
    return page_of(said, call.query, offset_s=clip.start_s)
