"""The parts of giving up root that need no root; owners are the user of the test."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from cli.instance import SetupError
from cli.privilege import KEPT_COPIES, copied_source, hold, owned_folder, user_environment


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small source tree."""
    folder = tmp_path / "clone"
    (folder / "cli").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "cli/x.py").write_text("1\n")
    (folder / "footlight").write_text("#!/bin/sh\n")
    (folder / "footlight").chmod(0o700)
    return folder


@pytest.fixture(autouse=True)
def _this_user_counts_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        values = list(real(descriptor))
        if values[stat.ST_UID] == os.getuid():
            values[stat.ST_UID] = 0
        return os.stat_result(values)

    monkeypatch.setattr("cli.privilege.os.fstat", fstat)


def test_the_copy_can_be_read_by_everybody_and_is_made_once(source: Path, tmp_path: Path) -> None:
    (source / "cli").chmod(0o700)
    (source / "cli/x.py").chmod(0o600)
    copy = copied_source(source, tmp_path / "copies")
    assert (copy / "cli/x.py").read_text() == "1\n"
    assert stat.S_IMODE((copy / "cli").stat().st_mode) == 0o755
    assert stat.S_IMODE((copy / "cli/x.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((copy / "footlight").stat().st_mode) == 0o755
    made = (copy / "cli/x.py").stat().st_ino
    assert copied_source(source, tmp_path / "copies") == copy
    assert (copy / "cli/x.py").stat().st_ino == made


def test_another_source_is_another_copy(source: Path, tmp_path: Path) -> None:
    first = copied_source(source, tmp_path / "copies")
    (source / "cli/x.py").write_text("2\n")
    second = copied_source(source, tmp_path / "copies")
    assert first != second
    assert (first / "cli/x.py").read_text() == "1\n"


def test_a_folder_that_others_can_write_is_refused(source: Path, tmp_path: Path) -> None:
    parent = tmp_path / "copies"
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(SetupError, match="does not belong to root alone"):
        copied_source(source, parent)


def test_a_link_in_the_place_of_the_folder_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copies").symlink_to("elsewhere")
    with pytest.raises(OSError, match="copies"):
        copied_source(source, tmp_path / "copies")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_old_copies_go_but_not_those_in_use(source: Path, tmp_path: Path) -> None:
    copies = []
    for number in range(KEPT_COPIES + 3):
        (source / "cli/x.py").write_text(f"{number}\n")
        copies.append(copied_source(source, tmp_path / "copies"))
        os.utime(copies[-1], (number, number))
        if number == 0:
            hold(copies[0])
    left = {path.name for path in (tmp_path / "copies").iterdir()}
    assert copies[0].name in left
    assert copies[1].name not in left
    assert copies[-1].name in left


def test_a_new_folder_keeps_its_parents_as_they_are(tmp_path: Path) -> None:
    user = pwd.getpwuid(os.getuid())
    owned_folder(tmp_path / "a/b", user, mode=0o700)
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def test_roots_own_environment_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/root/.local")
    monkeypatch.setenv("PYTHONPATH", "/root/lib")
    monkeypatch.setenv("SUDO_USER", "somebody")
    monkeypatch.setenv("FOOTLIGHT_LADDER", "off")
    found = user_environment(pwd.getpwuid(os.getuid()), Path("/home"))
    assert found["HOME"] == "/home"
    assert found["FOOTLIGHT_LADDER"] == "off"
    assert not {"XDG_DATA_HOME", "PYTHONPATH", "SUDO_USER"} & set(found)
