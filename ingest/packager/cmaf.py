"""CMAF boxes: initialization sections and chunks (ISO/IEC 14496-12, 23000-19).

No edit lists. Decode times are the source's, so composition offsets are as the encoder chose them, and
stay positive but for a correction of a few ms: ffmpeg's demuxer delays a track's presentation by its
most negative offset, so tracks written with negative offsets (brand cmf2) lose lip sync in it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from .codecs import AudioConfig, VideoConfig

VIDEO_TRACK, AUDIO_TRACK = 1, 2
VIDEO_TIMESCALE = 1000  # FLV's own grid: nothing is rounded

# sample_depends_on = 2 (independent) / = 1 and sample_is_non_sync_sample (14496-12 8.8.3.1).
SYNC, NON_SYNC = 0x02000000, 0x01010000

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MOOF = struct.Struct(">I4sI4sII")
_BOX = struct.Struct(">I4s")
# traf, tfhd (default-base-is-moof), tfdt version 1, trun up to the data offset
_VIDEO_TRAF = struct.Struct(">I4s I4sII I4sIQ I4sIII")
_AUDIO_TRAF = struct.Struct(">I4s I4sIIII I4sIQ I4sIII")
_EMPTY_TRAF = struct.Struct(">I4s I4sIII I4sIQ")
_VIDEO_TRUN = 0x01000F01  # version 1: data offset; sample duration, size, flags, composition offset
_SIZES_TRUN = 0x00000201  # data offset; sample size
_DURATIONS_TRUN = 0x00000301  # data offset; sample duration, size


class VideoRun(NamedTuple):
    """Samples of one chunk. `fields` holds per sample duration, size, flags, composition offset
    (ms, two's complement in 32 bits); `data` their payloads in the same order.
    """

    decode_time: int
    fields: Sequence[int]
    data: Sequence[memoryview]


class AudioRun(NamedTuple):
    """Samples of one chunk; times in samples. `durations` is empty when all are `duration`."""

    decode_time: int
    duration: int
    durations: Sequence[int]
    data: Sequence[memoryview]


def box(kind: bytes, *content: bytes) -> bytes:
    return _BOX.pack(8 + sum(map(len, content)), kind) + b"".join(content)


def full_box(kind: bytes, version_flags: int, *content: bytes) -> bytes:
    return box(kind, version_flags.to_bytes(4, "big"), *content)


def init_segment(video: VideoConfig | None, audio: AudioConfig | None) -> bytes:
    """`ftyp` + `moov` for the tracks given; video is track 1, audio track 2."""
    tracks = b""
    extends = b""
    if video:
        tracks += _track(VIDEO_TRACK, VIDEO_TIMESCALE, video, None)
        extends += _trex(VIDEO_TRACK)
    if audio:
        tracks += _track(AUDIO_TRACK, audio.sample_rate, None, audio)
        extends += _trex(AUDIO_TRACK)
    header = full_box(
        b"mvhd", 0, struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100), _MATRIX,
        bytes(24), (0xFFFFFFFF).to_bytes(4, "big"),
    )  # fmt: skip
    moov = box(b"moov", header, tracks, box(b"mvex", extends))
    return box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41") + moov


def _trex(track: int) -> bytes:
    return full_box(b"trex", 0, struct.pack(">5I", track, 1, 0, 0, 0))


def _track(
    track: int, timescale: int, video: VideoConfig | None, audio: AudioConfig | None
) -> bytes:
    width, height = (video.width << 16, video.height << 16) if video else (0, 0)
    tkhd = full_box(
        b"tkhd", 7, struct.pack(">5I8xHHHxx", 0, 0, track, 0, 0, 0, 0, 0 if video else 0x100),
        _MATRIX, struct.pack(">II", width, height),
    )  # fmt: skip
    mdhd = full_box(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, timescale, 0, 0x55C4, 0))
    kind, name = (b"vide", b"Video\0") if video else (b"soun", b"Audio\0")
    hdlr = full_box(b"hdlr", 0, struct.pack(">I4s12x", 0, kind), name)
    media = full_box(b"vmhd", 1, bytes(8)) if video else full_box(b"smhd", 0, bytes(4))
    dref = full_box(b"dref", 0, struct.pack(">I", 1), full_box(b"url ", 1))
    entry = _video_entry(video) if video else _audio_entry(audio) if audio else b""
    stbl = box(
        b"stbl", full_box(b"stsd", 0, struct.pack(">I", 1), entry),
        full_box(b"stts", 0, bytes(4)), full_box(b"stsc", 0, bytes(4)),
        full_box(b"stsz", 0, bytes(8)), full_box(b"stco", 0, bytes(4)),
    )  # fmt: skip
    minf = box(b"minf", media, box(b"dinf", dref), stbl)
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))


def _video_entry(video: VideoConfig) -> bytes:
    kind, config = {
        "h264": (b"avc1", b"avcC"), "hevc": (b"hvc1", b"hvcC"), "av1": (b"av01", b"av1C"),
    }[video.codec]  # fmt: skip
    fields = struct.pack(
        ">6xH16xHHIIIH32xHH", 1, video.width, video.height, 0x480000, 0x480000, 0, 1, 0x18, 0xFFFF
    )
    return box(kind, fields, box(config, video.record))


def _descriptor(tag: int, content: bytes) -> bytes:
    """ISO/IEC 14496-1 8.3.3, with the size in its four-byte form."""
    size = len(content)
    return bytes((tag, 0x80 | size >> 21, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F,
                  size & 0x7F)) + content  # fmt: skip


def _audio_entry(audio: AudioConfig) -> bytes:
    rate = audio.sample_rate if audio.sample_rate < 0x10000 else 0
    fields = struct.pack(">6xH8xHHIHxx", 1, audio.channels, 16, 0, rate)
    decoder = struct.pack(">BBxxxII", 0x40, 0x15, 0, 0) + _descriptor(5, audio.record)
    es = struct.pack(">HB", 0, 0) + _descriptor(4, decoder) + _descriptor(6, b"\x02")
    return box(b"mp4a", fields, full_box(b"esds", 0, _descriptor(3, es)))


def chunk(sequence: int, video: VideoRun | None, audio: AudioRun | None) -> bytes:
    """One `moof` + `mdat` of at least one run. Payloads are copied here, once, and nowhere else."""
    video_size = _VIDEO_TRAF.size + 4 * len(video.fields) if video else 0
    audio_size = 0
    if audio:
        audio_size = _AUDIO_TRAF.size + (8 if audio.durations else 4) * len(audio.data)
    moof_size = _MOOF.size + video_size + audio_size
    pieces: list[bytes | memoryview] = [_MOOF.pack(moof_size, b"moof", 16, b"mfhd", 0, sequence)]
    media = 0
    if video:
        pieces.append(_video_traf(video, video_size, moof_size + 8))
        media += sum(video.fields[1::4])
    if audio:
        sizes = list(map(len, audio.data))
        pieces.append(_audio_traf(audio, sizes, audio_size, moof_size + 8 + media))
        media += sum(sizes)
    pieces.append(_BOX.pack(8 + media, b"mdat"))
    if video:
        pieces.extend(video.data)
    if audio:
        pieces.extend(audio.data)
    return b"".join(pieces)


def hole(sequence: int, track: int, decode_time: int, duration: int) -> bytes:
    """A chunk that says `track` has no sample for `duration` units (tfhd duration-is-empty, 8.8.7)."""
    size = _MOOF.size + _EMPTY_TRAF.size
    return (
        _MOOF.pack(size, b"moof", 16, b"mfhd", 0, sequence)
        + _EMPTY_TRAF.pack(
            _EMPTY_TRAF.size, b"traf", 20, b"tfhd", 0x030008, track, duration,
            20, b"tfdt", 0x01000000, decode_time,
        )
        + _BOX.pack(8, b"mdat")
    )  # fmt: skip


def _video_traf(run: VideoRun, size: int, offset: int) -> bytes:
    count = len(run.data)
    return _VIDEO_TRAF.pack(
        size, b"traf", 16, b"tfhd", 0x020000, VIDEO_TRACK,
        20, b"tfdt", 0x01000000, run.decode_time,
        20 + 16 * count, b"trun", _VIDEO_TRUN, count, offset,
    ) + struct.pack(f">{4 * count}I", *run.fields)  # fmt: skip


def _audio_traf(run: AudioRun, sizes: list[int], size: int, offset: int) -> bytes:
    flags, fields = _SIZES_TRUN, sizes
    if run.durations:
        flags = _DURATIONS_TRUN
        fields = [field for pair in zip(run.durations, sizes, strict=True) for field in pair]
    return _AUDIO_TRAF.pack(
        size, b"traf", 24, b"tfhd", 0x020028, AUDIO_TRACK, run.duration, SYNC,
        20, b"tfdt", 0x01000000, run.decode_time,
        20 + 4 * len(fields), b"trun", flags, len(sizes), offset,
    ) + struct.pack(f">{len(fields)}I", *fields)  # fmt: skip
