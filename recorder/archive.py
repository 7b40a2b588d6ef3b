"""From the spool into the object storage: every segment once, whatever is killed in between.

The files in the spool are the truth of what is still to be done; a message only says where to look, and
what nobody said is found by looking everywhere every few seconds. A segment is uploaded, checked by the
storage against its MD5, written down, and only then removed. Rows of a rendition are written in the order
of their numbers, so that a number that is missing below the last one never comes any more.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram
from structlog.contextvars import bind_contextvars

from core.bus import Bus, obey_cancellation
from core.db.engine import Database
from core.db.video_models import VideoStatus
from core.errors import DomainError, Unavailable
from core.logs import logger
from core.metrics import Metrics
from core.settings import Settings
from core.spool import End, Source
from core.storage import Storage
from core.streams import SEGMENTS
from recorder import broadcasts, spooled
from recorder.broadcasts import Recorded, Stored
from recorder.spooled import Damaged, Spooled

log = logger(__name__)

#: Segments that are stored and written down together, for each upload at a time.
BATCH_PER_UPLOAD = 4
#: After a server did not answer: the pause before the next try, doubled up to the longest, seconds.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
#: Messages that are worked on side by side.
AT_ONCE = 64
#: From a segment that is stored as it ends to a storage that was away for hours, seconds.
LAG_BUCKETS = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)


class Listener(Protocol):
    """Who wants to see segments as they are stored."""

    def stored(
        self, video_id: int, rendition: str, spool: Path, segments: Sequence[Stored]
    ) -> None:
        """These segments of a running broadcast are stored. Called on the event loop."""
        ...

    async def finishing(self, video_id: int) -> None:
        """The broadcast is stored whole; its video becomes ready when this returns."""
        ...


@dataclass(frozen=True)
class ArchiveMetrics:
    """What the archive counts."""

    segments: Counter
    bytes: Counter
    seconds: Histogram
    damaged: Counter
    waiting: Gauge
    stuck: Gauge
    finish_seconds: Histogram
    lag: Histogram

    @classmethod
    def of(cls, metrics: Metrics) -> ArchiveMetrics:
        """On a process's registry."""
        registry = metrics.registry
        return cls(
            Counter("footlight_archive_segments", "Segments stored.", registry=registry),
            Counter("footlight_archive_bytes", "Bytes of segments stored.", registry=registry),
            Histogram(
                "footlight_archive_upload_seconds", "Time to store a segment.", registry=registry
            ),
            Counter(
                "footlight_archive_damaged",
                "Segments in the spool that were not what was written.",
                registry=registry,
            ),
            Gauge(
                "footlight_archive_waiting", "Segments that wait in the spool.", registry=registry
            ),
            Gauge(
                "footlight_archive_stuck_seconds",
                "How long ago anything was stored while something waits; 0 when nothing does.",
                registry=registry,
            ),
            Histogram(
                "footlight_archive_finish_seconds",
                "Time from a broadcast's last segment to its video being ready.",
                registry=registry,
            ),
            Histogram(
                "footlight_archive_lag_seconds",
                "From a segment's last frame on air to its place in the object storage.",
                buckets=LAG_BUCKETS,
                registry=registry,
            ),
        )


@dataclass
class _Trouble:
    """When it is tried again."""

    pause_s: float = FIRST_PAUSE_S
    until: float = 0.0


@dataclass
class _Batch:
    """Segments that were uploaded together: what may go, what is stored newly, and what went wrong."""

    done: list[Spooled]
    stored: list[Stored] = field(default_factory=list)
    failure: BaseException | None = None


@dataclass
class Archive:
    """Stores what is in this node's spool."""

    root: Path
    database: Database
    storage: Storage
    uploads: int
    metrics: ArchiveMetrics
    listeners: list[Listener] = field(default_factory=list)
    #: Called when a video has become ready.
    finished: Callable[[int], None] = lambda _video_id: None

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.uploads)
        self._locks: dict[str, asyncio.Lock] = {}
        self._next: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._videos: dict[str, Recorded] = {}
        self._inits: set[tuple[int, str, str]] = set()
        self._trouble: _Trouble | None = None
        self._moved_at = time.monotonic()

    # Where to look

    async def listen(self, bus: Bus, settings: Settings) -> None:
        """Look where ingest says there is something, until cancelled."""
        node = settings.node_id
        await bus.work(
            SEGMENTS, f"recorder-{node}", [f"{SEGMENTS.prefix}.{node}"], self._told, AT_ONCE
        )

    async def _told(self, message: bytes) -> None:
        try:
            sessions = [str(name) for name in json.loads(message)["sessions"]]
        except (ValueError, KeyError, TypeError):
            log.error("announcement_unreadable")
            return
        known = set(await asyncio.to_thread(spooled.sessions, self.root))
        await asyncio.gather(*(self.look(name) for name in sessions if name in known))

    async def sweep(self, every_s: float) -> None:
        """Look everywhere, at once and every few seconds, until cancelled."""
        while True:
            obey_cancellation()
            for name in await asyncio.to_thread(spooled.sessions, self.root):
                self._begin(name)
            waiting = await asyncio.to_thread(_count, self.root)
            self.metrics.waiting.set(waiting)
            if not waiting:
                self._moved_at = time.monotonic()
            self.metrics.stuck.set(round(time.monotonic() - self._moved_at, 1))
            await asyncio.sleep(every_s)

    async def look(self, name: str) -> None:
        """Store what is in a session's spool now. Raises Unavailable when it cannot be yet."""
        await asyncio.shield(self._begin(name))

    def _begin(self, name: str) -> asyncio.Task[None]:
        """One pass runs over a session, and one more waits that sees what came meanwhile."""
        task = self._next.get(name)
        if task is None:
            task = self._next[name] = asyncio.create_task(self._pass(name), name=f"archive-{name}")
            self._tasks.add(task)
            task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, DomainError):
            log.error("archiving_failed", task=task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Stop where it stands; what is not written down is done again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # One session

    async def _pass(self, name: str) -> None:
        # For whatever is logged in this task.
        bind_contextvars(session=name)
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            # Whoever looks from here on sees files that this pass may not.
            self._next.pop(name, None)
            await self._patience()
            try:
                await self._session(self.root / name)
            except Unavailable as error:
                self._stuck(error)
                raise
            self._trouble = None
        if not lock.locked() and not (self.root / name).is_dir():
            self._locks.pop(name, None)
            self._videos.pop(name, None)

    async def _patience(self) -> None:
        if self._trouble is not None:
            wait_s = self._trouble.until - time.monotonic()
            if wait_s > 0:
                raise Unavailable(
                    "Something the archive needs does not answer.", retry_after=wait_s
                )

    def _stuck(self, error: Unavailable) -> None:
        now = time.monotonic()
        if self._trouble is None:
            self._trouble = _Trouble()
            log.warning("archiving_waits", reason=error.message)
        elif now >= self._trouble.until:
            self._trouble.pause_s = min(self._trouble.pause_s * 2, LONGEST_PAUSE_S)
        self._trouble.until = now + self._trouble.pause_s

    async def _session(self, folder: Path) -> None:
        began = time.monotonic()
        # Asked first: what was written before the end is there, then, too.
        end = await asyncio.to_thread(spooled.read_end, folder)
        source = await asyncio.to_thread(spooled.read_source, folder)
        if source is None:
            if end is not None:
                await asyncio.to_thread(spooled.clear, folder)
            return
        video = await self._video(source)
        if video is None or video.status != VideoStatus.LIVE:
            # Nobody wants it: its channel or its video is gone, or it was finished already.
            await asyncio.to_thread(_empty if end is None else spooled.clear, folder)
            return
        while notes := await asyncio.to_thread(spooled.waiting, folder):
            await self._store(video, source, folder, notes)
        if end is not None:
            await self._finish(video, folder, end)
            self.metrics.finish_seconds.observe(time.monotonic() - began)

    async def _video(self, source: Source) -> Recorded | None:
        known = self._videos.get(source.session)
        if known is None:
            async with self.database.session() as session:
                known = await broadcasts.open_video(session, source)
            if known is not None:
                self._videos[source.session] = known
        return known

    async def _store(
        self, video: Recorded, source: Source, folder: Path, notes: Sequence[Path]
    ) -> None:
        """Store what waits, batch by batch: one is on its way while the one before is written down.
        What was on its way when that failed is stored again.
        """
        size = self.uploads * BATCH_PER_UPLOAD
        before: asyncio.Task[_Batch] | None = None
        try:
            for first in range(0, len(notes), size):
                items = await asyncio.to_thread(spooled.read, notes[first : first + size])
                batch = asyncio.create_task(self._send(video, folder, items), name="archive-batch")
                before, arrived = batch, before
                if arrived is not None:
                    await self._settle(video, source, folder, await arrived)
            if before is not None:
                await self._settle(video, source, folder, await before)
        finally:
            if before is not None and not before.done():
                before.cancel()
                await asyncio.wait([before])

    async def _send(self, video: Recorded, folder: Path, items: Sequence[Spooled]) -> _Batch:
        """Upload a batch; of a rendition nothing after what could not be."""
        fresh = [item for item in items if item.note.msn > video.last.get(item.rendition, -1)]
        batch = _Batch(
            [item for item in items if item.note.msn <= video.last.get(item.rendition, -1)]
        )
        # After a round of nothing else, those that wait are not tried: each may take a minute.
        failures: list[Unavailable] = []
        results = await asyncio.gather(
            *(self._upload(video, folder, item, failures) for item in fresh), return_exceptions=True
        )
        blocked: set[str] = set()
        for item, result in zip(fresh, results, strict=True):
            if isinstance(result, BaseException):
                batch.failure = batch.failure or result
                blocked.add(item.rendition)
            elif item.rendition not in blocked:
                batch.done.append(item)
                if result:
                    batch.stored.append(Stored(item.rendition, item.note))
        return batch

    async def _settle(self, video: Recorded, source: Source, folder: Path, batch: _Batch) -> None:
        """Write a batch down, and only then remove it. Raises what failed in it."""
        if batch.stored:
            await self._write_down(video, source, folder, batch.stored)
            now = datetime.now(UTC)
            for each in batch.stored:
                ended = each.note.pdt + timedelta(seconds=each.note.duration_s)
                self.metrics.lag.observe(max(0.0, (now - ended).total_seconds()))
        await asyncio.to_thread(_remove, batch.done)
        if batch.done:
            self._moved_at = time.monotonic()
        if batch.failure is not None:
            raise batch.failure

    async def _upload(
        self, video: Recorded, folder: Path, item: Spooled, failures: list[Unavailable]
    ) -> bool:
        """Store one segment; False when it is damaged. Raises Unavailable."""
        async with self._slots:
            if len(failures) >= self.uploads:
                raise failures[0]
            began = time.perf_counter()
            try:
                data = await asyncio.to_thread(spooled.media, item)
                await self._upload_init(video, folder, item)
                key = f"videos/{video.id}/{item.rendition}/{item.note.msn}.m4s"
                await self.storage.put(key, data)
            except Damaged as error:
                log.error("segment_damaged", path=str(item.path), error=str(error))
                self.metrics.damaged.inc()
                await asyncio.to_thread(spooled.put_aside, item)
                return False
            except Unavailable as error:
                failures.append(error)
                raise
            self.metrics.seconds.observe(time.perf_counter() - began)
            self.metrics.segments.inc()
            self.metrics.bytes.inc(len(data))
            return True

    async def _upload_init(self, video: Recorded, folder: Path, item: Spooled) -> None:
        name = (video.id, item.rendition, item.note.init)
        if name in self._inits:
            return
        path = folder / item.rendition / item.note.init
        data = await asyncio.to_thread(_read, path)
        if data is not None:
            # Twice, when two segments need it at once: it does not matter.
            await self.storage.put(f"videos/{video.id}/{item.rendition}/{item.note.init}", data)
            self._inits.add(name)

    async def _write_down(
        self, video: Recorded, source: Source, folder: Path, stored: Sequence[Stored]
    ) -> None:
        async with self.database.session() as session:
            await broadcasts.add_segments(session, video, source, stored)
        video.renditions = broadcasts.merged(video.renditions, source)
        for each in stored:
            video.last[each.rendition] = max(video.last.get(each.rendition, -1), each.note.msn)
        for listener in self.listeners:
            for rendition in {each.rendition for each in stored}:
                own = [each for each in stored if each.rendition == rendition]
                listener.stored(video.id, rendition, folder, own)

    async def _finish(self, video: Recorded, folder: Path, end: End) -> None:
        for listener in self.listeners:
            await listener.finishing(video.id)
        async with self.database.session() as session:
            line = await broadcasts.finish(session, video.id, cut=end.cut)
        if line is not None:
            log.info("video_ready", video_id=video.id, duration_s=round(line.duration_s, 3))
        video.status = VideoStatus.READY
        self.finished(video.id)
        self._inits = {name for name in self._inits if name[0] != video.id}
        await asyncio.to_thread(spooled.clear, folder)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove(items: Sequence[Spooled]) -> None:
    for item in items:
        spooled.remove(item)


def _empty(folder: Path) -> None:
    """Remove what waits of a session that ingest still writes."""
    for item in spooled.read(spooled.waiting(folder)):
        spooled.remove(item)


def _count(root: Path) -> int:
    return sum(1 for _ in root.glob("*/*/*.m4s"))
