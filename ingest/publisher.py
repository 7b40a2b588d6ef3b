"""From the packager's events to what viewers can fetch: files first, then the word that they are there.

The media folder is memory (tmpfs), so writing a part is a copy of some 75 kB and done in place, on the
event loop, in well under a tenth of a millisecond.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core.logs import logger
from ingest.edge import Edges
from ingest.metrics import IngestMetrics
from ingest.packager import (
    Event,
    Expired,
    InitReady,
    PartReady,
    PlaylistReady,
    SegmentReady,
)

log = logger(__name__)

#: Shares of the quota (or of what the file system has left) at which new streams are refused, and
#: at which nothing more is written.
REFUSE_AT = 0.8
STOP_AT = 0.98
FILE_SYSTEM_SHARE = 0.8


class MediaFull(OSError):
    """The media folder takes no more."""


class MediaFolder:
    """The tmpfs folder all live media is in: `<session>/<rendition>/<file>`, within a byte quota."""

    def __init__(self, root: Path, quota: int) -> None:
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        stat = os.statvfs(root)
        self.root = root
        self.quota = min(quota, int(stat.f_blocks * stat.f_frsize * FILE_SYSTEM_SHARE))
        self.used = 0
        self._sizes: dict[str, int] = {}

    @property
    def has_room_for_another(self) -> bool:
        """Whether one more stream may begin."""
        free = self._free()
        return self.used < self.quota * REFUSE_AT and free > self.quota * (1 - REFUSE_AT) / 4

    def _free(self) -> int:
        stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize

    def make(self, session: str, rendition: str = "") -> None:
        """The folder of a rendition (or of a whole session)."""
        (self.root / session / rendition).mkdir(mode=0o755, parents=True, exist_ok=True)

    def write(self, session: str, name: str, data: bytes) -> None:
        """Write a file that nobody reads before they are told of it. Raises MediaFull."""
        self._put(f"{session}/{name}", data, os.O_TRUNC)

    def append(self, session: str, name: str, data: bytes) -> None:
        """Add to a file. Raises MediaFull."""
        self._put(f"{session}/{name}", data, os.O_APPEND)

    def replace(self, session: str, name: str, data: bytes) -> None:
        """Put a whole new file in the place of the one there is, which may be being read."""
        key = f"{session}/{name}"
        self._put(f"{key}~", data, os.O_TRUNC)
        try:
            os.rename(f"{self.root}/{key}~", f"{self.root}/{key}")
        except OSError as error:
            self._drop(f"{key}~")
            raise MediaFull(f"cannot write to the media folder: {error.strerror}") from error
        self.used -= self._sizes.pop(key, 0)
        self._sizes[key] = self._sizes.pop(f"{key}~")

    def _put(self, key: str, data: bytes, how: int) -> None:
        if self.used + len(data) > self.quota * STOP_AT:
            raise MediaFull(f"the quota of {self.quota} bytes is used up")
        path = f"{self.root}/{key}"
        try:
            # open() would build three Python objects for one write.
            file = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o644)
            try:
                if os.write(file, data) != len(data):
                    raise OSError("short write")
            finally:
                os.close(file)
        except OSError as error:
            self._undo(key, self._sizes.get(key, 0) if how == os.O_APPEND else 0)
            raise MediaFull(f"cannot write to the media folder: {error.strerror}") from error
        before = self._sizes.get(key, 0)
        size = len(data) + (before if how == os.O_APPEND else 0)
        self._sizes[key] = size
        self.used += size - before

    def _undo(self, key: str, size: int) -> None:
        """A write failed: what was there before it stays."""
        if size:
            with contextlib.suppress(OSError):
                os.truncate(f"{self.root}/{key}", size)
        else:
            self._drop(key)

    def forget(self, session: str, names: Iterable[str]) -> None:
        """Remove files."""
        for name in names:
            self._drop(f"{session}/{name}")

    def _drop(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.root}/{key}")
        self.used -= self._sizes.pop(key, 0)

    def remove(self, session: str) -> None:
        """Remove everything of a session."""
        shutil.rmtree(self.root / session, ignore_errors=True)
        prefix = f"{session}/"
        for key in [key for key in self._sizes if key.startswith(prefix)]:
            self.used -= self._sizes.pop(key)

    def adopt(self) -> list[str]:
        """Count what an earlier life left here, drop half-written files; the sessions found."""
        found = []
        for folder in self.root.iterdir():
            if not folder.is_dir():
                continue
            found.append(folder.name)
            for path in folder.rglob("*"):
                if path.name.endswith("~"):
                    path.unlink(missing_ok=True)
                elif path.is_file():
                    size = path.stat().st_size
                    self._sizes[str(path.relative_to(self.root))] = size
                    self.used += size
        return found


@dataclass(slots=True)
class _Lateness:
    """How much later than its best a rendition's parts come out, seconds."""

    media_s: float = 0.0
    best: float | None = None

    def part(self, duration: float, now: float) -> float:
        self.media_s += duration
        offset = now - self.media_s
        self.best = offset if self.best is None else min(self.best, offset)
        return offset - self.best


@dataclass(slots=True)
class Publisher:
    """Publishes one session. `on_segment` is given every finished segment, media included."""

    session: str
    media: MediaFolder
    edges: Edges
    metrics: IngestMetrics
    on_segment: Callable[[SegmentReady], None]
    renditions: dict[str, PlaylistReady] = field(default_factory=dict)
    _late: dict[str, _Lateness] = field(default_factory=dict)
    _multivariant: str | None = None

    def store(self, event: Event) -> None:
        """Put an event's media where viewers find it. Raises MediaFull."""
        match event:
            case PartReady():
                self._write(event.rendition, event.name, event.data)
                self._measure(event)
            case SegmentReady():
                self._write(event.rendition, event.name, event.data)
                self.on_segment(event)
            case InitReady():
                self.media.make(self.session, event.rendition)
                self._write(event.rendition, event.name, event.data)
                # A new codec configuration is a new timeline.
                self._late.pop(event.rendition, None)
            case Expired():
                self.media.forget(
                    self.session, (f"{event.rendition}/{name}" for name in event.names)
                )
            case _:
                pass

    def _write(self, rendition: str, name: str, data: bytes) -> None:
        if not data:
            raise MediaFull(f"{rendition}/{name} would be empty")
        self.media.write(self.session, f"{rendition}/{name}", data)

    def _measure(self, part: PartReady) -> None:
        late = self._late.setdefault(part.rendition, _Lateness())
        self.metrics.parts.inc()
        self.metrics.part_lateness.observe(late.part(part.duration, time.monotonic()))

    def announce(self, event: PlaylistReady) -> None:
        """Tell the edges, once everything the playlist names is stored."""
        self.renditions[event.rendition] = event
        delta = event.delta.encode()
        self.edges.put(
            f"/playlists/{self.session}/{event.rendition}",
            event.text.encode() + delta,
            {
                "X-Msn": event.msn,
                "X-Part": event.part,
                "X-Complete-Msn": event.complete_msn,
                "X-Part-Number": event.part_number,
                "X-Target-Duration": event.target_duration,
                "X-Part-Target": f"{event.part_target:g}",
                "X-Ended": int(event.ended),
                "X-Delta-Length": len(delta),
            },
        )

    def restarted(self) -> None:
        """The input was cut: lateness is counted from the next part on."""
        self._late.clear()

    @property
    def offered(self) -> str | None:
        """The multivariant playlist that was announced."""
        return self._multivariant

    def multivariant(self, template: str | None) -> None:
        """Announce the multivariant playlist when it is another than before."""
        if template is not None and template != self._multivariant:
            self._multivariant = template
            self.edges.put(f"/sessions/{self.session}", template)

    def withdraw(self, *covers: str) -> None:
        """The session's media go: nothing of it can be asked for any more."""
        playlists = (f"/playlists/{self.session}/{name}" for name in self.renditions)
        self.edges.delete(f"/sessions/{self.session}", *playlists, *covers)
        self.media.remove(self.session)
