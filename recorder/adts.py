"""AAC out of stored segments, as ADTS (ISO/IEC 13818-7 6.2): a stream that needs no header of its own. Pure."""

from __future__ import annotations

import struct

from recorder import fmp4

_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
_HEADER = 7
_LARGEST = (1 << 13) - 1


def configuration(init: bytes) -> bytes:
    """The AudioSpecificConfig of an initialization section. Raises ValueError where there is no AAC."""
    at = init.find(b"esds")
    if at < 0:
        raise ValueError("no AAC track")
    # Descriptors (ISO/IEC 14496-1 8.3.3) inside one another: ES, decoder configuration, its specific part.
    position = at + 8
    for tag, head in ((3, 3), (4, 13), (5, 0)):
        if init[position] != tag:
            raise ValueError("an AAC track without its configuration")
        size = 0
        position += 1
        while True:
            byte = init[position]
            size, position = size << 7 | byte & 0x7F, position + 1
            if not byte & 0x80:
                break
        if tag == 5:
            return init[position : position + size]
        position += head
    raise ValueError("an AAC track without its configuration")


def header(config: bytes) -> int:
    """What every frame's header begins with under this configuration: 56 bits, its length still 0."""
    bits = int.from_bytes(config[:5].ljust(5, b"\0"), "big")
    kind, index = bits >> 35, bits >> 31 & 15
    if index == 15:
        rate = bits >> 7 & 0xFFFFFF
        index, channels = min(range(13), key=lambda i: abs(_RATES[i] - rate)), bits >> 3 & 15
    else:
        channels = bits >> 27 & 15
    if index > 12 or not 1 <= channels <= 7 or kind not in (2, 5, 29):
        raise ValueError("AAC that ADTS cannot carry")
    # Sync word, MPEG-4, no checksum, low complexity; the buffer is said to be variable.
    return 0xFFF1 << 40 | 1 << 38 | index << 34 | channels << 30 | 0x7FF << 2


def frames(init: fmp4.Init, config: bytes, segment: bytes) -> bytes:
    """The sound of a segment."""
    if init.audio is None:
        return b""
    head = header(config)
    pieces: list[bytes | memoryview] = []
    for sample in fmp4.read_segment(init, segment).samples[init.audio.id]:
        length = len(sample.data) + _HEADER
        if length > _LARGEST:
            raise ValueError("an AAC frame that ADTS cannot carry")
        pieces.append(struct.pack(">Q", head | length << 13)[1:])
        pieces.append(sample.data)
    return b"".join(pieces)
