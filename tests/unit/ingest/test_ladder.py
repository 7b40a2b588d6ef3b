"""Which rungs a source gets, and when one is too slow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rungs import BITRATES
from ingest.ladder import HOPELESS_S, Headroom, Pace, plan
from ingest.packager import SourceInfo

COST = 0.01
IDLE = Headroom(cores=16, idle=15.5)
BUSY = Headroom(cores=2, idle=1.1)

HD = SourceInfo(
    video="h264", audio="aac", codecs="avc1.64001f,mp4a.40.2", width=1280, height=720,
    frame_rate=30.0, chroma="4:2:0", bit_depth=8, sample_rate=48000, channels=2,
    browser_safe=True, unsafe_reason="", encoder="",
)  # fmt: skip
HEVC = replace(HD, video="hevc", browser_safe=False, unsafe_reason="HEVC is not for everybody.")


def names(setting: str, source: SourceInfo, headroom: Headroom = IDLE) -> list[str]:
    return [rung.name for rung in plan(setting, source, headroom, COST).rungs]


def test_auto_takes_what_fits_below_the_source() -> None:
    assert names("auto", HD) == ["480p", "360p", "240p"]
    full = replace(HD, width=1920, height=1080)
    assert names("auto", full) == ["720p", "480p", "360p", "240p"]


def test_auto_takes_nothing_on_a_busy_machine() -> None:
    assert plan("auto", HD, BUSY, COST).rungs == ()
    assert plan("auto", HD, BUSY, COST).cost == 0


def test_a_small_budget_buys_the_rung_worth_most() -> None:
    assert names("auto", HD, Headroom(cores=4, idle=1.7)) == ["480p"]


def test_explicit_heights_are_taken_whatever_they_cost() -> None:
    assert names("480p,360p", HD, BUSY) == ["480p", "360p"]
    assert names("1080p,480p", HD, BUSY) == ["480p"]


def test_off_is_off() -> None:
    assert names("off", HD) == []


@pytest.mark.parametrize("setting", ["auto", "off"])
def test_a_source_not_every_browser_plays_gets_one_that_they_do(setting: str) -> None:
    first = plan(setting, HEVC, IDLE, COST).rungs[0]
    assert (first.name, first.width, first.height) == ("720p", 1280, 720)
    assert names("off", HEVC) == ["720p"]
    assert names("auto", HEVC) == ["720p", "480p", "360p", "240p"]


def test_the_compatible_one_shrinks_to_what_fits() -> None:
    assert names("auto", HEVC, Headroom(cores=4, idle=1.9)) == ["480p"]


def test_without_headroom_for_it_the_reason_is_told() -> None:
    found = plan("auto", HEVC, BUSY, COST)
    assert found.rungs == ()
    assert found.missing.startswith("HEVC is not for everybody.")
    assert plan("auto", HD, BUSY, COST).missing == ""


def test_a_tiny_source_keeps_its_size() -> None:
    tiny = replace(HEVC, width=176, height=145)
    rung = plan("off", tiny, IDLE, COST).rungs[0]
    assert (rung.name, rung.width, rung.height) == ("144p", 174, 144)


def test_upright_pictures_are_measured_by_their_short_side() -> None:
    upright = replace(HD, width=720, height=1280)
    rung = plan("480p", upright, IDLE, COST).rungs[0]
    assert (rung.width, rung.height) == (480, 854)


def test_fast_sources_get_more_bits() -> None:
    fast = replace(HD, frame_rate=60.0)
    assert plan("480p", fast, IDLE, COST).rungs[0].bitrate == BITRATES[480] * 1.5


def test_sound_alone_has_no_ladder() -> None:
    assert names("auto", replace(HD, video="", width=0, height=0)) == []


@given(
    width=st.integers(2, 7680),
    height=st.integers(2, 4320),
    fps=st.floats(1, 240),
    idle=st.floats(0, 64),
    safe=st.booleans(),
    setting=st.sampled_from(["auto", "off", "720p,480p", "144p"]),
)
def test_no_rung_is_ever_larger_than_the_source(
    width: int, height: int, fps: float, idle: float, safe: bool, setting: str
) -> None:
    source = replace(HD, width=width, height=height, frame_rate=fps, browser_safe=safe)
    found = plan(setting, source, Headroom(64, idle), COST)
    for rung in found.rungs:
        assert rung.width <= width + 1 and rung.height <= height + 1
        assert rung.width % 2 == rung.height % 2 == 0
    assert len({rung.name for rung in found.rungs}) == len(found.rungs)
    if setting in ("auto", "off"):
        assert found.cost <= Headroom(64, idle).budget


def test_a_rung_that_keeps_up_is_not_slow() -> None:
    pace = Pace()
    assert not any(pace.update(float(t), t, t - 0.3) for t in range(60))
    assert pace.speed == pytest.approx(1.0)


def test_a_rung_slower_than_real_time_for_ten_seconds_is() -> None:
    pace = Pace()
    slow_at = next(t for t in range(100) if pace.update(float(t), t, t * 0.85))
    assert 10 <= slow_at <= 12
    assert pace.speed == pytest.approx(0.85, abs=0.01)


def test_a_hiccup_is_forgiven() -> None:
    pace = Pace()
    for t in range(100):
        lag = 3.0 if 40 <= t < 46 else 0.4
        assert not pace.update(float(t), t, t - lag)


def test_a_rung_that_stays_far_behind_is_of_no_use() -> None:
    pace = Pace()
    slow_at = next(t for t in range(100) if pace.update(float(t), t, t - HOPELESS_S - 0.1))
    assert slow_at == 10


def test_a_source_that_pauses_makes_no_rung_slow() -> None:
    pace = Pace()
    for t in range(60):
        assert not pace.update(float(t), min(t, 20), min(t, 20) - 0.2)
