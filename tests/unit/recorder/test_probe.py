"""What ffmpeg says of a file, read."""

from __future__ import annotations

import pytest

from recorder.probe import DEMUXERS, Picture, Probe, Sound, check, command, demuxer, parse
from recorder.refusals import Refused

PHONE = """\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'fd:':
  Metadata:
    major_brand     : qt
  Duration: 00:01:02.50, start: 0.000000, bitrate: 17012 kb/s
  Stream #0:0[0x1](und): Video: hevc (Main 10) (hvc1 / 0x31637668), yuv420p10le(tv, bt2020nc/bt2020/arib-std-b67), \
1920x1080, 16873 kb/s, 29.98 fps, 29.97 tbr, 600 tbn (default)
      Metadata:
        handler_name    : Core Media Video
      Side data:
        displaymatrix: rotation of -90.00 degrees
  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, mono, fltp, 92 kb/s (default)
  Stream #0:2[0x3](und): Data: none (mebx / 0x7862656D), 0 kb/s (default)
At least one output file must be specified
"""
TAPE = """\
Input #0, avi, from 'fd:':
  Duration: 00:00:05.00, start: 0.000000, bitrate: 3600 kb/s
  Stream #0:0: Video: mpeg2video (Main), yuv420p(tv, top first), 720x576 [SAR 16:15 DAR 4:3], 25 fps, 25 tbr, 25 tbn
  Stream #0:1: Video: mjpeg, yuvj444p(pc, bt470bg/unknown/unknown), 3000x3000 [SAR 1:1 DAR 1:1], 90k tbr (attached pic)
"""


def test_a_phone_s_video_is_as_high_as_it_is_shown() -> None:
    assert parse(PHONE.splitlines()) == Probe(
        "mov,mp4,m4a,3gp,3g2,mj2",
        62.5,
        Picture(0, "hevc", 1080, 1920, 29.98, is_hdr=True, knows_colours=True),
        Sound(1, "aac"),
    )


def test_pixels_that_are_not_square_and_covers() -> None:
    found = parse(TAPE.splitlines())
    assert found.picture == Picture(0, "mpeg2video", 768, 576, 25.0, is_interlaced=True)
    assert found.sound is None


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("[mov @ 0x1] moov atom not found\nfd:: Invalid data found", "incomplete_file"),
        ("fd:: Invalid data found when processing input", "not_a_video"),
        ("", "not_a_video"),
        ("Input #0, matroska,webm, from 'fd:':\n  Duration: N/A, start: 0.0", "no_streams"),
    ],
)
def test_why_there_is_nothing(lines: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(lines.splitlines())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("pixels", "known"),
    [
        ("yuv420p", False),
        ("yuv420p(progressive)", False),
        ("yuv420p(tv, progressive)", False),
        ("yuv420p(tv, bt709, progressive)", True),
        ("yuvj420p(pc, bt470bg/unknown/unknown)", True),
        ("gbrp(pc, gbr/unknown/unknown, progressive)", False),
        ("yuv420p10le(tv, bt2020nc/bt2020/smpte2084)", True),
        ("yuv420p10le(tv, bt2020nc/unknown/arib-std-b67)", False),
        ("yuv420p10le(tv, unknown/unknown/smpte2084)", False),
        ("yuv420p(tv, top first)", False),
    ],
)
def test_whether_a_picture_says_what_its_colours_are(pixels: str, known: bool) -> None:
    stream = f"  Stream #0:0: Video: h264 (High), {pixels}, 640x360 [SAR 1:1 DAR 16:9], 30 fps"
    picture = parse(["Input #0, avi, from 'fd:':", stream]).picture
    assert picture is not None
    assert picture.knows_colours is known


@pytest.mark.parametrize(
    ("width", "height", "seconds", "code"),
    [
        (10_000, 10_000, 10, "picture_too_large"),
        (9_000, 100, 10, "picture_too_large"),
        (8, 100, 10, "picture_too_small"),
        (1920, 1080, 100_000, "too_long"),
    ],
)
def test_what_is_beyond_us(width: int, height: int, seconds: float, code: str) -> None:
    with pytest.raises(Refused) as refused:
        check(Probe("mov", seconds, Picture(0, "h264", width, height, 30), None))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypisom", "mov"),
        (b"\x1aE\xdf\xa3\x01", "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"\x47" + bytes(187) + b"\x47", "mpegts"),
        (b"#EXTM3U\n", None),
        (b"ffconcat version 1.0\n", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_the_demuxer(head: bytes, name: str | None) -> None:
    assert demuxer(head) == name


def test_only_the_descriptor_is_read_and_only_as_a_container() -> None:
    words = command("/bin/ffmpeg", 7, "mov")
    assert words[:3] == ["/bin/ffmpeg", "-hide_banner", "-nostdin"]
    assert words[words.index("-protocol_whitelist") + 1] == "fd"
    assert words[-6:] == ["-f", "mov", "-fd", "7", "-i", "fd:"]
    assert not {"hls", "concat", "dash", "image2", "lavfi", "sdp", "rtsp", "tty"} & set(DEMUXERS)
