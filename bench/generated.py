"""Broadcasts in an instance's spool that no encoder ever sent: hours of them in minutes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.settings import Settings
from core.spool import END_FILE, SOURCE_FILE, SegmentNote, Source
from ingest.packager import InitReady, LiveStream, PackagerConfig, SegmentReady

RENDITIONS = ("source", "audio")
SEGMENT_S = 2.0
TARGET_S = 4


@dataclass(frozen=True)
class Media:
    """Some seconds of a stream as the packager cuts them, by rendition."""

    inits: dict[str, bytes]
    segments: dict[str, list[bytes]]


def packaged(flv: bytes) -> Media:
    """The whole segments of a recording; each lasts SEGMENT_S."""
    live = LiveStream(PackagerConfig(), "bench")
    live.add_rendition("source", audio_only_sibling="audio")
    now = datetime.now(UTC)
    inits: dict[str, bytes] = {}
    segments: dict[str, list[bytes]] = {}
    for at in range(0, len(flv), 65536):
        for event in live.feed("source", flv[at : at + 65536], now):
            if isinstance(event, InitReady):
                inits.setdefault(event.rendition, event.data)
            elif isinstance(event, SegmentReady) and abs(event.duration - SEGMENT_S) < 0.1:
                segments.setdefault(event.rendition, []).append(event.data)
    return Media(inits, segments)


class Generated:
    """A broadcast in the instance's spool that no encoder ever sent."""

    def __init__(
        self,
        settings: Settings,
        media: Media,
        channel_id: int,
        stream_id: int,
        session: str,
        began: datetime | None = None,
    ) -> None:
        self.session = session
        self.folder = settings.spool / session
        self._settings = settings
        self._media = media
        self._ids = (stream_id, channel_id)
        self._began = began or datetime.now(UTC)
        self._written = 0
        self._broken = False

    def begin(self) -> None:
        """Everything but segments."""
        for rendition in RENDITIONS:
            (self.folder / rendition).mkdir(parents=True)
            (self.folder / rendition / "init-0.mp4").write_bytes(self._media.inits[rendition])
        described = (
            {"name": "source", "codecs": "avc1.64001f,mp4a.40.2", "width": 1280, "height": 720,
             "frame_rate": 30.0},
            {"name": "audio", "codecs": "mp4a.40.2", "width": 0, "height": 0, "frame_rate": 0.0},
        )  # fmt: skip
        stream_id, channel_id = self._ids
        node = self._settings.node_id
        source = Source(self.session, stream_id, channel_id, node, TARGET_S, described)
        (self.folder / SOURCE_FILE).write_bytes(source.encode())

    def write(self, count: int) -> None:
        """The next segments of every rendition."""
        for _ in range(count):
            self._written += 1
            msn = self._written
            start_s = SEGMENT_S * (msn - 1)
            for rendition in RENDITIONS:
                choice = self._media.segments[rendition]
                data = choice[msn % len(choice)]
                note = SegmentNote(
                    msn, start_s, SEGMENT_S, self._began + timedelta(seconds=start_s), self._broken,
                    "init-0.mp4", len(data), hashlib.sha256(data).hexdigest(),
                )  # fmt: skip
                place = self.folder / rendition
                (place / f"{msn}.m4s").write_bytes(data)
                partial = place / f"{msn}.json~"
                partial.write_bytes(note.encode())
                partial.rename(place / f"{msn}.json")
            self._broken = False

    def pause(self, seconds: float) -> None:
        """The encoder is away for so long and then dials again."""
        self._began += timedelta(seconds=seconds)
        self._broken = True

    def end(self) -> None:
        """Nothing follows."""
        partial = self.folder / f"{END_FILE}~"
        partial.write_text("{}")
        partial.rename(self.folder / END_FILE)

    def is_stored(self) -> bool:
        """Whether nothing waits any more."""
        return not any(self.folder.glob("*/*.json"))
