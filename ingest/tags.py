"""FLV tags as they pass by: where each begins, when it plays, whether decoding can start there.

The packager reads what is inside; this reads only the outside, for two who need no more: stream
health, and the copy of the source that feeds the transcoder, which may begin only at a keyframe and
only after the codec headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

_TAG = struct.Struct(">II")
_HEADER = 13
_TAG_HEADER = 11
#: Enhanced RTMP: packet types of a video tag that hold a coded picture (CodedFrames, CodedFramesX).
_PICTURES = (1, 3)


class Kind(Enum):
    """What a tag is to somebody who does not decode it."""

    AUDIO = "audio"
    VIDEO = "video"
    AUDIO_HEADER = "audio_header"
    VIDEO_HEADER = "video_header"
    OTHER = "other"


class Tag(NamedTuple):
    """One FLV tag. `time` is its decode time in ms, `data` the whole tag with its trailing size."""

    kind: Kind
    time: int
    keyframe: bool
    size: int
    data: bytes


class TagError(ValueError):
    """Not FLV, or damaged."""


class TagScanner:
    """Splits FLV in any chunking into tags. `header` is the file header once it has passed."""

    def __init__(self) -> None:
        self.header = b""
        self._rest = b""
        self._needed = _HEADER

    def feed(self, data: bytes) -> Iterator[Tag]:
        """Tags that `data` completes, in order. The iterator must be exhausted.

        Raises TagError; the scanner is spent then.
        """
        data = self._rest + data if self._rest else data
        if len(data) < self._needed:
            self._rest = data
            return
        position = 0
        if not self.header:
            if data[:4] != b"FLV\x01":
                raise TagError("no FLV header")
            self.header = data[:_HEADER]
            position = _HEADER
        size = len(data)
        self._needed = 15
        while size - position >= _TAG_HEADER:
            first, stamp = _TAG.unpack_from(data, position)
            end = position + _TAG_HEADER + (first & 0xFFFFFF) + 4
            if end > size:
                self._needed = end - position
                break
            yield _tag(first >> 24, stamp >> 8 | (stamp & 255) << 24, data[position:end])
            position = end
        self._rest = data[position:]


def _tag(kind: int, time: int, data: bytes) -> Tag:
    size = len(data) - _TAG_HEADER - 4
    if kind not in (8, 9, 18):
        raise TagError(f"tag type {kind}")
    if size < 2 or kind == 18:
        return Tag(Kind.OTHER, time, False, size, data)
    first, second = data[_TAG_HEADER], data[_TAG_HEADER + 1]
    if kind == 8:
        header = second == 0 if first >> 4 == 10 else first >> 4 == 9 and first & 15 == 0
        return Tag(Kind.AUDIO_HEADER if header else Kind.AUDIO, time, False, size, data)
    keyframe = first >> 4 & 7 == 1
    if first & 0x80:
        packet = first & 15
        if packet == 0:
            return Tag(Kind.VIDEO_HEADER, time, False, size, data)
        picture = packet in _PICTURES
    elif second == 0 and first & 15 == 7:
        return Tag(Kind.VIDEO_HEADER, time, False, size, data)
    else:
        picture = second == 1 or first & 15 != 7
    return Tag(Kind.VIDEO if picture else Kind.OTHER, time, keyframe and picture, size, data)


#: Most that is kept to start a transcoder from: a GOP of 12 s at 10 Mb/s.
MAX_REPLAY_BYTES = 16 * 1024 * 1024


class Replay:
    """What a decoder that joins now has to be given first: file header, codec headers, running GOP.

    Past `MAX_REPLAY_BYTES` the GOP is forgotten and joining is possible from the next keyframe.
    """

    def __init__(self) -> None:
        self._headers: dict[Kind, bytes] = {}
        self._metadata = b""
        self._gop: list[bytes] = []
        self._size = 0
        self._open = False

    def add(self, tag: Tag) -> None:
        """Note a tag that passes by."""
        if tag.kind in (Kind.AUDIO_HEADER, Kind.VIDEO_HEADER):
            self._headers[tag.kind] = tag.data
        elif tag.kind is Kind.OTHER:
            self._metadata = self._metadata or tag.data
        else:
            if tag.keyframe:
                self._gop.clear()
                self._size = 0
                self._open = True
            if self._open:
                self._gop.append(tag.data)
                self._size += len(tag.data)
                if self._size > MAX_REPLAY_BYTES:
                    self._gop.clear()
                    self._open = False

    def prefix(self, header: bytes) -> bytes:
        """File header, metadata and codec headers, without pictures."""
        return b"".join((header, self._metadata, *self._headers.values()))

    def gop(self) -> bytes:
        """Everything since the latest keyframe; empty while none can be joined."""
        return b"".join(self._gop)
