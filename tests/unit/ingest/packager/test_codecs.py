"""Configuration records as real encoders write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packager.bits import BitReader, unescape
from ingest.packager.codecs import parse_aac, parse_video
from tests.packager_kit import AVC_RECORD

# 1280x720 as ffmpeg writes them into sequence headers: libx265, SVT-AV1, libx264.
HEVC_RECORD = bytes.fromhex(
    "0101600000009000000000005df000fcfdf8f800000f03200001001840010c01ffff0160000003009000000300000300"
    "5d959809210001002b42010101600000030090000003000003005da00280802d165959a4932bc05a0200000300020000"
    "03003c1022000100074401c172b46240"
)
AV1_RECORD = bytes.fromhex("81050c000a0c0200002d2a67fd9e017c0020")
HIGH_422_10_BIT = bytes.fromhex(
    "017a001fffe10019677a001fb6cb402802dd8088000003000800000301e078c19501000468ce0fc8fefafa00"
)
INTERLACED = bytes.fromhex(  # 720x576
    "0164001fffe1001c6764001facd940b424dff80200016880000003008000001e0f8b16cb01000468fe8fcbfdf8f800"
)


def test_h264() -> None:
    config = parse_video(b"avc1", AVC_RECORD)
    assert (config.codec, config.codecs) == ("h264", "avc1.4d400d")
    assert (config.width, config.height, config.chroma, config.bit_depth) == (320, 180, "4:2:0", 8)
    assert config.unsafe_reason == ""


def test_h264_that_browsers_cannot_play() -> None:
    config = parse_video(b"avc1", HIGH_422_10_BIT)
    assert (config.codecs, config.chroma, config.bit_depth) == ("avc1.7a001f", "4:2:2", 10)
    assert (config.width, config.height) == (1280, 720)
    assert "10-bit" in config.unsafe_reason


def test_h264_in_fields() -> None:
    config = parse_video(b"avc1", INTERLACED)
    assert (config.width, config.height) == (720, 576)


def test_hevc() -> None:
    config = parse_video(b"hvc1", HEVC_RECORD)
    assert (config.codec, config.codecs) == ("hevc", "hvc1.1.6.L93.90")
    assert (config.width, config.height, config.chroma, config.bit_depth) == (1280, 720, "4:2:0", 8)
    assert "HEVC" in config.unsafe_reason


def test_av1() -> None:
    config = parse_video(b"av01", AV1_RECORD)
    assert (config.codec, config.codecs) == ("av1", "av01.0.05M.08")
    assert (config.width, config.height, config.chroma, config.bit_depth) == (1280, 720, "4:2:0", 8)
    assert "AV1" in config.unsafe_reason


@pytest.mark.parametrize(
    ("record", "codecs", "rate", "channels", "samples"),
    [
        ("1190", "mp4a.40.2", 48000, 2, 1024),
        ("1210", "mp4a.40.2", 44100, 2, 1024),
        ("1188", "mp4a.40.2", 48000, 1, 1024),
        ("1194", "mp4a.40.2", 48000, 2, 960),
        ("2b118800", "mp4a.40.5", 24000, 2, 1024),
        ("eb098800", "mp4a.40.29", 24000, 1, 1024),
    ],
)
def test_aac(record: str, codecs: str, rate: int, channels: int, samples: int) -> None:
    config = parse_aac(bytes.fromhex(record))
    found = (config.codecs, config.sample_rate, config.channels, config.frame_samples)
    assert found == (codecs, rate, channels, samples)


@pytest.mark.parametrize("record", ["0810", "f95000", "1f90", ""])
def test_audio_that_is_refused(record: str) -> None:
    with pytest.raises(ValueError, match=r"object type|sample rate|early"):
        parse_aac(bytes.fromhex(record))


@given(st.sampled_from([b"avc1", b"hvc1", b"av01"]), st.binary(max_size=80), st.integers(0, 60))
def test_damage_is_a_value_error(fourcc: bytes, noise: bytes, at: int) -> None:
    record = {b"avc1": AVC_RECORD, b"hvc1": HEVC_RECORD, b"av01": AV1_RECORD}[fourcc]
    for data in (noise, record[:at], record[:at] + noise):
        try:
            parse_video(fourcc, data)
        except ValueError:
            continue


def test_exponential_golomb() -> None:
    # 1, 010, 011, 00100, 00101 → 0 1 2 3 4; signed 0 1 -1 2 -2 (H.264 table 9-3)
    data = int("1010011001000010100000000"[:24], 2).to_bytes(3, "big")
    bits = BitReader(data)
    assert [bits.ue() for _ in range(5)] == [0, 1, 2, 3, 4]
    bits = BitReader(data)
    assert [bits.se() for _ in range(5)] == [0, 1, -1, 2, -2]
    with pytest.raises(ValueError, match="too long"):
        BitReader(bytes(10)).ue()
    with pytest.raises(ValueError, match="early"):
        BitReader(b"\x01").u(9)


def test_emulation_prevention() -> None:
    assert unescape(b"\x00\x00\x03\x01\x00\x00\x03\x00\x00\x03") == b"\x00\x00\x01\x00\x00\x00\x00"
