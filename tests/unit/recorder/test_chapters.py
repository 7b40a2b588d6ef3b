"""Chapters out of changes of title and category."""

from __future__ import annotations

from recorder.chapters import Chapter, with_change

FIRST: Chapter = {"at_s": 0.0, "title": "Hello", "category": "Chess"}


def change(
    chapters: list[Chapter], at_s: float, title: str, category: str = "Chess"
) -> list[Chapter]:
    return with_change(chapters, FIRST, at_s, title, category)


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
