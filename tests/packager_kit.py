"""What tests of the packager share: an FLV writer, a reader of the CMAF it makes (written from
ISO/IEC 14496-12, not from the writer), and a collector that holds every playlist to the rules.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingest.packager import (
    Event,
    Expired,
    InitReady,
    LiveStream,
    PackagerConfig,
    PartReady,
    PlaylistReady,
    SegmentReady,
    SourceChanged,
    StreamFault,
)
from tests import playlist_validator

# x264 320x180 4:2:0 8 bit, Main profile; AAC-LC 48 kHz mono.
AVC_RECORD = bytes.fromhex(
    "014d400dffe10019674d400deca0a0cfcf808800000300080000030"
    "1e078a14cb0010004" + "68ce0fc8"
)  # fmt: skip
AAC_RECORD = bytes.fromhex("1188")
FLV_HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
START = datetime(2030, 1, 1, tzinfo=UTC)


def flv_header(*, audio: bool = True, video: bool = True) -> bytes:
    return b"FLV\x01" + bytes([4 * audio + video]) + b"\x00\x00\x00\x09\x00\x00\x00\x00"


def tag(kind: int, time: int, payload: bytes) -> bytes:
    size = len(payload)
    head = bytes([kind]) + size.to_bytes(3, "big")
    stamp = (time & 0xFFFFFF).to_bytes(3, "big") + bytes([time >> 24 & 0xFF])
    return head + stamp + bytes(3) + payload + (size + 11).to_bytes(4, "big")


def avc_config(record: bytes = AVC_RECORD, time: int = 0) -> bytes:
    return tag(9, time, b"\x17\x00\x00\x00\x00" + record)


def aac_config(record: bytes = AAC_RECORD, time: int = 0) -> bytes:
    return tag(8, time, b"\xaf\x00" + record)


def avc_frame(time: int, payload: bytes, *, sync: bool = False, offset: int = 0) -> bytes:
    head = (b"\x17" if sync else b"\x27") + b"\x01" + (offset & 0xFFFFFF).to_bytes(3, "big")
    return tag(9, time, head + payload)


def aac_frame(time: int, payload: bytes) -> bytes:
    return tag(8, time, b"\xaf\x01" + payload)


def picture(number: int, size: int = 40) -> bytes:
    """A payload no other frame has: one NAL unit of `size` bytes that holds its number."""
    body = b"\x65" + number.to_bytes(8, "big")
    return size.to_bytes(4, "big") + body.ljust(size, b"\x55")


def sound(number: int) -> bytes:
    return b"snd" + number.to_bytes(8, "big")


@dataclass
class Synthetic:
    """A made-up stream in FLV. Frames hold their number, so that each can be found again."""

    rate: float = 30.0
    gop: int = 30
    audio_rate: int = 48000
    audio: bool = True
    start: int = 0
    dropped: frozenset[int] = frozenset()
    first_picture: int = 0
    first_sound: int = 0

    def prologue(self) -> bytes:
        head = flv_header(audio=self.audio) + avc_config(time=self.start)
        return head + (aac_config(time=self.start) if self.audio else b"")

    def tags(self, seconds: float) -> Iterator[tuple[int, bytes]]:
        """(ms, tag) in the order an encoder sends them."""
        sounds = 0
        for number in range(round(seconds * self.rate)):
            time = round(number * 1000 / self.rate)
            while self.audio and sounds * 1024000 / self.audio_rate <= time:
                stamp = round(sounds * 1024000 / self.audio_rate)
                yield stamp, aac_frame(self.start + stamp, sound(self.first_sound + sounds))
                sounds += 1
            if number in self.dropped:
                continue
            payload = picture(self.first_picture + number)
            yield time, avc_frame(self.start + time, payload, sync=number % self.gop == 0)


@dataclass
class SampleRead:
    """One sample found in CMAF; times in seconds."""

    dts: float
    pts: float
    duration: float
    sync: bool
    data: bytes


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(type, where its content begins, where it ends) of each box in a range."""
    end = len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        assert size >= 8 and start + size <= end, f"box {kind!r} of {size} bytes at {start}"
        yield kind, start + 8, start + size
        start += size


def timescales(init: bytes) -> dict[int, int]:
    """Track id → timescale of an initialization section."""
    found: dict[int, int] = {}
    moov = next(span for kind, *span in boxes(init) if kind == b"moov")
    for kind, start, end in boxes(init, *moov):
        if kind != b"trak":
            continue
        inside = {name: (a, b) for name, a, b in boxes(init, start, end)}
        track = struct.unpack_from(">I", init, inside[b"tkhd"][0] + 12)[0]
        media = {name: (a, b) for name, a, b in boxes(init, *inside[b"mdia"])}
        found[track] = struct.unpack_from(">I", init, media[b"mdhd"][0] + 12)[0]
    return found


def read_samples(init: bytes, chunks: bytes) -> dict[int, list[SampleRead]]:
    """Samples by track id, in stored order."""
    scales = timescales(init)
    tracks: dict[int, list[SampleRead]] = {track: [] for track in scales}
    position = 0
    for kind, start, end in boxes(chunks):
        if kind == b"moof":
            position = start - 8
            for inner, a, b in boxes(chunks, start, end):
                if inner == b"traf":
                    _read_traf(chunks, position, a, b, scales, tracks)
    return tracks


def _read_traf(
    data: bytes, moof: int, start: int, end: int, scales: dict[int, int],
    tracks: dict[int, list[SampleRead]],
) -> None:  # fmt: skip
    track = time = duration = flags = 0
    for kind, at, _ in boxes(data, start, end):
        if kind == b"tfhd":
            options, track = struct.unpack_from(">II", data, at)
            assert options & 0x020000, "default-base-is-moof"
            at += 8
            if options & 0x8:
                duration = struct.unpack_from(">I", data, at)[0]
                at += 4
            if options & 0x20:
                flags = struct.unpack_from(">I", data, at)[0]
        elif kind == b"tfdt":
            assert data[at] == 1
            time = struct.unpack_from(">Q", data, at + 4)[0]
        elif kind == b"trun":
            _read_trun(data, moof, at, (time, duration, flags), scales[track], tracks[track])


def _read_trun(
    data: bytes, moof: int, at: int, defaults: tuple[int, int, int], scale: int,
    samples: list[SampleRead],
) -> None:  # fmt: skip
    time, duration, flags = defaults
    options, count, offset = struct.unpack_from(">III", data, at)
    at += 12
    where = moof + offset
    for _ in range(count):
        values = []
        for bit in (0x100, 0x200, 0x400):
            values.append(struct.unpack_from(">I", data, at)[0] if options & bit else None)
            at += 4 if options & bit else 0
        shift = struct.unpack_from(">i", data, at)[0] if options & 0x800 else 0
        at += 4 if options & 0x800 else 0
        lasts = duration if values[0] is None else values[0]
        size = values[1] or 0
        marks = flags if values[2] is None else values[2]
        samples.append(
            SampleRead(
                time / scale, (time + shift) / scale, lasts / scale, not marks & 0x10000,
                data[where : where + size],
            )
        )  # fmt: skip
        where += size
        time += lasts


@dataclass
class Published:
    """All that one rendition published."""

    files: dict[str, bytes] = field(default_factory=dict)
    parts: list[PartReady] = field(default_factory=list)
    segments: list[SegmentReady] = field(default_factory=list)
    playlists: list[PlaylistReady] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)

    def samples(self) -> dict[int, list[SampleRead]]:
        """Samples of all segments; a new initialization section may change the tracks."""
        found: dict[int, list[SampleRead]] = {}
        for segment in self.segments:
            read = read_samples(self.files[segment.init_name], segment.data)
            for track, samples in read.items():
                found.setdefault(track, []).extend(samples)
        return found

    def media(self) -> bytes:
        """The first initialization section and every segment that uses it, as one file."""
        first = self.segments[0].init_name
        body = b"".join(s.data for s in self.segments if s.init_name == first)
        return self.files[first] + body


class Session:
    """A `LiveStream` whose every answer is kept and held to the rules, with a clock of its own."""

    def __init__(self, config: PackagerConfig | None = None, sibling: str | None = "audio") -> None:
        self.stream = LiveStream(config or PackagerConfig(), "s1")
        self.stream.add_rendition("source", audio_only_sibling=sibling)
        self.now = START
        self.renditions: dict[str, Published] = {}
        self.faults: list[StreamFault] = []
        self.infos: list[SourceChanged] = []

    def __getitem__(self, name: str) -> Published:
        return self.renditions.setdefault(name, Published())

    def feed(self, data: bytes, name: str = "source", *, ms: float = 0) -> list[Event]:
        self.now += timedelta(milliseconds=ms)
        return self.keep(self.stream.feed(name, data, self.now))

    def play(self, tags: Iterable[tuple[int, bytes]], name: str = "source") -> None:
        """Feeds tags one by one, each when it is due."""
        begin = self.now
        for time, data in tags:
            self.now = max(self.now, begin + timedelta(milliseconds=time))
            self.feed(data, name)

    def cut(self, name: str | None = None) -> list[Event]:
        return self.keep(self.stream.cut(self.now, name))

    def end(self) -> list[Event]:
        return self.keep(self.stream.end(self.now))

    def keep(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, StreamFault):
                self.faults.append(event)
                continue
            if isinstance(event, SourceChanged):
                self.infos.append(event)
                continue
            published = self[event.rendition]
            if isinstance(event, InitReady | PartReady | SegmentReady):
                assert event.name not in published.files, f"{event.name} is used again"
                published.files[event.name] = event.data
            if isinstance(event, PartReady):
                published.parts.append(event)
            elif isinstance(event, SegmentReady):
                published.segments.append(event)
            elif isinstance(event, PlaylistReady):
                published.playlists.append(event)
            elif isinstance(event, Expired):
                published.expired.extend(event.names)
        return events

    def check(self) -> None:
        """Everything that holds for any stream whatever."""
        findings: list[str] = []
        for name, published in self.renditions.items():
            texts = [playlist.text for playlist in published.playlists]
            found = playlist_validator.check_history(texts)
            # Deltas and headers change in one way only: a sample, and both ends, will do.
            for playlist in published.playlists[::5] + published.playlists[-2:]:
                if playlist.delta:
                    found += playlist_validator.check_delta(playlist.text, playlist.delta)
                found += self._check_headers(published, playlist)
            findings += [f"{name}: {finding}" for finding in found]
            self._check_parts(published)
        last = {
            name: published.playlists[-1].text
            for name, published in self.renditions.items()
            if published.playlists
        }
        findings += playlist_validator.check_renditions(last)
        multivariant = self.stream.multivariant()
        if multivariant is not None and "#EXT-X-STREAM-INF" in multivariant:
            findings += playlist_validator.check_multivariant(multivariant)
        assert findings == [], "\n".join(findings[:20])

    def _check_headers(self, published: Published, event: PlaylistReady) -> list[str]:
        """What the edge is told beside the text must be what the text says."""
        playlist = playlist_validator.parse_media(event.text)
        with_parts = [segment for segment in playlist.segments if segment.parts]
        said = (event.msn, event.part)
        found: list[str] = []
        if with_parts and said != (with_parts[-1].msn, len(with_parts[-1].parts) - 1):
            found.append(f"the last part is {with_parts[-1].msn}, not {said}")
        whole = [segment.msn for segment in playlist.segments if segment.uri]
        if whole[-1] != event.complete_msn or event.ended != playlist.ended:
            found.append("complete_msn or ended differ from the text")
        if playlist.hints and playlist.hints[0]["URI"] != f"part-{event.part_number + 1}.m4s":
            found.append("the hint is not the next number")
        gone = set(published.expired)
        listed = {segment.uri for segment in playlist.segments if not segment.gap}
        listed |= {part.uri for segment in playlist.segments for part in segment.parts}
        missing = {uri for uri in listed if uri and uri not in published.files}
        if missing:
            found.append(f"listed but never published: {missing}")
        if event is published.playlists[-1] and gone & listed:
            found.append(f"listed but expired: {gone & listed}")
        return found

    @staticmethod
    def _check_parts(published: Published) -> None:
        """Parts and their segment hold the same bytes; numbers and times leave nothing out."""
        numbers = [part.number for part in published.parts]
        assert numbers == list(range(len(numbers)))
        end = 0.0
        for segment in published.segments:
            assert segment.data == b"".join(published.files[name] for name in segment.parts)
            assert abs(segment.start - end) < 1e-6 or segment.start > end
            end = segment.start + segment.duration
