"""Recorded broadcasts to publish: small H.264 pictures that carry their number, and AAC.

A sample is a list of FLV tags, which is what RTMP carries. Frame numbers stand in the picture as the
bar code of bench/clockframes.py, so they survive whatever happens to the media on its way.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import av.audio
import av.video
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet

from bench.clockframes import COLUMNS, ROWS, block_size, decode_bits, encode_bits

AUDIO, VIDEO, SCRIPT = 8, 9, 18
SIZE = (320, 180)
RATE = 48_000
#: Samples in one AAC frame.
AAC_FRAME = 1024
#: After so many frames the tone begins a period anew, and its frames are the same ones again.
TONE_FRAMES = 75


@dataclass(frozen=True)
class Tag:
    """One FLV tag: `kind`, `time` in milliseconds (of decoding), and its body."""

    kind: int
    time: int
    payload: bytes

    @property
    def is_header(self) -> bool:
        """Codec headers and script data: nothing that is played."""
        if self.kind == SCRIPT:
            return True
        return self.payload[1:2] == b"\x00" and self.payload[0] & 0x0F in (7, 0x0F)

    @property
    def is_keyframe(self) -> bool:
        return self.kind == VIDEO and self.payload[0] >> 4 == 1 and not self.is_header

    @property
    def media(self) -> bytes:
        """What CMAF must hold of it, byte for byte: an AVC access unit, or an AAC frame."""
        return self.payload[5:] if self.kind == VIDEO else self.payload[2:]


@dataclass(frozen=True)
class Sample:
    """A broadcast. `numbers` are those of its pictures in presentation order."""

    tags: list[Tag]
    numbers: list[int]

    @property
    def duration_s(self) -> float:
        return self.tags[-1].time / 1000

    def frames(self, kind: int = VIDEO) -> list[bytes]:
        """The access units of one kind as they must come out again, in decoding order."""
        return [tag.media for tag in self.tags if tag.kind == kind and not tag.is_header]

    def shifted(self, by_ms: int) -> Sample:
        """The same `by_ms` later."""
        return Sample([replace(tag, time=tag.time + by_ms) for tag in self.tags], self.numbers)

    def without(self, kind: int) -> Sample:
        return replace(self, tags=[tag for tag in self.tags if tag.kind != kind])

    def __add__(self, other: Sample) -> Sample:
        """`other` right behind this one, on the same connection: it begins with headers of its own."""
        gap = self.tags[-1].time - self.tags[-2].time
        moved = other.shifted(self.tags[-1].time + max(gap, 20))
        return Sample(self.tags + moved.tags, self.numbers + other.numbers)


@dataclass(frozen=True)
class Recipe:
    """How a sample is made. `keyframes` are times in seconds, default one each `gop` seconds;
    `dropped` are numbers of frames that an overloaded encoder left out; `first` is the number of
    the first frame; `channels` 0 is no sound.
    """

    seconds: float = 6.0
    fps: float = 30
    size: tuple[int, int] = SIZE
    gop: float = 1.0
    keyframes: tuple[float, ...] = ()
    b_frames: int = 0
    channels: int = 2
    dropped: frozenset[int] = frozenset()
    first: int = 0
    bitrate: int = 400_000
    x264: dict[str, str] = field(default_factory=dict)

    def make(self) -> Sample:
        """Encode it. Takes a small part of its length."""
        target = io.BytesIO()
        count = int(self.seconds * self.fps)
        kept = [n for n in range(count) if n not in self.dropped]
        with av.open(
            target, "w", format="flv", options={"flvflags": "no_duration_filesize"}
        ) as out:
            video = self._video(out)
            audio = self._audio(out)
            for number in kept:
                at = round(number * 1000 / self.fps)
                if audio is not None:
                    audio.sing(until_s=at / 1000)
                frame = draw(self.first + number, self.size)
                frame.pts, frame.time_base = at, Fraction(1, 1000)
                if self._is_key(number):
                    frame.pict_type = av.video.frame.PictureType.I
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
            if audio is not None:
                audio.end()
        return Sample(read_flv(target.getvalue()), [self.first + number for number in kept])

    def _is_key(self, number: int) -> bool:
        """Whether the frame is the first at or after the time of a keyframe."""
        times = self.keyframes or tuple(
            n * self.gop for n in range(int(self.seconds / self.gop) + 1)
        )
        return any(round(time * self.fps) == number for time in times)

    def _video(self, out: av.container.OutputContainer) -> av.video.stream.VideoStream:
        stream = out.add_stream("libx264", rate=round(self.fps))
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = self.bitrate
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.gop_size = 100_000
        stream.options = {
            "preset": "veryfast" if self.b_frames else "ultrafast",
            "forced-idr": "1",
            "bf": str(self.b_frames),
            "b-pyramid": "normal",
            "sc_threshold": "0",
            "threads": "1",
            **self.x264,
        }
        return stream

    def _audio(self, out: av.container.OutputContainer) -> Tone | None:
        if not self.channels:
            return None
        layout = "mono" if self.channels == 1 else "stereo"
        stream = out.add_stream("aac", rate=RATE, layout=layout)
        stream.bit_rate = 64_000
        return Tone(out, stream)


class Tone:
    """A tone in AAC. Encoding it costs more than small pictures do, so each frame is encoded only once."""

    def __init__(self, out: av.container.OutputContainer, stream: AudioStream) -> None:
        self._out, self._stream = out, stream
        self._frames = 0
        #: What was encoded, in order; the first frames differ from those of the later periods.
        self._packets: list[Packet[AudioStream]] = []

    def sing(self, until_s: float) -> None:
        """Go on until there."""
        while self._frames * AAC_FRAME / RATE < until_s:
            if self._frames < 3 * TONE_FRAMES:
                self._keep(self._stream.encode(self._frame()))
            else:
                self._out.mux(self._again())
            self._frames += 1

    def end(self) -> None:
        if self._frames <= 3 * TONE_FRAMES:
            self._keep(self._stream.encode(None))

    def _keep(self, packets: list[Packet[AudioStream]]) -> None:
        self._packets += packets
        # The muxer takes what it is given.
        for packet in packets:
            self._out.mux(_copied(packet, 0))

    def _frame(self) -> av.AudioFrame:
        """The next one to be encoded."""
        heard = self._frames * AAC_FRAME
        time = (heard + np.arange(AAC_FRAME)) / RATE
        tone = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
        planes = np.stack([tone] * len(self._stream.layout.channels))
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=self._stream.layout.name)
        frame.sample_rate, frame.pts = RATE, heard
        frame.time_base = Fraction(1, RATE)
        return frame

    def _again(self) -> Packet[AudioStream]:
        """The packet after the last one: that of a period before."""
        behind = len(self._packets) - TONE_FRAMES
        packet = _copied(self._packets[behind], TONE_FRAMES * AAC_FRAME)
        self._packets.append(_copied(packet, 0))
        return packet


def _copied(packet: Packet[AudioStream], by: int) -> Packet[AudioStream]:
    """The same `by` samples later."""
    assert packet.pts is not None and packet.dts is not None
    copy: Packet[Any] = Packet(bytes(packet))
    copy.stream, copy.time_base = packet.stream, packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts + by, packet.dts + by, packet.duration
    return copy


def draw(number: int, size: tuple[int, int]) -> av.VideoFrame:
    """A grey picture with a moving stripe, and its number as a bar code."""
    width, height = size
    luma = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
    luma[height // 2 : height, (number * 7) % (width - 16) :][:, :16] = 200
    edge = block_size(width)
    bits = np.array(encode_bits(number), dtype=np.uint8).reshape(ROWS, COLUMNS)
    code = np.kron(np.where(bits == 1, 235, 16).astype(np.uint8), np.ones((edge, edge), np.uint8))
    luma[: code.shape[0], : code.shape[1]] = code
    return av.VideoFrame.from_ndarray(luma, format="yuv420p")


def number_of(frame: av.VideoFrame) -> int | None:
    """The number in a decoded picture; None where it cannot be read."""
    luma = frame.to_ndarray(format="gray")
    edge = block_size(frame.width)
    middle = np.arange(edge // 2, edge * COLUMNS, edge)
    rows = np.arange(edge // 2, edge * ROWS, edge)
    bits = (luma[np.ix_(rows, middle)] > 126).astype(int).ravel().tolist()
    return decode_bits(bits, 0)


def read_flv(data: bytes) -> list[Tag]:
    """The tags of an FLV file. A muxer's end-of-sequence tag is left out: live encoders send none
    before they unpublish.
    """
    tags: list[Tag] = []
    at = 9 + 4
    while at + 11 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        payload = data[at + 11 : at + 11 + size]
        if not (kind == VIDEO and payload[1:2] == b"\x02"):
            tags.append(Tag(kind, time, payload))
        at += 11 + size + 4
    return tags


def parted(sample: Sample, at_s: float) -> tuple[Sample, Sample]:
    """`sample` cut in two at the first keyframe at or after `at_s`; the second begins at 0 with the
    headers, as an encoder begins again after a reconnect.
    """
    border = next(
        i for i, tag in enumerate(sample.tags) if tag.is_keyframe and tag.time >= at_s * 1000
    )
    headers = [replace(tag, time=0) for tag in sample.tags if tag.is_header]
    start = sample.tags[border].time
    before = sample.tags[:border]
    after = [replace(tag, time=max(0, tag.time - start)) for tag in sample.tags[border:]]
    count = sum(tag.kind == VIDEO and not tag.is_header for tag in before)
    return (
        Sample(before, sample.numbers[:count]),
        Sample(headers + after, sample.numbers[count:]),
    )


def numbers_in(media: bytes | Sequence[bytes]) -> list[int | None]:
    """The numbers of all pictures in fragmented MP4 (`media` with its init in front), in order."""
    data = media if isinstance(media, bytes) else b"".join(media)
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        return [number_of(frame) for frame in container.decode(video=0)]
