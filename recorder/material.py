"""What can be cut out of: a video's segments wherever they are, up to what its viewers see right now.

Of a broadcast that runs, the newest segments are not stored yet. They are looked for in the order in
which they move: what ingest has published of the open one, then the spool, then the database; so none is
missed on its way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from core.bus import Bus
from core.db.engine import Database
from core.db.models import Json
from core.db.video_models import Video, VideoSegment, VideoStatus, VideoTimeline
from core.errors import Conflict, NotFound, Unavailable
from core.events import OPEN_SEGMENTS
from core.logs import logger
from core.settings import Settings
from core.spool import SegmentNote
from recorder.cuts import Held
from recorder.timeline import SOURCE, Entry, Timeline

log = logger(__name__)

#: What is looked at beside a cut: back to the keyframe before it, and on to sound that came late.
BEFORE_S, AFTER_S = 30.0, 15.0
#: The same in segments, of other renditions, whose keyframes are those of the source.
BEFORE, AFTER = 8, 1
#: A segment that has just been finished is in the spool within so long.
SPOOLED_WITHIN_S = 1.5
LOOK_AGAIN_S = 0.03
OPEN_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a video's row matters here."""

    id: int
    channel_id: int
    kind: str
    stream_id: int | None
    session: str | None
    node: str | None
    live: bool
    renditions: list[Json]
    chapters: list[Json]
    width: int
    height: int

    @classmethod
    def of(cls, video: Video) -> Facts:
        """Raises NotFound, Conflict when it cannot be played."""
        if video.purged_at is not None or video.trashed_at is not None:
            raise NotFound("There is no such video.", code="video_not_found")
        if video.status not in (VideoStatus.LIVE, VideoStatus.READY):
            raise Conflict("This video is not ready yet.", code="video_not_ready")
        return cls(
            video.id,
            video.channel_id,
            video.kind,
            video.stream_id,
            video.session,
            video.node,
            video.status == VideoStatus.LIVE,
            video.renditions,
            video.chapters,
            video.width,
            video.height,
        )

    def key(self, rendition: str, name: str) -> str:
        """Where an object of its own is."""
        return f"videos/{self.id}/{rendition}/{name}"


@dataclass(frozen=True, slots=True)
class Material:
    """The segments of one rendition around a cut, in order. `end_s` is how far the video goes."""

    rendition: str
    held: tuple[Held, ...]
    end_s: float


class Materials:
    """Finds them. `node` is this machine, whose spool and media folder can be read."""

    def __init__(self, settings: Settings, database: Database, bus: Bus) -> None:
        self.node = settings.node_id
        self._database = database
        self._bus = bus
        self._spool = settings.spool
        self._media = settings.media_dir

    async def video(self, video_id: int) -> Facts:
        """Raises NotFound, Conflict."""
        async with self._database.session() as session:
            video = await session.get(Video, video_id)
        if video is None:
            raise NotFound("There is no such video.", code="video_not_found")
        return Facts.of(video)

    async def running(self, channel_id: int) -> Facts:
        """The video of the channel's running broadcast. Raises NotFound (`not_recorded`)."""
        query = (
            select(Video)
            .where(Video.channel_id == channel_id, Video.status == VideoStatus.LIVE)
            .order_by(Video.created_at.desc())
            .limit(1)
        )
        async with self._database.session() as session:
            video = await session.scalar(query)
        if video is None:
            raise NotFound("This channel's stream is not being recorded.", code="not_recorded")
        return Facts.of(video)

    async def source(self, video: Facts, start_s: float | None, length_s: float) -> Material:
        """The rendition that a cut is made of first: `length_s` from `start_s`, None: up to now."""
        if not video.live:
            return await self._of_ready(video, None, start_s or 0.0, length_s)
        local = video.node == self.node and video.session is not None
        deadline = time.monotonic() + SPOOLED_WITHIN_S
        while True:
            opened, complete = await self._open(video) if local else ([], -1)
            spooled = await asyncio.to_thread(self._spooled, video, SOURCE) if local else []
            stored = await self._stored(video, start_s, length_s)
            held = _joined(stored, spooled, opened)
            if not _lacks(held, complete) or time.monotonic() > deadline:
                end_s = held[-1].entry.end_s if held else 0.0
                return Material(SOURCE, tuple(held), end_s)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def beside(self, video: Facts, first: int, last: int) -> tuple[dict[str, Material], bool]:
        """The stored segments numbered `first` to `last` of every rendition that has all of them, and
        whether more may come.
        """
        if not video.live:
            async with self._database.session() as session:
                timeline = await _timeline(session, video.id)
            found: Mapping[str, Sequence[Entry]] = timeline.renditions
        else:
            found = await self._rows(video, first - BEFORE, last + AFTER)
        materials: dict[str, Material] = {}
        waiting = False
        for name, entries in found.items():
            held = [_stored_at(video, name, e) for e in _around(entries, first, last)]
            if held:
                materials[name] = Material(name, tuple(held), held[-1].entry.end_s)
            else:
                waiting = waiting or video.live
        return materials, waiting

    # A video that is whole

    async def _of_ready(
        self, video: Facts, name: str | None, start_s: float, length_s: float
    ) -> Material:
        async with self._database.session() as session:
            timeline = await _timeline(session, video.id)
        name = name or (
            SOURCE if SOURCE in timeline.renditions else next(iter(timeline.renditions))
        )
        around = timeline.between(start_s - BEFORE_S, start_s + length_s + AFTER_S)
        entries = around.renditions[name]
        held = tuple(_stored_at(video, name, entry) for entry in entries if not entry.gap)
        return Material(name, held, timeline.duration_s)

    # A broadcast that runs

    async def _stored(self, video: Facts, start_s: float | None, length_s: float) -> list[Held]:
        mine = (VideoSegment.video_id == video.id, VideoSegment.rendition == SOURCE)
        async with self._database.session() as session:
            if start_s is None:
                # What is not stored yet comes on top of it.
                newest = await session.scalar(select(func.max(VideoSegment.start_s)).where(*mine))
                start_s = (newest or 0.0) - length_s
            query = select(VideoSegment).where(
                *mine,
                VideoSegment.start_s > start_s - BEFORE_S,
                VideoSegment.start_s < start_s + length_s + BEFORE_S + AFTER_S,
            )
            rows = (await session.scalars(query.order_by(VideoSegment.msn))).all()
        return [_stored_at(video, SOURCE, _entry(row)) for row in rows]

    async def _rows(self, video: Facts, first: int, last: int) -> dict[str, list[Entry]]:
        query = select(VideoSegment).where(
            VideoSegment.video_id == video.id, VideoSegment.msn.between(first, last)
        )
        async with self._database.session() as session:
            rows = (await session.scalars(query.order_by(VideoSegment.msn))).all()
        found: dict[str, list[Entry]] = {
            str(rendition["name"]): [] for rendition in video.renditions
        }
        for row in rows:
            found.setdefault(row.rendition, []).append(_entry(row))
        return found

    def _spooled(self, video: Facts, rendition: str) -> list[Held]:
        folder = self._spool / str(video.session) / rendition
        found = []
        for path in folder.glob("*.json"):
            try:
                note = SegmentNote.decode(path.read_bytes())
            except (OSError, ValueError):
                # Cleared away while we looked: it is stored.
                continue
            entry = Entry(
                note.msn, note.start_s, note.duration_s, note.size, note.init, note.discontinuity,
                note.pdt,
            )  # fmt: skip
            found.append(_local(video, rendition, entry, (path.with_suffix(".m4s"),), folder))
        return found

    async def _open(self, video: Facts) -> tuple[list[Held], int]:
        """What is published of the segment that is not finished, and the number of the last that is."""
        try:
            answer = await self._bus.request(
                OPEN_SEGMENTS, {"session": video.session}, OPEN_TIMEOUT_S
            )
        except Unavailable as error:
            # Without ingest nothing is added to it either.
            log.warning("open_segment_unknown", video_id=video.id, reason=error.message)
            return [], -1
        folder = self._media / str(video.session) / SOURCE
        found: list[Any] = answer["segments"]
        held = [
            _local(
                video,
                SOURCE,
                Entry(
                    each["msn"], each["start_s"], each["duration_s"], 0, each["init"],
                    each["discontinuity"], datetime.fromisoformat(each["pdt"]),
                ),
                tuple(folder / name for name in each["parts"]),
                folder,
            )
            for each in found
            if each["rendition"] == SOURCE
        ]  # fmt: skip
        return held, int(answer["complete"])


async def _timeline(session: Any, video_id: int) -> Timeline:
    stored: bytes | None = await session.scalar(
        select(VideoTimeline.entries).where(VideoTimeline.video_id == video_id)
    )
    if stored is None:
        raise NotFound("Nothing of this is recorded.", code="not_recorded")
    return await asyncio.to_thread(Timeline.decode, stored)


def _entry(row: VideoSegment) -> Entry:
    return Entry(
        row.msn, row.start_s, row.duration_s, row.size, row.init, row.discontinuity, row.pdt
    )


def _around(entries: Sequence[Entry], first: int, last: int) -> list[Entry]:
    """The segments numbered `first` to `last`, and those that join on; empty unless all are there."""
    own = {entry.msn: entry for entry in entries if not entry.gap}
    if any(msn not in own for msn in range(first, last + 1)):
        return []
    before = next((n for n in range(1, BEFORE + 1) if first - n not in own), BEFORE + 1) - 1
    after = next((n for n in range(1, AFTER + 1) if last + n not in own), AFTER + 1) - 1
    first, last = first - before, last + after
    return [own[msn] for msn in range(first, last + 1)]


def _stored_at(video: Facts, rendition: str, entry: Entry) -> Held:
    if entry.key is not None:
        return Held(entry, entry.init, entry.key)
    key = video.key(rendition, f"{entry.msn}.m4s")
    return Held(entry, video.key(rendition, entry.init), key)


def _local(
    video: Facts, rendition: str, entry: Entry, files: tuple[Path, ...], folder: Path
) -> Held:
    init_key = video.key(rendition, entry.init)
    return Held(entry, init_key, None, files, folder / entry.init)


def _joined(stored: Sequence[Held], spooled: Sequence[Held], opened: Sequence[Held]) -> list[Held]:
    """All of them in order; where one is in several places, the last it came to."""
    found = {held.entry.msn: held for held in (*opened, *spooled, *stored)}
    first = stored[0].entry.msn if stored else 0
    return [found[msn] for msn in sorted(found) if msn >= first]


def _lacks(held: Sequence[Held], complete: int) -> bool:
    """Whether a segment is on its way from one place to the next. `complete` is the last whole one."""
    numbers = [each.entry.msn for each in held[-3:]]
    return any(b != a + 1 for a, b in pairwise(numbers)) or (
        complete >= 0 and (not numbers or numbers[-1] < complete)
    )
