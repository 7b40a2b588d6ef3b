"""Taking reports in, claiming and deciding them, within the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from api.channels.queries import ChannelRow, find_channel
from api.clips.queries import find_shown_clip
from api.people import find_user
from api.reports.schemas import ReportBody
from api.streams.queries import running_stream
from api.videos.queries import find_video, no_video
from api.videos.sight import sight
from core.access import Actor
from core.db.models import ChatMessage, Report, ReportKind, ReportStatus, Role, User
from core.errors import Conflict, Forbidden, Invalid, NotFound

# Whoever claims a report and forgets it does not keep others from it for longer.
CLAIM_LASTS = timedelta(minutes=30)


@dataclass(frozen=True)
class Subject:
    """What a report is about."""

    user_id: int
    channel_id: int | None = None
    message_id: UUID | None = None
    stream_id: int | None = None
    video_id: int | None = None
    clip_id: str | None = None
    snapshot: dict[str, Any] = field(default_factory=dict)


async def subject_of(session: AsyncSession, reporter_id: int, body: ReportBody) -> Subject:
    """What `body` reports, as it is now. Raises NotFound, Invalid (`field_missing`)."""
    match body.kind:
        case "user":
            user = await find_user(session, _given(body.user, "user"), "user")
            channel_id = None
            if body.channel is not None:
                channel_id = (await find_channel(session, body.channel)).id
            return Subject(user.id, channel_id, snapshot=_of_user(user))
        case "message":
            channel = await find_channel(session, _given(body.channel, "channel"))
            return await _message(session, channel, body.message)
        case "stream":
            channel = await find_channel(session, _given(body.channel, "channel"))
            return await _stream(session, channel)
        case "video":
            return await _video(session, reporter_id, int(_given(body.video, "video")))
        case "clip":
            return await _clip(session, reporter_id, _given(body.clip, "clip"))


def _given(value: str | None, name: str) -> str:
    if value is None:
        raise Invalid("This is missing.", code="field_missing", field=name)
    return value


def _of_user(user: User) -> dict[str, Any]:
    return {"login": user.login, "display_name": user.display_name, "bio": user.bio}


async def _message(session: AsyncSession, channel: ChannelRow, message_id: UUID | None) -> Subject:
    if message_id is None:
        raise Invalid("This is missing.", code="field_missing", field="message")
    row = await session.scalar(
        select(ChatMessage).where(
            ChatMessage.id == message_id, ChatMessage.channel_id == channel.id
        )
    )
    if row is None:
        raise NotFound("There is no such message.", code="message_not_found", field="message")
    shown = {"login": row.data.get("login"), "text": row.text, "at": row.at.isoformat()}
    return Subject(row.user_id, channel.id, message_id=row.id, snapshot=shown)


async def _stream(session: AsyncSession, channel: ChannelRow) -> Subject:
    running = await running_stream(session, channel.id)
    shown = {
        "title": channel.title,
        "category": channel.category,
        "tags": channel.tags,
        "mature": channel.mature,
        "live": running is not None and running.is_visible,
    }
    stream_id = running.id if running is not None and running.is_visible else None
    return Subject(channel.id, channel.id, stream_id=stream_id, snapshot=shown)


async def _video(session: AsyncSession, reporter_id: int, video_id: int) -> Subject:
    if video_id >= 2**63:
        raise no_video()
    video = (await find_video(session, video_id)).video
    if sight(video, reporter_id, datetime.now(UTC)) is None:
        raise no_video()
    shown = {
        "title": video.title,
        "description": video.description,
        "category": video.category,
        "tags": video.tags,
        "kind": video.kind,
    }
    return Subject(video.channel_id, video.channel_id, video_id=video.id, snapshot=shown)


async def _clip(session: AsyncSession, reporter_id: int, clip_id: str) -> Subject:
    clip = await find_shown_clip(session, clip_id, reporter_id)
    # Whoever made it answers for it; when the account is gone, the channel that it shows.
    user_id = clip.channel_id if clip.creator_id is None else clip.creator_id
    shown = {"title": clip.title, "video_id": clip.video_id and str(clip.video_id)}
    return Subject(user_id, clip.channel_id, clip_id=clip.id, snapshot=shown)


async def add(session: AsyncSession, reporter: Actor, body: ReportBody) -> Report:
    """Take a report in.

    Raises NotFound, Invalid (`own_report`), Conflict (`already_reported`) while an equal one waits.
    """
    subject = await subject_of(session, reporter.id, body)
    if subject.user_id == reporter.id:
        raise Invalid("You cannot report yourself.", code="own_report")
    # Locked, so that a double click is one report.
    await session.execute(select(User.id).where(User.id == reporter.id).with_for_update())
    same = select(Report.id).where(
        Report.reporter_id == reporter.id,
        Report.kind == body.kind,
        Report.subject_user_id == subject.user_id,
        Report.message_id.is_not_distinct_from(subject.message_id),
        Report.video_id.is_not_distinct_from(subject.video_id),
        Report.clip_id.is_not_distinct_from(subject.clip_id),
        Report.status != ReportStatus.DECIDED,
    )
    if await session.scalar(same.limit(1)) is not None:
        raise Conflict("You have reported this already.", code="already_reported")
    row = Report(
        reporter_id=reporter.id,
        kind=ReportKind(body.kind),
        subject_user_id=subject.user_id,
        channel_id=subject.channel_id,
        message_id=subject.message_id,
        stream_id=subject.stream_id,
        video_id=subject.video_id,
        clip_id=subject.clip_id,
        reason=body.reason,
        text=body.text,
        snapshot=subject.snapshot,
    )
    session.add(row)
    await session.flush()
    return row


async def find(session: AsyncSession, report_id: int, *, lock: bool = False) -> Report:
    """A report. Raises NotFound (`report_not_found`)."""
    query = select(Report).where(Report.id == report_id)
    row: Report | None = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("There is no such report.", code="report_not_found")
    return row


def claim(row: Report, actor: Actor) -> None:
    """Take a locked report on; admins may take one from somebody else.

    Raises Conflict (`report_decided`, `report_claimed`).
    """
    _refuse_decided(row)
    now = datetime.now(UTC)
    theirs = row.claimed_by is not None and row.claimed_by != actor.id
    fresh = row.claimed_at is not None and now - row.claimed_at < CLAIM_LASTS
    if theirs and fresh and not actor.is_at_least(Role.ADMIN):
        raise Conflict("Somebody else is looking at this report.", code="report_claimed")
    row.status, row.claimed_by, row.claimed_at = ReportStatus.CLAIMED, actor.id, now


def release(row: Report, actor: Actor) -> None:
    """Give a locked report back. Raises Conflict (`report_decided`), Forbidden."""
    _refuse_decided(row)
    if row.claimed_by != actor.id and not actor.is_at_least(Role.ADMIN):
        raise Forbidden("You have not claimed this report.", code="report_not_claimed")
    row.status, row.claimed_by, row.claimed_at = ReportStatus.OPEN, None, None


def require_claim(row: Report, actor: Actor) -> None:
    """Raise unless the actor may decide: Conflict (`report_decided`), Forbidden
    (`report_not_claimed`).
    """
    _refuse_decided(row)
    if row.claimed_by != actor.id:
        raise Forbidden("Claim the report first.", code="report_not_claimed")
    if row.subject_user_id == actor.id:
        raise Forbidden("Somebody else decides about you.", code="own_report")


def _refuse_decided(row: Report) -> None:
    if row.status == ReportStatus.DECIDED:
        raise Conflict("This report was decided.", code="report_decided")


def decide(
    session: AsyncSession, row: Report, actor: Actor, decision: str, reason: str, address: str
) -> None:
    """Write a locked report's decision down."""
    row.status = ReportStatus.DECIDED
    row.decision, row.decision_reason = decision, reason
    row.decided_by, row.decided_at = actor.id, datetime.now(UTC)
    audit.record(
        session,
        "report.decided",
        actor_id=actor.id,
        target=f"user:{row.subject_user_id}",
        address=address,
        report_id=row.id,
        kind=row.kind,
        decision=decision,
        reason=reason,
    )
