"""Decoder configuration records: what is in them and how RFC 6381 names them.

AVCDecoderConfigurationRecord and HEVCDecoderConfigurationRecord: ISO/IEC 14496-15 (5.3.3, 8.3.3).
AV1CodecConfigurationRecord: AV1 in ISOBMFF 2.3. AudioSpecificConfig: ISO/IEC 14496-3 1.6.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from .bits import BitReader, unescape

CHROMA = ("4:0:0", "4:2:0", "4:2:2", "4:4:4")
SAMPLE_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8)
# profile_idc values whose SPS carries chroma_format_idc and bit depths (H.264 7.3.2.1.1).
HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """`record` is the payload of avcC, hvcC or av1C; `codecs` the RFC 6381 string.

    Width and height are the cropped picture's, in pixels.
    """

    codec: str
    record: bytes
    codecs: str
    width: int
    height: int
    chroma: str
    bit_depth: int

    @property
    def unsafe_reason(self) -> str:
        """Why some browser cannot play this, or "" when all can."""
        if self.codec != "h264":
            name = {"hevc": "HEVC (H.265)", "av1": "AV1"}[self.codec]
            return f"{name} video does not play in every browser"
        if self.bit_depth != 8:
            return f"{self.bit_depth}-bit video does not play in every browser"
        if self.chroma not in ("4:2:0", "4:0:0"):
            return f"{self.chroma} chroma does not play in every browser"
        return ""


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """`record` is the AudioSpecificConfig; `sample_rate` and `frame_samples` are the core coder's.

    With SBR a decoder puts out twice the rate and twice the samples, which is the same time.
    """

    record: bytes
    codecs: str
    sample_rate: int
    channels: int
    frame_samples: int


def parse_video(fourcc: bytes, record: bytes) -> VideoConfig:
    """A sequence header's record. Raises ValueError when it is not one."""
    return {b"avc1": _parse_avc, b"hvc1": _parse_hevc, b"av01": _parse_av1}[fourcc](record)


def _parse_avc(record: bytes) -> VideoConfig:
    if len(record) < 9 or record[0] != 1 or not record[5] & 0x1F:
        raise ValueError("no AVC decoder configuration")
    if record[4] & 3 == 2:
        raise ValueError("illegal NAL unit length size")
    sps = record[8 : 8 + int.from_bytes(record[6:8], "big")]
    width, height, chroma, depth = _parse_h264_sps(sps)
    codecs = f"avc1.{record[1:4].hex()}"
    return VideoConfig("h264", record, codecs, width, height, chroma, depth)


def _parse_h264_sps(sps: bytes) -> tuple[int, int, str, int]:
    """(width, height, chroma, bit depth) of seq_parameter_set_data (H.264 7.3.2.1.1)."""
    bits = BitReader(unescape(sps))
    if bits.u(8) & 0x1F != 7:
        raise ValueError("no sequence parameter set")
    profile = bits.u(8)
    bits.u(16)
    bits.ue()
    chroma, depth, separate = 1, 8, False
    if profile in HIGH_PROFILES:
        chroma = bits.ue()
        separate = chroma == 3 and bits.flag()
        depth = max(bits.ue(), bits.ue()) + 8
        bits.flag()
        if bits.flag():
            _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.flag()
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()
    bits.flag()
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_only = bits.flag()
    height = map_units * 16 * (1 if frame_only else 2)
    if not frame_only:
        bits.flag()
    bits.flag()
    if bits.flag():
        # Crop units: Table 6-1; without chroma (or with separate planes) they are luma samples.
        sub_x, sub_y = (1, 1) if separate else ((1, 1), (2, 2), (2, 1), (1, 1))[min(chroma, 3)]
        sub_y *= 1 if frame_only else 2
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * sub_x
        height -= (top + bottom) * sub_y
    return *_checked_size(width, height), CHROMA[min(chroma, 3)], depth


def _skip_scaling_lists(bits: BitReader, count: int) -> None:
    for index in range(count):
        if not bits.flag():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) & 0xFF
            last = following or last


def _checked_size(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise ValueError(f"impossible picture size {width}x{height}")
    return width, height


def _parse_hevc(record: bytes) -> VideoConfig:
    if len(record) < 23 or record[0] != 1:
        raise ValueError("no HEVC decoder configuration")
    for kind, nal in _hevc_parameter_sets(record):
        if kind == 33:
            width, height, chroma, depth = _parse_hevc_sps(nal)
            return VideoConfig("hevc", record, _hevc_codecs(record), width, height, chroma, depth)
    raise ValueError("HEVC configuration without a sequence parameter set")


def _hevc_parameter_sets(record: bytes) -> list[tuple[int, bytes]]:
    sets: list[tuple[int, bytes]] = []
    position = 23
    for _ in range(record[22]):
        kind = record[position] & 0x3F if position + 3 <= len(record) else -1
        count = int.from_bytes(record[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            size = int.from_bytes(record[position : position + 2], "big")
            nal = record[position + 2 : position + 2 + size]
            if kind < 0 or size == 0 or len(nal) < size:
                raise ValueError("HEVC configuration ends early")
            sets.append((kind, nal))
            position += 2 + size
    return sets


def _hevc_codecs(record: bytes) -> str:
    """ISO/IEC 14496-15 E.3: profile, reversed compatibility flags, tier and level, constraints."""
    space = ("", "A", "B", "C")[record[1] >> 6]
    flags = int.from_bytes(record[2:6], "big")
    reversed_flags = int(f"{flags:032b}"[::-1], 2)
    tier = "H" if record[1] & 0x20 else "L"
    constraints = record[6:12].rstrip(b"\x00")
    tail = "".join(f".{byte:x}" for byte in constraints)
    return f"hvc1.{space}{record[1] & 0x1F}.{reversed_flags:x}.{tier}{record[12]}{tail}"


def _parse_hevc_sps(nal: bytes) -> tuple[int, int, str, int]:
    """(width, height, chroma, bit depth) of seq_parameter_set_rbsp (H.265 7.3.2.2.1)."""
    bits = BitReader(unescape(nal[2:]))
    bits.u(4)
    layers = bits.u(3)
    bits.u(1)
    bits.u(96)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.u(2 * (8 - layers))
    for profile, level in present:
        bits.u((88 if profile else 0) + (8 if level else 0))
    bits.ue()
    chroma = min(bits.ue(), 3)
    separate = chroma == 3 and bits.flag()
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        sub_x, sub_y = (1, 1) if separate else ((1, 1), (2, 2), (2, 1), (1, 1))[chroma]
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * sub_x
        height -= (top + bottom) * sub_y
    depth = max(bits.ue(), bits.ue()) + 8
    return *_checked_size(width, height), CHROMA[chroma], depth


def _parse_av1(record: bytes) -> VideoConfig:
    if len(record) < 4 or record[0] != 0x81:
        raise ValueError("no AV1 codec configuration")
    profile, level, flags = record[1] >> 5, record[1] & 0x1F, record[2]
    depth = 12 if flags & 0x20 else 10 if flags & 0x40 else 8
    if flags & 0x10:
        chroma = CHROMA[0]
    else:
        chroma = {3: "4:2:0", 2: "4:2:2", 0: "4:4:4"}.get(flags >> 2 & 3, "4:2:0")
    width, height = _parse_av1_sequence_header(record[4:])
    codecs = f"av01.{profile}.{level:02d}{'H' if flags & 0x80 else 'M'}.{depth:02d}"
    return VideoConfig("av1", record, codecs, width, height, chroma, depth)


def _parse_av1_sequence_header(obus: bytes) -> tuple[int, int]:
    """Largest frame size of the sequence header OBU that leads `obus` (AV1 5.5.1)."""
    if not obus or obus[0] >> 3 & 15 != 1:
        raise ValueError("AV1 configuration without a sequence header")
    position = 2 if obus[0] & 4 else 1
    while obus[0] & 2 and position < len(obus) and obus[position] & 0x80:
        position += 1
    bits = BitReader(obus[position + (1 if obus[0] & 2 else 0) :])
    bits.u(4)
    if bits.flag():
        bits.u(5)
    else:
        _skip_av1_operating_points(bits)
    width_bits, height_bits = bits.u(4) + 1, bits.u(4) + 1
    return _checked_size(bits.u(width_bits) + 1, bits.u(height_bits) + 1)


def _skip_av1_operating_points(bits: BitReader) -> None:
    delay_bits = 0
    if bits.flag():
        bits.u(64)
        if bits.flag():
            bits.ue()
        if bits.flag():
            delay_bits = bits.u(5) + 1
            bits.u(42)
    display_delay = bits.flag()
    for _ in range(bits.u(5) + 1):
        bits.u(12)
        if bits.u(5) > 7:
            bits.u(1)
        if delay_bits and bits.flag():
            bits.u(2 * delay_bits + 1)
        if display_delay and bits.flag():
            bits.u(4)


def parse_aac(record: bytes) -> AudioConfig:
    """An AudioSpecificConfig of AAC-LC, HE-AAC or HE-AAC v2. ValueError for any other."""
    bits = BitReader(record)
    kind = signalled = bits.u(5)
    rate = _aac_rate(bits)
    channels = bits.u(4)
    if kind in (5, 29):
        _aac_rate(bits)
        kind = bits.u(5)
    if kind != 2:
        raise ValueError(f"AAC object type {kind} is not supported")
    samples = 960 if bits.flag() else 1024
    count = CHANNELS[channels] if channels < len(CHANNELS) else 0
    # Channel configuration 0 keeps its layout in the bitstream; two is what the box says then.
    return AudioConfig(record, f"mp4a.40.{signalled}", rate, count or 2, samples)


def _aac_rate(bits: BitReader) -> int:
    index = bits.u(4)
    rate = bits.u(24) if index == 15 else SAMPLE_RATES[index] if index < 13 else 0
    if not 7350 <= rate <= 192000:
        raise ValueError("illegal AAC sample rate")
    return rate
