"""Clocks, frame rates and counted audio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packager.codecs import parse_aac
from ingest.packager.timing import (
    AudioQueue,
    Clock,
    FrameRate,
    measure_interval,
    part_target_ms,
)


@pytest.mark.parametrize(
    ("raw", "times"),
    [
        ([0, 33, 67], [0, 33, 67]),
        ([100, 90, 120], [100, 90, 120]),
        ([0, 9_000], [0, 9_000]),
        ([0, 11_000, 11_033], [0, None, 11_033]),
        ([60_000, 0, 33], [60_000, None, 33]),
        ([(1 << 32) - 10, 20], [(1 << 32) - 10, (1 << 32) + 20]),
        ([(1 << 31) - 10, 20], [(1 << 31) - 10, (1 << 31) + 20]),
    ],
)
def test_clock(raw: list[int], times: list[int | None]) -> None:
    clock = Clock()
    assert [clock.tick(value, "video") for value in raw] == times


def test_tracks_may_be_interleaved_loosely() -> None:
    clock = Clock()
    assert clock.tick(5_000, "video") == 5_000
    assert clock.tick(3_500, "audio") == 3_500
    assert clock.tick(5_033, "video") == 5_033
    assert clock.tick(3_521, "audio") == 3_521


@pytest.mark.parametrize(
    ("interval", "target"),
    [(1000 / 30, 201), (20, 201), (1000 / 24, 209), (1001 / 30, 201), (1000, 1000), (4000, 1000),
     (1000 / 7, 144), (1000 / 240, 201)],
)  # fmt: skip
def test_part_target(interval: float, target: int) -> None:
    assert part_target_ms(interval, 200) == target


def test_measured_interval_leaves_dropped_frames_out() -> None:
    times = [round(n * 1000 / 30) for n in range(60) if n % 7]
    assert measure_interval(times, 0) == pytest.approx(1000 / 30, abs=0.5)
    assert measure_interval([0, 40], 50) == 20
    assert measure_interval([0, 1000], 0) == 1000
    assert measure_interval([0], 0) == pytest.approx(1000 / 30)


def test_a_rate_that_changes_is_learned() -> None:
    rate = FrameRate(1000 / 60)
    for number in range(40):
        rate.observe(round(number * 1000 / 30))
    assert rate.interval == pytest.approx(1000 / 30, abs=1)


@given(st.sets(st.integers(1, 300), max_size=60))
def test_dropped_frames_do_not_change_the_rate(dropped: set[int]) -> None:
    rate = FrameRate(1000 / 30)
    for number in range(400):
        if number not in dropped or number % 4:
            rate.observe(round(number * 1000 / 30))
    assert rate.interval == pytest.approx(1000 / 30, rel=0.03)


@given(st.sampled_from(["1190", "1210"]), st.floats(-150e-6, 150e-6), st.integers(0, 10**9))
def test_counted_audio_follows_a_clock_that_drifts(record: str, drift: float, start: int) -> None:
    queue = AudioQueue(parse_aac(bytes.fromhex(record)))
    end = None
    for number in range(4000):
        exact = start + number * 1024000 / queue.rate * (1 + drift)
        frame = queue.push(int(exact), memoryview(b"a"))
        assert abs(frame.time * 1000 / queue.rate - exact) < 24
        assert end is None or frame.time == end
        assert abs(frame.duration - 1024) <= 32
        end = frame.time + frame.duration


def test_lost_audio_is_a_hole_of_its_length() -> None:
    queue = AudioQueue(parse_aac(bytes.fromhex("1190")))
    for number in (0, 1, 2, 20, 21):
        queue.push(number * 1024 * 1000 // 48000, memoryview(b"a"))
    run = queue.take()
    assert run is not None and len(run.data) == 5
    assert sum(run.durations) == pytest.approx(22 * 1024, abs=48)
    assert run.durations[2] == pytest.approx(18 * 1024, abs=48)


def test_a_run_is_cut_in_time() -> None:
    queue = AudioQueue(parse_aac(bytes.fromhex("1190")))
    for number in range(10):
        queue.push(round(number * 1024 / 48), memoryview(bytes([number])))
    first, rest = queue.take(3 * 1024), queue.take()
    assert first is not None and rest is not None
    assert (first.decode_time, len(first.data), first.durations) == (0, 3, ())
    assert (rest.decode_time, len(rest.data)) == (3072, 7)
    assert queue.take() is None
