"""Boxes, read back by a reader written from the standard."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packager import cmaf
from ingest.packager.codecs import parse_aac, parse_video
from tests.packager_kit import AAC_RECORD, AVC_RECORD, boxes, read_samples, timescales

VIDEO = parse_video(b"avc1", AVC_RECORD)
AUDIO = parse_aac(AAC_RECORD)
BOTH = cmaf.init_segment(VIDEO, AUDIO)


def tree(data: bytes, start: int = 0, end: int | None = None) -> list[object]:
    """Box types, nested."""
    nested = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"mvex", b"moof", b"traf"}
    return [
        [kind.decode(), *tree(data, a, b)] if kind in nested else kind.decode()
        for kind, a, b in boxes(data, start, end)
    ]


def test_an_initialization_section() -> None:
    stbl = ["stbl", "stsd", "stts", "stsc", "stsz", "stco"]
    assert tree(BOTH) == [
        "ftyp",
        ["moov", "mvhd",
         ["trak", "tkhd", ["mdia", "mdhd", "hdlr", ["minf", "vmhd", ["dinf", "dref"], stbl]]],
         ["trak", "tkhd", ["mdia", "mdhd", "hdlr", ["minf", "smhd", ["dinf", "dref"], stbl]]],
         ["mvex", "trex", "trex"]],
    ]  # fmt: skip
    assert timescales(BOTH) == {1: 1000, 2: 48000}
    assert AVC_RECORD in BOTH
    assert timescales(cmaf.init_segment(None, AUDIO)) == {2: 48000}
    assert timescales(cmaf.init_segment(VIDEO, None)) == {1: 1000}


@given(
    st.integers(0, 1 << 60),
    st.lists(
        st.tuples(
            st.integers(0, 5000), st.booleans(), st.integers(-5000, 5000), st.binary(max_size=50)
        ),
        min_size=1,
    ),
    st.lists(st.tuples(st.integers(900, 1100), st.binary(max_size=30)), min_size=1),
    st.booleans(),
)
def test_what_is_written_is_read(
    start: int,
    pictures: list[tuple[int, bool, int, bytes]],
    sounds: list[tuple[int, bytes]],
    even: bool,
) -> None:
    fields: list[int] = []
    for lasts, sync, offset, data in pictures:
        flags = cmaf.SYNC if sync else cmaf.NON_SYNC
        fields += (lasts, len(data), flags, offset & 0xFFFFFFFF)
    video = cmaf.VideoRun(start, fields, [memoryview(data) for *_, data in pictures])
    durations = [] if even else [lasts for lasts, _ in sounds]
    audio = cmaf.AudioRun(start, 1024, durations, [memoryview(data) for _, data in sounds])
    samples = read_samples(BOTH, cmaf.chunk(7, video, audio))
    time = start
    for (lasts, sync, offset, data), sample in zip(pictures, samples[1], strict=True):
        assert (sample.sync, sample.data) == (sync, data)
        assert sample.dts == pytest.approx(time / 1000)
        assert sample.pts == pytest.approx((time + offset) / 1000)
        time += lasts
    time = start
    for (lasts, data), sample in zip(sounds, samples[2], strict=True):
        assert (sample.sync, sample.data) == (True, data)
        assert sample.dts == pytest.approx(time / 48000)
        time += 1024 if even else lasts


@pytest.mark.parametrize("which", ["video", "audio"])
def test_one_track_alone(which: str) -> None:
    video = cmaf.VideoRun(5, [33, 1, cmaf.SYNC, 0], [memoryview(b"v")])
    audio = cmaf.AudioRun(5, 1024, (), [memoryview(b"a")])
    data = cmaf.chunk(1, video if which == "video" else None, audio if which == "audio" else None)
    assert tree(data) == [["moof", "mfhd", ["traf", "tfhd", "tfdt", "trun"]], "mdat"]
    samples = read_samples(BOTH, data)
    assert [s.data for s in samples[1] + samples[2]] == [which[:1].encode()]


def test_a_hole_has_a_time_and_no_sample() -> None:
    data = cmaf.hole(3, cmaf.VIDEO_TRACK, 777, 200)
    assert tree(data) == [["moof", "mfhd", ["traf", "tfhd", "tfdt"]], "mdat"]
    options, track, lasts = struct.unpack_from(">III", data, 8 + 16 + 8 + 8)
    assert (options & 0x010000, track, lasts) == (0x010000, 1, 200)
    assert read_samples(BOTH, data) == {1: [], 2: []}
