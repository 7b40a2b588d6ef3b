"""What an uploaded file is: told by its first bytes, then by what ffmpeg says of it. Pure.

There is no ffprobe in an installation (the wheel that brings ffmpeg has none), and what ffmpeg prints of
an input has kept its form for a decade.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recorder.refusals import Refused

#: Demuxers an upload may be read with: containers of sound and moving pictures. Nothing that names
#: other files (playlists, concat, image sequences), talks to a device, or makes a picture of any bytes.
DEMUXERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf", "rm", "ivf", "nut", "gxf",
    "wtv", "nsv", "dv", "h264", "hevc", "mpegvideo", "m4v", "obu", "mp3", "wav", "w64", "flac", "aac",
    "ac3", "eac3", "aiff", "caf", "amr", "ape", "wv", "tta", "mpc8", "dts", "gif",
)  # fmt: skip
#: 8K, and a little more: a decoder takes up to a dozen pictures' memory.
MOST_PIXELS = 36_000_000
LONGEST_SIDE = 8192
LONGEST_S = 24 * 3600.0

_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"OggS", "ogg"),
    (0, b"FLV\x01", "flv"),
    (0, b"fLaC", "flac"),
    (0, b"ID3", "mp3"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf"),
    (0, b"DKIF", "ivf"),
    (0, b".RMF", "rm"),
    (0, b"caff", "caf"),
    (8, b"AVI ", "avi"),
    (8, b"WAVE", "wav"),
    (8, b"AIFF", "aiff"),
)


def demuxer(head: bytes) -> str | None:
    """The demuxer for a file that begins with these bytes (some hundred), None when they do not tell."""
    if head[4:8] in _MOV_BOXES:
        return "mov"
    for at, mark, name in _MAGIC:
        if head[at : at + len(mark)] == mark:
            return name
    for packet in (188, 192):
        offset = packet - 188
        if len(head) > packet + offset and head[offset] == head[packet + offset] == 0x47:
            return "mpegts"
    return None


@dataclass(frozen=True)
class Picture:
    """A video stream. Width and height as they are to be shown, in square pixels.

    `knows_colours`: the file says what its numbers mean as colours, all that is needed of it.
    """

    index: int
    codec: str
    width: int
    height: int
    frame_rate: float
    is_hdr: bool = False
    is_interlaced: bool = False
    knows_colours: bool = False


@dataclass(frozen=True)
class Sound:
    """An audio stream."""

    index: int
    codec: str


@dataclass(frozen=True)
class Probe:
    """What is in a file. `duration_s` is 0 when nobody knows."""

    container: str
    duration_s: float
    picture: Picture | None
    sound: Sound | None


def command(ffmpeg: str, fd: int, forced: str | None) -> list[str]:
    """Look at the file behind descriptor `fd`."""
    return [ffmpeg, "-hide_banner", "-nostdin", *source(fd, forced)]


def source(fd: int, forced: str | None) -> list[str]:
    """The file behind descriptor `fd` as an input: no other protocol, no other kind of file."""
    return [
        *("-protocol_whitelist", "fd", "-format_whitelist", ",".join(DEMUXERS)),
        *(("-f", forced) if forced else ()),
        *("-fd", str(fd), "-i", "fd:"),
    ]


_INPUT = re.compile(r"Input #0, ([\w,]+), from")
_DURATION = re.compile(r"^ {2}Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_STREAM = re.compile(r"^ {2}Stream #0:(\d+)\S*: (Video|Audio): (\w+)(.*)$")
_SIZE = re.compile(r", (\d+)x(\d+)(?: \[SAR (\d+):(\d+) DAR)?")
_RATE = re.compile(r", ([\d.]+)(k?) fps")
_TBR = re.compile(r", ([\d.]+)(k?) tbr")
_ROTATION = re.compile(r"rotation of (-?[\d.]+) degrees")
#: Of a pixel format: range, matrix/primaries/transfer (one word where they are the same), order of fields.
_COLOURS = re.compile(r", \w+\(([^)]*)\), \d+x\d+")
_NO_COLOURS = ("tv", "pc", "progressive")
_HDR = ("smpte2084", "arib-std-b67")
_FIELDS = ("top first", "bottom first", "top coded first", "bottom coded first")


def parse(lines: Sequence[str]) -> Probe:
    """What ffmpeg printed of an input. Raises Refused with the reason why there is none."""
    container, duration_s = "", 0.0
    pictures: list[Picture] = []
    sounds: list[Sound] = []
    rotates: bool = False
    for line in lines:
        if found := _INPUT.search(line):
            container = found[1]
        elif found := _DURATION.match(line):
            duration_s = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
        elif found := _STREAM.match(line):
            rotates = False
            index, kind, codec, rest = int(found[1]), found[2], found[3], found[4]
            if kind == "Audio" and codec != "none":
                sounds.append(Sound(index, codec))
            elif kind == "Video" and (picture := _picture(index, codec, rest)) is not None:
                pictures.append(picture)
                rotates = True
        elif rotates and (found := _ROTATION.search(line)) and round(float(found[1])) % 180:
            last = pictures[-1]
            pictures[-1] = replace(last, width=last.height, height=last.width)
    if not container:
        raise reason(lines)
    if not pictures and not sounds:
        raise Refused(
            "no_streams", "There is neither a picture nor sound in this file that we can read."
        )
    picture = max(pictures, key=lambda p: p.width * p.height, default=None)
    return Probe(container, duration_s, picture, sounds[0] if sounds else None)


def _picture(index: int, codec: str, rest: str) -> Picture | None:
    size = _SIZE.search(rest)
    # A cover is no moving picture, and one without a size cannot be decoded.
    if size is None or codec == "none" or "(attached pic)" in rest:
        return None
    width, height = int(size[1]), int(size[2])
    if size[3] and int(size[3]) and int(size[4]) and size[3] != size[4]:
        width = round(width * int(size[3]) / int(size[4]))
    rate = _RATE.search(rest) or _TBR.search(rest)
    frame_rate = float(rate[1]) * (1000 if rate[2] else 1) if rate else 0.0
    is_hdr = any(name in rest for name in _HDR)
    return Picture(
        index,
        codec,
        width,
        height,
        frame_rate,
        is_hdr=is_hdr,
        is_interlaced=any(name in rest for name in _FIELDS),
        knows_colours=_knows_colours(rest, all_of_them=is_hdr),
    )


def _knows_colours(rest: str, *, all_of_them: bool) -> bool:
    """Whether the matrix is named that made YUV of the picture; where light is mapped, the primaries too."""
    found = _COLOURS.search(rest)
    words = found[1].split(", ") if found else []
    named = [word for word in words if word not in (*_NO_COLOURS, *_FIELDS)]
    matrix, *more = named[0].split("/") if named else ("unknown",)
    # What is RGB still has to be given a matrix.
    return matrix not in ("unknown", "gbr") and not (all_of_them and "unknown" in more)


def check(probe: Probe) -> None:
    """Raise Refused for what is beyond what we transcode."""
    picture = probe.picture
    if picture is not None:
        longest = max(picture.width, picture.height)
        if longest > LONGEST_SIDE or picture.width * picture.height > MOST_PIXELS:
            raise Refused(
                "picture_too_large",
                f"The picture has {picture.width} × {picture.height} pixels; "
                f"at most {LONGEST_SIDE} on a side and {MOST_PIXELS // 1_000_000} million in all.",
            )
        if min(picture.width, picture.height) < 16:
            raise Refused("picture_too_small", "The picture has fewer than 16 pixels on a side.")
    check_length(probe.duration_s)


def check_length(seconds: float) -> None:
    """Raise Refused for what is longer than we transcode."""
    if seconds > LONGEST_S:
        raise Refused("too_long", f"This is longer than {LONGEST_S / 3600:.0f} hours.")


def reason(lines: Sequence[str]) -> Refused:
    """Why a file could not be read, in words for its owner."""
    text = "\n".join(lines)
    if "moov atom not found" in text or "End of file" in text or "partial file" in text:
        return Refused(
            "incomplete_file",
            "This file is not complete: its index is missing, as when a recording or a copy was "
            "interrupted.",
        )
    return Refused("not_a_video", "This is not a video or sound file that we can read.")
