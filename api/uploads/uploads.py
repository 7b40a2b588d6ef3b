"""Uploads as rows: begun, found, ended."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api import names
from core.access import Action, Actor, ChannelRef, authorize
from core.db.models import Channel, SuspensionScope
from core.db.video_models import Job, Upload, UploadState, Video
from core.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited
from core.instance_settings import InstanceSettings
from core.suspensions import standing

TRANSCODE = "transcode"
MOST_LISTED = 100


async def may_upload(session: AsyncSession, actor: Actor) -> None:
    """Raise Forbidden (`uploading_not_allowed`, `channel_suspended`) unless the actor may upload at all."""
    authorize(actor, Action.UPLOAD_VIDEOS, ChannelRef(actor.id))
    if SuspensionScope.CHANNEL in await standing(session, actor.id, datetime.now(UTC)):
        raise Forbidden("Your channel is suspended.", code="channel_suspended")


async def admit(session: AsyncSession, actor: Actor, size: int, settings: InstanceSettings) -> None:
    """Raise Forbidden (`uploading_not_allowed`, `channel_suspended`, `quota_exceeded`) or RateLimited
    (`too_many_uploads`) unless the actor may begin an upload of `size` bytes.
    """
    await may_upload(session, actor)
    # Uploads that begin side by side are counted one after the other. Not a full lock: recorder adds
    # the video meanwhile, which refers to this row.
    mine = select(Channel.id).where(Channel.id == actor.id)
    await session.execute(mine.with_for_update(key_share=True))
    arriving = (Upload.state == UploadState.RECEIVING) & (Upload.expires_at > func.now())
    # One whose video is still to be made takes its room as a file.
    waiting = (Upload.state == UploadState.COMPLETE) & (Upload.chunks != [])
    query = select(func.count().filter(arriving), func.coalesce(func.sum(Upload.size), 0)).where(
        Upload.user_id == actor.id, arriving | waiting
    )
    count, pending = (await session.execute(query)).one()
    if count >= settings.upload_parallel:
        raise RateLimited(
            f"You have {count} uploads under way. Finish or cancel one first.",
            code="too_many_uploads",
            retry_after=60,
        )
    if settings.upload_quota_bytes:
        stored = select(func.coalesce(func.sum(Video.size_bytes), 0)).where(
            Video.channel_id == actor.id, Video.purged_at.is_(None)
        )
        if int(await session.scalar(stored) or 0) + int(pending) + size > (
            settings.upload_quota_bytes
        ):
            raise Forbidden("This does not fit into your storage.", code="quota_exceeded")


def title_of(name: str) -> str:
    """What a video is called whose file has this name."""
    stem = name.rpartition(".")[0] or name
    try:
        return names.clean_title(stem.replace("_", " ").strip()[: names.TITLE_LENGTH]) or "Video"
    except Invalid:
        # Letters that a title may not have: its owner did not choose it, and can.
        return "Video"


def begun(actor: Actor, video_id: int, name: str, size: int, life: timedelta) -> Upload:
    """A row for an upload that begins."""
    return Upload(
        id=uuid.uuid4(),
        user_id=actor.id,
        video_id=video_id,
        name=name,
        size=size,
        received=0,
        chunks=[],
        state=UploadState.RECEIVING,
        expires_at=datetime.now(UTC) + life,
    )


async def find(session: AsyncSession, actor: Actor, upload_id: str) -> Upload:
    """An upload of the actor's. Raises NotFound (`upload_not_found`)."""
    row = await session.get(Upload, uuid.UUID(upload_id))
    if row is None or row.user_id != actor.id or row.state == UploadState.CANCELLED:
        raise NotFound("There is no such upload.", code="upload_not_found")
    return row


async def keep_file(session: AsyncSession, video: Video, life: timedelta) -> Upload:
    """The upload of a video that failed, its file kept for another `life` from now on. It is locked: the
    sweep leaves it alone meanwhile. Raises Conflict (`upload_gone`).
    """
    query = select(Upload).where(
        Upload.user_id == video.channel_id,
        Upload.video_id == video.id,
        Upload.state == UploadState.COMPLETE,
    )
    row = await session.scalar(query.with_for_update())
    if row is None or not row.chunks or not (video.error or {}).get("retry"):
        raise Conflict("The uploaded file is no longer kept. Upload it again.", code="upload_gone")
    row.expires_at = datetime.now(UTC) + life
    return row


async def listed(
    session: AsyncSession, user_id: int
) -> Sequence[tuple[Upload, Video | None, Job | None]]:
    """What somebody uploaded lately, with its video and the job that makes it."""
    newest = (
        select(func.max(Job.id))
        .where(Job.video_id == Upload.video_id, Job.kind == TRANSCODE)
        .correlate(Upload)
        .scalar_subquery()
    )
    job = aliased(Job)
    query = (
        select(Upload, Video, job)
        .outerjoin(Video, Video.id == Upload.video_id)
        .outerjoin(job, and_(job.id == newest))
        .where(Upload.user_id == user_id, Upload.state != UploadState.CANCELLED)
        .order_by(Upload.created_at.desc())
        .limit(MOST_LISTED)
    )
    return [(row[0], row[1], row[2]) for row in (await session.execute(query)).all()]
