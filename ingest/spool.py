"""From the packager's segments to the spool (core.spool), where recorder finds them.

The event loop only hands bytes over: one thread writes them, in order and to the disk itself (fsync), and
says when they are there. A segment counts once its note is there, so a life that ends in between leaves
nothing half; the next one hands over what is still in the live window again.

What may wait in the spool is limited. The last fifth is a reserve for recordings that run: none begins in
it. When it is used up as well, segments wait in memory for some seconds; then their recording ends, before
the first that is missing, and says so. A recording has no gap that nobody knows of.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.logs import logger
from core.spool import END_FILE, OPEN, SOURCE_FILE, End, Source
from ingest import spool_files as files
from ingest.metrics import IngestMetrics
from ingest.packager import SegmentReady

log = logger(__name__)

#: Share of the limit from which no new recording begins; the rest is for those that run.
REFUSE_AT = 0.8
FILE_SYSTEM_SHARE = 0.8
#: A segment waits so long for room, seconds. Well within the live window, from which whoever goes on
#: after a kill hands over again what was in memory only.
PATIENCE_S = 5.0
#: Recorder removes files without a word: the folder is measured anew this often, seconds, when it is
#: nearly full more often, and never for more than a share of the time.
MEASURE_S = 2.0
MEASURE_SHARE = 0.05
#: A full spool is looked at this often, seconds.
RETRY_S = 0.5
CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class _Item:
    """Something for the thread to do; `size` bytes of media are written by it, or none."""

    recording: Recording
    size: int
    write: Callable[[], object]
    since: float = field(default_factory=time.monotonic)


class Spool:
    """The spool of this node. `told` is called on the event loop when a session has something new."""

    def __init__(self, root: Path, quota: int, metrics: IngestMetrics) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root
        self.told: Callable[[str], None] = lambda _session: None
        self._metrics = metrics
        self._quota = quota
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._held: deque[_Item] = deque()
        #: Whether something waits for room, and not only for its turn.
        self._full = False
        #: Sessions with something that nobody was told of.
        self._news: set[str] = set()
        self._measured_at = float("-inf")
        self._measuring_s = 0.0
        self._used = self._limit = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._measure()

    # For the event loop

    def open(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Write what was handed over."""
        self._items.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_S)

    @property
    def has_room(self) -> bool:
        """Whether a new recording may begin."""
        return self._used < self._limit * REFUSE_AT and not self._full

    def begin(self, session: str) -> Recording | None:
        """Record a new session; None when there is no room."""
        if not self.has_room:
            self._metrics.recordings_refused.inc()
            log.error("recording_refused", session=session, used=self._used)
            return None
        (self.root / session).mkdir(mode=0o700, exist_ok=True)
        return Recording(self, session)

    def take_up(self, session: str) -> Recording | None:
        """Go on with a recording of an earlier life; None when there is none, or it had ended."""
        folder = self.root / session
        if not folder.is_dir() or (folder / END_FILE).exists():
            return None
        return Recording(self, session)

    def unfinished(self) -> list[str]:
        """Sessions whose end nobody has written down."""
        return [
            folder.name
            for folder in self.root.iterdir()
            if folder.is_dir() and not (folder / END_FILE).exists()
        ]

    def put(self, item: _Item) -> None:
        """Have the thread do something, after what it was given before."""
        self._items.put(item)

    # The thread

    def _run(self) -> None:
        while True:
            try:
                # Recorder makes room without a word.
                item = self._items.get(timeout=MEASURE_S if self.has_room else RETRY_S)
            except queue.Empty:
                pass
            else:
                if item is None:
                    break
                if not (item.size and item.recording.cut):
                    self._held.append(item)
            self._work_off()
            self._tell()
        # Seconds of media at most. Whoever goes on may not have them any more.
        for item in self._held:
            self._write(item)
        self._tell()

    def _work_off(self) -> None:
        self._measure()
        while self._held:
            item = self._held[0]
            if self._fits(item) and self._write(item):
                self._held.popleft()
            elif item.size and time.monotonic() - item.since > PATIENCE_S:
                self._cut(item.recording)
            else:
                break
        self._full = bool(self._held)
        self._metrics.spool_bytes.set(self._used)
        self._metrics.spool_limit.set(self._limit)

    def _fits(self, item: _Item) -> bool:
        if item.size:
            self._measure()
        return not item.size or self._used + item.size <= self._limit

    def _write(self, item: _Item) -> bool:
        """Whether the disk took it."""
        began = time.perf_counter()
        try:
            item.write()
        except FileNotFoundError:
            # Its session was thrown away.
            return True
        except OSError as error:
            log.error("spool_refuses", session=item.recording.session, error=str(error))
            self._measured_at = float("-inf")
            return False
        self._used += item.size
        self._metrics.spool_seconds.observe(time.perf_counter() - began)
        self._news.add(item.recording.session)
        return True

    def _tell(self) -> None:
        """Say what is there now. The renditions' segments of one time come together: one word for all."""
        if self._loop is not None and self._news and self._items.empty():
            with contextlib.suppress(RuntimeError):
                for session in self._news:
                    self._loop.call_soon_threadsafe(self.told, session)
            self._news.clear()

    def _cut(self, recording: Recording) -> None:
        """End a recording before the segment that there is no room for."""
        recording.cut = True
        self._metrics.recordings_cut.inc()
        log.error("recording_cut", session=recording.session, used=self._used, limit=self._limit)
        own = [item for item in self._held if item.recording is recording and not item.size]
        others = [item for item in self._held if item.recording is not recording]
        self._held = deque((*own, _Item(recording, 0, recording.write_end), *others))

    def _measure(self) -> None:
        near = self._used >= self._limit * REFUSE_AT
        pause = max(RETRY_S / 2 if near else MEASURE_S, self._measuring_s / MEASURE_SHARE)
        now = time.monotonic()
        if now - self._measured_at < pause:
            return
        self._used, oldest = files.measure(self.root)
        self._metrics.spool_age.set(0.0 if oldest is None else max(0.0, time.time() - oldest))
        stat = os.statvfs(self.root)
        free = stat.f_bavail * stat.f_frsize
        self._limit = min(self._quota, self._used + int(free * FILE_SYSTEM_SHARE))
        self._measured_at = time.monotonic()
        self._measuring_s = self._measured_at - now


class Recording:
    """One session's way into the spool. Nothing here blocks."""

    def __init__(self, spool: Spool, session: str) -> None:
        self.session = session
        self.folder = spool.root / session
        #: It ended before its broadcast: there was no room. Set by the spool's thread.
        self.cut = False
        self._spool = spool
        self._described: Source | None = None

    def describe(self, source: Source) -> None:
        """What is recorded, when it is something else than before."""
        if source != self._described:
            self._described = source
            self._put(lambda: files.whole(self.folder / SOURCE_FILE, source.encode()))

    def init(self, rendition: str, name: str, data: bytes) -> None:
        """An initialization section, before segments that need it."""
        path = self.folder / rendition / name
        self._put(lambda: files.init(path, data), len(data))

    def segment(self, segment: SegmentReady) -> None:
        """A finished segment."""
        path = self.folder / segment.rendition / f"{segment.msn}.m4s"
        self._put(lambda: files.segment(path, segment), len(segment.data))

    def leave(self, segment: SegmentReady) -> None:
        """The open segment as it is now, in case that nobody goes on with this session."""
        path = self.folder / segment.rendition / f"{segment.msn}{OPEN}"
        self._put(lambda: files.segment(path, segment), len(segment.data))

    def go_on(self) -> None:
        """Somebody goes on: what was left for nobody is not needed."""
        self._put(lambda: files.forget_open(self.folder))

    def promote(self) -> None:
        """Nobody goes on: what was left open is a segment."""
        self._put(lambda: files.promote(self.folder))

    def end(self) -> None:
        """Nothing will follow."""
        self._put(self.write_end)

    def write_end(self) -> None:
        """Write down that nothing will follow, and why. Blocks."""
        files.whole(self.folder / END_FILE, End(cut=self.cut).encode())

    def after(self, do: Callable[[], object]) -> None:
        """Call `do` in the thread once everything before is written."""
        self._put(do)

    def discard(self) -> None:
        """There was nothing to record after all."""
        self._put(lambda: shutil.rmtree(self.folder, ignore_errors=True))

    def _put(self, write: Callable[[], object], size: int = 0) -> None:
        self._spool.put(_Item(self, size, write))


@asynccontextmanager
async def open_spool(spool: Spool) -> AsyncIterator[Spool]:
    """Write until the end, and then what is left."""
    spool.open()
    try:
        yield spool
    finally:
        await spool.close()
