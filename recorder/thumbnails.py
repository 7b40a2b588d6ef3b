"""Poster and storyboard of every video, made while it grows.

A few tiles at a time: their segments' keyframes are fetched (the beginning of an object of the smallest
rendition), decoded by one short ffmpeg, and the sheet they belong to is stored anew. What is done is
written down with the video after each sheet, so that a crash costs at most the tiles of one sheet again,
and a broadcast's end leaves no more to do than any minute of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.video_models import Video, VideoSegment, VideoStatus, VideoTimeline
from core.errors import DomainError, NotFound, Unavailable
from core.logs import logger
from core.settings import Settings
from core.storage import Storage
from recorder import broadcasts, pictures
from recorder.broadcasts import Stored
from recorder.pictures import Frame, Truncated, Unreadable
from recorder.storyboard import Storyboard, candidates, preferred, spread
from recorder.timeline import SOURCE, Entry, Timeline

log = logger(__name__)

#: Tiles that are waited for before a running broadcast's sheet is made anew.
BATCH = 5
#: What nearly always holds a whole keyframe of the rendition that is asked for.
BEGINNING_BYTES = 192 * 1024
#: Of the time in which a broadcast's video has to be ready; what is not done by then is done after.
FINISH_S = 1.0
#: How often videos without their pictures are looked for, and how many at once.
SWEEP_S, SWEEP_MOST = 30.0, 20
#: After a broadcast whose pictures were not done in time.
LATE_S = 2.0
#: Objects fetched at once, and videos that are worked on side by side.
FETCHES, VIDEOS_AT_ONCE = 4, 2
#: A poster that shows this much is good enough (standard deviation of its brightness), and one that
#: shows so many times as much is worth a change.
ENOUGH_SPREAD, BETTER = 28.0, 1.25
#: Tiles among which the poster is chosen.
POSTER_TILES = 12


@dataclass
class _Material:
    """A video as far as its pictures are concerned. `stored` holds segments of each rendition in order,
    of a running broadcast those whose sheet is not full yet.
    """

    id: int
    status: str
    described: list[dict[str, Any]]
    board: Storyboard
    poster: dict[str, Any]
    stored: Mapping[str, Sequence[Entry]]

    @property
    def duration_s(self) -> float:
        main = self.stored.get(SOURCE) or next(iter(self.stored.values()), ())
        return main[-1].end_s if main else 0.0


@dataclass
class _Sheet:
    """The sheet that is being filled: its number and its raw tiles, as far as this process has them."""

    number: int = 0
    tiles: list[bytes] = field(default_factory=list)


class Thumbnails:
    """Makes the pictures of this node's broadcasts, and of videos that have none."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._interval_s = settings.storyboard_interval_s
        self._program = str(settings.ffmpeg_path)
        self._database = database
        self._storage = storage
        self._sheets: dict[int, _Sheet] = {}
        self._seen_s: dict[int, float] = {}
        self._asked: dict[int, float] = {}
        self._locks: dict[int, asyncio.Lock] = {}
        self._wake = asyncio.Event()
        self._late = asyncio.Event()
        self._fetches = asyncio.Semaphore(FETCHES)
        self._videos = asyncio.Semaphore(VIDEOS_AT_ONCE)

    # --- of a running broadcast (recorder.archive.Listener)

    def stored(
        self, video_id: int, rendition: str, spool: Path, segments: Sequence[Stored]
    ) -> None:
        """These segments are stored; once they make a few tiles, somebody has work to do."""
        if rendition != SOURCE:
            return
        end_s = max(each.note.start_s + each.note.duration_s for each in segments)
        self._seen_s[video_id] = max(end_s, self._seen_s.get(video_id, 0.0))
        if self._seen_s[video_id] >= self._asked.get(video_id, 0.0):
            self._wake.set()

    async def finishing(self, video_id: int) -> None:
        """The last sheet, if it can be made at once."""
        self._seen_s.pop(video_id, None)
        self._asked.pop(video_id, None)
        try:
            async with asyncio.timeout(FINISH_S):
                await self.advance(video_id, ended=True)
        except (TimeoutError, DomainError) as reason:
            log.info("pictures_come_later", video_id=video_id, reason=repr(reason))
            self._late.set()

    # --- the work

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="thumbnails-live")
            group.create_task(self._sweep(), name="thumbnails-sweep")

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            due = [
                number
                for number, end_s in self._seen_s.items()
                if end_s >= self._asked.get(number, 0.0)
            ]
            await asyncio.gather(*(self._try(number) for number in due))

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.gather(*(self._try(number) for number in await self._unfinished()))
            except Unavailable as error:
                log.warning("pictures_wait", reason=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._late.wait(), SWEEP_S - LATE_S)
            # A video that is late for its pictures is ready only in a moment.
            self._late.clear()
            await asyncio.sleep(LATE_S)

    async def _unfinished(self) -> list[int]:
        query = (
            select(Video.id)
            .where(
                Video.status == VideoStatus.READY,
                Video.purged_at.is_(None),
                Video.storyboard["whole"].astext.is_(None),
            )
            .order_by(Video.created_at.desc())
            .limit(SWEEP_MOST)
        )
        async with self._database.session() as session:
            return list(await session.scalars(query))

    async def _try(self, video_id: int) -> None:
        """`advance`, and if something that it needs is away, again with a later segment or sweep."""
        try:
            async with self._videos:
                await self.advance(video_id)
        except DomainError as error:
            log.warning("pictures_wait", video_id=video_id, reason=error.message)

    async def advance(self, video_id: int, *, ended: bool = False) -> None:
        """Make what is due of a video's pictures; with `ended`, or when it is ready, all there will be.

        Raises Unavailable when the storage or the database does not answer.
        """
        async with self._locks.setdefault(video_id, asyncio.Lock()):
            material = await self._material(video_id)
            if material is not None:
                ended = ended or material.status == VideoStatus.READY
                await self._advance(material, ended)
        if material is None or ended:
            for kept in (self._locks, self._sheets, self._seen_s, self._asked):
                kept.pop(video_id, None)

    async def _material(self, video_id: int) -> _Material | None:
        """None for a video that is gone, is whole, or has neither segments nor a timeline yet."""
        async with self._database.session() as session:
            video = await session.get(Video, video_id)
            if video is None or video.purged_at is not None:
                return None
            board = Storyboard.read(video.storyboard) or Storyboard.of(
                self._interval_s, video.width, video.height, longest_s=video.duration_s
            )
            if video.status == VideoStatus.LIVE:
                # A sheet that another process began is made anew from its first tile.
                first = board.sheet_of(board.count) * board.sheet_size
                after = await _pictured(session, video_id, first * board.interval_s)
                stored: Mapping[str, Sequence[Entry]] = await broadcasts.segments(
                    session, video_id, after
                )
            else:
                kept = await session.get(VideoTimeline, video_id)
                if kept is None:
                    return None
                stored = (await asyncio.to_thread(Timeline.decode, kept.entries)).renditions
        if board.whole:
            return None
        return _Material(
            video_id, video.status, video.renditions, board, dict(video.poster), stored
        )

    async def _advance(self, material: _Material, ended: bool) -> None:
        due = material.board.due(material.duration_s)
        if not preferred(material.described):
            due = 0
        while material.board.count < due:
            await self._fill(material, due)
        if ended:
            material.board = replace(material.board, whole=True)
            await self._write(material)
        waiting = 1 if material.board.count < BATCH else BATCH
        self._asked[material.id] = (material.board.count + waiting) * material.board.interval_s

    async def _fill(self, material: _Material, due: int) -> None:
        """The next tiles, as far as one sheet holds them."""
        board = material.board
        number = board.sheet_of(board.count)
        first = number * board.sheet_size
        sheet = self._sheets.get(material.id)
        if sheet is None or sheet.number != number or first + len(sheet.tiles) != board.count:
            # Begun by a process that is no more: its tiles are made again.
            sheet = self._sheets[material.id] = _Sheet(number)
        begin = first + len(sheet.tiles)
        end = min(due, first + board.sheet_size)
        times = [tile * board.interval_s for tile in range(begin, end)]
        frames = await self._frames(material, times)
        made = await asyncio.to_thread(
            pictures.tiles, self._program, frames, board.width, board.height
        )
        sheet.tiles += _without_holes(made, sheet.tiles, board)
        shape = (board.width, board.height, board.columns, board.rows)
        jpeg = await asyncio.to_thread(pictures.sheet, self._program, shape, sheet.tiles)
        if not jpeg:
            raise Unavailable("The storyboard could not be encoded.")
        await self._storage.put(f"videos/{material.id}/storyboard/{number}.jpg", jpeg)
        material.board = replace(board, count=end)
        await self._choose_poster(material, times, made)
        await self._write(material)

    async def _write(self, material: _Material) -> None:
        async with self._database.session() as session:
            await session.execute(
                update(Video)
                .where(Video.id == material.id, Video.purged_at.is_(None))
                .values(storyboard=material.board.stored())
            )

    # --- keyframes

    async def _frames(self, material: _Material, times: Sequence[float]) -> list[Frame | None]:
        order = preferred(material.described)
        return list(
            await asyncio.gather(
                *(
                    self._frame(material.id, candidates(material.stored, order, at_s))
                    for at_s in times
                )
            )
        )

    async def _frame(self, video_id: int, places: Sequence[tuple[str, Entry]]) -> Frame | None:
        """The keyframe of the first of these segments that has one."""
        for rendition, entry in places:
            folder = f"videos/{video_id}/{rendition}"
            key = entry.key or f"{folder}/{entry.msn}.m4s"
            init = entry.init if entry.key else f"{folder}/{entry.init}"
            try:
                return await self._keyframe(init, key)
            except (NotFound, Unreadable) as reason:
                log.info("no_keyframe", key=key, reason=str(reason))
        return None

    async def _keyframe(self, init_key: str, key: str) -> Frame:
        async with self._fetches:
            init = await self._storage.get(init_key)
            data = await self._storage.get(key, 0, BEGINNING_BYTES - 1)
            try:
                return pictures.keyframe(init, data)
            except Truncated:
                return pictures.keyframe(init, await self._storage.get(key))

    # --- the poster

    async def _choose_poster(
        self, material: _Material, times: Sequence[float], made: Sequence[bytes | None]
    ) -> None:
        """The first picture at once, and a better one of the first few: many begin in the dark."""
        poster = material.poster
        if poster.get("chosen") or not made:
            return
        luma = material.board.width * material.board.height
        shown = [spread(tile[:luma]) if tile else 0.0 for tile in made[:POSTER_TILES]]
        best = max(range(len(shown)), key=shown.__getitem__)
        before = float(poster.get("spread", -1.0))
        early = material.board.count <= POSTER_TILES or before < ENOUGH_SPREAD / 2
        if poster and (not early or before >= ENOUGH_SPREAD or shown[best] < before * BETTER):
            return
        order = list(reversed(preferred(material.described)))
        frame = await self._frame(material.id, candidates(material.stored, order, times[best]))
        jpeg = await asyncio.to_thread(pictures.poster, self._program, frame) if frame else b""
        if not jpeg:
            return
        await self._storage.put(f"videos/{material.id}/poster.jpg", jpeg)
        width, height = pictures.jpeg_size(jpeg)
        material.poster = {
            "width": width,
            "height": height,
            "version": int(poster.get("version", 0)) + 1,
            "at_s": times[best],
            "spread": round(shown[best], 1),
        }
        async with self._database.session() as session:
            await session.execute(
                update(Video)
                .where(Video.id == material.id, Video.poster["chosen"].astext.is_(None))
                .values(poster=material.poster)
            )


async def _pictured(session: AsyncSession, video_id: int, until_s: float) -> dict[str, int]:
    """The number of the last segment before those that show `until_s` and later: of hours of segments a
    few are still to be pictured.
    """
    query = (
        select(VideoSegment.msn)
        .where(
            VideoSegment.video_id == video_id,
            VideoSegment.rendition == SOURCE,
            VideoSegment.start_s <= until_s,
        )
        .order_by(VideoSegment.msn.desc())
        .limit(1)
    )
    shown = await session.scalar(query)
    return {} if shown is None else {SOURCE: shown - 1}


def _without_holes(
    made: Sequence[bytes | None], before: Sequence[bytes], board: Storyboard
) -> list[bytes]:
    """Tiles with the one before in the place of one that could not be made, black for the first."""
    luma = board.width * board.height
    last = before[-1] if before else bytes(luma) + b"\x80" * (luma // 2)
    filled = []
    for tile in made:
        last = tile or last
        filled.append(last)
    return filled
