"""The media folder keeps whole files within its quota; playlists are announced after their files."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from ingest.publisher import MediaFolder, MediaFull


def files(folder: MediaFolder) -> set[str]:
    return {str(p.relative_to(folder.root)) for p in folder.root.rglob("*") if p.is_file()}


def test_files_are_written_counted_and_forgotten(tmp_path: Path) -> None:
    media = MediaFolder(tmp_path / "m", 10_000)
    media.make("s1", "source")
    media.write("s1", "source/part-0.m4s", b"x" * 100)
    media.replace("s1", "session.json", b"x" * 50)
    media.replace("s1", "session.json", b"x" * 40)
    media.append("s1", "session.json", b"y" * 30)
    assert (media.root / "s1/session.json").read_bytes() == b"x" * 40 + b"y" * 30
    assert media.used == 170
    assert files(media) == {"s1/source/part-0.m4s", "s1/session.json"}
    media.forget("s1", ["source/part-0.m4s", "source/never.m4s"])
    assert media.used == 70
    media.remove("s1")
    assert media.used == 0 and files(media) == set()


def test_past_the_quota_nothing_is_written_and_nothing_is_left(tmp_path: Path) -> None:
    media = MediaFolder(tmp_path / "m", 1000)
    media.make("s1", "source")
    media.write("s1", "source/a", b"x" * 900)
    with pytest.raises(MediaFull):
        media.write("s1", "source/b", b"x" * 100)
    assert files(media) == {"s1/source/a"}


def test_new_streams_are_refused_before_running_ones_suffer(tmp_path: Path) -> None:
    media = MediaFolder(tmp_path / "m", 1000)
    media.make("s1")
    assert media.has_room_for_another
    media.write("s1", "a", b"x" * 850)
    assert not media.has_room_for_another
    media.write("s1", "b", b"x" * 100)


def test_a_file_that_cannot_be_written_leaves_no_half(tmp_path: Path) -> None:
    media = MediaFolder(tmp_path / "m", 1000)
    with pytest.raises(MediaFull):
        media.write("nowhere", "a", b"x")
    with pytest.raises(MediaFull):
        media.replace("nowhere", "a", b"x")
    with pytest.raises(MediaFull):
        media.append("nowhere", "a", b"x")
    assert files(media) == set() and media.used == 0


def test_what_cannot_be_added_leaves_what_was_there(tmp_path: Path) -> None:
    media = MediaFolder(tmp_path / "m", 1000)
    media.make("s1")
    media.write("s1", "a", b"x" * 100)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel takes half of it and no more.
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, before[1]))
    try:
        with pytest.raises(MediaFull):
            media.append("s1", "a", b"y" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (media.root / "s1/a").read_bytes() == b"x" * 100 and media.used == 100


def test_another_life_counts_what_it_finds(tmp_path: Path) -> None:
    before = MediaFolder(tmp_path / "m", 1000)
    before.make("s1", "source")
    before.write("s1", "source/a", b"x" * 300)
    (before.root / "s1/source/b~").write_bytes(b"half")
    after = MediaFolder(tmp_path / "m", 1000)
    assert after.adopt() == ["s1"]
    assert after.used == 300 and files(after) == {"s1/source/a"}
    after.remove("s1")
    assert after.used == 0
