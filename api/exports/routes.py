"""Operations on exports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import limits
from api.exports import links
from api.exports.people import account
from api.exports.schemas import FORMATS, Exports, ExportView, LinkQuery, NewExport
from api.operations import AnyCall, Auth, Call, Operations, Reply
from api.recorder import ask
from api.videos.queries import find_video, no_video
from api.videos.sight import sight
from core.access import Action, Actor, ChannelRef, allowed, authorize
from core.db.video_models import Job, JobState, Video, VideoStatus
from core.errors import Conflict, Forbidden, NotFound, Unauthorized
from core.media_paths import export_path

exports = Operations("Exports")

# A download may be taken up again for so long without asking here.
DOWNLOAD_S = 6 * 3600
_NOT_FOUND = {HTTPStatus.NOT_FOUND: ("export_not_found",)}
_OF_VIDEO = {
    HTTPStatus.NOT_FOUND: ("video_not_found",),
    HTTPStatus.FORBIDDEN: ("forbidden",),
}


@exports.post(
    "/videos/{id}/exports",
    "Export a video",
    body=NewExport,
    answer=ExportView,
    status=202,
    errors={
        **_OF_VIDEO,
        HTTPStatus.CONFLICT: ("video_not_ready", "no_sound"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def create_export(call: Call[NewExport, None]) -> ExportView:
    """Has the file made and, when it is there, an e-mail sent with a link to it.

    Where the same was asked for before, and is being made or still there, that one is answered.
    """
    api = call.api
    async with api.database.session() as session:
        video = await _own_video(session, call.actor, call.id())
    if video.status != VideoStatus.READY or video.purged_at is not None:
        raise Conflict("This video is not ready yet.", code="video_not_ready")
    if call.body.format == "mp3" and not video.has_audio:
        raise Conflict("This video has no sound.", code="no_sound")
    await api.limiter.charge("export", [(limits.EXPORTS_ACCOUNT, str(call.actor.id))])
    answer = await ask(call, "job.create", kind=FORMATS[call.body.format], video_id=video.id)
    async with api.database.session() as session:
        row = await _find(session, int(answer["job_id"]))
    return _view(call, row)


@exports.get("/videos/{id}/exports", "A video's exports", answer=Exports, errors=_OF_VIDEO)
async def list_exports(call: Call[None, None]) -> Exports:
    """The newest first; how far they are as well."""
    async with call.api.database.session() as session:
        video = await _own_video(session, call.actor, call.id())
        query = (
            select(Job)
            .where(Job.video_id == video.id, Job.kind.in_(FORMATS.values()))
            .order_by(Job.id.desc())
            .limit(100)
        )
        rows = (await session.scalars(query)).all()
    return Exports.of(rows, call.api.current.now.export_link_days)


@exports.get("/exports/{id}", "An export", answer=ExportView, errors=_NOT_FOUND)
async def get_export(call: Call[None, None]) -> ExportView:
    """How far it is, and where it is downloaded."""
    async with call.api.database.session() as session:
        row = await _find(session, call.id())
        await _authorize(session, call.actor, row)
    return _view(call, row)


@exports.delete(
    "/exports/{id}",
    "Cancel an export",
    errors={**_NOT_FOUND, HTTPStatus.CONFLICT: ("export_over",)},
)
async def cancel_export(call: Call[None, None]) -> None:
    """One that is being made, or waits for it."""
    async with call.api.database.session() as session:
        row = await _find(session, call.id())
        await _authorize(session, call.actor, row)
    answer = await ask(call, "job.cancel", job_id=row.id)
    if not answer["cancelled"]:
        raise Conflict("This export is not being made any more.", code="export_over")


@exports.get(
    "/exports/{id}/download",
    "Download an export",
    query=LinkQuery,
    auth=Auth.ANYONE,
    status=302,
    errors={
        HTTPStatus.UNAUTHORIZED: ("not_logged_in", "invalid_token", "token_expired", "login_ended"),
        HTTPStatus.FORBIDDEN: ("link_not_valid", "not_your_export"),
        HTTPStatus.NOT_FOUND: ("export_not_found",),
        HTTPStatus.CONFLICT: ("export_not_ready",),
    },
)
async def download_export(call: Call[None, LinkQuery]) -> Reply:
    """Sends on to the file, which takes ranges. With a login, or with the link of the e-mail, which
    works for whoever it was sent to.
    """
    api = call.api
    actor = await _asker(call)
    async with api.database.session() as session:
        row = await _find(session, call.id())
        if call.query.link is None:
            if actor is None:
                raise Unauthorized("Log in first.", code="not_logged_in")
            await _authorize(session, actor, row)
        else:
            await _check_link(call, session, actor, row, call.query.link)
    if row.state != JobState.DONE or "key" not in row.result:
        raise Conflict("There is no file of this export.", code="export_not_ready")
    until = int((datetime.now(UTC) + timedelta(seconds=DOWNLOAD_S)).timestamp())
    ending = row.result["format"]
    path = export_path(api.addresses.key, row.video_id or 0, row.id, ending, until)
    # A file to keep, not a page to show.
    place = f"{path}?download=1"
    return Reply(None, headers={"Location": place, "Referrer-Policy": "no-referrer"})


async def _asker(call: AnyCall) -> Actor | None:
    """Who is logged in; with a link a login that is over does not matter."""
    try:
        return await call.api.authentication.recognise(call.request)
    except (Unauthorized, Forbidden):
        if call.query.link is None:
            raise
        return None


async def _check_link(
    call: AnyCall, session: AsyncSession, actor: Actor | None, row: Job, link: str
) -> None:
    """Raise Forbidden unless the link is this export's and its account may still have it."""
    user_id = row.user_id or 0
    if not links.verify(call.api.export_key, link, row.id, user_id, datetime.now(UTC)):
        raise Forbidden("This link is not valid any more.", code="link_not_valid")
    if actor is not None and actor.id != user_id:
        raise Forbidden("This link was sent to somebody else.", code="not_your_export")
    known = await account(session, user_id)
    if known is None or not await _may(session, known.actor, row):
        raise Forbidden("This link is not valid any more.", code="link_not_valid")


async def _find(session: AsyncSession, job_id: int) -> Job:
    row = await session.get(Job, job_id)
    if row is None or row.kind not in FORMATS.values() or row.video_id is None:
        raise _no_export()
    return row


async def _authorize(session: AsyncSession, actor: Actor, row: Job) -> None:
    """Raise NotFound unless the export's video is the actor's."""
    if not await _may(session, actor, row):
        raise _no_export()


async def _may(session: AsyncSession, actor: Actor, row: Job) -> bool:
    video = await session.get(Video, row.video_id)
    return video is not None and allowed(actor, Action.EDIT_VIDEOS, ChannelRef(video.channel_id))


def _no_export() -> NotFound:
    return NotFound("There is no such export.", code="export_not_found")


async def _own_video(session: AsyncSession, actor: Actor, video_id: int) -> Video:
    """A video of the actor's. Raises NotFound for one that they may not know of, Forbidden."""
    video = (await find_video(session, video_id)).video
    channel = ChannelRef(video.channel_id)
    if not allowed(actor, Action.EDIT_VIDEOS, channel):
        if sight(video, actor.id, datetime.now(UTC)) is None:
            raise no_video()
        authorize(actor, Action.EDIT_VIDEOS, channel)
    if video.purged_at is not None:
        raise no_video()
    return video


def _view(call: AnyCall, row: Job) -> ExportView:
    return ExportView.of(row, call.api.current.now.export_link_days)
