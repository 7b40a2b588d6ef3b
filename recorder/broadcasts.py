"""What PostgreSQL knows of a broadcast's video: from its first stored segment to the finished timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Channel
from core.db.video_models import Video, VideoKind, VideoSegment, VideoStatus, VideoTimeline
from core.events import VideoReady, VideoStarted
from core.outbox import emit
from core.spool import SegmentNote, Source
from recorder.timeline import SOURCE, Entry, Timeline, aligned, bandwidth

Json = dict[str, Any]
#: Of a video that plays, but ends before its broadcast did.
CUT: Json = {
    "code": "recording_cut",
    "message": "It ends before the broadcast did: the server had no room to record more.",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment that the object storage has."""

    rendition: str
    note: SegmentNote


@dataclass
class Recorded:
    """A broadcast's video: its row, and the last stored segment of each rendition."""

    id: int
    status: VideoStatus
    last: dict[str, int]
    renditions: Sequence[Mapping[str, Any]] = ()


async def open_video(session: AsyncSession, source: Source) -> Recorded | None:
    """The video of a session; a new one for a new session. None when its channel is gone.

    A new one is not published before something of it is stored.
    """
    known = await _find(session, source.session)
    if known is not None:
        return known
    channel = await session.get(Channel, source.channel_id)
    if channel is None:
        return None
    added = await session.execute(
        insert(Video)
        .values(
            channel_id=channel.id,
            kind=VideoKind.BROADCAST,
            status=VideoStatus.LIVE,
            title=channel.title,
            category=channel.category,
            tags=channel.tags,
            language=channel.language,
            visibility=channel.video_visibility,
            stream_id=source.stream_id,
            session=source.session,
            node=source.node,
        )
        .on_conflict_do_nothing()
        .returning(Video.id)
    )
    video_id = added.scalar()
    if video_id is None:
        return await _find(session, source.session)
    return Recorded(int(video_id), VideoStatus.LIVE, {})


async def _find(session: AsyncSession, name: str) -> Recorded | None:
    query = select(Video.id, Video.status, Video.renditions).where(Video.session == name)
    row = (await session.execute(query)).first()
    if row is None:
        return None
    last = await session.execute(
        select(VideoSegment.rendition, func.max(VideoSegment.msn))
        .where(VideoSegment.video_id == row.id)
        .group_by(VideoSegment.rendition)
    )
    found = {rendition: int(msn) for rendition, msn in last}
    return Recorded(row.id, VideoStatus(row.status), found, row.renditions)


async def add_segments(
    session: AsyncSession, video: Recorded, source: Source, stored: Sequence[Stored]
) -> None:
    """Write down what is stored, in order; with the first of it the video is there for others."""
    rows = [
        {
            "video_id": video.id,
            "rendition": each.rendition,
            "msn": each.note.msn,
            "start_s": each.note.start_s,
            "duration_s": each.note.duration_s,
            "size": each.note.size,
            "sha256": bytes.fromhex(each.note.sha256),
            "init": each.note.init,
            "discontinuity": each.note.discontinuity,
            "pdt": each.note.pdt,
        }
        for each in stored
    ]
    added = await session.execute(
        insert(VideoSegment).values(rows).on_conflict_do_nothing().returning(VideoSegment.size)
    )
    values: Json = {"size_bytes": Video.size_bytes + sum(added.scalars())}
    main = [each.note for each in stored if each.rendition == SOURCE]
    if main:
        end_s = max(note.start_s + note.duration_s for note in main)
        values["duration_s"] = func.greatest(Video.duration_s, end_s)
    described = merged(video.renditions, source)
    if described != list(video.renditions):
        values.update(renditions=described, **_picture(described))
    first = main and SOURCE not in video.last
    if first:
        values["started_at"] = func.coalesce(Video.started_at, main[0].pdt)
        values["published_at"] = func.coalesce(Video.published_at, datetime.now(UTC))
        event = VideoStarted(
            video_id=video.id, channel_id=source.channel_id, stream_id=source.stream_id
        )
        await emit(session, event)
    await session.execute(update(Video).where(Video.id == video.id).values(**values))


def merged(known: Sequence[Mapping[str, Any]], source: Source) -> list[Json]:
    """Renditions as they are described now, and those that there were before; the best first."""
    renditions = {each["name"]: dict(each) for each in known}
    for each in source.renditions:
        before = renditions.get(each["name"], {})
        renditions[each["name"]] = {**before, **each, "target_s": source.target_s}
    order = [each["name"] for each in source.renditions]
    rest = [name for name in renditions if name not in order]
    # Sound alone comes last.
    return sorted(
        (renditions[name] for name in (*order, *rest)), key=lambda each: -each.get("height", 0)
    )


def _picture(renditions: Sequence[Mapping[str, Any]]) -> Json:
    main = next((each for each in renditions if each["name"] == SOURCE), None)
    if main is None:
        return {}
    return {
        "width": main["width"],
        "height": main["height"],
        "has_audio": "mp4a" in main.get("codecs", ""),
    }


async def segments(
    session: AsyncSession, video_id: int, after: Mapping[str, int] | None = None
) -> dict[str, list[Entry]]:
    """The stored segments of a video that is not finished, of each rendition those after a number."""
    query = (
        select(
            VideoSegment.rendition,
            VideoSegment.msn,
            VideoSegment.start_s,
            VideoSegment.duration_s,
            VideoSegment.size,
            VideoSegment.init,
            VideoSegment.discontinuity,
            VideoSegment.pdt,
        )
        .where(VideoSegment.video_id == video_id)
        .order_by(VideoSegment.rendition, VideoSegment.msn)
    )
    if after:
        # The least of them: what is read twice is passed over.
        query = query.where(VideoSegment.msn > min(after.values()))
    found: dict[str, list[Entry]] = {}
    for row in await session.execute(query):
        if not after or row.msn > after.get(row.rendition, -1):
            entry = Entry(
                row.msn, row.start_s, row.duration_s, row.size, row.init, row.discontinuity, row.pdt
            )
            found.setdefault(row.rendition, []).append(entry)
    return found


async def finish(session: AsyncSession, video_id: int, *, cut: bool = False) -> Timeline | None:
    """Everything is stored: the rows become the timeline, and the video is ready. One whose recording
    was `cut` says so.

    None when it was already. A video of nothing is failed, not shown.
    """
    video = await session.get(Video, video_id, with_for_update=True)
    if video is None or video.status != VideoStatus.LIVE:
        return None
    line = await asyncio.to_thread(aligned, await segments(session, video_id), ended=True)
    if not line.main:
        video.status = VideoStatus.FAILED
        video.error = {"code": "empty", "message": "Nothing of this broadcast was recorded."}
        return line
    spans = line.spans()
    video.status = VideoStatus.READY
    if cut:
        video.error = CUT
    video.ready_at = datetime.now(UTC)
    video.duration_s = line.duration_s
    video.size_bytes = line.size
    video.renditions = [rated(each, line) for each in video.renditions]
    video.spans = [[span.start_s, span.wall.isoformat(), span.duration_s] for span in spans]
    entries = await asyncio.to_thread(line.encode)
    await session.execute(
        insert(VideoTimeline).values(video_id=video_id, entries=entries).on_conflict_do_nothing()
    )
    await session.execute(delete(VideoSegment).where(VideoSegment.video_id == video_id))
    await emit(
        session,
        VideoReady(
            video_id=video_id,
            channel_id=video.channel_id,
            stream_id=video.stream_id,
            spans=[(span.start_s, span.wall, span.duration_s) for span in spans],
        ),
    )
    return line


def rated(rendition: Mapping[str, Any], line: Timeline) -> Json:
    """A rendition's description with the bandwidths that it turned out to need."""
    peak, average = bandwidth(line.renditions.get(rendition["name"], ()))
    return {**rendition, "bandwidth": peak, "average_bandwidth": average}
