"""Every ffmpeg command line of this service, as pure functions from values to an argument list.

Programs are started from these lists, never through a shell. Each input is pinned to the protocols and
the demuxer it needs, because what comes in is a stranger's.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import ffmpeg

from core.rungs import Rung

#: How long a source without sound (or picture) is waited for before it counts as having none,
#: microseconds. Encoders send both headers first; shorter misses late audio, longer delays the
#: first picture of a source that has only one of them.
ANALYZE_US = 1_500_000
#: FLV to a pipe that a person is waiting at the other end of: every packet at once, none held back
#: to interleave with a stream that is silent.
_FLV_PIPE: dict[str, str | int] = {
    "f": "flv",
    "flush_packets": 1,
    "max_interleave_delta": 1,
    "flvflags": "no_duration_filesize",
}
THUMBNAIL_WIDTH = 640


def _glibc(**tunables: int) -> dict[str, str]:
    words = (f"glibc.malloc.{name}={value}" for name, value in tunables.items())
    return {"GLIBC_TUNABLES": ":".join(words)}


#: Environment for `source`: one heap for its threads, of which nothing is given back between two packets.
ONE_HEAP = _glibc(arena_max=1, mmap_threshold=64 << 20, trim_threshold=64 << 20)
#: Environment for `thumbnail` and `level`: half of what so short a run costs is the kernel's work for
#: fresh pages.
LARGE_PAGES = _glibc(arena_max=1, mmap_threshold=64 << 20, top_pad=16 << 20, hugetlb=1)


class Encoder(StrEnum):
    """H.264 encoders a rung may use, in order of preference."""

    NVENC = "h264_nvenc"
    QSV = "h264_qsv"
    VAAPI = "h264_vaapi"
    X264 = "libx264"


_ENCODER_OPTIONS: dict[Encoder, dict[str, str | int]] = {
    Encoder.NVENC: {"preset": "p3", "tune": "ull", "rc": "cbr", "bf": 0, "forced-idr": 1},
    Encoder.QSV: {"preset": "veryfast", "bf": 0, "async_depth": 1, "forced_idr": 1},
    Encoder.VAAPI: {"bf": 0, "rc_mode": "CBR"},
    # Without zerolatency x264 looks 0.5 s ahead.
    Encoder.X264: {"preset": "veryfast", "tune": "zerolatency", "sc_threshold": 0},
}


def source(program: str, url: str, *, transcode_audio: bool = False) -> list[str]:
    """Subscribe to `url` and write its first picture and sound, untouched, as FLV to stdout.

    `tcp_nodelay` because the RTMP handshake is a dozen small writes that Nagle would hold back 40 ms
    each; `fpsprobesize 0` because the frame rate is not needed and costs 20 frames of waiting. Neither
    loses a packet, which `-fflags nobuffer` would. `transcode_audio` is for what CMAF cannot carry.
    """
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *("-protocol_whitelist", "rtmp,tcp", "-tcp_nodelay", "1"),
        *("-fpsprobesize", "0", "-analyzeduration", str(ANALYZE_US)),
        *("-f", "flv", "-i", url),
        *("-map", "0:v:0?", "-map", "0:a:0?", "-c:v", "copy"),
        *(("-c:a", "aac", "-b:a", "160k") if transcode_audio else ("-c:a", "copy")),
        *(str(word) for key, value in _FLV_PIPE.items() for word in (f"-{key}", value)),
        "pipe:1",
    ]


def tells_of_late_track(line: str) -> bool:
    """Whether a line of stderr says that a track came too late to be written."""
    return "New audio stream with index" in line or "New video stream with index" in line


def ladder(
    program: str,
    rungs: Sequence[Rung],
    pipes: Sequence[int],
    *,
    encoder: Encoder = Encoder.X264,
    has_audio: bool = True,
    device: str = "/dev/dri/renderD128",
) -> list[str]:
    """Read FLV on stdin, decode it once, write each rung as FLV to its own inherited pipe.

    Times stay the source's to the millisecond (`copyts`, a millisecond encoder clock, no frame added
    or dropped) and keyframes fall on the source's, so that all renditions can be cut at the same
    presentation times.
    """
    fed = ffmpeg.input(
        "pipe:0", f="flv", fpsprobesize=0, analyzeduration=ANALYZE_US, protocol_whitelist="pipe"
    )
    pictures = fed.video.filter_multi_output("split", len(rungs)) if len(rungs) > 1 else None
    outputs = []
    for number, (rung, pipe) in enumerate(zip(rungs, pipes, strict=True)):
        video = (pictures[number] if pictures else fed.video).filter(
            "scale", rung.width, rung.height, flags="bicubic"
        )
        video = video.filter("format", "nv12" if encoder is Encoder.VAAPI else "yuv420p")
        if encoder is Encoder.VAAPI:
            video = video.filter("hwupload")
        outputs.append(
            ffmpeg.output(
                *((video, fed.audio) if has_audio else (video,)),
                f"pipe:{pipe}",
                **_rung_options(rung, encoder, has_audio=has_audio),
            )
        )
    words = ffmpeg.merge_outputs(*outputs).get_args()
    hardware = ["-vaapi_device", device] if encoder is Encoder.VAAPI else []
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-copyts"),
        *hardware,
        *words,
    ]


def _rung_options(rung: Rung, encoder: Encoder, *, has_audio: bool) -> dict[str, str | int]:
    options: dict[str, str | int] = {
        "c:v": encoder.value,
        **_ENCODER_OPTIONS[encoder],
        "b:v": rung.bitrate,
        "maxrate": rung.bitrate,
        "bufsize": rung.bitrate,
        # Keyframes where the source has them and nowhere else.
        "force_key_frames": "source",
        "g": 100_000,
        "fps_mode": "passthrough",
        "enc_time_base:v": "1:1000",
        **_FLV_PIPE,
    }
    if has_audio:
        options["c:a"] = "copy"
    return options


def thumbnail(program: str, *, has_audio: bool) -> list[str]:
    """Read init + segment (fragmented MP4) on stdin, write its keyframe as JPEG to stdout.

    With sound the level of the segment is measured in the same run; `volume` reads it from stderr.
    """
    # One thread, no analysis before the decoder starts, and of decoding and scaling only what shows in
    # so small a picture: this runs for every stream, every few seconds.
    words = [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-threads", "1"),
        *("-filter_threads", "1", "-nofind_stream_info"),
        *("-skip_frame:v", "nokey", "-skip_loop_filter:v", "all"),
        *("-protocol_whitelist", "pipe", "-f", "mov", "-i", "pipe:0"),
        *("-map", "0:v:0", "-frames:v", "1"),
        *("-vf", f"scale='min({THUMBNAIL_WIDTH},iw)':-2:flags=area,format=yuvj420p"),
        *("-c:v", "mjpeg", "-threads:v", "1", "-q:v", "5", "-f", "mjpeg", "pipe:1"),
    ]
    if has_audio:
        words += ["-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-"]
    return words


def level(program: str) -> list[str]:
    """Read init + segment of a stream without picture on stdin and measure its audio level."""
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-threads", "1"),
        *("-protocol_whitelist", "pipe", "-f", "mov", "-i", "pipe:0"),
        *("-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-"),
    ]


def volume(stderr: str) -> tuple[float, float] | None:
    """Mean and peak level in dBFS that `volumedetect` printed, or None when it printed none."""
    found: dict[str, float] = {}
    for line in stderr.splitlines():
        for name in ("mean_volume", "max_volume"):
            _, mark, rest = line.partition(f"{name}: ")
            if mark:
                try:
                    found[name] = float(rest.split()[0])
                except (ValueError, IndexError):
                    return None
    if len(found) != 2:
        return None
    return found["mean_volume"], found["max_volume"]


#: What the cost probe encodes: enough frames to even out the encoder's start.
PROBE_SIZE = (1280, 720)
PROBE_FRAMES = 45


def cost_probe(program: str, encoder: Encoder) -> list[str]:
    """Encode a moving test card as a rung would be, and print the CPU time it took."""
    width, height = PROBE_SIZE
    rung = Rung("probe", width, height, 2_500_000)
    options = _rung_options(rung, encoder, has_audio=False)
    for name in (*_FLV_PIPE, "force_key_frames", "enc_time_base:v", "fps_mode"):
        del options[name]
    return _test_encode(program, encoder, options, PROBE_FRAMES, "-benchmark")


def encoder_probe(program: str, encoder: Encoder) -> list[str]:
    """Encode one frame: whether the hardware behind `encoder` is there."""
    return _test_encode(program, encoder, {"c:v": encoder.value}, 1)


def _test_encode(
    program: str, encoder: Encoder, options: dict[str, str | int], frames: int, *more: str
) -> list[str]:
    width, height = PROBE_SIZE
    vaapi = encoder is Encoder.VAAPI
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", *more),
        *(("-vaapi_device", "/dev/dri/renderD128") if vaapi else ()),
        *("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=30"),
        *("-frames:v", str(frames)),
        *("-vf", "format=nv12,hwupload" if vaapi else "format=yuv420p"),
        *(str(word) for key, value in options.items() for word in (f"-{key}", value)),
        *("-f", "null", "-"),
    ]


def cpu_seconds(stderr: str) -> float | None:
    """CPU time that `-benchmark` printed (user and system together), or None."""
    for line in stderr.splitlines():
        if line.startswith("bench: utime="):
            words = dict(word.split("=", 1) for word in line.removeprefix("bench: ").split())
            try:
                return float(words["utime"].rstrip("s")) + float(words["stime"].rstrip("s"))
            except (KeyError, ValueError):
                return None
    return None
