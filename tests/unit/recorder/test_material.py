"""Which segments there are, when they are on their way from one place to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.cuts import Held
from recorder.material import AFTER, BEFORE, _around, _joined, _lacks
from recorder.timeline import Entry
from tests.packager_kit import START


def entry(msn: int, *, gap: bool = False) -> Entry:
    return Entry(msn, msn * 2.0, 2.0, 1, "init-0.mp4", False, START, gap=gap)


def stored(*msns: int) -> list[Held]:
    return [Held(entry(msn), "init", f"key {msn}") for msn in msns]


def local(*msns: int) -> list[Held]:
    return [Held(entry(msn), "init", None, (Path(f"{msn}"),)) for msn in msns]


def test_each_once_and_where_it_came_to() -> None:
    """Stored already though its file was seen a moment before; what is older than asked for is not
    looked at.
    """
    held = _joined(stored(5, 6, 7), local(3, 7, 8), local(8, 9))
    assert [(each.entry.msn, each.key) for each in held] == [
        (5, "key 5"), (6, "key 6"), (7, "key 7"), (8, None), (9, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "msns, complete, lacks",
    [
        ((5, 6, 7), 7, False),
        ((5, 6, 7, 8), 7, False),
        # The last whole one is not in the spool yet, with or without an open one behind it.
        ((5, 6), 7, True),
        ((5, 6, 8), 7, True),
        ((), 3, True),
        # Ingest does not answer: nothing more will come.
        ((5, 6), -1, False),
        ((), -1, False),
    ],
)
def test_on_their_way(msns: tuple[int, ...], complete: int, lacks: bool) -> None:
    assert _lacks(local(*msns), complete) is lacks


def test_around() -> None:
    """All of those that are asked for, and those beside them that join on."""
    many = [entry(msn) for msn in range(1, 40)]
    found = [each.msn for each in _around(many, 20, 22)]
    assert found == list(range(20 - BEFORE, 22 + AFTER + 1))
    assert [each.msn for each in _around(many[18:22], 20, 22)] == [19, 20, 21, 22]
    holed = [entry(msn, gap=msn in (18, 23)) for msn in range(1, 40)]
    assert [each.msn for each in _around(holed, 20, 22)] == [19, 20, 21, 22]
    assert _around(holed, 17, 20) == []
    assert _around(many[:20], 20, 22) == []
