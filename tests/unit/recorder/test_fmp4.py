"""Fragmented MP4 is read as it was written, and what is none is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packager import cmaf
from ingest.packager.codecs import parse_aac, parse_video
from recorder.fmp4 import Sample, chunk, read_init, read_segment, shifted, with_config
from tests.packager_kit import AAC_RECORD, AVC_RECORD, read_samples

INIT = cmaf.init_segment(parse_video(b"avc1", AVC_RECORD), parse_aac(AAC_RECORD))
SAMPLES = st.lists(
    st.tuples(st.integers(1, 500), st.integers(-50, 500), st.booleans(), st.binary(max_size=40)),
    min_size=1,
    max_size=20,
)


def test_what_the_packager_writes() -> None:
    init = read_init(INIT)
    assert init.video is not None and init.audio is not None
    assert (init.video.entry, init.video.timescale, init.video.config) == ("avc1", 1000, AVC_RECORD)
    assert (init.audio.entry, init.audio.timescale) == ("mp4a", 48000)
    run = cmaf.VideoRun(7000, [33, 3, cmaf.SYNC, 66, 34, 2, cmaf.NON_SYNC, 0xFFFFFFFE],
                        [memoryview(b"one"), memoryview(b"zw")])  # fmt: skip
    sound = cmaf.AudioRun(336_000, 1024, (), [memoryview(b"a"), memoryview(b"bc")])
    segment = read_segment(init, cmaf.chunk(1, run, sound) + cmaf.hole(2, 1, 7067, 500))
    assert [(s.time, s.duration, s.offset, s.sync, bytes(s.data)) for s in segment.samples[1]] == [
        (7000, 33, 66, True, b"one"), (7033, 34, -2, False, b"zw"),
    ]  # fmt: skip
    assert [(s.time, bytes(s.data)) for s in segment.samples[2]] == [
        (336_000, b"a"), (337_024, b"bc"),
    ]  # fmt: skip
    assert segment.begins == {1: 7000, 2: 336_000}


@given(SAMPLES, SAMPLES, st.integers(0, 2**40))
def test_both_ways(first: list[tuple[int, int, bool, bytes]], second: list[tuple[int, int, bool, bytes]],
                   begin: int) -> None:  # fmt: skip
    """What `chunk` writes is read back, by ourselves and by a reader of its own."""
    runs = []
    for track, given_samples in ((1, first), (2, second)):
        time, samples = begin, []
        for duration, offset, sync, data in given_samples:
            samples.append(Sample(time, duration, offset, sync, memoryview(data)))
            time += duration
        runs.append((track, samples))
    data = chunk(1, runs)
    assert read_segment(read_init(INIT), data).samples == dict(runs)
    other = read_samples(INIT, data)
    for track, samples in runs:
        assert [sample.data for sample in other[track]] == [bytes(s.data) for s in samples]
        assert [sample.sync for sample in other[track]] == [s.sync for s in samples]
    moved = read_segment(read_init(INIT), shifted(data, {1: 5, 2: -begin}))
    assert moved.begins == {1: begin + 5, 2: 0}


def test_another_configuration() -> None:
    """Everything else stays as it was."""
    own = AVC_RECORD + b"more"
    changed = read_init(with_config(read_init(INIT), own))
    assert changed.video is not None and changed.video.config == own
    assert with_config(changed, AVC_RECORD) == INIT


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\x08free", INIT[:-1], INIT[:40], b"#EXTM3U\n", b"\0\0\0\x04moov"]
)
def test_no_initialization_section(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_init(data)


@given(st.binary(max_size=300))
def test_no_segment(data: bytes) -> None:
    """Any bytes give samples or a ValueError."""
    with contextlib.suppress(ValueError):
        read_segment(read_init(INIT), data)
    with contextlib.suppress(ValueError):
        read_init(data)


@given(st.integers(0, len(INIT) - 1), st.integers(0, 255))
def test_one_byte_is_wrong(at: int, value: int) -> None:
    """A damaged section is read somehow, or refused."""
    with contextlib.suppress(ValueError):
        read_init(INIT[:at] + bytes([value]) + INIT[at + 1 :])
