"""A restored instance takes its place, whatever was there, and also after a kill in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.instance import Layout
from cli.replacing import BROUGHT, COMPLETE, DRAFT, LEFT, settle


def filled(folder: Path, text: str, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "of").write_text(text)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An instance, and a restored one beside it that is complete."""
    filled(tmp_path, "old", (*BROUGHT, *LEFT))
    filled(tmp_path / DRAFT, "new", (*BROUGHT, *LEFT))
    (tmp_path / DRAFT / COMPLETE).touch()
    return Layout(tmp_path, tmp_path / "run", tmp_path / "media")


def check(layout: Layout) -> None:
    assert {(layout.data / name / "of").read_text() for name in BROUGHT} == {"new"}
    assert not any((layout.data / name).exists() for name in (*LEFT, DRAFT))
    kept = {
        path.name: (path / "of").read_text()
        for aside in layout.data.glob("replaced-*")
        for path in aside.iterdir()
    }
    assert kept == dict.fromkeys((*BROUGHT, *LEFT), "old")


def test_what_was_there_is_put_aside(layout: Layout) -> None:
    aside = settle(layout)
    assert aside is not None
    assert aside.parent == layout.data
    check(layout)
    assert settle(layout) is None
    check(layout)


@pytest.mark.parametrize("moves", range(2 * len(BROUGHT) + len(LEFT)))
def test_a_kill_in_between_is_made_good(
    layout: Layout, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, left = Path.rename, moves

    def until_killed(path: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", until_killed)
        settle(layout)
    settle(layout)
    check(layout)


def test_one_that_is_not_complete_changes_nothing(layout: Layout) -> None:
    (layout.data / DRAFT / COMPLETE).unlink()
    assert settle(layout) is None
    assert (layout.data / "postgres/of").read_text() == "old"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    filled(tmp_path / DRAFT, "new", BROUGHT)
    (tmp_path / DRAFT / COMPLETE).touch()
    assert settle(Layout(tmp_path, tmp_path / "run", tmp_path / "media")) is None
    assert {path.name for path in tmp_path.iterdir()} == set(BROUGHT)
