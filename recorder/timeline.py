"""What a video is made of: its segments, their place in time, and the playlists that list them.

Pure: bytes and numbers in, bytes and text out. Times are seconds of media time unless said otherwise:
0 is the video's first frame, and gaps of a reconnect are left out.
"""

from __future__ import annotations

import json
import math
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

VERSION = 1
#: The rendition whose times are the video's.
SOURCE = "source"
#: RFC 8216bis 4.4.3.8: the skip boundary is at least six target durations.
SKIP_TARGETS = 6
#: As the live playlists promise (ingest.packager), for a video that does not say.
LEAST_TARGET_S = 4
#: Wall clock and media time may drift apart by so much before it counts as a gap. Live segments carry
#: the wall clock of their arrival, which wavers a little.
GAP_S = 0.5
#: Segments shorter than this say nothing about a rendition's peak.
PEAK_S = 0.4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Entry(NamedTuple):
    """One segment of one rendition.

    `msn` counts the rendition's segments over reconnects and is the same for all renditions of a time.
    `init` names the initialization section it needs, `pdt` is the wall clock of its first frame.
    `discontinuity`: it does not continue the one before it. `key` is the object's key in full where
    it is not the video's own `<rendition>/<msn>.m4s`; `init` is one in full then, too. `gap`: this
    rendition has nothing of this time.
    """

    msn: int
    start_s: float
    duration_s: float
    size: int
    init: str
    discontinuity: bool
    pdt: datetime
    key: str | None = None
    gap: bool = False

    @property
    def end_s(self) -> float:
        """Where the next one begins."""
        return self.start_s + self.duration_s


class Span(NamedTuple):
    """A run without a gap: from `start_s` the wall clock goes with the media for `duration_s`."""

    start_s: float
    wall: datetime
    duration_s: float


@dataclass(frozen=True)
class Timeline:
    """All segments of a video, of each rendition in order."""

    renditions: Mapping[str, tuple[Entry, ...]]

    @property
    def main(self) -> tuple[Entry, ...]:
        """The rendition whose times are the video's: the source, or whatever there is."""
        found = self.renditions.get(SOURCE)
        return found if found is not None else next(iter(self.renditions.values()), ())

    @property
    def duration_s(self) -> float:
        """How long it plays."""
        return self.main[-1].end_s if self.main else 0.0

    @property
    def size(self) -> int:
        """Bytes of all its segments."""
        return sum(entry.size for entries in self.renditions.values() for entry in entries)

    def spans(self) -> tuple[Span, ...]:
        """Its runs without a gap, in order."""
        return tuple(spans(self.main))

    def at(self, wall: datetime) -> float:
        """Media time when the clock said `wall`; within a gap where it is passed over."""
        return media_time(self.spans(), wall)

    def wall(self, at_s: float) -> datetime | None:
        """What the clock said at a media time; None for a video of nothing."""
        found = None
        for span in self.spans():
            if found is not None and span.start_s > at_s:
                break
            found = span
        if found is None:
            return None
        return found.wall + timedelta(seconds=max(0.0, at_s - found.start_s))

    def between(self, start_s: float, end_s: float) -> Timeline:
        """The segments that hold any of the times from `start_s` to `end_s`."""
        return Timeline(
            {name: between(entries, start_s, end_s) for name, entries in self.renditions.items()}
        )

    def encode(self) -> bytes:
        """As `decode` reads it: compressed JSON, a row an entry, times in microseconds."""
        renditions = {
            name: {"inits": (inits := _distinct(entries)), "rows": list(_rows(entries, inits))}
            for name, entries in self.renditions.items()
        }
        text = json.dumps({"version": VERSION, "renditions": renditions}, separators=(",", ":"))
        return zlib.compress(text.encode(), 6)

    @classmethod
    def decode(cls, data: bytes) -> Timeline:
        """The timeline that `encode` wrote. Raises ValueError."""
        try:
            kept = json.loads(zlib.decompress(data))
            if kept["version"] != VERSION:
                raise ValueError("a timeline of another version")
            return cls(
                {
                    name: tuple(_entry(row, each["inits"]) for row in each["rows"])
                    for name, each in kept["renditions"].items()
                }
            )
        except (zlib.error, KeyError, TypeError, IndexError, OverflowError) as error:
            raise ValueError(f"not a timeline: {error!r}") from error


def spans(entries: Iterable[Entry]) -> Iterator[Span]:
    """The runs of `entries` in which the wall clock goes with the media."""
    first: Entry | None = None
    end_s = 0.0
    for entry in entries:
        if first is None:
            first = entry
        elif not _continues(first, entry, end_s):
            yield Span(first.start_s, first.pdt, end_s - first.start_s)
            first = entry
        end_s = entry.end_s
    if first is not None:
        yield Span(first.start_s, first.pdt, end_s - first.start_s)


def _continues(first: Entry, entry: Entry, end_s: float) -> bool:
    expected = first.pdt + timedelta(seconds=end_s - first.start_s)
    return abs((entry.pdt - expected).total_seconds()) <= GAP_S


def media_time(runs: Sequence[Span], wall: datetime) -> float:
    """Media time when the clock said `wall`: within a gap the one where it is passed over."""
    position = bisect_right(runs, wall, key=lambda span: span.wall) - 1
    if position < 0:
        return 0.0
    span = runs[position]
    return span.start_s + min((wall - span.wall).total_seconds(), span.duration_s)


def between(entries: Sequence[Entry], start_s: float, end_s: float) -> tuple[Entry, ...]:
    """The entries that hold any of the times from `start_s` to `end_s`."""
    first = bisect_right(entries, start_s, key=lambda entry: entry.end_s)
    last = bisect_right(entries, end_s, key=lambda entry: entry.start_s)
    if last > first and entries[last - 1].start_s >= end_s:
        last -= 1
    return tuple(entries[first:last])


# --- put together ---------------------------------------------------------------------------------


def aligned(renditions: Mapping[str, Sequence[Entry]], *, ended: bool) -> Timeline:
    """The timeline of a broadcast's segments as they were stored, each rendition's in order.

    A rung that starts late counts its own time from there, and one that failed for a while has no
    segments of that time: its numbers and times become the source's, with a gap for each it has not.
    Before the end what is missing after a rendition's last segment is only not stored yet.
    """
    known = {name: entries for name, entries in renditions.items() if entries}
    if not known:
        return Timeline({})
    leading = Timeline({name: tuple(each) for name, each in known.items()}).main
    main = tuple(continued(None, leading))
    leader = SOURCE if SOURCE in known else next(iter(known))
    return Timeline(
        {
            name: main if name == leader else tuple(_beside(main, entries, ended))
            for name, entries in known.items()
        }
    )


def continued(before: Entry | None, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The source with a gap where segments of it were lost, so that time goes on as it did."""
    for entry in entries:
        if before is not None and (lost := entry.msn - before.msn - 1) > 0:
            each_s = (entry.start_s - before.end_s) / lost
            if each_s >= 0.001:
                yield from (_lost(before, entry, number, each_s) for number in range(1, lost + 1))
        yield entry
        before = entry


def _lost(before: Entry, after: Entry, number: int, each_s: float) -> Entry:
    passed_s = (number - 1) * each_s
    return Entry(
        before.msn + number,
        before.end_s + passed_s,
        each_s,
        0,
        before.init,
        False,
        min(after.pdt, before.pdt + timedelta(seconds=before.duration_s + passed_s)),
        gap=True,
    )


def in_place(entry: Entry, leading: Entry) -> Entry:
    """A rendition's segment in the place of the source's of the same number."""
    return entry._replace(start_s=leading.start_s, discontinuity=leading.discontinuity)


def hole(leading: Entry, init: str) -> Entry:
    """What stands for a segment that a rendition has not."""
    return leading._replace(size=0, init=init, gap=True)


def _beside(main: Sequence[Entry], entries: Sequence[Entry], ended: bool) -> Iterator[Entry]:
    """A rendition beside the source: what it has in the source's places, and gaps between."""
    own = {entry.msn: entry for entry in entries}
    last = entries[-1].msn
    for leading in main:
        entry = own.pop(leading.msn, None)
        if entry is not None:
            yield in_place(entry, leading)
        elif ended or leading.msn < last:
            yield hole(leading, entries[0].init)
    end_s = main[-1].end_s
    for entry in own.values():
        if entry.msn > main[-1].msn:
            yield entry._replace(start_s=end_s)
            end_s += entry.duration_s


# --- kept -----------------------------------------------------------------------------------------


def _us(value: float) -> int:
    return round(value * 1_000_000)


def _distinct(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.init for entry in entries))


def _rows(entries: Sequence[Entry], inits: Sequence[str]) -> Iterator[list[Any]]:
    numbers = {init: number for number, init in enumerate(inits)}
    for entry in entries:
        row: list[Any] = [
            entry.msn,
            _us(entry.start_s),
            _us(entry.duration_s),
            entry.size,
            numbers[entry.init],
            entry.discontinuity + 2 * entry.gap,
            (entry.pdt - _EPOCH) // _MICROSECOND,
        ]
        if entry.key is not None:
            row.append(entry.key)
        yield row


def _entry(row: Sequence[Any], inits: Sequence[str]) -> Entry:
    msn, start, duration, size, init, flags, pdt, *key = row
    return Entry(
        msn,
        start / 1_000_000,
        duration / 1_000_000,
        size,
        inits[init],
        bool(flags & 1),
        _EPOCH + timedelta(microseconds=pdt),
        key[0] if key else None,
        bool(flags & 2),
    )


# --- playlists ------------------------------------------------------------------------------------


class Rendition(NamedTuple):
    """What the multivariant playlist says of a rendition; bits a second, `width` 0: no picture."""

    name: str
    codecs: str
    width: int
    height: int
    frame_rate: float
    bandwidth: int
    average_bandwidth: int


#: Address of a file of a rendition (`12.m4s`, `init-0.mp4`), or of an object by its key in full.
Address = Callable[[str], str]


def own_address(rendition: str) -> Address:
    """Addresses beside the media playlist `<rendition>.m3u8`."""
    return lambda name: f"{rendition}/{name}"


def target_duration(entries: Sequence[Entry], least_s: int = LEAST_TARGET_S) -> int:
    """The EXT-X-TARGETDURATION: no segment, rounded, is longer (4.4.3.1)."""
    return max(least_s, *(math.floor(entry.duration_s + 0.5) for entry in entries), 1)


def media_playlist(
    entries: Sequence[Entry],
    *,
    target_s: int,
    ended: bool,
    address: Address,
    skip: bool = False,
) -> str:
    """The media playlist of one rendition.

    Before the end it is of type EVENT, and with `skip` a delta update (6.2.5.1) that leaves out what is
    older than six target durations.
    """
    skipped = skippable(entries, target_s) if skip and not ended else 0
    lines = [head(entries, target_s=target_s, ended=ended)]
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n")
    lines.extend(segments(entries, skipped, address))
    if ended:
        lines.append("#EXT-X-ENDLIST\n")
    return "".join(lines)


def head(entries: Sequence[Entry], *, target_s: int, ended: bool) -> str:
    """What a media playlist begins with."""
    control = "" if ended else f"#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL={SKIP_TARGETS * target_s}.0\n"
    return (
        f"#EXTM3U\n#EXT-X-VERSION:{7 if ended else 9}\n#EXT-X-TARGETDURATION:{target_s}\n"
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if ended else 'EVENT'}\n{control}"
        f"#EXT-X-MEDIA-SEQUENCE:{entries[0].msn if entries else 0}\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
    )


def skippable(entries: Sequence[Entry], target_s: int) -> int:
    """How many segments a delta update leaves out."""
    if not entries:
        return 0
    boundary = entries[-1].end_s - SKIP_TARGETS * target_s
    return bisect_right(entries, boundary, key=lambda entry: entry.end_s)


def segments(entries: Sequence[Entry], first: int, address: Address) -> Iterator[str]:
    """The lines of a playlist's segments from the `first` on."""
    mapped = entries[first - 1].init if first else ""
    for position in range(first, len(entries)):
        entry = entries[position]
        # The first segment of a playlist has nothing before it to be discontinuous with.
        if entry.discontinuity and position:
            yield "#EXT-X-DISCONTINUITY\n"
            mapped = ""
        if entry.init != mapped:
            yield f'#EXT-X-MAP:URI="{address(entry.init)}"\n'
            mapped = entry.init
        gap = "#EXT-X-GAP\n" if entry.gap else ""
        yield (
            f"#EXT-X-PROGRAM-DATE-TIME:{date_time(entry.pdt)}\n{gap}"
            f"#EXTINF:{seconds(entry.duration_s)},\n{address(file_name(entry))}\n"
        )


def file_name(entry: Entry) -> str:
    """A segment's file in its rendition's folder, or its object's key in full."""
    return entry.key or f"{entry.msn}.m4s"


def seconds(value: float) -> str:
    """Decimal seconds to the microsecond, shorter where milliseconds say it."""
    us = _us(value)
    return f"{us // 1_000_000}.{us % 1_000_000:06d}" if us % 1000 else f"{us / 1_000_000:.3f}"


def date_time(moment: datetime) -> str:
    """RFC 3339 UTC with milliseconds, as EXT-X-PROGRAM-DATE-TIME wants it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bandwidth(entries: Iterable[Entry]) -> tuple[int, int]:
    """Bits a second: the peak of any segment, and the average (4.4.6.2)."""
    peak = bits = 0.0
    total_s = 0.0
    for entry in entries:
        if entry.gap or entry.duration_s <= 0:
            continue
        bits += entry.size * 8
        total_s += entry.duration_s
        if entry.duration_s >= PEAK_S or not peak:
            peak = max(peak, entry.size * 8 / entry.duration_s)
    average = bits / total_s if total_s else 0.0
    return math.ceil(max(peak, average)), math.ceil(average)


def multivariant(renditions: Sequence[Rendition], *, folder: str = "") -> str:
    """The multivariant playlist. `folder` is where the media playlists are, empty or with a slash."""
    lines = ["#EXTM3U\n#EXT-X-VERSION:7\n"]
    for each in renditions:
        picture = ""
        if each.width:
            picture = f",RESOLUTION={each.width}x{each.height}"
            if each.frame_rate:
                picture += f",FRAME-RATE={each.frame_rate:.3f}"
        codecs = f',CODECS="{each.codecs}"' if each.codecs else ""
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={max(1, each.bandwidth)},"
            f"AVERAGE-BANDWIDTH={max(1, each.average_bandwidth)}{codecs}{picture}\n"
            f"{folder}{each.name}.m3u8\n"
        )
    return "".join(lines)
