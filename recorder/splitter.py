"""Fragmented MP4 as it comes out of ffmpeg's pipe, cut into its initialization section and segments. Pure."""

from __future__ import annotations

import struct

from recorder import fmp4
from recorder.fmp4 import Init

#: No box of two seconds of the largest rung comes near; what is longer was never written by us.
LARGEST = 1 << 30


class Splitter:
    """Takes bytes in any pieces. `init` is there once it has passed."""

    def __init__(self) -> None:
        self.init = b""
        self._buffer = bytearray()
        self._fragment = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The segments that are whole now, `moof` and `mdat` each. Raises ValueError."""
        self._buffer += data
        segments = []
        while len(self._buffer) >= 8:
            size, kind = struct.unpack_from(">I4s", self._buffer)
            if not 8 <= size <= LARGEST:
                raise ValueError("a box of an impossible size")
            if len(self._buffer) < size:
                break
            box = bytes(self._buffer[:size])
            del self._buffer[:size]
            if kind in (b"ftyp", b"moov"):
                self.init += box
            elif kind == b"moof":
                self._fragment = bytearray(box)
            elif kind == b"mdat" and self._fragment:
                segments.append(bytes(self._fragment) + box)
                self._fragment.clear()
        return segments


def sound_init(init: bytes) -> bytes:
    """The initialization section of the sound alone."""
    read = fmp4.read_init(init)
    kept = b""
    for kind, start, end in fmp4.boxes(init):
        content = init[start:end]
        if kind == b"moov" and read.video is not None:
            content = _without(content, read.video.id)
        kept += fmp4.box(kind, content)
    return kept


def _without(moov: bytes, track: int) -> bytes:
    kept = b""
    for kind, start, end in fmp4.boxes(moov):
        content = moov[start:end]
        if kind == b"trak" and _track_id(content) == track:
            continue
        if kind == b"mvex":
            defaults = ((k, content[a:b]) for k, a, b in fmp4.boxes(content))
            content = b"".join(
                fmp4.box(k, c)
                for k, c in defaults
                if k != b"trex" or struct.unpack_from(">I", c, 4)[0] != track
            )
        kept += fmp4.box(kind, content)
    return kept


def _track_id(trak: bytes) -> int:
    for kind, start, _ in fmp4.boxes(trak):
        if kind == b"tkhd":
            return int(struct.unpack_from(">I", trak, start + (20 if trak[start] else 12))[0])
    raise ValueError("a track without its header")


class Assembler:
    """The segments of one rendition put into the form in which broadcasts are stored."""

    def __init__(self, init: bytes) -> None:
        self.init: Init = fmp4.read_init(init)
        self.sound_init = sound_init(init) if self.init.audio is not None else b""

    def take(self, data: bytes) -> tuple[bytes, float]:
        """(its sound alone, its length in seconds). Raises ValueError."""
        video, audio = self.init.video, self.init.audio
        read = fmp4.read_segment(self.init, data)
        sound = b""
        if audio is not None and (samples := read.samples[audio.id]):
            sound = fmp4.chunk(1, [(audio.id, samples)])
        leading = video or audio
        if leading is None:
            raise ValueError("a segment without tracks")
        length = sum(sample.duration for sample in read.samples[leading.id])
        return sound, length / leading.timescale


def codecs(init: Init) -> str:
    """RFC 6381's names of what our encoders write: H.264, and AAC of low complexity."""
    names = []
    if init.video is not None:
        names.append(f"avc1.{init.video.config[1:4].hex()}")
    if init.audio is not None:
        names.append("mp4a.40.2")
    return ",".join(names)
