"""What tests of cutting share: broadcasts as the packager stores them, and what a cut shows when played."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import av.audio

from recorder import ends
from recorder.cutting import plan
from recorder.fmp4 import boxes, read_init, read_segment
from recorder.pieces import SECOND, Anchor, Copy, Encode, Loaded, Missing, Plan, Refer, Slot
from tests.e2e.samples import Sample, draw, number_of
from tests.packager_kit import Published, Session


@dataclass
class Stored:
    """A rendition as it lies in storage. `frames` are (media time in us, number) of its pictures,
    `sounds` the media times of its AAC frames.
    """

    slots: list[Slot]
    media: list[bytes]
    inits: dict[str, bytes]
    frames: list[tuple[int, int]]
    sounds: list[int] = field(default_factory=list)
    loads: list[int] = field(default_factory=list)

    def load(self, index: int) -> Loaded:
        self.loads.append(index)
        init = read_init(self.inits[self.slots[index].init])
        return Loaded(init, read_segment(init, self.media[index]))

    def plan(self, start: float, end: float, anchors: Sequence[Anchor] = ()) -> Plan:
        """Cut with the segments loaded that the plan asks for, and no others."""
        loaded: dict[int, Loaded] = {}
        while True:
            times = round(start * SECOND), round(end * SECOND)
            answer = plan(self.slots, loaded, *times, anchors)
            if isinstance(answer, Plan):
                return answer
            assert isinstance(answer, Missing)
            assert not answer.indexes & loaded.keys()
            loaded |= {index: self.load(index) for index in answer.indexes}

    def wanted(self, start: float, end: float) -> list[int]:
        """The numbers of the frames between two times."""
        return [n for t, n in self.frames if round(start * SECOND) <= t < round(end * SECOND)]

    def heard(self, start: float, end: float) -> list[int]:
        """When the AAC frames begin that do so between two times."""
        return [t for t in self.sounds if round(start * SECOND) <= t < round(end * SECOND)]


def published(sample: Sample, *more: Sample) -> Published:
    """What the packager makes of a broadcast; `more` are its parts after reconnects."""
    return packaged(sample, *more)["source"]


def packaged(
    sample: Sample, *more: Sample, beside: Sample | None = None, rung: str = "180p"
) -> dict[str, Published]:
    """All renditions: the source, a rung that is the same again or what is `beside`, the sound alone."""
    session = Session()
    session.stream.add_rendition(rung)
    for number, part in enumerate((sample, *more)):
        if number:
            session.cut()
        session.feed(_flv(part), ms=1000)
        session.feed(_flv(beside or part), rung)
    session.end()
    assert not [fault for fault in session.faults if fault.fatal]
    return {name: session[name] for name in ("source", rung, "audio")}


def _flv(sample: Sample) -> bytes:
    data = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
    for tag in sample.tags:
        head = bytes([tag.kind]) + len(tag.payload).to_bytes(3, "big")
        head += (tag.time & 0xFFFFFF).to_bytes(3, "big") + bytes([tag.time >> 24]) + bytes(3)
        data += head + tag.payload + (len(tag.payload) + 11).to_bytes(4, "big")
    return data


async def other_codec(program: str, codec: str, size: tuple[int, int]) -> Stored:
    """Seven seconds in a codec that RTMP samples do not have, as ffmpeg segments them: 2 s each."""
    frames = b"".join(bytes(draw(n, size).to_ndarray().tobytes()) for n in range(210))
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}", "-r", "30")
    low = {"libx265": ("-preset", "ultrafast"), "libsvtav1": ("-preset", "12")}[codec]
    tag = ("-tag:v", "hvc1", "-x265-params", "log-level=error:open-gop=0") if "265" in codec else ()
    encode = ("-c:v", codec, *low, *tag, "-g", "60", "-crf", "20", "-video_track_timescale", "1000")
    command = [
        program, "-v", "error", *raw, "-i", "pipe:0", *encode, "-f", "mp4",
        "-movflags", "empty_moov+default_base_moof+frag_keyframe", "pipe:1",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    data, _ = await process.communicate(frames)
    heads = [start - 8 for kind, start, _ in boxes(data) if kind == b"moof"]
    ends_at = [*heads[1:], next((a - 8 for k, a, _ in boxes(data) if k == b"mfra"), len(data))]
    result = Stored([], [], {"init": data[: heads[0]]}, [])
    start = 0
    for number, (begin, end) in enumerate(zip(heads, ends_at, strict=True)):
        result.media.append(data[begin:end])
        result.slots.append(Slot(number + 1, start, 0, "init", False))
        content = result.load(number)
        video = content.init.video
        assert video is not None
        samples = content.samples(video)
        duration = sum(s.duration for s in samples) * SECOND // video.timescale
        result.slots[-1] = Slot(number + 1, start, duration, "init", False)
        zero = start - content.segment.begins[video.id] * 1000
        shown = sorted(zero + (s.shown - video.delay) * 1000 for s in samples)
        result.frames += [(time, len(result.frames) + n) for n, time in enumerate(shown)]
        start += duration
    return result


def stored(rendition: Published, numbers: Sequence[int]) -> Stored:
    """Its segments with the media times of the frames that are in them."""
    result = Stored([], [], {}, [])
    pictures = iter(numbers)
    start = 0
    for segment in rendition.segments:
        duration = round(segment.duration * SECOND)
        slot = Slot(segment.msn, start, duration, segment.init_name, segment.discontinuity)
        start += duration
        result.slots.append(slot)
        result.media.append(segment.data)
        result.inits[segment.init_name] = rendition.files[segment.init_name]
        content = result.load(len(result.slots) - 1)
        video, audio = content.init.video, content.init.audio
        first = video or audio
        assert first is not None
        zero = slot.start - content.segment.begins[first.id] * SECOND // first.timescale
        if audio is not None:
            times = (s.time * SECOND / audio.timescale for s in content.samples(audio))
            result.sounds += [zero + round(time) for time in times]
        if video is not None:
            begin = content.segment.begins[video.id]
            shown = sorted(sample.shown for sample in content.samples(video))
            unit = SECOND // video.timescale
            result.frames += [(slot.start + (s - begin) * unit, next(pictures)) for s in shown]
    result.loads.clear()
    return result


@dataclass
class Cut:
    """The segments that a plan becomes: (initialization section, media, duration in us).

    Those numbered in `breaks` do not go on where the one before them ends.
    """

    parts: list[tuple[bytes, bytes, int]]
    breaks: frozenset[int] = frozenset()

    def numbers(self) -> list[int | None]:
        """The numbers of the pictures, each run of segments of one initialization section decoded
        by itself, as a player does after a discontinuity.
        """
        found: list[int | None] = []
        for data in self._runs():
            with av.open(io.BytesIO(data), "r", format="mov") as container:
                found += [number_of(frame) for frame in container.decode(video=0)]
        return found

    def sounds(self) -> list[tuple[float, float]]:
        """(begin, end) of every AAC frame in seconds."""
        found: list[tuple[float, float]] = []
        for init, media, _ in self.parts:
            content = read_init(init)
            track = content.audio
            assert track is not None
            for s in read_segment(content, media).samples[track.id]:
                found.append((s.time / track.timescale, (s.time + s.duration) / track.timescale))
        return found

    def _runs(self) -> list[bytes]:
        runs: list[bytes] = []
        before = b""
        for number, (init, media, _) in enumerate(self.parts):
            if init != before or number in self.breaks:
                runs.append(init)
                before = init
            runs[-1] += media
        return runs


async def carry_out(stored: Stored, plan: Plan, program: str) -> Cut:
    """Make what the plan says."""
    parts: list[tuple[bytes, bytes, int]] = []
    breaks: set[int] = set()
    last = -1
    for piece in plan.pieces:
        if any(slot.discontinuity for slot in stored.slots[last + 1 : piece.index + 1]):
            breaks.add(len(parts))
        last = piece.index
        slot = stored.slots[piece.index]
        init = stored.inits[slot.init]
        if isinstance(piece, Refer):
            parts.append((init, stored.media[piece.index], slot.duration))
        elif isinstance(piece, Copy):
            made = ends.copy(piece, read_init(init))
            parts.append((init, made.data, piece.duration))
        else:
            assert isinstance(piece, Encode)
            made = await ends.encode(program, piece, read_init(init))
            parts.append((made.init or init, made.data, piece.duration))
    return Cut(parts, frozenset(breaks))
