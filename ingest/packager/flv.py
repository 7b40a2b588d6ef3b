"""FLV in any chunking to tags with meaning, classic and Enhanced RTMP.

Sources: Adobe Flash Video File Format 10.1 (annex E) and Veovera Enhanced RTMP v2. Input is hostile:
every length is checked, at most one tag (24-bit size, so 16 MiB) is held back, errors are `FlvError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from . import amf

_TAG = struct.Struct(
    ">III"
)  # type + size, timestamp + its extension, stream id (3 bytes) + 1 of payload
_U32 = struct.Struct(">I")
_TAG_HEADER = 11

SEQUENCE_START, CODED_FRAMES, SEQUENCE_END, CODED_FRAMES_X = 0, 1, 2, 3
METADATA, MULTITRACK, MOD_EX = 4, 6, 7
AUDIO_MULTITRACK = 5

AUDIO_NAMES = {
    0: "uncompressed", 1: "ADPCM", 2: "MP3", 3: "uncompressed", 4: "Nellymoser", 5: "Nellymoser",
    6: "Nellymoser", 7: "G.711", 8: "G.711", 11: "Speex", 14: "MP3",
}  # fmt: skip
VIDEO_NAMES = {
    1: "JPEG",
    2: "Sorenson H.263",
    3: "screen video",
    4: "VP6",
    5: "VP6",
    6: "screen video",
}


class FlvError(ValueError):
    """The stream cannot go on. `code` is one of the fatal codes of `events.StreamFault`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Header(NamedTuple):
    """The file header's promise of tracks, which writers may break."""

    audio: bool
    video: bool


class Metadata(NamedTuple):
    values: dict[str, amf.Value]


class VideoRecord(NamedTuple):
    """A decoder configuration record; `fourcc` is avc1, hvc1 or av01."""

    fourcc: bytes
    record: bytes


class AudioRecord(NamedTuple):
    """An AudioSpecificConfig."""

    record: bytes


class VideoFrame(NamedTuple):
    """One coded picture: `time` is the tag's 32-bit decode time, `offset` composition time, in ms."""

    time: int
    offset: int
    sync: bool
    data: memoryview


class AudioFrame(NamedTuple):
    """One raw AAC frame, `time` in ms (32 bits)."""

    time: int
    data: memoryview


Item = Header | Metadata | VideoRecord | AudioRecord | VideoFrame | AudioFrame


class FlvReader:
    """Splits a byte stream into `Item`s. Payloads are views into the fed chunks: nothing is copied
    but a tag that straddles chunks, once. After an `FlvError` the reader is spent.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 13
        self._started = False

    def feed(self, data: bytes) -> Iterator[Item]:
        """Items that `data` completes, in stream order. The iterator must be exhausted."""
        if self._pieces:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        position = 0
        size = len(data)
        if not self._started:
            if size < 13:
                self._keep(data, 13)
                return
            position = self._check_header(data)
            yield Header(bool(data[4] & 4), bool(data[4] & 1))
        view = memoryview(data)
        needed = 15
        while size - position >= 15:
            kind_size, stamp, _ = _TAG.unpack_from(data, position)
            payload = kind_size & 0xFFFFFF
            start = position + _TAG_HEADER
            end = start + payload
            if end + 4 > size:
                needed = end + 4 - position
                break
            if _U32.unpack_from(data, end)[0] != payload + _TAG_HEADER:
                raise FlvError(
                    "corrupt_flv", "The stream's data is damaged (FLV tag sizes differ)."
                )
            if payload:
                item = _parse_tag(
                    kind_size >> 24, stamp >> 8 | (stamp & 255) << 24, view[start:end]
                )
                if item is not None:
                    yield item
            position = end + 4
        if position < size:
            self._keep(data[position:] if position else data, needed)

    def _keep(self, rest: bytes, needed: int) -> None:
        self._pieces.append(rest)
        self._held = len(rest)
        self._needed = needed

    def _check_header(self, data: bytes) -> int:
        if data[:4] != b"FLV\x01" or data[5:13] != b"\x00\x00\x00\x09\x00\x00\x00\x00":
            raise FlvError("not_flv", "The stream is not FLV.")
        self._started = True
        return 13


def _parse_tag(kind: int, time: int, data: memoryview) -> Item | None:
    if kind == 9:
        return _parse_video(time, data)
    if kind == 8:
        return _parse_audio(time, data)
    if kind == 18:
        return _parse_script(data)
    raise FlvError("corrupt_flv", f"The stream's data is damaged (FLV tag type {kind}).")


def _parse_script(data: memoryview) -> Item | None:
    try:
        values = amf.parse_metadata(bytes(data[: amf.MAX_BYTES + 1]))
    except ValueError:
        return None  # metadata are hints: nothing is built on them
    return Metadata(values) if values else None


def _composition_offset(data: memoryview, at: int) -> int:
    if len(data) < at + 3:
        raise FlvError("corrupt_flv", "The stream's data is damaged (short video tag).")
    value = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
    return value - 0x1000000 if value & 0x800000 else value


def _parse_video(time: int, data: memoryview) -> Item | None:
    first = data[0]
    if first & 0x80:
        return _parse_ex_video(time, data)
    if first & 0x0F != 7:
        name = VIDEO_NAMES.get(first & 0x0F, f"codec {first & 0x0F}")
        raise FlvError("video_codec", f"{name} video is not supported: use H.264, HEVC or AV1.")
    if first >> 4 == 5:
        return None  # a command frame holds no picture
    offset = _composition_offset(data, 2)
    if data[1] == 1:
        return VideoFrame(time, offset, first >> 4 == 1, data[5:]) if len(data) > 5 else None
    return VideoRecord(b"avc1", bytes(data[5:])) if data[1] == 0 else None


def _skip_mod_ex(data: memoryview, at: int) -> tuple[int, int]:
    """Steps over ModEx prefixes (Enhanced RTMP v2): (packet type that follows, where its body is)."""
    packet = MOD_EX
    while packet == MOD_EX:
        if len(data) < at + 4:
            raise FlvError("corrupt_flv", "The stream's data is damaged (short ModEx).")
        size = data[at] + 1
        at += 1
        if size == 256:
            size = (data[at] << 8 | data[at + 1]) + 1
            at += 2
        at += size
        if len(data) <= at:
            raise FlvError("corrupt_flv", "The stream's data is damaged (short ModEx).")
        packet = data[at] & 0x0F
        at += 1
    return packet, at


def _first_track(data: memoryview, at: int) -> tuple[int, bytes, memoryview] | None:
    """Track 0 of a Multitrack body: (packet type, fourcc, its body). Other tracks are left out."""
    if len(data) < at + 5:
        raise FlvError("corrupt_flv", "The stream's data is damaged (short multitrack tag).")
    layout, packet = data[at] >> 4, data[at] & 0x0F
    at += 1
    fourcc = b""
    if layout != 2:
        fourcc = bytes(data[at : at + 4])
        at += 4
    while at < len(data):
        if layout == 2:
            fourcc = bytes(data[at : at + 4])
            at += 4
        head = bytes(data[at : at + 4])
        if len(head) < (1 if layout == 0 else 4):
            raise FlvError("corrupt_flv", "The stream's data is damaged (short multitrack tag).")
        size = len(data) - at - 1 if layout == 0 else int.from_bytes(head[1:4], "big")
        at += 1 if layout == 0 else 4
        if head[0] == 0:
            return packet, fourcc, data[at : at + size]
        at += size
    return None


def _parse_ex_video(time: int, data: memoryview) -> Item | None:
    packet, at = data[0] & 0x0F, 1
    frame_kind = data[0] >> 4 & 7
    if packet == MOD_EX:
        packet, at = _skip_mod_ex(data, at)
    if packet == METADATA or frame_kind == 5:
        return None
    if packet == MULTITRACK:
        track = _first_track(data, at)
        if track is None:
            return None
        packet, fourcc, body = track
    else:
        fourcc, body = bytes(data[at : at + 4]), data[at + 4 :]
    if fourcc not in (b"avc1", b"hvc1", b"av01"):
        name = fourcc.decode("ascii", "replace")
        raise FlvError("video_codec", f"{name} video is not supported: use H.264, HEVC or AV1.")
    if packet == SEQUENCE_START:
        return VideoRecord(fourcc, bytes(body))
    offset = 0
    if packet == CODED_FRAMES and fourcc != b"av01":
        offset, body = _composition_offset(body, 0), body[3:]
    elif packet not in (CODED_FRAMES, CODED_FRAMES_X):
        return None
    return VideoFrame(time, offset, frame_kind == 1, body) if len(body) else None


def _parse_audio(time: int, data: memoryview) -> Item | None:
    kind = data[0] >> 4
    if kind == 10:
        if len(data) < 2:
            raise FlvError("corrupt_flv", "The stream's data is damaged (short audio tag).")
        if data[1] == 0:
            return AudioRecord(bytes(data[2:]))
        return AudioFrame(time, data[2:]) if len(data) > 2 else None
    if kind != 9:
        name = AUDIO_NAMES.get(kind, f"codec {kind}")
        raise FlvError("audio_codec", f"{name} audio is not supported: use AAC.")
    packet, at = data[0] & 0x0F, 1
    if packet == MOD_EX:
        packet, at = _skip_mod_ex(data, at)
    if packet == AUDIO_MULTITRACK:
        track = _first_track(data, at)
        if track is None:
            return None
        packet, fourcc, body = track
    else:
        fourcc, body = bytes(data[at : at + 4]), data[at + 4 :]
    if fourcc != b"mp4a":
        name = fourcc.decode("ascii", "replace").strip()
        raise FlvError("audio_codec", f"{name} audio is not supported: use AAC.")
    if packet == SEQUENCE_START:
        return AudioRecord(bytes(body))
    return AudioFrame(time, body) if packet == CODED_FRAMES and len(body) else None
