"""The encoder's command line, and decoder configurations put together."""

from __future__ import annotations

import pytest

from recorder.ends import OWN_SPS_ID, argv, encoder, merged_avc
from recorder.fmp4 import Track
from tests.packager_kit import AVC_RECORD

MAIN = bytes.fromhex("014d401f")


def test_golden() -> None:
    track = Track(1, "video", 1000, 0, "avc1", MAIN, 0, 0, 0)
    assert argv("ffmpeg", track, 1200, 2960) == [
        "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-copyts",
        "-f", "mov", "-protocol_whitelist", "pipe", "-i", "pipe:0",
        "-filter_complex", r"[0:v]select=between(pts\,1200\,2960)[s0]", "-map", "[s0]",
        "-f", "mp4", "-bf", "0", "-c:v", "libx264", "-crf", "17", "-enc_time_base:v", "1:1000",
        "-fps_mode", "passthrough", "-g", "100000",
        "-movflags", "empty_moov+default_base_moof", "-preset", "superfast",
        "-profile:v", "main", "-sc_threshold", "0", "-video_track_timescale", "1000",
        "-x264-params", "sps-id=29", "pipe:1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "entry, config, name, more",
    [
        ("avc1", bytes.fromhex("0142c01e"), "libx264", ("profile:v", "baseline")),
        ("avc3", bytes.fromhex("0164001f"), "libx264", ("profile:v", "high")),
        ("avc1", bytes.fromhex("0199001f"), "libx264", ("profile:v", "high")),
        ("hvc1", b"", "libx265", ("tag:v", "hvc1")),
        ("av01", b"", "libsvtav1", ("preset", 11)),
    ],
)
def test_encoders(entry: str, config: bytes, name: str, more: tuple[str, object]) -> None:
    options = encoder(entry, config)
    assert options["c:v"] == name
    assert options[more[0]] == more[1]


def own_record() -> bytes:
    """The same stream's configuration with ids of our own: 29 is 000011110 as ue(v)."""
    sps = AVC_RECORD[8 : 8 + int.from_bytes(AVC_RECORD[6:8], "big")]
    pps = AVC_RECORD[8 + len(sps) + 3 :]
    bits = "".join(f"{byte:08b}" for byte in sps[4:])
    sps = sps[:4] + to_bytes("000011110" + bits[1:])
    bits = "".join(f"{byte:08b}" for byte in pps[1:])
    pps = pps[:1] + to_bytes("000011110" * 2 + bits[2:])
    assert OWN_SPS_ID == 29
    body = b"\xe1" + len(sps).to_bytes(2, "big") + sps + b"\x01" + len(pps).to_bytes(2, "big") + pps
    return AVC_RECORD[:5] + body


def to_bytes(bits: str) -> bytes:
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def test_two_configurations_in_one() -> None:
    merged = merged_avc([AVC_RECORD, own_record(), AVC_RECORD])
    assert merged[5] & 0x1F == 2
    assert AVC_RECORD[8:30] in merged and own_record()[8:30] in merged
    assert merged_avc([AVC_RECORD]) == AVC_RECORD


def test_the_same_id_for_another_configuration() -> None:
    other = bytearray(AVC_RECORD)
    other[20] ^= 1
    with pytest.raises(ValueError, match="same ids"):
        merged_avc([AVC_RECORD, bytes(other)])
