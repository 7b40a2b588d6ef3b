"""What simulated viewers read out of playlists, and the feed they are tried with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.feed import PARTS_PER_SEGMENT, Feed
from bench.viewers import Outcome, percentile, read_position


@pytest.mark.parametrize(
    ("number", "skip"),
    [(0, 0), (1, 0), (8, 0), (9, 0), (10, 0), (63, 0), (69, 0), (63, 2), (69, 2), (70, 2)],
)
def test_reader_asks_for_the_part_after_the_last(tmp_path: Path, number: int, skip: int) -> None:
    feed = Feed(tmp_path / "unused.sock", tmp_path, number=number)
    found = read_position(feed.playlist(skip))
    following = number + 1
    assert (found.msn, found.part) == (
        1 + following // PARTS_PER_SEGMENT,
        following % PARTS_PER_SEGMENT,
    )
    assert found.parts[-1] == (number, f"part-{number}.m4s")


def test_a_playlist_without_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="without parts"):
        read_position("#EXTM3U\n#EXTINF:2,\nseg-1.m4s\n")


def test_groups_are_added_up() -> None:
    total = Outcome(viewers=1, parts=2, lateness=[0.1])
    total.add(Outcome(viewers=3, errors=["closed"], lateness=[0.2]))
    assert (total.viewers, total.parts, total.errors) == (4, 2, ["closed"])
    assert total.lateness == [0.1, 0.2]


def test_percentile() -> None:
    figures = [float(number) for number in range(100)]
    assert percentile(figures, 0.5) == 50
    assert percentile(figures, 0.99) == 99
    assert percentile(figures, 1) == 99
    assert percentile([], 0.5) != percentile([], 0.5)
