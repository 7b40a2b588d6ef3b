"""What may be cut, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Invalid
from recorder.borrowed import keys_of
from recorder.clip_jobs import chapters_of
from recorder.clips import Wanted, described, stretch
from recorder.timeline import Entry, Timeline
from tests.packager_kit import START


def wanted(start: float | None, duration: float, **more: Any) -> Wanted:
    question = {"actor": {"id": "7"}, "video_id": "3", "start_s": start, "duration_s": duration}
    return Wanted.of({**question, **more})


@pytest.mark.parametrize(
    "start, duration, end, live, found",
    [
        (10.0, 20.0, 100.0, False, (10.0, 30.0)),
        (80.0, 20.4, 100.0, False, (80.0, 100.0)),
        (None, 20.0, 100.0, True, (80.0, 100.0)),
        (None, 20.0, 12.0, True, (0.0, 12.0)),
        (80.0, 22.5, 100.0, True, (80.0, 100.0)),
        # Five seconds to the live edge, which has not come as far.
        (97.0, 5.0, 100.0, True, (95.0, 100.0)),
    ],
)
def test_stretches(
    start: float | None, duration: float, end: float, live: bool, found: tuple[float, float]
) -> None:
    assert stretch(wanted(start, duration), end, live=live) == pytest.approx(found)


@pytest.mark.parametrize(
    "start, duration, code",
    [
        (1.0, 4.9, "clip_too_short"),
        (1.0, 60.1, "clip_too_long"),
        (90.0, 20.0, "not_recorded"),
        (200.0, 20.0, "not_recorded"),
    ],
)
def test_refusals(start: float, duration: float, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        stretch(wanted(start, duration), 100.0, live=False)
    assert refused.value.code == code


def test_a_broadcast_that_has_only_begun() -> None:
    with pytest.raises(Invalid) as refused:
        stretch(wanted(None, 30.0), 3.2, live=True)
    assert (refused.value.code, refused.value.message) == (
        "clip_too_short", "Only 3.2 seconds of this are recorded.",
    )  # fmt: skip


def test_steps_of_a_tenth() -> None:
    asked = wanted(1.24, 5.06)
    assert (asked.start_s, asked.duration_s) == (1.2, 5.1)


def entry(number: int, key: str | None, init: str, size: int = 1000) -> Entry:
    return Entry(number, number - 1, 1.0, size, init, False, START, key)


def test_what_is_borrowed() -> None:
    timeline = Timeline(
        {
            "source": (
                entry(1, "clips/abc/source/1.m4s", "clips/abc/source/init-0.mp4"),
                entry(2, "videos/7/source/5.m4s", "videos/7/source/init-0.mp4"),
                entry(3, "videos/8/source/6.m4s", "videos/8/source/init-0.mp4"),
            ),
            "audio": (entry(1, None, "init-0.mp4"),),
        }
    )
    assert keys_of(timeline.encode()) == {
        7: {"videos/7/source/5.m4s", "videos/7/source/init-0.mp4"},
        8: {"videos/8/source/6.m4s", "videos/8/source/init-0.mp4"},
    }
    assert keys_of(b"") == {}


def test_chapters_of_a_cut() -> None:
    """The one that it begins in, and those that begin in it."""
    chapters = [{"at_s": at, "title": str(at)} for at in (0, 100, 200, 300)]
    assert chapters_of(chapters, 150.0, 100.0) == [
        {"at_s": 0.0, "title": "100"}, {"at_s": 50.0, "title": "200"},
    ]  # fmt: skip
    assert chapters_of(chapters, 200.0, 100.0) == [{"at_s": 0.0, "title": "200"}]
    assert chapters_of([], 10.0, 10.0) == []


def test_renditions_of_a_cut() -> None:
    timeline = Timeline({"source": (entry(1, "clips/a/source/1.m4s", "x", 125_000),)})
    known: list[dict[str, Any]] = [
        {"name": "source", "codecs": "avc1.4d401f", "width": 1280},
        {"name": "480p"},
    ]
    assert described(known, timeline) == [
        {"name": "source", "codecs": "avc1.4d401f", "width": 1280, "bandwidth": 1_000_000,
         "average_bandwidth": 1_000_000},
    ]  # fmt: skip
    assert described([], timeline)[0]["name"] == "source"
