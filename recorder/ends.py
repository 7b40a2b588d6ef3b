"""The ends of a cut: the frames that cannot be copied, decoded and encoded again by a short ffmpeg.

They come out in the codec they had, with parameter sets of an id of their own, so that copied and
encoded frames can also lie in one file with one decoder configuration.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import ffmpeg

from core.errors import Unavailable
from core.logs import logger
from recorder.fmp4 import Init, Sample, Track, chunk, read_init, read_segment, with_config
from recorder.pieces import Copy, Encode
from recorder.sandbox import Limits, TooLong, confined

log = logger(__name__)

#: For some seconds of pictures, at most those between two keyframes: somebody waits for them.
LIMITS = Limits(wall_s=30, cpu_s=60, nice=0)
#: Of an H.264 source's parameter sets, which nearly always have id 0, and of ours.
OWN_SPS_ID = 29
_PROFILES = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}
_CODECS = {"avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "av01": "av1"}


class EncodingFailed(Unavailable):
    """ffmpeg made something else of the frames than was asked for."""

    default_code = "clip_failed"


@dataclass(frozen=True, slots=True)
class Made:
    """A segment of one's own. `init` is its initialization section, None: that of its slot."""

    data: bytes
    init: bytes | None


def encoder(entry: str, config: bytes) -> dict[str, str | int]:
    """ffmpeg's options for the codec of a sample entry (`avc1`, …) and its configuration record.

    No frame refers to a later one, and everything after the first refers to it: a cut is short.
    Raises KeyError for a codec that we do not store.
    """
    codec = _CODECS[entry]
    common: dict[str, str | int] = {"bf": 0, "g": 100_000}
    if codec == "h264":
        profile = _PROFILES.get(config[1], "high") if len(config) > 1 else "high"
        return {
            "c:v": "libx264", "preset": "superfast", "crf": 17, "profile:v": profile,
            "sc_threshold": 0, "x264-params": f"sps-id={OWN_SPS_ID}", **common,
        }  # fmt: skip
    if codec == "hevc":
        return {
            "c:v": "libx265", "preset": "ultrafast", "crf": 19, "tag:v": "hvc1",
            "x265-params": "log-level=error:open-gop=0:repeat-headers=0:scenecut=0", **common,
        }  # fmt: skip
    return {
        "c:v": "libsvtav1", "preset": 11, "crf": 24, "g": 100_000,
        "svtav1-params": "pred-struct=1:lookahead=0",
    }  # fmt: skip


def argv(program: str, track: Track, first: int, last: int) -> list[str]:
    """Read fragmented MP4 on stdin, encode its frames presented from `first` to `last`, units of the
    track, and write them as fragmented MP4 to stdout.
    """
    fed = ffmpeg.input("pipe:0", f="mov", protocol_whitelist="pipe")
    chosen = fed.video.filter("select", f"between(pts,{first},{last})")
    output = ffmpeg.output(
        chosen,
        "pipe:1",
        **encoder(track.entry, track.config),
        f="mp4",
        movflags="empty_moov+default_base_moof",
        video_track_timescale=track.timescale,
        # One frame in, one frame out, each at its own time.
        fps_mode="passthrough",
        **{"enc_time_base:v": f"1:{track.timescale}"},
    )
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-copyts"),
        *output.get_args(),
    ]


async def run(command: Sequence[str], data: bytes) -> bytes:
    """What the program makes of `data`, confined. Raises EncodingFailed."""
    with os.fdopen(os.memfd_create("cut"), "w+b", buffering=0) as stdin:
        await asyncio.to_thread(stdin.write, data)
        stdin.seek(0)
        try:
            async with confined(
                command, LIMITS, stdin=stdin.fileno(), stdout=asyncio.subprocess.PIPE
            ) as running:
                answer = await running.stdout.read() if running.stdout is not None else b""
                status = await running.wait()
        except TooLong as error:
            raise EncodingFailed("Encoding the ends of the cut took too long.") from error
        except OSError as error:
            raise EncodingFailed("The encoder cannot be started.") from error
    if status:
        log.warning("cut_not_encoded", status=status, stderr=list(running.tail)[-3:])
        raise EncodingFailed("The ends of the cut could not be encoded.")
    return answer


async def encode(program: str, piece: Encode, init: Init) -> Made:
    """Encode a piece. Raises EncodingFailed."""
    track = init.video
    if track is None:
        raise EncodingFailed("There is no picture to encode.")
    fed, moved = _rebased(piece.feed)
    command = argv(program, track, piece.shown[0] + moved, piece.shown[-1] + moved)
    data = await run(command, init.data + chunk(1, [(track.id, fed)]))
    try:
        answer = read_init(data)
        samples = [s for found in read_segment(answer, data).samples.values() for s in found]
    except ValueError as error:
        raise EncodingFailed("The encoder's answer is unreadable.") from error
    if answer.video is None or len(samples) != len(piece.shown):
        raise EncodingFailed(f"{len(piece.shown)} frames became {len(samples)}.")
    own = with_config(init, answer.video.config)
    runs = [(track.id, _timed(piece, samples))]
    if init.audio is not None:
        runs.append((init.audio.id, list(piece.audio)))
    return Made(chunk(1, runs), own)


def _rebased(samples: Sequence[Sample]) -> tuple[list[Sample], int]:
    """The samples from 0 on, and by how much their presentation moved.

    ffmpeg's demuxer would move those of a track with negative composition offsets.
    """
    begin = samples[0].time
    lift = max(0, -min(sample.offset for sample in samples))
    moved = [s._replace(time=s.time - begin, offset=s.offset + lift) for s in samples]
    return moved, lift - begin


def _timed(piece: Encode, samples: Sequence[Sample]) -> list[Sample]:
    """The encoder's frames at the times that the plan gives them."""
    ends = [*piece.shown[1:], piece.until]
    return [
        Sample(shown - piece.delay, end - shown, piece.delay, sample.sync, sample.data)
        for shown, end, sample in zip(piece.shown, ends, samples, strict=True)
    ]


def copy(piece: Copy, init: Init) -> Made:
    """A copied piece as a segment."""
    runs = []
    for track, samples in ((init.video, piece.video), (init.audio, piece.audio)):
        if track is not None:
            runs.append((track.id, samples))
    return Made(chunk(1, runs), None)


def _parameter_sets(record: bytes) -> tuple[list[bytes], list[bytes], int]:
    """Sequence and picture parameter sets of an avcC record, and where they end in it."""
    found: tuple[list[bytes], list[bytes]] = ([], [])
    at, count = 6, record[5] & 0x1F
    for sets in found:
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            sets.append(record[at + 2 : at + 2 + size])
            at += 2 + size
        if sets is found[0]:
            count, at = record[at], at + 1
    return *found, at


def _id_of(parameter_set: bytes) -> tuple[int, int]:
    """(kind, id) of a sequence or picture parameter set (H.264 7.3.2)."""
    kind = parameter_set[0] & 0x1F
    # A sequence's id comes after profile, constraints and level.
    rest = parameter_set[4:] if kind == 7 else parameter_set[1:]
    bits = "".join(f"{byte:08b}" for byte in rest[:8])
    zeros = len(bits) - len(bits.lstrip("0"))
    return kind, int(bits[zeros : 2 * zeros + 1], 2) - 1


def merged_avc(records: Sequence[bytes]) -> bytes:
    """One AVCDecoderConfigurationRecord with the parameter sets of several (14496-15 5.3.3.1).

    Raises ValueError when two of them use one id for different sets.
    """
    sequences: dict[bytes, None] = {}
    pictures: dict[bytes, None] = {}
    for record in records:
        found = _parameter_sets(record)
        sequences |= dict.fromkeys(found[0])
        pictures |= dict.fromkeys(found[1])
    for sets in (sequences, pictures):
        if len({_id_of(one) for one in sets}) != len(sets):
            raise ValueError("two configurations use the same ids")
    first = records[0]
    highest = max(records, key=lambda record: record[3])
    head = first[:3] + highest[3:5] + bytes([0xE0 | len(sequences)])
    body = b"".join(struct.pack(">H", len(s)) + s for s in sequences)
    body += bytes([len(pictures)]) + b"".join(struct.pack(">H", len(s)) + s for s in pictures)
    return head + body + first[_parameter_sets(first)[2] :]
