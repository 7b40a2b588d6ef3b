"""Playlist text (draft-pantos-hls-rfc8216bis).

A stream renders its playlist five times a second and rendition, so what is finished is text once:
a part costs one line and a join, a whole segment one rebuild of the prefix.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

HOLD_BACK_PARTS = 3  # Apple's authoring specification: must; the draft says should
HOLD_BACK_TARGETS = 3  # 4.4.3.8: at least three target durations
SKIP_TARGETS = 6  # 4.4.3.8: the skip boundary is at least six target durations
PARTS_TARGETS = 3  # 6.2.2: parts are listed for the last three target durations


class Targets(NamedTuple):
    """What a session's playlists promise for ever: whole seconds, and milliseconds of a part."""

    duration: int
    part_ms: int


def seconds(us: int) -> str:
    """Microseconds as decimal seconds, exactly."""
    if us % 1000:
        return f"{us // 1_000_000}.{us % 1_000_000:06d}"
    return f"{us // 1_000_000}.{us // 1000 % 1000:03d}"


def date_time(moment: datetime) -> str:
    """RFC 3339 UTC with milliseconds, as EXT-X-PROGRAM-DATE-TIME wants it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Segment:
    """One listed segment; times are microseconds of the rendition's own media time.

    `head` are the tags before its first part save EXT-X-MAP, which depends on what is listed before.
    """

    msn: int
    init_name: str
    discontinuity: bool
    head: str
    start_us: int
    duration_us: int = 0
    name: str = ""
    tail: str = ""
    part_lines: list[str] = field(default_factory=list)
    part_names: list[str] = field(default_factory=list)

    @property
    def end_us(self) -> int:
        return self.start_us + self.duration_us


def wall_of(segment: Segment) -> datetime:
    """The wall clock of a segment's first sample, to the millisecond."""
    return datetime.fromisoformat(segment.head.rpartition("DATE-TIME:")[2].strip())


class Dropped(NamedTuple):
    """Files that are listed no more, and for how long a client may still ask for them."""

    names: tuple[str, ...]
    linger_us: int


class MediaPlaylist:
    """One rendition's media playlist and the window it shows."""

    def __init__(
        self, targets: Targets, window_us: int, first_msn: int, discontinuities: int
    ) -> None:
        self._targets = targets
        self._target_us = targets.duration * 1_000_000
        self.window_us = max(window_us, (SKIP_TARGETS + 1) * self._target_us)
        self._discontinuity_sequence = discontinuities
        self._first_msn = first_msn
        self._segments: deque[Segment] = deque()
        self._with_parts: deque[Segment] = deque()
        self._open: Segment | None = None
        self._open_head = ""
        self._edge_us = 0
        self._head = self._control_tags()
        self._full_prefix = ""
        self._delta_prefix = ""
        self._stale = True
        self.complete_msn = -1
        self.last_part = (-1, -1)

    def _control_tags(self) -> str:
        target, part = self._targets.duration, self._targets.part_ms * 1000
        return (
            f"#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n"
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={SKIP_TARGETS * target}.0,"
            f"PART-HOLD-BACK={seconds(HOLD_BACK_PARTS * part)},"
            f"HOLD-BACK={HOLD_BACK_TARGETS * target}.0\n"
            f"#EXT-X-PART-INF:PART-TARGET={seconds(part)}\n"
        )

    @property
    def current(self) -> Segment:
        """The open segment. RuntimeError without one."""
        if self._open is None:
            raise RuntimeError("no segment is open")
        return self._open

    @property
    def edge_us(self) -> int:
        """Media time at the end of the playlist."""
        return self._edge_us

    @property
    def whole(self) -> list[Segment]:
        """The segments in the window that are finished."""
        return list(self._segments)

    def open_segment(self, msn: int, init_name: str, discontinuity: bool, wall: datetime) -> None:
        mark = "#EXT-X-DISCONTINUITY\n" if discontinuity else ""
        head = f"#EXT-X-PROGRAM-DATE-TIME:{date_time(wall)}\n"
        self._open = Segment(msn, init_name, discontinuity, mark + head, self._edge_us)
        self._stale = True

    def add_part(self, name: str, duration_us: int, independent: bool) -> None:
        segment = self.current
        mark = ",INDEPENDENT=YES" if independent else ""
        segment.part_lines.append(
            f'#EXT-X-PART:DURATION={seconds(duration_us)},URI="{name}"{mark}\n'
        )
        segment.part_names.append(name)
        segment.duration_us += duration_us
        self._edge_us += duration_us
        self.last_part = (segment.msn, len(segment.part_lines) - 1)

    def close_segment(self, name: str) -> Segment:
        """The open segment, which has at least one part, becomes a whole one."""
        segment = self.current
        segment.name = name
        segment.tail = f"#EXTINF:{seconds(segment.duration_us)},\n{name}\n"
        self._with_parts.append(segment)
        self._append(segment)
        self._open = None
        return segment

    def add_gap(
        self, msn: int, init_name: str, discontinuity: bool, wall: datetime, duration_us: int
    ) -> None:
        """A segment this rendition has not (4.4.4.7), so that its numbers stay the others'."""
        self.open_segment(msn, init_name, discontinuity, wall)
        segment = self.current
        segment.duration_us = duration_us
        self._edge_us += duration_us
        segment.tail = f"#EXT-X-GAP\n#EXTINF:{seconds(duration_us)},\ngap-{msn}.m4s\n"
        self._append(segment)
        self._open = None

    def _append(self, segment: Segment) -> None:
        self._segments.append(segment)
        self.complete_msn = segment.msn
        self._stale = True

    def drop_old(self) -> list[Dropped]:
        """Takes what fell out of the window, and part lists past three target durations."""
        dropped: list[Dropped] = []
        oldest = self._edge_us - PARTS_TARGETS * self._target_us
        while self._with_parts and self._with_parts[0].end_us < oldest:
            segment = self._with_parts.popleft()
            segment.part_lines.clear()
            dropped.append(Dropped(tuple(segment.part_names), PARTS_TARGETS * self._target_us))
            self._stale = True
        while self._segments and self._edge_us - self._segments[0].end_us >= self.window_us:
            # 6.2.2: a removed segment stays available for its own duration plus that of the longest
            # playlist that listed it.
            segment = self._segments.popleft()
            shown = self._edge_us - segment.start_us
            if segment.name:
                dropped.append(Dropped((segment.name,), segment.duration_us + shown))
            self._discontinuity_sequence += segment.discontinuity
            self._first_msn = segment.msn + 1
            self._stale = True
        return dropped

    def uses(self, init_name: str) -> bool:
        current = self._open
        return (current is not None and current.init_name == init_name) or any(
            segment.init_name == init_name for segment in self._segments
        )

    def render(self, hint: str, reports: Sequence[str]) -> tuple[str, str]:
        """(playlist, delta update or ""); `hint` is the next part's name, "" ends the playlist."""
        if self._stale:
            self._rebuild()
        tail = list(self._open.part_lines) if self._open is not None else []
        if tail and self._open is not None:
            tail.insert(0, self._open_head)
        if hint:
            tail.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hint}"\n')
            tail.extend(reports)
        else:
            tail.append("#EXT-X-ENDLIST\n")
        end = "".join(tail)
        return self._full_prefix + end, self._delta_prefix + end if self._delta_prefix else ""

    def _rebuild(self) -> None:
        head = (
            f"{self._head}#EXT-X-MEDIA-SEQUENCE:{self._first_msn}\n"
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self._discontinuity_sequence}\n"
        )
        texts: list[str] = []
        skipped = 0
        skip_us = SKIP_TARGETS * self._target_us
        init_name = ""
        for segment in self._segments:
            mapped = init_name if not segment.discontinuity else ""
            texts.append(self._segment_text(segment, mapped))
            init_name = segment.init_name
            if self._edge_us - segment.end_us > skip_us:
                skipped += 1
        self._full_prefix = head + "".join(texts)
        self._delta_prefix = ""
        if skipped:
            self._delta_prefix = f"{head}#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n" + "".join(
                texts[skipped:]
            )
        if self._open is not None:
            mapped = init_name if not self._open.discontinuity else ""
            self._open_head = _with_map(self._open, mapped)
        self._stale = False

    @staticmethod
    def _segment_text(segment: Segment, mapped: str) -> str:
        return _with_map(segment, mapped) + "".join(segment.part_lines) + segment.tail


def _with_map(segment: Segment, mapped: str) -> str:
    """The segment's head; EXT-X-MAP only where it changes what applies (`mapped`)."""
    if segment.init_name == mapped:
        return segment.head
    line = f'#EXT-X-MAP:URI="{segment.init_name}"\n'
    if segment.discontinuity:
        mark = "#EXT-X-DISCONTINUITY\n"
        return mark + line + segment.head[len(mark) :]
    return line + segment.head


@dataclass(frozen=True, slots=True)
class Variant:
    """One EXT-X-STREAM-INF. Bits per second; `width` 0 = no picture."""

    name: str
    codecs: str
    bandwidth: int
    average_bandwidth: int
    width: int
    height: int
    frame_rate: float


def multivariant(session: str, variants: Sequence[Variant]) -> str:
    """The multivariant playlist, `{p}` standing for the playback id (4.4.6.2)."""
    lines = ["#EXTM3U\n#EXT-X-VERSION:9\n"]
    for variant in variants:
        picture = ""
        if variant.width:
            picture = f",RESOLUTION={variant.width}x{variant.height}"
            if variant.frame_rate:
                picture += f",FRAME-RATE={variant.frame_rate:.3f}"
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={variant.bandwidth},"
            f"AVERAGE-BANDWIDTH={variant.average_bandwidth},"
            f'CODECS="{variant.codecs}"{picture}\n'
            f"{session}/{variant.name}/index.m3u8?p={{p}}\n"
        )
    return "".join(lines)


def target_duration(first_segment_ms: int, least: int, most: int) -> int:
    """TARGETDURATION, fixed when the first segment closes: room for half as much again."""
    return min(most, max(least, math.ceil(first_segment_ms * 1.5 / 1000)))
