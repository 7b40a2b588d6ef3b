"""What an upload is encoded to, and ffmpeg's command line for it. Pure.

One run decodes the file once and writes every rendition as fragmented MP4 to a pipe of its own. A
fragment begins with a keyframe every two seconds, at the same pictures in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ffmpeg as graphs

from core.rungs import BITRATES, Rung, rung_of
from recorder.probe import MOST_PIXELS, Picture, Probe, source
from recorder.timeline import SOURCE

SEGMENT_S = 2
MOST_RUNGS = 4
#: The least that a rung's shorter side differs from the next larger one's.
STEP = 0.8
MOST_FPS = 60.0
#: Peaks may be so much above the rate that a ladder's player counts on.
PEAK = 1.2
SOUND_RATE, SOUND_BITRATE = 48_000, 160_000
#: Light as HLG or PQ means it becomes light as every screen shows it.
_WIDE = {"color_primaries": "bt2020", "colorspace": "bt2020nc"}
_TONE_MAP = (
    ("zscale", {"t": "linear", "npl": 100}),
    ("format", {"pix_fmts": "gbrpf32le"}),
    ("zscale", {"p": "bt709"}),
    ("tonemap", {"tonemap": "hable", "desat": 0}),
    ("zscale", {"t": "bt709", "m": "bt709", "r": "tv"}),
)


@dataclass(frozen=True)
class Plan:
    """What is made of a file: rungs, the best first and named as a broadcast's source; none of sound
    alone.
    """

    rungs: tuple[Rung, ...]
    has_sound: bool

    @property
    def outputs(self) -> int:
        """How many pipes there are."""
        return max(1, len(self.rungs))

    @property
    def names(self) -> list[str]:
        """The renditions in the order of the pipes."""
        return [rung.name for rung in self.rungs] or [SOURCE]


def plan(probe: Probe) -> Plan:
    """The ladder for a file: never larger than it is, nor than the largest of the table."""
    picture = probe.picture
    if picture is None:
        return Plan((), True)
    short = min(picture.width, picture.height) // 2 * 2
    top = min(short, max(BITRATES))
    heights = [top]
    for height in sorted(BITRATES, reverse=True):
        if height <= heights[-1] * STEP and len(heights) < MOST_RUNGS:
            heights.append(height)
    fps = min(picture.frame_rate or 30.0, MOST_FPS)
    rungs = [rung_of(height, picture.width, picture.height, fps) for height in heights]
    best = rungs[0]
    rungs[0] = Rung(SOURCE, best.width, best.height, best.bitrate)
    return Plan(tuple(rungs), probe.sound is not None)


def command(
    program: str, probe: Probe, planned: Plan, fd: int, forced: str | None, pipes: Sequence[int]
) -> list[str]:
    """Read descriptor `fd`, write each rendition to its pipe."""
    fed = graphs.input("fd:")
    # Streams are named by index: "the first" is ffmpeg's choice, which may be a cover.
    sound = fed[str(probe.sound.index)] if probe.sound is not None else None
    outputs = []
    if probe.picture is None:
        outputs.append(graphs.output(sound, f"pipe:{pipes[0]}", **_sound(), **_CONTAINER))
    else:
        pictures = _pictures(fed[str(probe.picture.index)], probe.picture, planned)
        for rung, picture, pipe in zip(planned.rungs, pictures, pipes, strict=True):
            streams = (picture, sound) if sound is not None else (picture,)
            options = {**_picture(rung), **(_sound() if sound is not None else {}), **_CONTAINER}
            options["movflags"] = f"frag_keyframe+{_CONTAINER['movflags']}"
            del options["frag_duration"]
            outputs.append(graphs.output(*streams, f"pipe:{pipe}", **options))
    words = graphs.merge_outputs(*outputs).get_args()
    # What ffmpeg-python writes for the input is replaced by the one that is held to its descriptor.
    begins = words.index("-i")
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *("-max_pixels", str(MOST_PIXELS), "-max_error_rate", "1"),
        *source(fd, forced),
        *words[begins + 2 :],
    ]


def _pictures(stream: graphs.Stream, picture: Picture, planned: Plan) -> list[graphs.Stream]:
    if picture.is_interlaced:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    if picture.frame_rate > MOST_FPS + 0.5:
        stream = stream.filter("fps", MOST_FPS)
    best = planned.rungs[0]
    if picture.is_hdr:
        if not picture.knows_colours:
            stream = stream.filter("setparams", **_WIDE)
        # On as few pixels as are needed: it costs more than all the rest.
        stream = stream.filter("scale", best.width, best.height, flags="bicubic")
        for name, options in _TONE_MAP:
            stream = stream.filter(name, **options)
    if len(planned.rungs) == 1:
        streams = [stream]
    else:
        split = stream.filter_multi_output("split", len(planned.rungs))
        streams = [split[number] for number in range(len(planned.rungs))]
    return [
        each.filter("scale", rung.width, rung.height, flags="bicubic", **_matrix(picture))
        .filter("setsar", 1)
        .filter("format", "yuv420p")
        for each, rung in zip(streams, planned.rungs, strict=True)
    ]


def _matrix(picture: Picture) -> dict[str, str]:
    """What players take a picture for that does not say what its colours are: by its size.

    It is said of every rendition, or the smaller ones would be shown in other colours; and RGB becomes YUV by it.
    """
    if picture.knows_colours or picture.is_hdr:
        return {}
    name = "bt709" if min(picture.width, picture.height) >= 720 else "smpte170m"
    return {"in_color_matrix": name, "out_color_matrix": name}


def _picture(rung: Rung) -> dict[str, str | int]:
    return {
        "c:v": "libx264",
        "preset": "veryfast",
        "profile:v": "high",
        "crf": 23,
        "maxrate": round(rung.bitrate * PEAK),
        "bufsize": rung.bitrate * 2,
        "force_key_frames": f"expr:gte(t,n_forced*{SEGMENT_S})",
        # No keyframe but those; a file whose pictures stand still for long has long segments.
        "g": 100_000,
        "sc_threshold": 0,
        # Times as they are, of a variable frame rate as well.
        "fps_mode": "vfr",
        "enc_time_base:v": "1:90000",
        "video_track_timescale": 90_000,
    }


def _sound() -> dict[str, str | int]:
    return {"c:a": "aac", "b:a": SOUND_BITRATE, "ar": SOUND_RATE, "ac": 2}


#: `frag_discont`: decode times begin where the stream does, not each track at 0, so that sound and
#: picture keep their distance.
_CONTAINER: dict[str, str | int] = {
    "map_metadata": -1,
    "map_chapters": -1,
    "f": "mp4",
    "frag_duration": SEGMENT_S * 1_000_000,
    "movflags": "empty_moov+default_base_moof+frag_discont",
}
