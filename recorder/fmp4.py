"""Fragmented MP4 (ISO/IEC 14496-12): the samples of stored segments, and chunks of samples again.

Read is what the live packager and ffmpeg write: initialization sections with one sample entry a track,
`moof` with `tfhd`, `tfdt` and any number of `trun`. Whatever else it is, is a ValueError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

# sample_depends_on = 2 (independent) / = 1 and sample_is_non_sync_sample (8.8.3.1).
SYNC, NON_SYNC = 0x02000000, 0x01010000
_NON_SYNC_BIT = 0x00010000
#: The decoder's configuration record in a sample entry, by codec.
CONFIGS = (b"avcC", b"hvcC", b"av1C")
#: Where the boxes of a visual sample entry begin (12.1.3.2).
_VISUAL_ENTRY = 78
_MOOF = struct.Struct(">I4sI4sII")
_TRAF = struct.Struct(">I4s I4sII I4sIQ I4sIII")


class Sample(NamedTuple):
    """One coded frame; times in units of its track. `offset` is its composition offset."""

    time: int
    duration: int
    offset: int
    sync: bool
    data: memoryview

    @property
    def shown(self) -> int:
        """When it is presented."""
        return self.time + self.offset


@dataclass(frozen=True, slots=True)
class Track:
    """What an initialization section says of one track.

    `delay` is where its edit list begins (8.6.6), in its own units. `config` is the payload of avcC,
    hvcC or av1C, empty for sound.
    """

    id: int
    kind: str
    timescale: int
    delay: int
    entry: str
    config: bytes
    default_duration: int
    default_size: int
    default_flags: int


@dataclass(frozen=True, slots=True)
class Init:
    """An initialization section: picture, sound or both."""

    data: bytes
    video: Track | None
    audio: Track | None

    @property
    def tracks(self) -> list[Track]:
        return [track for track in (self.video, self.audio) if track is not None]


@dataclass(frozen=True, slots=True)
class Segment:
    """The samples of a segment by track id, and where each track begins in it."""

    samples: dict[int, list[Sample]]
    begins: dict[int, int]


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(type, where its content begins, where it ends) of each box in a range."""
    end = len(data) if end is None else end
    while start < end:
        if start + 8 > end:
            raise ValueError("a box ends early")
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end:
            raise ValueError(f"box {kind!r} has an impossible size")
        yield kind, start + 8, start + size
        start += size


def _inside(data: bytes, span: tuple[int, int], *path: bytes) -> tuple[int, int] | None:
    """Where the content of the box at `path` is, None without one."""
    for wanted in path:
        found = next((s for k, *s in boxes(data, *span) if k == wanted), None)
        if found is None:
            return None
        span = (found[0], found[1])
    return span


def read_init(data: bytes) -> Init:
    """`ftyp` + `moov`. Raises ValueError when it is none, or holds two tracks of a kind."""
    try:
        return _read_init(data)
    except (struct.error, StopIteration, IndexError) as error:
        raise ValueError("an initialization section that ends early") from error


def _read_init(data: bytes) -> Init:
    moov = _inside(data, (0, len(data)), b"moov")
    if moov is None:
        raise ValueError("no initialization section")
    defaults = _read_defaults(data, moov)
    found: dict[str, Track] = {}
    for kind, start, end in boxes(data, *moov):
        if kind == b"trak":
            track = _read_track(data, (start, end), defaults)
            if track is not None and found.setdefault(track.kind, track) is not track:
                raise ValueError(f"two tracks of {track.kind}")
    if not found:
        raise ValueError("no picture and no sound")
    return Init(data, found.get("video"), found.get("audio"))


def _read_defaults(data: bytes, moov: tuple[int, int]) -> dict[int, tuple[int, int, int]]:
    extends = _inside(data, moov, b"mvex")
    found = {}
    for kind, start, _ in boxes(data, *extends) if extends else ():
        if kind == b"trex":
            track, _entry, duration, size, flags = struct.unpack_from(">5I", data, start + 4)
            found[track] = (duration, size, flags)
    return found


def _read_track(
    data: bytes, span: tuple[int, int], defaults: dict[int, tuple[int, int, int]]
) -> Track | None:
    header = _inside(data, span, b"tkhd")
    media = _inside(data, span, b"mdia", b"mdhd")
    handler = _inside(data, span, b"mdia", b"hdlr")
    entries = _inside(data, span, b"mdia", b"minf", b"stbl", b"stsd")
    if header is None or media is None or handler is None or entries is None:
        raise ValueError("a track without its boxes")
    kind = {b"vide": "video", b"soun": "audio"}.get(data[handler[0] + 8 : handler[0] + 12])
    if kind is None:
        return None
    number = struct.unpack_from(">I", data, header[0] + (20 if data[header[0]] else 12))[0]
    timescale = struct.unpack_from(">I", data, media[0] + (20 if data[media[0]] else 12))[0]
    if not timescale:
        raise ValueError("a track without a timescale")
    entry, start, end = next(boxes(data, entries[0] + 8, entries[1]))
    config = b""
    if kind == "video":
        for inner, a, b in boxes(data, start + _VISUAL_ENTRY, end):
            if inner in CONFIGS:
                config = data[a:b]
    return Track(
        number, kind, timescale, _read_delay(data, span), entry.decode("latin-1"), config,
        *defaults.get(number, (0, 0, 0)),
    )  # fmt: skip


def _read_delay(data: bytes, span: tuple[int, int]) -> int:
    edits = _inside(data, span, b"edts", b"elst")
    if edits is None:
        return 0
    at = edits[0]
    version, count = data[at], struct.unpack_from(">I", data, at + 4)[0]
    for number in range(count):
        form, size = (">Qq", 20) if version else (">Ii", 12)
        _duration, time = struct.unpack_from(form, data, at + 8 + number * size)
        if time >= 0:
            return int(time)
    return 0


def read_segment(init: Init, data: bytes) -> Segment:
    """The samples of one or more chunks, in decoding order. Raises ValueError."""
    tracks = {track.id: track for track in init.tracks}
    segment = Segment({number: [] for number in tracks}, {})
    view = memoryview(data)
    try:
        for kind, start, end in boxes(data):
            if kind != b"moof":
                continue
            for inner, a, b in boxes(data, start, end):
                if inner == b"traf":
                    _read_traf(view, data, start - 8, (a, b), tracks, segment)
    except (struct.error, IndexError) as error:
        raise ValueError("a chunk ends early") from error
    return segment


def _read_traf(
    view: memoryview, data: bytes, moof: int, span: tuple[int, int], tracks: dict[int, Track],
    segment: Segment,
) -> None:  # fmt: skip
    header = _inside(data, span, b"tfhd")
    if header is None:
        raise ValueError("a track fragment without its header")
    at = header[0]
    options, number = struct.unpack_from(">II", data, at)
    track = tracks.get(number)
    if track is None:
        return
    at += 8
    base = moof
    if options & 1:
        base = struct.unpack_from(">Q", data, at)[0]
        at += 8
    at += 4 if options & 2 else 0
    defaults = [track.default_duration, track.default_size, track.default_flags]
    for index, bit in enumerate((0x8, 0x10, 0x20)):
        if options & bit:
            defaults[index] = struct.unpack_from(">I", data, at)[0]
            at += 4
    samples = segment.samples[number]
    time = samples[-1].time + samples[-1].duration if samples else 0
    for kind, a, b in boxes(data, *span):
        if kind == b"tfdt":
            time = struct.unpack_from(">Q" if data[a] else ">I", data, a + 4)[0]
            segment.begins.setdefault(number, time)
        elif kind == b"trun":
            time = _read_trun(view, data, (a, b), (base, time), defaults, samples)


def _read_trun(
    view: memoryview, data: bytes, span: tuple[int, int], origin: tuple[int, int],
    defaults: list[int], samples: list[Sample],
) -> int:  # fmt: skip
    at, end = span
    base, time = origin
    options, count = struct.unpack_from(">II", data, at)
    at += 8
    where = base
    if options & 1:
        where += struct.unpack_from(">i", data, at)[0]
        at += 4
    first_flags: int | None = None
    if options & 4:
        first_flags = struct.unpack_from(">I", data, at)[0]
        at += 4
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if options & bit]
    if count * 4 * len(fields) > end - at:
        raise ValueError("a run ends early")
    for index in range(count):
        duration, size, flags = defaults
        offset = 0
        for bit in fields:
            value = struct.unpack_from(">I", data, at)[0]
            at += 4
            if bit == 0x100:
                duration = value
            elif bit == 0x200:
                size = value
            elif bit == 0x400:
                flags = value
            else:
                offset = value - (1 << 32) if value >> 31 else value
        if index == 0 and first_flags is not None:
            flags = first_flags
        if where + size > len(view):
            raise ValueError("a sample lies outside its segment")
        sync = not flags & _NON_SYNC_BIT
        samples.append(Sample(time, duration, offset, sync, view[where : where + size]))
        where += size
        time += duration
    return time


def box(kind: bytes, *content: bytes) -> bytes:
    """A box around its content."""
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def chunk(sequence: int, runs: Sequence[tuple[int, Sequence[Sample]]]) -> bytes:
    """One `moof` + `mdat` with the samples of each (track id, samples); tracks without are left out.

    A sample lasts until the next one of its run begins, whatever it says itself.
    """
    runs = [(track, samples) for track, samples in runs if samples]
    size = _MOOF.size + sum(_TRAF.size + 16 * len(samples) for _, samples in runs)
    pieces: list[bytes | memoryview] = [_MOOF.pack(size, b"moof", 16, b"mfhd", 0, sequence)]
    where = size + 8
    for track, samples in runs:
        count = len(samples)
        pieces.append(
            _TRAF.pack(
                _TRAF.size + 16 * count, b"traf", 16, b"tfhd", 0x020000, track,
                20, b"tfdt", 0x01000000, samples[0].time,
                20 + 16 * count, b"trun", 0x01000F01, count, where,
            )
        )  # fmt: skip
        lasts = [b.time - a.time for a, b in pairwise(samples)] + [samples[-1].duration]
        pieces.append(b"".join(_fields(s, d) for s, d in zip(samples, lasts, strict=True)))
        where += sum(len(sample.data) for sample in samples)
    pieces.append(struct.pack(">I4s", 8 + where - size - 8, b"mdat"))
    pieces.extend(sample.data for _, samples in runs for sample in samples)
    return b"".join(pieces)


def _fields(sample: Sample, duration: int) -> bytes:
    flags = SYNC if sample.sync else NON_SYNC
    return struct.pack(">IIIi", duration, len(sample.data), flags, sample.offset)


def shifted(data: bytes, units: dict[int, int]) -> bytes:
    """Chunks with the decode times of each track moved by so many of its units."""
    moved = bytearray(data)
    for kind, start, end in boxes(data):
        if kind != b"moof":
            continue
        for inner, a, b in boxes(data, start, end):
            header = _inside(data, (a, b), b"tfhd") if inner == b"traf" else None
            time = _inside(data, (a, b), b"tfdt") if inner == b"traf" else None
            if header is None or time is None:
                continue
            by = units.get(struct.unpack_from(">I", data, header[0] + 4)[0], 0)
            form = ">Q" if data[time[0]] else ">I"
            before = struct.unpack_from(form, data, time[0] + 4)[0]
            struct.pack_into(form, moved, time[0] + 4, before + by)
    return bytes(moved)


def with_config(init: Init, config: bytes) -> bytes:
    """The initialization section with another decoder configuration for its picture."""
    track = init.video
    if track is None:
        raise ValueError("no picture to configure")

    def entry(content: bytes) -> bytes:
        head, inner = content[:_VISUAL_ENTRY], content[_VISUAL_ENTRY:]
        return head + _each(inner, lambda k, c: config if k in CONFIGS else c)

    def entries(content: bytes) -> bytes:
        return content[:8] + _each(content[8:], lambda _, c: entry(c))

    def descend(kind: bytes, content: bytes) -> bytes:
        if kind == b"trak":
            header = _inside(content, (0, len(content)), b"tkhd")
            if header is None:
                raise ValueError("a track without its header")
            at = header[0] + (20 if content[header[0]] else 12)
            if struct.unpack_from(">I", content, at)[0] != track.id:
                return content
        if kind == b"stsd":
            return entries(content)
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            return _each(content, descend)
        return content

    return _each(init.data, descend)


def _each(data: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """The boxes in `data` with their contents changed."""
    return b"".join(box(kind, change(kind, data[a:b])) for kind, a, b in boxes(data))
