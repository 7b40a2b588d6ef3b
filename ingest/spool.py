"""From the packager's segments to the spool (core.spool), where recorder finds them.

The event loop only hands bytes over: one thread writes them, in order and to the disk itself (fsync), and
says when they are there. A segment counts once its note is there, so a life that ends in between leaves
nothing half; the next one hands over what is still in the live window again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import queue
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.bus import Bus, obey_cancellation
from core.errors import Unavailable
from core.logs import logger
from core.spool import END_FILE, OPEN, PARTIAL, SOURCE_FILE, SegmentNote, Source
from core.streams import SEGMENTS
from ingest.metrics import IngestMetrics
from ingest.packager import SegmentReady

log = logger(__name__)

#: Share of the quota from which no new recording begins; those that run may use the rest.
REFUSE_AT = 0.8
FILE_SYSTEM_SHARE = 0.8
#: What waits in memory while the spool takes nothing, bytes; past it the oldest is lost.
HELD_BYTES = 64 * 1024 * 1024
#: Recorder removes files without a word: the folder is measured anew this often, seconds.
MEASURE_S = 2.0
#: A full spool is looked at this often, seconds.
RETRY_S = 0.5
CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class _Item:
    """Something to do for the thread: `data` of `size` bytes is written by `write`."""

    size: int
    write: Callable[[], object]
    session: str
    is_segment: bool = False


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
        self._held_bytes = 0
        self._measured_at = float("-inf")
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
        return self._used < self._limit * REFUSE_AT and not self._held

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
            item = self._next()
            if item is None:
                return
            if item is not _RETRY:
                self._held.append(item)
                self._held_bytes += item.size
            self._work_off()

    def _next(self) -> _Item | None:
        if self.has_room:
            return self._items.get()
        try:
            # Recorder makes room without a word.
            return self._items.get(timeout=RETRY_S)
        except queue.Empty:
            return _RETRY

    def _work_off(self) -> None:
        self._measure()
        while self._held:
            item = self._held[0]
            if not self._write(item):
                self._lose()
                break
            self._held.popleft()
            self._held_bytes -= item.size
        self._metrics.spool_bytes.set(self._used)

    def _write(self, item: _Item) -> bool:
        """Whether the spool took it."""
        self._measure()
        if item.size and self._used + item.size > self._limit:
            return False
        began = time.perf_counter()
        try:
            item.write()
        except FileNotFoundError:
            # Its session was thrown away.
            return True
        except OSError as error:
            log.error("spool_refuses", session=item.session, error=str(error))
            self._measured_at = float("-inf")
            return False
        self._used += item.size
        self._metrics.spool_seconds.observe(time.perf_counter() - began)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.told, item.session)
        return True

    def _lose(self) -> None:
        """Give up the oldest segments when too much waits in memory."""
        while self._held_bytes > HELD_BYTES:
            lost = next((item for item in self._held if item.is_segment), None)
            if lost is None:
                return
            self._held.remove(lost)
            self._held_bytes -= lost.size
            self._metrics.spool_lost.inc()
            log.error("segment_lost", session=lost.session)

    def _measure(self) -> None:
        now = time.monotonic()
        if now - self._measured_at < MEASURE_S and self._used < self._limit * REFUSE_AT:
            return
        if now - self._measured_at < RETRY_S / 2:
            return
        self._measured_at = now
        self._used = sum(_size(path) for path in self.root.rglob("*"))
        stat = os.statvfs(self.root)
        free = stat.f_bavail * stat.f_frsize
        self._limit = min(self._quota, self._used + int(free * FILE_SYSTEM_SHARE))


_RETRY = _Item(0, lambda: None, "")


class Recording:
    """One session's way into the spool. Nothing here blocks."""

    def __init__(self, spool: Spool, session: str) -> None:
        self.session = session
        self.folder = spool.root / session
        self._spool = spool
        self._described: Source | None = None
        self._last: dict[str, int] = {}

    def describe(self, source: Source) -> None:
        """What is recorded, when it is something else than before."""
        if source != self._described:
            self._described = source
            self._put(lambda: _whole(self.folder / SOURCE_FILE, source.encode()))

    def init(self, rendition: str, name: str, data: bytes) -> None:
        """An initialization section, before segments that need it."""
        path = self.folder / rendition / name
        self._put(lambda: _init(path, data), len(data))

    def segment(self, segment: SegmentReady) -> None:
        """A finished segment."""
        self._last[segment.rendition] = segment.msn
        path = self.folder / segment.rendition / f"{segment.msn}.m4s"
        self._put(lambda: _segment(path, segment), len(segment.data), is_segment=True)

    def leave(self, segment: SegmentReady) -> None:
        """The open segment as it is now, in case that nobody goes on with this session."""
        path = self.folder / segment.rendition / f"{segment.msn}{OPEN}"
        self._put(lambda: _segment(path, segment), len(segment.data), is_segment=True)

    def go_on(self) -> None:
        """Somebody goes on: what was left for nobody is not needed."""
        self._put(lambda: _each(self.folder.glob(f"*/*{OPEN}*"), Path.unlink))

    def promote(self) -> None:
        """Nobody goes on: what was left open is a segment."""
        self._put(lambda: _promote(self.folder))

    def end(self) -> None:
        """Nothing will follow."""
        last = dict(self._last)
        self._put(lambda: _whole(self.folder / END_FILE, json.dumps({"last": last}).encode()))

    def after(self, do: Callable[[], object]) -> None:
        """Call `do` in the thread once everything before is written."""
        self._put(do)

    def discard(self) -> None:
        """There was nothing to record after all."""
        self._put(lambda: shutil.rmtree(self.folder, ignore_errors=True))

    def _put(self, write: Callable[[], object], size: int = 0, *, is_segment: bool = False) -> None:
        self._spool.put(_Item(size, write, self.session, is_segment))


def _init(path: Path, data: bytes) -> None:
    if not path.exists():
        _make(path.parent)
        _whole(path, data)


def _make(folder: Path) -> None:
    """A rendition's folder. Raises FileNotFoundError for a session that was thrown away."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)


def _segment(path: Path, segment: SegmentReady) -> None:
    """The media first, then the note that it is there; a segment that has one is left alone."""
    note_path = path.with_name(f"{path.stem if path.suffix == '.m4s' else path.name}.json")
    if note_path.exists():
        return
    note = SegmentNote(
        msn=segment.msn,
        start_s=segment.start,
        duration_s=segment.duration,
        pdt=segment.program_date_time,
        discontinuity=segment.discontinuity,
        init=segment.init_name,
        size=len(segment.data),
        sha256=hashlib.sha256(segment.data).hexdigest(),
    )
    _make(path.parent)
    _whole(path, segment.data)
    _whole(note_path, note.encode())


def _whole(path: Path, data: bytes) -> None:
    """A file with `data`, or none; on the disk when this returns."""
    partial = f"{path}{PARTIAL}"
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    except OSError:
        os.unlink(partial)
        raise
    finally:
        os.close(file)
    os.rename(partial, path)


def _promote(folder: Path) -> None:
    for note in folder.glob(f"*/*{OPEN}.json"):
        media = note.with_suffix("")
        number = media.name.removesuffix(OPEN)
        if not note.with_name(f"{number}.json").exists():
            media.rename(media.with_name(f"{number}.m4s"))
            note.rename(note.with_name(f"{number}.json"))


def _each(paths: Iterable[Path], do: Callable[[Path], None]) -> None:
    for path in paths:
        do(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        # Recorder was faster.
        return 0


class Announcer:
    """Tells recorder of sessions with something new. What it is not told, it finds on its own."""

    def __init__(self, bus: Bus, node: str) -> None:
        self._bus = bus
        self._subject = f"{SEGMENTS.prefix}.{node}"
        self._sessions: set[str] = set()
        self._wake = asyncio.Event()

    def tell(self, session: str) -> None:
        """A session has something new."""
        self._sessions.add(session)
        self._wake.set()

    async def run(self) -> None:
        """Publish, until cancelled."""
        while True:
            obey_cancellation()
            await self._wake.wait()
            self._wake.clear()
            sessions, self._sessions = self._sessions, set()
            payload = json.dumps({"sessions": sorted(sessions)}).encode()
            try:
                await self._bus.publish(self._subject, payload, secrets.token_hex(8), SEGMENTS)
            except Unavailable as error:
                log.debug("segments_not_announced", reason=error.message)


@asynccontextmanager
async def open_spool(spool: Spool) -> AsyncIterator[Spool]:
    """Write until the end, and then what is left."""
    spool.open()
    try:
        yield spool
    finally:
        await spool.close()
