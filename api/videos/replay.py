"""A video's chat, by the video's own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import Double, Select, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from api import cursors
from api.moderation.access import decide, decided
from api.moderation.bans import UNDELETABLE
from api.operations import Auth, Call, Model, Query
from api.people import find_user
from api.videos.area import NOT_FOUND, videos
from api.videos.catalogue import watchable_video
from api.videos.schemas import MOST_S
from core.db.models import ChatMessage
from core.db.video_models import Video, VideoChat, VideoMessage, VideoSegment, VideoStatus
from core.replays import PRESSED, Window, runs, windows

# The rendition whose times are the video's.
SOURCE = "source"
# No reconnect takes longer.
LONGEST_GAP_S = 86400


class ReplayQuery(Query, populate_by_name=True):
    """Which part of a chat, in seconds of the video's time."""

    from_s: float = Field(default=0, alias="from", ge=0, le=MOST_S, description="From here on.")
    to_s: float | None = Field(
        default=None, alias="to", ge=0, le=MOST_S, description="Up to here, exclusive."
    )
    limit: int = Field(default=200, ge=1, le=1000, description="Most items in the answer.")
    cursor: str | None = Field(
        default=None, max_length=256, description="`next_cursor` of the page before."
    )


class Speaker(Model):
    """Who said something, as they were then."""

    id: str
    login: str
    name: str
    color: str
    badges: list[Any]


class ReplayMessage(Model, extra="allow"):
    """A message, with what else chat says of it (docs/protocols/chat.md), such as `emotes` and `kind`."""

    at_s: float = Field(description="Where it belongs in the video.")
    id: str
    ts: datetime
    user: Speaker
    text: str

    @classmethod
    def of(cls, said: Said) -> ReplayMessage:
        """From its row."""
        data = dict(said.data)
        user = data.pop("user", {})
        speaker = {
            "id": str(said.user_id),
            **{name: user.get(name, "") for name in ("login", "name", "color")},
            "badges": user.get("badges", []),
        }
        data.pop("channel", None)
        fields = {"at_s": said.at_s, "id": str(said.id), "ts": said.at, "text": said.text}
        return cls.model_validate({**data, **fields, "user": speaker})


@dataclass(frozen=True)
class Said:
    """A message's row, of the one table or the other."""

    at_s: float
    id: UUID
    at: datetime
    user_id: int
    text: str
    data: dict[str, Any]


class ReplayPage(Model):
    """A part of a chat, in the order of the video."""

    items: list[ReplayMessage]
    next_cursor: str | None


@dataclass(frozen=True)
class Part:
    """From `from_s` to `to_s`, behind the message `after`, at most `limit`."""

    from_s: float
    to_s: float
    after: tuple[float, UUID] | None
    limit: int


def part_of(asked: ReplayQuery, *, offset_s: float = 0.0, end_s: float = MOST_S) -> Part:
    """What is asked for, of what begins at `offset_s` and ends at `end_s`. Raises Invalid."""
    to_s = MOST_S if asked.to_s is None else asked.to_s
    after: Any = None
    if asked.cursor is not None:
        after = cursors.decode(asked.cursor, "replay", float, UUID)
    part: Any = Part(offset_s + asked.from_s, min(offset_s + to_s, end_s), after, asked.limit + 1)
    found: Part = part
    return found


async def said_in(session: AsyncSession, video: Video, part: Part) -> list[Said]:
    """A video's messages, in order, without the deleted ones."""
    copied = await session.scalar(select(VideoChat.copied_at).where(VideoChat.video_id == video.id))
    if copied is not None:
        return await _kept(session, video.id, part)
    return await _running(session, video, part)


async def _kept(session: AsyncSession, video_id: int, part: Part) -> list[Said]:
    query = select(
        VideoMessage.at_s,
        VideoMessage.message_id,
        VideoMessage.at,
        VideoMessage.user_id,
        VideoMessage.text,
        VideoMessage.data,
    ).where(
        VideoMessage.video_id == video_id,
        VideoMessage.at_s >= part.from_s,
        VideoMessage.at_s < part.to_s,
        VideoMessage.deleted_at.is_(None),
    )
    return await _rows(session, query, VideoMessage.at_s, VideoMessage.message_id, part)


async def _rows(
    session: AsyncSession, query: Select[*tuple[Any, ...]], at_s: Any, message_id: Any, part: Part
) -> list[Said]:
    if part.after is not None:
        last_s, last_id = part.after
        query = query.where(
            tuple_(at_s, message_id)
            > tuple_(literal(last_s, Double), literal(last_id, VideoMessage.message_id.type))
        )
    rows = await session.execute(query.order_by(at_s, message_id).limit(part.limit))
    return [Said(*row) for row in rows]


async def _running(session: AsyncSession, video: Video, part: Part) -> list[Said]:
    """While its chat is not beside it yet: by where the broadcast's segments are on the clock."""
    found: list[Said] = []
    begin_s = part.from_s if part.after is None else max(part.from_s, part.after[0])
    for window in await _windows(session, video, begin_s, part.to_s):
        if window.start_s >= part.to_s or len(found) >= part.limit:
            break
        at_s = window.at_s_of(ChatMessage.at)
        query = select(
            at_s, ChatMessage.id, ChatMessage.at, ChatMessage.user_id, ChatMessage.text,
            ChatMessage.data,
        ).where(
            ChatMessage.channel_id == video.channel_id,
            ChatMessage.at >= window.wall,
            ChatMessage.at < window.until,
            ChatMessage.deleted_at.is_(None),
            at_s >= part.from_s,
            at_s < part.to_s,
        )  # fmt: skip
        found += await _rows(session, query, at_s, ChatMessage.id, part)
    return found[: part.limit]


async def _windows(
    session: AsyncSession, video: Video, from_s: float, to_s: float
) -> Sequence[Window]:
    # What was said in a gap stands a little behind the end of what was before it.
    from_s -= PRESSED * LONGEST_GAP_S
    if video.status != VideoStatus.LIVE:
        return [w for w in windows(video.spans) if w.start_s + w.duration_s >= from_s]
    segments = await session.execute(
        select(VideoSegment.start_s, VideoSegment.pdt, VideoSegment.duration_s)
        .where(
            VideoSegment.video_id == video.id,
            VideoSegment.rendition == SOURCE,
            VideoSegment.start_s + VideoSegment.duration_s >= from_s,
            VideoSegment.start_s <= to_s,
        )
        .order_by(VideoSegment.msn)
    )
    return windows(runs(segments))


def page_of(said: Sequence[Said], asked: ReplayQuery, *, offset_s: float = 0.0) -> ReplayPage:
    """A page; times are from `offset_s` on."""
    items = said[: asked.limit]
    cursor = None
    if len(said) > asked.limit:
        cursor = cursors.encode("replay", items[-1].at_s, items[-1].id)
    shown = (ReplayMessage.of(each) for each in items)
    moved = [m.model_copy(update={"at_s": round(m.at_s - offset_s, 6)}) for m in shown]
    return ReplayPage(items=moved, next_cursor=cursor)


@videos.get(
    "/videos/{id}/chat",
    "A video's chat",
    query=ReplayQuery,
    answer=ReplayPage,
    auth=Auth.OPTIONAL,
    errors=NOT_FOUND,
)
async def get_video_chat(call: Call[None, ReplayQuery]) -> ReplayPage:
    """What was said during the broadcast, by the video's own time: gaps of a reconnect are left out,
    and what was said in one stands where it was. Ask for the next minute or so ahead of the playhead,
    and anew after a seek. While the broadcast runs it grows.
    """
    part = part_of(call.query)
    async with call.api.database.session() as session:
        row = await watchable_video(call, session)
        said = await said_in(session, row.video, part)
    return page_of(said, call.query)


_DECIDED = decided(
    not_found=("video_not_found", "message_not_found", "user_not_found"),
    forbidden=UNDELETABLE,
    unprocessable_entity=UNDELETABLE,
)


@videos.delete(
    "/videos/{id}/chat/{message}",
    "Delete a message of a video's chat",
    errors=_DECIDED,
)
async def delete_video_message(call: Call[None, None]) -> None:
    """For moderators of its channel, however old it is. It goes from the channel's chat as well."""
    async with call.api.database.session() as session:
        video = (await watchable_video(call, session)).video
    fields = {"video_id": video.id, "message_id": call.path["message"]}
    await decide(call, video.channel_id, "replay.delete", **fields)


class ReplayClearQuery(Query):
    """Whose messages."""

    user: str = Field(max_length=100, description="Of this login.")


@videos.delete(
    "/videos/{id}/chat",
    "Delete somebody's messages of a video's chat",
    query=ReplayClearQuery,
    errors=_DECIDED,
)
async def clear_video_chat(call: Call[None, ReplayClearQuery]) -> None:
    """For moderators of its channel. The channel's own chat stays as it is."""
    async with call.api.database.session() as session:
        video = (await watchable_video(call, session)).video
        user = await find_user(session, call.query.user, "user")
    fields = {"video_id": video.id, "user_id": user.id}
    await decide(call, video.channel_id, "replay.clear", **fields)
