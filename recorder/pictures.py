"""Pictures out of stored segments: keyframes alone, several with one short ffmpeg.

What is fed to it is an initialization section and, for each picture, a chunk of our own with nothing
but a keyframe in it. Blocking functions, for a thread.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import IO

from core.logs import logger
from recorder.fmp4 import Sample, chunk, read_init, read_segment

log = logger(__name__)

TIMEOUT_S = 20.0
POSTER_WIDTH = 1280
MOST_BYTES = 64 * 1024 * 1024
#: Where a memory mapping of 2 MB pages is spent on a process of a tenth of a second.
_FEW_THREADS = ("-threads", "1", "-filter_threads", "1")
_TRUNCATED = bytes(8)


class Unreadable(ValueError):
    """A segment holds no keyframe that can be shown."""


class Truncated(Unreadable):
    """The keyframe goes on after the bytes that are here."""


@dataclass(frozen=True)
class Frame:
    """A keyframe and the initialization section that it needs."""

    init: bytes
    sample: Sample


def keyframe(init: bytes, data: bytes) -> Frame:
    """The first keyframe of a segment, of which `data` may be only the beginning.

    Raises Truncated when more of it is needed, Unreadable when there is none.
    """
    try:
        parsed = read_init(init)
        if parsed.video is None:
            raise Unreadable("no picture")
        samples = read_segment(parsed, _first_chunk(data)).samples[parsed.video.id]
    except Unreadable:
        raise
    except (ValueError, struct.error, StopIteration, IndexError) as error:
        raise Unreadable(str(error)) from error
    found = next((sample for sample in samples if sample.sync), None)
    if found is None:
        raise Unreadable("no keyframe in the first chunk")
    # What is missing was filled up with zeros, and no coded picture ends with so many.
    if bytes(found.data[-len(_TRUNCATED) :]) == _TRUNCATED:
        raise Truncated("only the beginning of the keyframe")
    return Frame(init, found)


def _first_chunk(data: bytes) -> bytes:
    """What comes before the second `moof`, filled up to its full size."""
    at, media = 0, False
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            raise Unreadable("a box of no size")
        at += size
        if kind == b"mdat":
            media = True
            break
    if not media:
        raise Truncated("the first chunk's media is not here")
    if at > MOST_BYTES:
        raise Unreadable("a chunk of more than 64 MB")
    return data[:at] + bytes(max(0, at - len(data)))


def _fed(frames: Sequence[Frame]) -> bytes:
    """One initialization section and a chunk a frame, a second apart from 0."""
    track = read_init(frames[0].init).video
    if track is None:
        raise Unreadable("no picture")
    chunks = [
        chunk(
            number + 1,
            [
                (
                    track.id,
                    [Sample(number * track.timescale, track.timescale, 0, True, frame.sample.data)],
                )
            ],
        )
        for number, frame in enumerate(frames)
    ]
    return frames[0].init + b"".join(chunks)


def _decode(program: str, filters: str, *output: str) -> list[str]:
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", *_FEW_THREADS),
        *("-skip_frame:v", "nokey", "-skip_loop_filter:v", "all", "-protocol_whitelist", "pipe"),
        *("-f", "mov", "-i", "pipe:0", "-map", "0:v:0", "-fps_mode", "passthrough"),
        *("-vf", filters, *output, "pipe:1"),
    ]


def tiles_argv(program: str, width: int, height: int) -> list[str]:
    """Every frame on stdin, `width` × `height` with bars where its shape differs, raw to stdout."""
    fitted = f"scale={width}:{height}:force_original_aspect_ratio=decrease:flags=area"
    filters = f"{fitted},pad={width}:{height}:-1:-1,format=yuvj420p"
    return _decode(program, filters, "-f", "rawvideo")


def poster_argv(program: str) -> list[str]:
    """The frame on stdin as a JPEG of at most 1280 pixels' width."""
    filters = f"scale='min({POSTER_WIDTH},iw)':-2:flags=area,format=yuvj420p"
    encoder = ("-frames:v", "1", "-c:v", "mjpeg", "-threads:v", "1", "-q:v", "4", "-f", "mjpeg")
    return _decode(program, filters, *encoder)


def sheet_argv(program: str, width: int, height: int, columns: int, rows: int) -> list[str]:
    """Raw tiles on stdin, side by side in one JPEG; places without a tile are black."""
    return [
        program,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", *_FEW_THREADS),
        *("-f", "rawvideo", "-pix_fmt", "yuvj420p", "-video_size", f"{width}x{height}"),
        *("-protocol_whitelist", "pipe", "-i", "pipe:0", "-vf", f"tile={columns}x{rows}"),
        *("-frames:v", "1", "-c:v", "mjpeg", "-threads:v", "1", "-q:v", "5", "-f", "mjpeg"),
        "pipe:1",
    ]


def tile_bytes(width: int, height: int) -> int:
    """The size of a raw tile: 4:2:0, so sides are even."""
    return width * height * 3 // 2


def tiles(
    program: str, frames: Sequence[Frame | None], width: int, height: int
) -> list[bytes | None]:
    """A raw tile for each frame; None for what is None or cannot be decoded."""
    found: list[bytes | None] = []
    for _, group in groupby(frames, key=lambda frame: frame.init if frame else None):
        together = list(group)
        found += _tiles_of_one(program, together, width, height)
    return found


def _tiles_of_one(
    program: str, frames: Sequence[Frame | None], width: int, height: int
) -> list[bytes | None]:
    """`tiles` for frames of one initialization section, or for nothing but None."""
    given = [frame for frame in frames if frame is not None]
    if not given:
        return [None] * len(frames)
    size = tile_bytes(width, height)
    raw = run(tiles_argv(program, width, height), _fed(given))
    if len(raw) == size * len(given):
        return [raw[at : at + size] for at in range(0, len(raw), size)]
    if len(given) == 1:
        return [None]
    # One of them is damaged, and ffmpeg does not say which.
    return [tile for frame in given for tile in _tiles_of_one(program, [frame], width, height)]


def sheet(program: str, shape: tuple[int, int, int, int], raw: Sequence[bytes]) -> bytes:
    """Raw tiles as a JPEG; `shape` is width, height, columns, rows. Empty when ffmpeg could not."""
    return _jpeg(run(sheet_argv(program, *shape), b"".join(raw)))


def poster(program: str, frame: Frame) -> bytes:
    """A keyframe as a JPEG. Empty when ffmpeg could not."""
    return _jpeg(run(poster_argv(program), _fed([frame])))


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG (ITU-T T.81 B.2.2); (0, 0) when it says none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return int(width), int(height)
        at += 2 + length
    return 0, 0


def _jpeg(data: bytes) -> bytes:
    """`data` if it is a whole JPEG: one begins and ends with its markers."""
    return data if data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9") else b""


def run(argv: Sequence[str], data: bytes) -> bytes:
    """What the program makes of `data`, as far as it got."""
    with _memory_file() as stdin, _memory_file() as stdout, _memory_file() as stderr:
        stdin.write(data)
        stdin.seek(0)
        try:
            subprocess.run(  # noqa: S603 - an argument list of our own
                argv, stdin=stdin, stdout=stdout, stderr=stderr, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return b""
        stderr.seek(0)
        if words := stderr.read(2000):
            log.debug("picture_failed", stderr=words.decode("utf-8", "replace")[-300:])
        stdout.seek(0)
        return stdout.read(MOST_BYTES)


def _memory_file() -> IO[bytes]:
    return os.fdopen(os.memfd_create("picture"), "w+b", buffering=0)
