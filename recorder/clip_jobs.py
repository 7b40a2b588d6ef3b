"""What follows once a clip plays, and the making of highlights: jobs that recorder itself works on, since
they must not wait behind transcodes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.video_models import Clip, ClipStatus, Video, VideoStatus, VideoTimeline
from core.errors import Conflict, NotFound
from core.events import VideoReady
from core.logs import logger
from core.outbox import emit
from core.storage import Storage
from recorder import pictures
from recorder.clips import described
from recorder.cuts import Cut, Cutter, clear
from recorder.ends import merged_avc
from recorder.exports import Part, write_mp4
from recorder.fmp4 import read_init, with_config
from recorder.jobs import Failure, Kind, Outcome, Work
from recorder.material import Facts, Materials
from recorder.pieces import Anchor
from recorder.refusals import Refused
from recorder.timeline import Entry, Timeline
from recorder.workers import Craft, Task

log = logger(__name__)

#: Of these jobs, in one recorder. Others than transcodes they take seconds.
AT_ONCE = 2
#: Rungs of a segment that is still open are stored that much later, at most.
STORED_WITHIN_S = 20.0
LOOK_AGAIN_S = 0.5


@dataclass(frozen=True)
class FinishClip:
    """A clip's picture, its file to keep, and its other renditions."""

    database: Database
    storage: Storage
    materials: Materials
    cutter: Cutter
    ffmpeg: str

    async def run(self, task: Task) -> Outcome:
        """Everything is made anew by whoever tries again: objects have the same names."""
        work = task.work
        async with self.database.session() as session:
            clip = await session.get(Clip, work.clip_id)
        if clip is None or clip.deleted_at is not None or clip.status != ClipStatus.READY:
            raise Refused("clip_not_found", "There is no such clip.")
        main = str(work.params["main"])
        entries = Timeline.decode(clip.entries).renditions[main]
        await self._poster(clip.id, entries[0])
        alone = Timeline({main: entries})
        at_once = _file_of(alone, described(clip.renditions, alone))
        if at_once is not None:
            await self._file(clip.id, at_once)
        task.progress = 0.3
        timeline = Timeline({main: entries, **await self._others(clip, work)})
        renditions = described(await self._known(clip), timeline)
        task.progress = 0.8
        if at_once is None:
            await self._file(clip.id, _file_of(timeline, renditions) or entries)
        values = {
            "entries": timeline.encode(),
            "renditions": renditions,
            "size_bytes": timeline.size,
            # Deleted meanwhile: what was stored since goes as well.
            "purged_at": None,
        }

        async def commit(session: AsyncSession) -> None:
            await session.execute(update(Clip).where(Clip.id == clip.id).values(values))

        return Outcome({}, commit)

    async def undo(self, session: AsyncSession, work: Work, failure: Failure) -> None:
        """The clip stays as it is: it plays."""
        await session.execute(update(Clip).where(Clip.id == work.clip_id).values(purged_at=None))

    async def _poster(self, clip_id: str, entry: Entry) -> None:
        init, data = await asyncio.gather(
            self.storage.get(entry.init), self.storage.get(entry.key or "")
        )
        try:
            frame = await asyncio.to_thread(pictures.keyframe, init, data)
        except pictures.Unreadable as error:
            log.info("clip_without_picture", clip=clip_id, reason=str(error))
            return
        picture = await asyncio.to_thread(pictures.poster, self.ffmpeg, frame)
        if picture:
            await self.storage.put(f"clips/{clip_id}/poster.jpg", picture)
            await self._stored(clip_id, has_poster=True)

    async def _stored(self, clip_id: str, **what: bool) -> None:
        async with self.database.session() as session:
            await session.execute(update(Clip).where(Clip.id == clip_id).values(**what))

    async def _known(self, clip: Clip) -> list[dict[str, Any]]:
        """What is said of the renditions that the video has by now."""
        try:
            return (await self.materials.video(clip.video_id or 0)).renditions
        except (NotFound, Conflict):
            return clip.renditions

    async def _others(self, clip: Clip, work: Work) -> dict[str, tuple[Entry, ...]]:
        params = work.params
        anchors = [Anchor(**anchor) for anchor in params["anchors"]]
        first, last = params["msns"]
        deadline = time.monotonic() + STORED_WITHIN_S
        while True:
            try:
                video = await self.materials.video(clip.video_id or 0)
                found, waiting = await self.materials.beside(video, first, last)
            except (NotFound, Conflict):
                # Its video went: the clip keeps what it has.
                return {}
            if not waiting or time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_AGAIN_S)
        found.pop(str(params["main"]), None)
        cuts: dict[str, tuple[Entry, ...]] = {}
        for name, material in found.items():
            cut = await self._rendition(clip.id, name, material.held, params, anchors)
            if cut is not None:
                cuts[name] = cut.entries
        return cuts

    async def _rendition(
        self, clip_id: str, name: str, held: Any, params: Any, anchors: Sequence[Anchor]
    ) -> Cut | None:
        try:
            return await self.cutter.cut(
                held, params["start_s"], params["end_s"], f"clips/{clip_id}/{name}", anchors
            )
        except NotFound as error:
            log.info("clip_rendition_left_out", clip=clip_id, rendition=name, reason=error.message)
            return None

    async def _file(self, clip_id: str, entries: Sequence[Entry]) -> None:
        """The MP4."""
        async with self.storage.writer(f"clips/{clip_id}/clip.mp4") as writer:
            await write_mp4(_Parts(self.storage, entries), writer, lambda _seconds: None)
        await self._stored(clip_id, has_file=True)


def _file_of(timeline: Timeline, renditions: Sequence[Mapping[str, Any]]) -> Sequence[Entry] | None:
    """The best rendition that everything plays; None without one."""
    ranked = sorted(renditions, key=lambda each: -int(each["width"]) * int(each["height"]))
    names = (each["name"] for each in ranked if "avc1" in each["codecs"])
    name = next(names, None)
    return None if name is None else timeline.renditions[name]


class _Parts:
    """The segments of a cut for a file, all with one configuration where that can be."""

    def __init__(self, storage: Storage, entries: Sequence[Entry]) -> None:
        self._storage = storage
        self._entries = entries
        self._inits: dict[str, bytes] | None = None

    async def parts(self) -> AsyncIterator[Part]:
        """As `recorder.exports.Source` has them."""
        inits = await self._configured()
        before: Entry | None = None
        for entry in self._entries:
            data = await self._storage.get(entry.key or "")
            # Where only the configuration changes the times go on.
            first = before is None or (entry.discontinuity and not _goes_on(before, entry))
            yield Part(inits[entry.init], data, first, entry.duration_s)
            before = entry

    async def _configured(self) -> dict[str, bytes]:
        if self._inits is None:
            names = list(dict.fromkeys(entry.init for entry in self._entries))
            found = [
                read_init(data) for data in await asyncio.gather(*map(self._storage.get, names))
            ]
            self._inits = {name: init.data for name, init in zip(names, found, strict=True)}
            videos = [init.video for init in found if init.video is not None]
            if len(videos) == len(found) and all(video.entry == "avc1" for video in videos):
                try:
                    config = merged_avc([video.config for video in videos])
                except ValueError:
                    return self._inits
                own = with_config(found[0], config)
                self._inits = dict.fromkeys(names, own)
        return self._inits


def _goes_on(before: Entry, entry: Entry) -> bool:
    """Whether an entry continues the times of the one before it."""
    gap = (entry.pdt - before.pdt).total_seconds() - before.duration_s
    return abs(gap) < 0.001


@dataclass(frozen=True)
class MakeHighlight:
    """A cut of a video becomes a video of its own."""

    database: Database
    storage: Storage
    materials: Materials
    cutter: Cutter

    async def run(self, task: Task) -> Outcome:
        """Every rendition, the source first: its cut says where the others are cut."""
        work = task.work
        params = work.params
        if work.video_id is None:
            raise Refused("video_not_found", "There is no such video.")
        try:
            source = await self.materials.video(int(params["source_video_id"]))
            timeline, start_s = await self._cut_all(task, work.video_id, source)
        except (NotFound, Conflict) as error:
            raise Refused(error.code, error.message) from error
        values = self._values(source, timeline, start_s)

        async def commit(session: AsyncSession) -> None:
            video_id = int(work.video_id or 0)
            session.add(VideoTimeline(video_id=video_id, entries=timeline.encode()))
            await session.execute(update(Video).where(Video.id == video_id).values(values))
            await emit(session, VideoReady(video_id=video_id, channel_id=source.channel_id))

        return Outcome({"start_s": start_s, "duration_s": timeline.duration_s}, commit)

    async def _cut_all(self, task: Task, video_id: int, source: Facts) -> tuple[Timeline, float]:
        start_s = float(task.work.params["start_s"])
        end_s = start_s + float(task.work.params["duration_s"])
        main = await self.materials.source(source, start_s, end_s - start_s)
        prefix = f"videos/{video_id}"
        cut = await self.cutter.cut(main.held, start_s, end_s, f"{prefix}/{main.rendition}")
        renditions = {main.rendition: cut.entries}
        others, _ = await self.materials.beside(source, cut.first_msn, cut.last_msn)
        others.pop(main.rendition, None)
        for number, (name, material) in enumerate(others.items()):
            task.progress = (number + 1) / (len(others) + 1)
            try:
                beside = await self.cutter.cut(
                    material.held, start_s, end_s, f"{prefix}/{name}", cut.plan.anchors
                )
            except NotFound as error:
                log.info("highlight_rendition_left_out", rendition=name, reason=error.message)
                continue
            renditions[name] = beside.entries
        return Timeline(renditions), cut.plan.start / 1_000_000

    @staticmethod
    def _values(source: Facts, timeline: Timeline, start_s: float) -> dict[str, Any]:
        return {
            "chapters": chapters_of(source.chapters, start_s, timeline.duration_s),
            "status": VideoStatus.READY,
            "ready_at": func.now(),
            "duration_s": timeline.duration_s,
            "size_bytes": timeline.size,
            "width": source.width,
            "height": source.height,
            "renditions": described(source.renditions, timeline),
            "started_at": timeline.main[0].pdt,
            # By which chat finds its part of the source's.
            "spans": [
                [each.start_s, each.wall.isoformat(), each.duration_s] for each in timeline.spans()
            ],
        }

    async def undo(self, session: AsyncSession, work: Work, failure: Failure) -> None:
        """The video says that it failed; what was stored of it goes with it."""
        await session.execute(
            update(Video)
            .where(Video.id == work.video_id, Video.status == VideoStatus.PROCESSING)
            .values(status=VideoStatus.FAILED, error=failure.as_json())
        )
        await clear(self.storage, f"videos/{work.video_id}")


def chapters_of(
    chapters: Sequence[dict[str, Any]], start_s: float, duration_s: float
) -> list[dict[str, Any]]:
    """The chapters of a cut; the one that it begins in begins with it."""
    found: list[dict[str, Any]] = []
    for chapter in chapters:
        at_s = max(0.0, float(chapter["at_s"]) - start_s)
        if at_s >= duration_s:
            break
        if not at_s:
            found.clear()
        found.append({**chapter, "at_s": at_s})
    return found


def crafts(
    database: Database, storage: Storage, materials: Materials, cutter: Cutter, ffmpeg: str
) -> dict[str, Craft]:
    """The jobs that recorder works on itself."""
    return {
        Kind.CLIP: FinishClip(database, storage, materials, cutter, ffmpeg),
        Kind.HIGHLIGHT: MakeHighlight(database, storage, materials, cutter),
    }
