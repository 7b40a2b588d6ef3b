"""The shape of storyboards, which segments they are made of, and their WebVTT."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.storyboard import Storyboard, candidates, preferred, spread
from recorder.timeline import Entry

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def entry(msn: int, start_s: float, *, gap: bool = False) -> Entry:
    return Entry(msn, start_s, 2.0, 1, "init-0.mp4", False, NOON, gap=gap)


@pytest.mark.parametrize(
    ("size", "tile"),
    [
        ((1920, 1080), (160, 90)),
        ((1080, 1920), (90, 160)),
        ((640, 480), (160, 120)),
        ((1000, 1000), (160, 160)),
        ((10_000, 10), (160, 16)),
        ((0, 0), (160, 160)),
    ],
)
def test_tiles_have_the_shape_of_the_picture(size: tuple[int, int], tile: tuple[int, int]) -> None:
    board = Storyboard.of(10, *size)
    assert (board.width, board.height) == tile


def test_very_long_videos_have_fewer_a_minute() -> None:
    assert Storyboard.of(10, 16, 9, longest_s=8 * 3600).interval_s == 10
    assert Storyboard.of(10, 16, 9, longest_s=1_000_000).due(1_000_000) <= 20_000


@pytest.mark.parametrize(
    ("duration_s", "count"), [(0, 0), (0.1, 1), (10, 1), (10.01, 2), (95, 10), (28_800, 2880)]
)
def test_how_many_are_due(duration_s: float, count: int) -> None:
    assert Storyboard.of(10, 16, 9).due(duration_s) == count


def test_what_is_stored_is_read_again() -> None:
    board = Storyboard(10, 160, 90, count=7)
    assert "whole" not in board.stored()
    assert Storyboard.read(board.stored()) == board
    whole = Storyboard(10, 160, 90, count=7, whole=True)
    assert Storyboard.read({**whole.stored(), "later": "unknown"}) == whole
    assert Storyboard.read({}) is None


def test_webvtt() -> None:
    text = Storyboard(10, 160, 90, count=27).vtt(4000.5)
    assert text.startswith(
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:10.000\nstoryboard/0.jpg?v=25#xywh=0,0,160,90\n\n"
        "00:00:10.000 --> 00:00:20.000\nstoryboard/0.jpg?v=25#xywh=160,0,160,90\n"
    )
    assert "storyboard/0.jpg?v=25#xywh=640,360,160,90\n" in text
    assert text.endswith(
        "\n00:04:20.000 --> 01:06:40.500\nstoryboard/1.jpg?v=2#xywh=160,0,160,90\n"
    )
    assert Storyboard(10, 160, 90).vtt(5) == "WEBVTT\n"


def test_the_cheapest_picture_comes_first() -> None:
    described = [
        {"name": "source", "codecs": "hvc1.1.6.L93,mp4a.40.2", "width": 1280, "height": 720},
        {"name": "720p", "codecs": "avc1.64001f,mp4a.40.2", "width": 1280, "height": 720},
        {"name": "360p", "codecs": "avc1.64001f,mp4a.40.2", "width": 640, "height": 360},
        {"name": "audio", "codecs": "mp4a.40.2", "width": 0, "height": 0},
    ]
    assert preferred(described) == ["360p", "720p", "source"]


def test_segments_of_a_time() -> None:
    stored = {
        "source": [entry(1, 0), entry(2, 2), entry(4, 4)],
        # Begun late: it counts its own time, and had nothing for a while.
        "360p": [entry(2, 0, gap=True), entry(4, 2)],
    }
    order = ["360p", "source"]

    def found(at_s: float) -> list[tuple[str, int]]:
        return [(name, each.msn) for name, each in candidates(stored, order, at_s)]

    assert found(0) == [("source", 1)]
    assert found(1.999) == [("source", 1)]
    assert found(2) == [("source", 2)]
    assert found(5) == [("360p", 4), ("source", 4)]
    assert found(100) == [("360p", 4), ("source", 4)]
    assert candidates({}, order, 0) == []
    assert candidates({"source": [entry(1, 5)]}, order, 0) == []


def test_spread_tells_black_from_a_picture() -> None:
    assert spread(b"") == 0
    assert spread(bytes(1000)) == 0
    assert spread(bytes(range(256)) * 20) > 60


@settings(deadline=None)
@given(st.integers(0, 500), st.floats(1, 600))
def test_cues_cover_the_video(count: int, interval_s: float) -> None:
    lines = Storyboard(interval_s, 160, 90, count=count).vtt(count * interval_s).splitlines()
    cues = [line.split(" --> ") for line in lines if "-->" in line]
    assert len(cues) == count
    assert all(before[1] == after[0] for before, after in pairwise(cues))
