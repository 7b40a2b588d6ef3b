"""One rendition's published side: numbers, file names, its playlist, and when its files may go."""

from __future__ import annotations

from bisect import insort
from datetime import datetime

from .codecs import AudioConfig, VideoConfig
from .events import (
    Event,
    Expired,
    InitReady,
    OpenSegment,
    PackagerConfig,
    PartReady,
    PlaylistReady,
    SegmentReady,
)
from .playlist import MediaPlaylist, Segment, Targets
from .schedule import Boundary


class Rendition:
    """Collects parts into segments and events. Knows nothing of samples or codecs' insides."""

    def __init__(self, name: str, config: PackagerConfig, events: list[Event]) -> None:
        self.name = name
        self._config = config
        self._events = events
        self._targets: Targets | None = None
        self._playlist: MediaPlaylist | None = None
        self._init = b""
        self._init_name = ""
        self._init_count = 0
        self._parts: list[bytes] = []
        self._segment: tuple[Boundary, datetime] | None = None
        self._number = 0
        self._lingering: list[tuple[int, tuple[str, ...]]] = []
        self._old_inits: list[str] = []
        self._media_bits = self._media_us = self._peak = 0
        self.video: VideoConfig | None = None
        self.audio: AudioConfig | None = None
        self.frame_rate = 0.0
        self.dirty = False
        self.ended = False

    @property
    def next_number(self) -> int:
        """The session-wide number the next part gets."""
        return self._number

    @property
    def open_msn(self) -> int:
        """The open segment's number, -1 without one."""
        return self._segment[0].msn if self._segment else -1

    @property
    def complete_msn(self) -> int:
        return self._playlist.complete_msn if self._playlist else -1

    @property
    def listed(self) -> bool:
        """Whether there is a playlist to hand out: one whole segment at least."""
        return self.complete_msn >= 0

    @property
    def segments(self) -> list[Segment]:
        """The whole segments that are listed and have media."""
        return [each for each in self._playlist.whole if each.name] if self._playlist else []

    def use_init(self, data: bytes) -> None:
        """Parts from here on need this initialization section; the same bytes keep their name."""
        if data == self._init:
            return
        if self._init_name:
            self._old_inits.append(self._init_name)
        self._init = data
        self._init_name = f"init-{self._init_count}.mp4"
        self._init_count += 1
        self._events.append(InitReady(self.name, self._init_name, data))

    def begin_segment(self, boundary: Boundary, wall: datetime, targets: Targets) -> None:
        """Opens a segment; `wall` is the clock at this rendition's own first sample in it."""
        playlist = self._require_playlist(boundary, targets)
        self._segment = (boundary, wall)
        mark = boundary.discontinuity and self._has_history
        playlist.open_segment(boundary.msn, self._init_name, mark, wall)

    @property
    def _has_history(self) -> bool:
        # The first segment of a playlist has nothing before it to be discontinuous with: a
        # rendition that starts late carries earlier discontinuities in its sequence number.
        return self._playlist is not None and self._playlist.complete_msn >= 0

    def _require_playlist(self, boundary: Boundary, targets: Targets) -> MediaPlaylist:
        if self._playlist is None:
            window_us = round(self._config.window_s * 1_000_000)
            self._targets = targets
            self._playlist = MediaPlaylist(
                targets, window_us, boundary.msn, boundary.discontinuities
            )
        return self._playlist

    def add_gap(self, boundary: Boundary, duration_us: int, targets: Targets) -> None:
        """A segment that this rendition missed."""
        playlist = self._require_playlist(boundary, targets)
        mark = boundary.discontinuity and self._has_history
        playlist.add_gap(boundary.msn, self._init_name, mark, boundary.wall, duration_us)
        self._forget(playlist)
        self.dirty = True

    def add_part(self, data: bytes, duration_us: int, independent: bool) -> None:
        playlist = self._playlist
        if playlist is None:
            raise RuntimeError("no segment is open")
        name = f"part-{self._number}.m4s"
        playlist.add_part(name, duration_us, independent)
        self._parts.append(data)
        msn, index = playlist.last_part
        self._events.append(
            PartReady(
                self.name, name, data, msn, index, self._number, duration_us / 1e6, independent
            )
        )
        self._number += 1
        self._forget(playlist)
        self.dirty = True

    def end_segment(self) -> int:
        """Closes the open segment, if there is one with a part in it. Its duration in us, or 0."""
        playlist, current = self._playlist, self._segment
        self._segment = None
        if playlist is None or current is None or not self._parts:
            return 0
        boundary, wall = current
        data = b"".join(self._parts)
        self._parts.clear()
        segment = playlist.close_segment(f"seg-{boundary.msn}.m4s")
        self._measure(len(data) * 8, segment.duration_us)
        self._events.append(
            SegmentReady(
                self.name, segment.name, boundary.msn, segment.duration_us / 1e6,
                segment.start_us / 1e6, wall, segment.discontinuity,
                tuple(segment.part_names), segment.init_name, data,
            )
        )  # fmt: skip
        self._forget(playlist)
        self.dirty = True
        return segment.duration_us

    def open_segment(self) -> OpenSegment | None:
        """What there is of the segment that is not finished, None when that is nothing."""
        playlist, current = self._playlist, self._segment
        if playlist is None or current is None or not self._parts:
            return None
        segment = playlist.current
        return OpenSegment(
            self.name, segment.msn, segment.duration_us / 1e6, segment.start_us / 1e6, current[1],
            segment.discontinuity, tuple(segment.part_names), segment.init_name,
        )  # fmt: skip

    def _measure(self, bits: int, duration_us: int) -> None:
        self._media_bits += bits
        self._media_us += duration_us
        if duration_us >= 400_000 or not self._peak:
            self._peak = max(self._peak, round(bits * 1_000_000 / duration_us))

    @property
    def bandwidth(self) -> tuple[int, int]:
        """(peak, average) bits per second over the segments so far."""
        average = round(self._media_bits * 1_000_000 / self._media_us) if self._media_us else 0
        return max(self._peak, average), average

    def _forget(self, playlist: MediaPlaylist) -> None:
        edge = playlist.edge_us
        for dropped in playlist.drop_old():
            insort(self._lingering, (edge + dropped.linger_us, dropped.names))
        if self._old_inits:
            self._forget_inits(playlist)
        gone: list[str] = []
        while self._lingering and self._lingering[0][0] <= edge:
            gone.extend(self._lingering.pop(0)[1])
        if gone:
            self._events.append(Expired(self.name, tuple(gone)))

    def _forget_inits(self, playlist: MediaPlaylist) -> None:
        unused = [name for name in self._old_inits if not playlist.uses(name)]
        for name in unused:
            self._old_inits.remove(name)
            insort(self._lingering, (playlist.edge_us + 2 * playlist.window_us, (name,)))

    def end(self) -> None:
        """No more of this rendition: its playlist gets EXT-X-ENDLIST."""
        self.end_segment()
        self.ended = True
        self.dirty = True

    def report(self) -> str:
        """EXT-X-RENDITION-REPORT for the other renditions' playlists, "" before there is one."""
        if self._playlist is None or not self.listed:
            return ""
        msn, part = self._playlist.last_part
        return (
            f'#EXT-X-RENDITION-REPORT:URI="../{self.name}/index.m3u8",'
            f"LAST-MSN={msn},LAST-PART={part}\n"
        )

    def render(self, reports: list[str]) -> None:
        """Announces the playlist as it is now, once it has a whole segment."""
        playlist, targets = self._playlist, self._targets
        self.dirty = False
        if playlist is None or targets is None or not self.listed:
            return
        hint = "" if self.ended else f"part-{self._number}.m4s"
        text, delta = playlist.render(hint, reports)
        msn, part = playlist.last_part
        self._events.append(
            PlaylistReady(
                self.name, text, delta, msn, part, playlist.complete_msn, self._number - 1,
                targets.duration, targets.part_ms / 1000, self.ended,
            )
        )  # fmt: skip
