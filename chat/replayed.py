"""Decisions about messages beside a video: moderators delete there, too, however old they are."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy import func, select, update

from chat import facts
from chat.decisions import Answer, Case, Desk, log, operation, target_of
from chat.history import lock_channel
from chat.messages import message_delete, tell_deleted
from chat.room import may_delete
from core.db.models import ChatMessage
from core.db.video_models import Video, VideoMessage
from core.errors import NotFound


@operation("replay.delete")
async def replay_delete(desk: Desk, case: Case) -> Answer:
    """Take one message out of a video's chat, and out of the channel's."""
    video_id, message_id = case.integer("video_id"), case.text("message_id", 36, 1).lower()
    async with desk.database.session() as session:
        await lock_channel(session, case.channel.id)
        row = await session.scalar(
            select(VideoMessage)
            .join(Video, Video.id == VideoMessage.video_id)
            .where(
                VideoMessage.video_id == video_id,
                VideoMessage.message_id == _uuid(message_id),
                Video.channel_id == case.channel.id,
            )
        )
        if row is not None:
            if not case.staff:
                rank = await facts.rank(session, case.channel.id, row.user_id)
                may_delete(case.actor_id or 0, row.user_id, rank, case.rank, 0)
            now = datetime.now(UTC)
            # Of the video, and of highlights of it.
            await session.execute(
                update(VideoMessage)
                .where(VideoMessage.message_id == row.message_id)
                .values(deleted_at=func.coalesce(VideoMessage.deleted_at, now))
            )
            await session.execute(
                update(ChatMessage)
                .where(
                    ChatMessage.channel_id == case.channel.id,
                    ChatMessage.at == row.at,
                    ChatMessage.id == row.message_id,
                    ChatMessage.deleted_at.is_(None),
                )
                .values(deleted_at=now, deleted_by=case.actor_id)
            )
            author = await facts.user_by_id(session, row.user_id)
            said = {"message_id": message_id, "text": row.text, "video_id": str(video_id)}
            entry = await log(session, case, "delete", author, "", **said)
    if row is None:
        # It is not beside the video yet.
        return await message_delete(desk, case) or {}
    await tell_deleted(desk, case, author, message_id, row.text)
    await desk.told(case, entry)
    return {"id": message_id}


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound("There is no such message.", code="message_not_found") from error


@operation("replay.clear")
async def replay_clear(desk: Desk, case: Case) -> Answer:
    """Take everything that somebody has said out of a video's chat."""
    video_id = case.integer("video_id")
    async with desk.database.session() as session:
        await lock_channel(session, case.channel.id)
        target, rank = await target_of(session, case)
        if not case.staff:
            may_delete(case.actor_id or 0, target.id, rank, case.rank, 0)
        mine = select(Video.id).where(Video.id == video_id, Video.channel_id == case.channel.id)
        deleted = await session.execute(
            update(VideoMessage)
            .where(
                VideoMessage.video_id.in_(mine),
                VideoMessage.user_id == target.id,
                VideoMessage.deleted_at.is_(None),
            )
            .values(deleted_at=datetime.now(UTC))
            .returning(VideoMessage.message_id)
        )
        count = len(deleted.all())
        entry = await log(session, case, "clear", target, "", video_id=str(video_id), count=count)
    await desk.told(case, entry)
    return {"deleted": count}
