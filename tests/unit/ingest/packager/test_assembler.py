"""Where parts end, frame by frame."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingest.packager import Event, PackagerConfig, PartReady, cmaf
from ingest.packager.assembler import AudioAssembler, Sample, VideoAssembler
from ingest.packager.codecs import parse_aac, parse_video
from ingest.packager.playlist import Targets
from ingest.packager.rendition import Rendition
from ingest.packager.schedule import Boundary
from ingest.packager.timing import AudioQueue, FrameRate
from tests.packager_kit import AAC_RECORD, AVC_RECORD, read_samples

START = datetime(2030, 1, 1, tzinfo=UTC)
INIT = cmaf.init_segment(parse_video(b"avc1", AVC_RECORD), parse_aac(AAC_RECORD))


class Bench:
    """An assembler over an open segment, and the parts it made."""

    def __init__(self, rate: float = 30, target_ms: int = 201, *, audio: bool = False) -> None:
        self.events: list[Event] = []
        rendition = Rendition("source", PackagerConfig(), self.events)
        rendition.use_init(INIT)
        boundary = Boundary(1, 0, 0, False, 0, START)
        rendition.begin_segment(boundary, START, Targets(4, target_ms))
        queue = AudioQueue(parse_aac(AAC_RECORD)) if audio else None
        self.video = VideoAssembler(rendition, FrameRate(1000 / rate), target_ms, queue)
        self.video.begin(0)
        self.audio = AudioAssembler(rendition, target_ms, AudioQueue(parse_aac(AAC_RECORD)))

    def add(self, *times: int, sync: bool = False) -> list[int]:
        """Adds frames; how long (ms) the parts that this ended are."""
        before = len(self.parts)
        for time in times:
            self.video.add(Sample(time, time, sync, memoryview(b"x")))
        return [round(part.duration * 1000) for part in self.parts[before:]]

    @property
    def parts(self) -> list[PartReady]:
        return [event for event in self.events if isinstance(event, PartReady)]


def test_a_part_ends_with_its_last_frame() -> None:
    bench = Bench()
    assert bench.add(0, 33, 67, 100, 133) == []
    assert bench.add(167) == [200]
    assert bench.add(200, 233, 267, 300, 333) == []
    assert bench.add(367) == [200]


def test_a_prediction_that_was_wrong_is_made_good_by_the_next_part() -> None:
    bench = Bench()
    bench.add(0, 33, 67, 100, 133, 167)  # predicted to end at 200
    bench.add(204, 237, 270, 304, 337, 370)
    samples = read_samples(INIT, b"".join(part.data for part in bench.parts))[1]
    assert [round(s.dts * 1000) for s in samples[6:]] == [200, 237, 270, 304, 337, 370]
    assert [round(s.pts * 1000) for s in samples[6:]] == [204, 237, 270, 304, 337, 370]
    assert round(samples[6].duration * 1000) == 37


def test_jitter_does_not_shorten_a_part() -> None:
    bench = Bench()
    assert bench.add(0, 38, 62, 105, 129, 172) == [201]
    assert bench.add(196, 238, 262, 305, 329, 372) == [201]
    assert bench.add(396, 433, 467, 500, 533, 567) == [198]


def test_a_dropped_frame_is_waited_for_and_bridged() -> None:
    bench = Bench()
    assert bench.add(0, 33, 67, 100, 133) == []
    # 167 was dropped; 200 belongs to the next part.
    assert bench.add(200) == [200]
    assert bench.add(233, 267, 300, 333, 367) == [200]


@pytest.mark.parametrize("late", [201, 260, 300])
def test_a_part_never_lasts_longer_than_the_target(late: int) -> None:
    bench = Bench()
    bench.add(0, 33, 67, 100, 133)
    assert bench.add(late) == [min(late, 201)]


def test_a_part_is_not_shorter_than_the_floor() -> None:
    bench = Bench(rate=15)
    bench.add(0, 67)
    # Most of a frame at 170 is past the target, and 170 is less than 85 % of it.
    assert bench.add(170) == [173]


def test_a_hole_is_filled_with_parts_that_end_where_pictures_resume() -> None:
    bench = Bench()
    bench.add(0, 33, 67, 100, 133, 167)
    lengths = bench.add(1200)
    assert sum(lengths) == 1000 and all(173 <= length <= 201 for length in lengths)
    assert bench.video.start == 1200


def test_sound_far_ahead_means_that_pictures_were_dropped() -> None:
    bench = Bench(audio=True)
    bench.add(0, 33, 67, 100, 133, 167)
    for number in range(70):
        bench.video.add_audio(round(number * 1024 / 48), memoryview(b"a"))
        while bench.video.stalled:
            bench.video.emit_stalled()
    assert len(bench.parts) > 1
    samples = read_samples(INIT, b"".join(part.data for part in bench.parts[1:]))
    assert samples[1] == [] and samples[2]


def test_a_keyframe_begins_a_part_if_the_one_before_is_long_enough() -> None:
    bench = Bench()
    bench.add(0, 33, 67, 100)
    bench.video.split(133)
    assert bench.parts == []
    bench.add(133)
    bench.video.split(180)
    assert [round(part.duration * 1000) for part in bench.parts] == [180]


def test_sound_alone_is_cut_at_whole_frames() -> None:
    bench = Bench()
    for number in range(20):
        bench.audio.add(round(number * 1024 / 48), memoryview(b"a"))
    assert [part.duration for part in bench.parts] == [0.192, 0.192]
    bench.audio.finish()
    assert bench.parts[-1].duration == pytest.approx(2 * 1024 / 48000, abs=2e-6)


def test_a_hole_in_sound_alone() -> None:
    bench = Bench()
    for number in [*range(12), *range(60, 80)]:
        bench.audio.add(number * 1024 * 1000 // 48000, memoryview(b"a"))
    assert sum(part.duration for part in bench.parts) == pytest.approx(79 * 1024 / 48000, abs=0.2)
    samples = read_samples(INIT, b"".join(part.data for part in bench.parts))[2]
    assert all(0.17 <= part.duration <= 0.201 for part in bench.parts)
    assert samples[12].dts == pytest.approx(60 * 1024 / 48000, abs=0.002)
