"""Chapters out of changes of title and category."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorder.chapters import Chapter, settled, with_change
from recorder.timeline import Span

FIRST: Chapter = {"at_s": 0.0, "title": "Hello", "category": "Chess"}


def change(
    chapters: list[Chapter], at_s: float, title: str, category: str = "Chess"
) -> list[Chapter]:
    return with_change(chapters, FIRST, {"at_s": at_s, "title": title, "category": category})


def shown(chapters: list[Chapter]) -> list[tuple[float, str]]:
    return [(each["at_s"], each["title"]) for each in chapters]


def test_the_first_change_makes_two() -> None:
    assert shown(change([], 60, "Endgames")) == [(0, "Hello"), (60, "Endgames")]


def test_what_changes_nothing_is_none() -> None:
    assert change([], 60, "Hello") == []
    once = change([], 60, "Endgames")
    assert change(once, 60, "Endgames") == once
    assert change(once, 90, "Endgames") == once
    assert shown(change(once, 90, "Endgames", "Art")) == [*shown(once), (90, "Endgames")]


def test_a_change_soon_after_corrects() -> None:
    chapters = change(change([], 60, "Endgmaes"), 65, "Endgames")
    assert shown(chapters) == [(0, "Hello"), (65, "Endgames")]
    # Taken back, and nothing has happened.
    assert change(change([], 60, "Oops"), 65, "Hello") == []


def test_the_beginning_is_never_corrected_away() -> None:
    assert shown(change([], 3, "Endgames")) == [(0, "Hello"), (3, "Endgames")]


def test_a_change_that_comes_late_takes_its_place() -> None:
    chapters = change(change([], 600, "Third"), 300, "Second")
    assert shown(chapters) == [(0, "Hello"), (300, "Second"), (600, "Third")]


def test_there_is_an_end_to_them() -> None:
    chapters: list[Chapter] = []
    for number in range(500):
        chapters = change(chapters, 60.0 + 60 * number, f"Title {number}")
    assert len(chapters) == 200


def test_places_are_found_again_by_the_wall_clock() -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    spans = [Span(0, noon, 60), Span(60, noon + timedelta(seconds=90), 60)]

    def guessed(at_s: float, wall_s: float, title: str) -> Chapter:
        wall = (noon + timedelta(seconds=wall_s)).isoformat()
        return {"at_s": at_s, "title": title, "category": None, "wall": wall}

    chapters = [FIRST, guessed(50, 50, "One"), guessed(66, 85, "Two"), guessed(99, 130, "Three")]
    assert shown(settled(chapters, spans)) == [
        (0, "Hello"),
        (50, "One"),
        (60, "Two"),
        (100, "Three"),
    ]
    assert settled(settled(chapters, spans), spans) == settled(chapters, spans)
    assert settled([], spans) == []
    # In the gap twice: the second corrects the first.
    chapters = [FIRST, guessed(66, 70, "Two"), guessed(67, 80, "Three")]
    assert shown(settled(chapters, spans)) == [(0, "Hello"), (60, "Three")]
