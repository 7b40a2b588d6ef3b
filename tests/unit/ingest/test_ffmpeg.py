"""Command lines word for word, and reading what ffmpeg prints."""

from __future__ import annotations

import pytest

from core.rungs import Rung
from ingest.ffmpeg import (
    Encoder,
    cost_probe,
    cpu_seconds,
    encoder_probe,
    ladder,
    level,
    source,
    tells_of_late_track,
    thumbnail,
    volume,
)

HIGH = Rung("480p", 854, 480, 1_200_000)
LOW = Rung("240p", 426, 240, 350_000)


def test_the_source_is_copied() -> None:
    assert source("/bin/ffmpeg", "rtmp://127.0.0.1:1935/live/s-1") == [
        "/bin/ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
        "-protocol_whitelist", "rtmp,tcp", "-tcp_nodelay", "1",
        "-fpsprobesize", "0", "-analyzeduration", "1500000",
        "-f", "flv", "-i", "rtmp://127.0.0.1:1935/live/s-1",
        "-map", "0:v:0?", "-map", "0:a:0?", "-c:v", "copy", "-c:a", "copy",
        "-f", "flv", "-flush_packets", "1", "-max_interleave_delta", "1",
        "-flvflags", "no_duration_filesize", "pipe:1",
    ]  # fmt: skip


def test_sound_that_cmaf_cannot_carry_becomes_aac() -> None:
    plain = source("ffmpeg", "rtmp://h/live/s")
    odd = source("ffmpeg", "rtmp://h/live/s", transcode_audio=True)
    at = plain.index("-c:a")
    assert odd[: at + 4] == [*plain[:at], "-c:a", "aac", "-b:a", "160k"]
    assert odd[at + 4 :] == plain[at + 2 :]


def test_a_track_that_comes_late_is_told() -> None:
    line = "[in#0/flv @ 0x5] New audio stream with index 1 at pos:123456 and DTS:4.98s"
    assert tells_of_late_track(line)
    assert not tells_of_late_track(line.replace("audio", "data"))


def encoded(rung: Rung, audio: bool = True) -> list[str]:
    rate = str(rung.bitrate)
    return [
        "-f", "flv", "-b:v", rate, "-bufsize", rate, *(["-c:a", "copy"] if audio else []),
        "-c:v", "libx264", "-enc_time_base:v", "1:1000", "-flush_packets", "1",
        "-flvflags", "no_duration_filesize", "-force_key_frames", "source",
        "-fps_mode", "passthrough", "-g", "100000", "-max_interleave_delta", "1",
        "-maxrate", rate, "-preset", "veryfast", "-sc_threshold", "0", "-tune", "zerolatency",
    ]  # fmt: skip


HEAD = [
    "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-copyts",
]  # fmt: skip
INPUT = [
    "-f", "flv", "-analyzeduration", "1500000", "-fpsprobesize", "0",
    "-protocol_whitelist", "pipe", "-i", "pipe:0",
]  # fmt: skip


def test_the_ladder_decodes_once_and_splits() -> None:
    assert ladder("ffmpeg", [HIGH, LOW], [7, 9]) == [
        *HEAD, *INPUT,
        "-filter_complex",
        "[0:v]split=2[s0][s1];[s0]scale=854:480:flags=bicubic[s2];[s2]format=yuv420p[s3];"
        "[s1]scale=426:240:flags=bicubic[s4];[s4]format=yuv420p[s5]",
        "-map", "[s3]", "-map", "0:a", *encoded(HIGH), "pipe:7",
        "-map", "[s5]", "-map", "0:a", *encoded(LOW), "pipe:9",
    ]  # fmt: skip


def test_one_rung_without_sound() -> None:
    assert ladder("ffmpeg", [LOW], [5], has_audio=False) == [
        *HEAD, *INPUT,
        "-filter_complex", "[0:v]scale=426:240:flags=bicubic[s0];[s0]format=yuv420p[s1]",
        "-map", "[s1]", *encoded(LOW, audio=False), "pipe:5",
    ]  # fmt: skip


def test_vaapi_uploads_its_frames() -> None:
    words = ladder("ffmpeg", [LOW], [5], encoder=Encoder.VAAPI, has_audio=False)
    assert words[words.index("-vaapi_device") + 1] == "/dev/dri/renderD128"
    graph = words[words.index("-filter_complex") + 1]
    assert graph.endswith("format=nv12[s1];[s1]hwupload[s2]")
    assert words[words.index("-c:v") + 1] == "h264_vaapi"


@pytest.mark.parametrize("encoder", list(Encoder))
def test_no_encoder_looks_ahead_or_adds_keyframes(encoder: Encoder) -> None:
    words = ladder("ffmpeg", [LOW], [5], encoder=encoder)
    assert words[words.index("-g") + 1] == "100000"
    assert words[words.index("-force_key_frames") + 1] == "source"
    assert "zerolatency" in words or words[words.index("-bf") + 1] == "0"


def test_a_thumbnail_is_one_keyframe_and_the_level_of_its_sound() -> None:
    silent = thumbnail("ffmpeg", has_audio=False)
    assert silent == [
        "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-threads", "1",
        "-filter_threads", "1", "-nofind_stream_info",
        "-skip_frame:v", "nokey", "-skip_loop_filter:v", "all",
        "-protocol_whitelist", "pipe", "-f", "mov", "-i", "pipe:0",
        "-map", "0:v:0", "-frames:v", "1",
        "-vf", "scale='min(640,iw)':-2:flags=area,format=yuvj420p",
        "-c:v", "mjpeg", "-threads:v", "1", "-q:v", "5", "-f", "mjpeg", "pipe:1",
    ]  # fmt: skip
    measured = ["-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-"]
    assert thumbnail("ffmpeg", has_audio=True) == [*silent, *measured]
    assert level("ffmpeg")[-7:] == measured


def test_probes_encode_a_test_card() -> None:
    assert encoder_probe("ffmpeg", Encoder.NVENC) == [
        "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info",
        "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-frames:v", "1",
        "-vf", "format=yuv420p", "-c:v", "h264_nvenc", "-f", "null", "-",
    ]  # fmt: skip
    words = cost_probe("ffmpeg", Encoder.X264)
    assert "-benchmark" in words and "veryfast" in words
    assert "-force_key_frames" not in words


def test_volume_is_read() -> None:
    text = (
        "[Parsed_volumedetect_0 @ 0x55] n_samples: 88064\n"
        "[Parsed_volumedetect_0 @ 0x55] mean_volume: -21.1 dB\n"
        "[Parsed_volumedetect_0 @ 0x55] max_volume: -18.0 dB\n"
    )
    assert volume(text) == (-21.1, -18.0)


@pytest.mark.parametrize(
    "text", ["", "mean_volume: -3 dB", "mean_volume: x dB\nmax_volume: 0 dB", "mean_volume: "]
)
def test_volume_that_is_not_there_is_none(text: str) -> None:
    assert volume(text) is None


def test_cpu_time_is_read() -> None:
    assert cpu_seconds("frame=1\nbench: utime=0.350s stime=0.045s rtime=0.110s\n") == pytest.approx(
        0.395
    )
    assert cpu_seconds("bench: utime=?s") is None
    assert cpu_seconds("bench: maxrss=94320KiB") is None
