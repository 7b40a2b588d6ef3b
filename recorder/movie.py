"""A progressive MP4 made of stored segments without touching a sample (ISO/IEC 14496-12). Pure.

The index stands in front, so that a download plays at once and seeks by range. A change of codec
configuration in mid-stream becomes a second sample entry. Two passes: `add` sees every segment and
grows the index; then `header` gives what stands before the media, and `media` each segment's share.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby

from recorder import fmp4
from recorder.fmp4 import Sample

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MOVIE_TIMESCALE = 1000
_LONG = 1 << 32


@dataclass
class _Table:
    """One track's sample table."""

    kind: str
    timescale: int
    size: bytes
    entries: list[bytes] = field(default_factory=list)
    # (samples, duration) and (samples, offset), run-length coded as they are written.
    durations: list[list[int]] = field(default_factory=list)
    compositions: list[list[int]] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("I"))
    sync: array[int] = field(default_factory=lambda: array("I"))
    # (samples, entry) of each chunk, and where it is in the media.
    chunks: list[tuple[int, int]] = field(default_factory=list)
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    entry: int = 0
    # Where its first sample and its end are on the movie's time, in its timescale.
    delay: int = 0
    end: int = 0

    def use(self, entry: bytes, size: bytes) -> None:
        """Samples from here on need this sample entry."""
        if entry not in self.entries:
            self.entries.append(entry)
        self.entry = self.entries.index(entry) + 1
        self.size = max(self.size, size)

    def place(self, time: int) -> None:
        """Samples that follow begin at `time`: the one before lasts until then."""
        if not self.sizes:
            self.delay = self.end = max(0, time)
        elif time > self.end:
            self._append(self.durations, -1, self.durations[-1][1])
            self._append(self.durations, 1, self.durations[-1][1] + time - self.end)
            self.durations = [pair for pair in self.durations if pair[0]]
            self.end = time

    def add(self, samples: Sequence[Sample], unit: Fraction, at: int) -> None:
        """Samples that lie at `at` of the media; a unit of their time is `unit` of this table's."""
        first = len(self.sizes) + 1
        self.sizes.extend([len(sample.data) for sample in samples])
        self.sync.extend([first + number for number, s in enumerate(samples) if s.sync])
        durations: Sequence[int] = [sample.duration for sample in samples]
        offsets: Sequence[int] = [sample.offset for sample in samples]
        if unit != 1:
            durations = _rescaled(durations, unit)
            offsets = [round(offset * unit) for offset in offsets]
        for duration, group in groupby(durations):
            self._append(self.durations, sum(1 for _ in group), duration)
        for offset, group in groupby(offsets):
            self._append(self.compositions, sum(1 for _ in group), offset)
        self.chunks.append((len(samples), self.entry))
        self.offsets.append(at)
        self.end += sum(durations)

    @staticmethod
    def _append(pairs: list[list[int]], count: int, value: int) -> None:
        if pairs and pairs[-1][1] == value:
            pairs[-1][0] += count
        else:
            pairs.append([count, value])


class Movie:
    """The index of a file that is being made."""

    def __init__(self) -> None:
        self.media_bytes = 0
        self._tables: dict[str, _Table] = {}
        self._init: fmp4.Init | None = None
        self._shift: Fraction | None = None

    @property
    def duration_s(self) -> float:
        """Length of the longest track."""
        return float(self._end())

    @property
    def samples(self) -> int:
        """How many there are, of all tracks."""
        return sum(len(table.sizes) for table in self._tables.values())

    def use(self, init: bytes) -> None:
        """Segments from here on need this initialization section. Raises ValueError."""
        self._init = fmp4.read_init(init)
        for track in self._init.tracks:
            entry, size = _description(init, track.id)
            table = self._tables.get(track.kind)
            if table is None:
                table = self._tables[track.kind] = _Table(track.kind, track.timescale, size)
            table.use(entry, size)

    def interrupt(self) -> None:
        """The next segment does not continue the one before it: its times begin anew."""
        self._shift = None

    def add(self, segment: bytes) -> None:
        """Take the samples of a segment into the index. Raises ValueError."""
        if self._init is None:
            raise ValueError("no initialization section yet")
        found = fmp4.read_segment(self._init, segment).samples
        tracks = [track for track in self._init.tracks if found[track.id]]
        if self._shift is None and tracks:
            starts = [Fraction(found[t.id][0].time, t.timescale) for t in tracks]
            self._shift = self._end() - min(starts)
        for track in tracks:
            table, samples = self._tables[track.kind], found[track.id]
            start = Fraction(samples[0].time, track.timescale) + (self._shift or 0)
            table.place(round(start * table.timescale))
            table.add(samples, Fraction(table.timescale, track.timescale), self.media_bytes)
            self.media_bytes += sum(len(sample.data) for sample in samples)

    def _end(self) -> Fraction:
        ends = (Fraction(t.end, t.timescale) for t in self._tables.values() if t.sizes)
        return max(ends, default=Fraction(0))

    def header(self) -> bytes:
        """All that stands before the media: ftyp, moov and the head of mdat."""
        tables = [table for table in self._tables.values() if table.sizes]
        brands = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
        mdat = self.media_bytes + 8
        head = struct.pack(">I4s", mdat, b"mdat")
        if mdat >= _LONG:
            head = struct.pack(">I4sQ", 1, b"mdat", self.media_bytes + 16)
        # Offsets in the index depend on its length, but its length only on how wide they are.
        wide = self.media_bytes + len(brands) + 64 * self.samples + 4096 >= _LONG
        length = len(brands) + len(_moov(tables, 0, wide)) + len(head)
        return brands + _moov(tables, length, wide) + head


def media(init: fmp4.Init, segment: bytes) -> list[memoryview]:
    """A segment's share of the media, as `Movie.add` counted it."""
    found = fmp4.read_segment(init, segment).samples
    return [sample.data for track in init.tracks for sample in found[track.id]]


def _rescaled(durations: Sequence[int], unit: Fraction) -> list[int]:
    """Durations in another timescale, without a rounding error that grows."""
    found = []
    total = given = 0
    for duration in durations:
        total += duration
        found.append(round(total * unit) - given)
        given += found[-1]
    return found


def _description(init: bytes, number: int) -> tuple[bytes, bytes]:
    """The sample entries of a track as they stand in stsd, and width and height of its tkhd."""
    begins, ends = _inside(init, b"moov", 0, len(init))
    for kind, start, end in fmp4.boxes(init, begins, ends):
        if kind == b"trak":
            header, header_end = _inside(init, b"tkhd", start, end)
            at = header + (20 if init[header] else 12)
            if struct.unpack_from(">I", init, at)[0] == number:
                for path in (b"mdia", b"minf", b"stbl", b"stsd"):
                    start, end = _inside(init, path, start, end)
                return init[start + 8 : end], init[header_end - 8 : header_end]
    raise ValueError("a track that is not described")


def _inside(data: bytes, wanted: bytes, start: int, end: int) -> tuple[int, int]:
    for kind, begins, ends in fmp4.boxes(data, start, end):
        if kind == wanted:
            return begins, ends
    raise ValueError(f"there is no {wanted.decode()}")


# --- boxes ----------------------------------------------------------------------------------------


def _box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _full(kind: bytes, version_flags: int, *content: bytes) -> bytes:
    return _box(kind, version_flags.to_bytes(4, "big"), *content)


def _moov(tables: Sequence[_Table], media_at: int, wide: bool) -> bytes:
    duration = max((_in_movie_time(t, t.end) for t in tables), default=0)
    header = _full(
        b"mvhd",
        1 << 24,
        struct.pack(">QQIQ", 0, 0, _MOVIE_TIMESCALE, duration),
        struct.pack(">IH10x", 0x10000, 0x100),
        _MATRIX,
        bytes(24),
        struct.pack(">I", len(tables) + 1),
    )
    # Pictures first: some players take the first track for the one to show.
    ordered = sorted(tables, key=lambda table: table.kind != "video")
    parts = (_trak(t, number + 1, media_at, wide) for number, t in enumerate(ordered))
    return _box(b"moov", header, *parts)


def _in_movie_time(table: _Table, time: int) -> int:
    return round(time * _MOVIE_TIMESCALE / table.timescale)


def _trak(table: _Table, number: int, media_at: int, wide: bool) -> bytes:
    is_audio = table.kind == "audio"
    duration = _in_movie_time(table, table.end)
    tkhd = _full(
        b"tkhd",
        1 << 24 | 3,
        struct.pack(">QQI4xQ8xHHHxx", 0, 0, number, duration, 0, 0, 0x100 if is_audio else 0),
        _MATRIX,
        table.size,
    )
    length = table.end - table.delay
    mdhd = _full(b"mdhd", 1 << 24, struct.pack(">QQIQHH", 0, 0, table.timescale, length, 0x55C4, 0))
    name = b"Sound\0" if is_audio else b"Video\0"
    hdlr = _full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"soun" if is_audio else b"vide"), name)
    about = _full(b"smhd", 0, bytes(4)) if is_audio else _full(b"vmhd", 1, bytes(8))
    dref = _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1))
    minf = _box(b"minf", about, _box(b"dinf", dref), _stbl(table, media_at, wide))
    edits = _edits(table) if table.delay else b""
    return _box(b"trak", tkhd, edits, _box(b"mdia", mdhd, hdlr, minf))


def _edits(table: _Table) -> bytes:
    """A track that begins later than the movie (8.6.6): first nothing, then all of it."""
    delay = _in_movie_time(table, table.delay)
    length = _in_movie_time(table, table.end) - delay
    entries = struct.pack(">QqI", delay, -1, 0x10000) + struct.pack(">QqI", length, 0, 0x10000)
    return _box(b"edts", _full(b"elst", 1 << 24, struct.pack(">I", 2), entries))


def _stbl(table: _Table, media_at: int, wide: bool) -> bytes:
    parts = [
        _full(b"stsd", 0, struct.pack(">I", len(table.entries)), *table.entries),
        _full(b"stts", 0, _pairs(table.durations, "I")),
    ]
    if any(shift for _, shift in table.compositions):
        signed = any(shift < 0 for _, shift in table.compositions)
        parts.append(_full(b"ctts", signed << 24, _pairs(table.compositions, "i")))
    if len(table.sync) != len(table.sizes):
        parts.append(_full(b"stss", 0, struct.pack(">I", len(table.sync)), _big(table.sync)))
    parts.append(_full(b"stsc", 0, _chunk_runs(table.chunks)))
    parts.append(_full(b"stsz", 0, struct.pack(">II", 0, len(table.sizes)), _big(table.sizes)))
    offsets = array("Q" if wide else "I", (media_at + offset for offset in table.offsets))
    kind = b"co64" if wide else b"stco"
    parts.append(_full(kind, 0, struct.pack(">I", len(offsets)), _big(offsets)))
    return _box(b"stbl", *parts)


def _pairs(pairs: Sequence[Sequence[int]], second: str) -> bytes:
    coder = struct.Struct(f">I{second}")
    return struct.pack(">I", len(pairs)) + b"".join(coder.pack(*pair) for pair in pairs)


def _chunk_runs(chunks: Sequence[tuple[int, int]]) -> bytes:
    """stsc (8.7.4): from which chunk on how many samples a chunk has, and of which entry."""
    entries = []
    number = 1
    for (count, entry), group in groupby(chunks):
        entries.append(struct.pack(">III", number, count, entry))
        number += sum(1 for _ in group)
    return struct.pack(">I", len(entries)) + b"".join(entries)


def _big(values: array[int]) -> bytes:
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped.tobytes()
