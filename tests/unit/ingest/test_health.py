"""What is measured of a source, and what its streamer is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.health import Ceiling, Meter, Sample, advise
from ingest.tags import Kind, Tag, TagScanner
from tests.packager_kit import Synthetic
from tests.unit.ingest.test_ladder import HD, HEVC

GOOD = Sample(
    video="h264", audio="aac", width=1280, height=720, frame_rate=30.0, bitrate=3_100_000,
    video_bitrate=3_000_000, audio_bitrate=100_000, keyframe_interval_s=2.0, arrival_share=1.0,
    audio_mean_db=-20.0, audio_peak_db=-6.0,
)  # fmt: skip


def meter(synthetic: Synthetic, seconds: float, *, speed: float = 1.0) -> tuple[Meter, float]:
    """A meter that saw `seconds` of a source arriving at `speed`, and when it did."""
    found, scanner = Meter(), TagScanner()
    now = 100.0
    for tag in scanner.feed(synthetic.prologue()):
        found.tag(tag, now)
    for time, data in synthetic.tags(seconds):
        now = 100 + time / 1000 / speed
        for tag in scanner.feed(data):
            found.tag(tag, now)
    return found, now


def codes(sample: Sample, **info: object) -> list[str]:
    return [warn.code for warn in advise(sample, replace(HD, **info))]  # type: ignore[arg-type]


def test_rates_and_keyframe_interval() -> None:
    found, now = meter(Synthetic(rate=30, gop=60), 10)
    sample = found.sample(HD, now)
    assert sample is not None
    assert sample.frame_rate == pytest.approx(30, rel=0.02)
    assert sample.keyframe_interval_s == 2.0
    assert sample.gaps == 0
    assert (sample.width, sample.height, sample.video) == (1280, 720, "h264")
    assert sample.video_bitrate == pytest.approx(45 * 8 * 30, rel=0.1)


def test_a_hole_is_counted_once_and_forgotten_by_the_next_sample() -> None:
    hole = frozenset(range(100, 130))
    found, now = meter(Synthetic(rate=30, gop=30, dropped=hole), 8)
    sample = found.sample(HD, now)
    assert sample is not None and sample.gaps == 1
    assert sample.longest_gap_ms == pytest.approx(1033, abs=2)
    later = found.sample(HD, now + 2)
    assert later is not None and later.gaps == 0


def test_single_dropped_frames_are_no_holes() -> None:
    dropped = frozenset(range(0, 240, 7)) - {0}
    found, now = meter(Synthetic(rate=30, gop=30, dropped=dropped), 8)
    sample = found.sample(HD, now)
    assert sample is not None and sample.gaps == 0


def test_a_slow_uplink_shows_in_the_share_of_media_that_arrives() -> None:
    found = Meter()
    for second in range(20):
        now = 100 + second / 0.7
        found.tag(Tag(Kind.VIDEO, second * 1000, second % 2 == 0, 1000, b""), now)
        if second in (9, 19):
            sample = found.sample(HD, now + 0.001)
    assert sample is not None
    assert sample.arrival_share == pytest.approx(0.7, abs=0.02)
    assert "slow_upload" in codes(sample)


def test_a_keyframe_that_does_not_come_counts_before_it_does() -> None:
    found, now = meter(Synthetic(rate=30, gop=10_000), 7)
    sample = found.sample(HD, now)
    assert sample is not None
    assert sample.keyframe_interval_s == pytest.approx(7, abs=0.1)


def test_nothing_is_sampled_before_anything_came() -> None:
    assert Meter().sample(None, 5.0) is None


def test_an_encoder_that_comes_back_makes_no_gap() -> None:
    found, now = meter(Synthetic(), 3)
    found.levels = (-20.0, -3.0)
    found.restart()
    found.tag(Tag(Kind.VIDEO, 900_000, True, 10, b""), now + 9)
    found.tag(Tag(Kind.VIDEO, 900_033, False, 10, b""), now + 9.03)
    sample = found.sample(HD, now + 10)
    assert sample is not None
    assert (sample.gaps, sample.keyframe_interval_s) == (0, None)
    assert sample.audio_mean_db == -20.0


def test_a_good_stream_needs_no_advice() -> None:
    assert codes(GOOD) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bitrate": 0}, "no_media"),
        ({"gaps": 2, "longest_gap_ms": 900}, "video_gaps"),
        ({"keyframe_interval_s": 8.3}, "keyframe_interval"),
        ({"video_bitrate": 20_000_000}, "high_bitrate"),
        ({"video_bitrate": 0}, "video_stopped"),
        ({"audio": ""}, "no_audio"),
        ({"audio_bitrate": 0}, "audio_stopped"),
        ({"audio_peak_db": -91.0, "audio_mean_db": -91.0}, "silent"),
        ({"audio_mean_db": -50.0, "audio_peak_db": -30.0}, "quiet"),
        ({"audio_peak_db": 0.0}, "clipping"),
    ],
)
def test_each_trouble_has_its_advice(change: dict[str, object], code: str) -> None:
    assert codes(replace(GOOD, **change)) == [code]  # type: ignore[arg-type]


def test_the_words_name_the_figure_and_the_place() -> None:
    (warn,) = advise(replace(GOOD, keyframe_interval_s=8.3), HD)
    assert "8 s" in warn.message and "OBS → Settings → Output" in warn.message


def test_a_codec_not_every_browser_plays() -> None:
    (warn,) = advise(GOOD, HEVC)
    assert warn.code == "not_every_browser"
    assert warn.message.startswith("HEVC is not for everybody.")


def test_sound_without_picture() -> None:
    assert codes(GOOD, video="") == ["no_video"]


def test_too_large_a_picture_is_refused_at_once() -> None:
    found = Ceiling().check(GOOD, 0.0, 0, 480)
    assert found is not None
    assert found.code == "resolution_too_high"
    portrait = replace(GOOD, width=480, height=854)
    assert Ceiling().check(portrait, 0.0, 0, 480) is None


def test_too_high_a_bitrate_has_to_last() -> None:
    ceiling = Ceiling()
    # A tenth is forgiven.
    assert ceiling.check(replace(GOOD, bitrate=3_300_000), 0.0, 3000, 0) is None
    assert ceiling.check(replace(GOOD, bitrate=3_400_000), 10.0, 3000, 0) is None
    assert ceiling.check(GOOD, 20.0, 3000, 0) is None
    high = replace(GOOD, bitrate=3_400_000)
    assert [ceiling.check(high, at, 3000, 0) is None for at in (30.0, 59.0, 60.0)] == [
        True,
        True,
        False,
    ]
