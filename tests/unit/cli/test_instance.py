from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.instance import (
    LONGEST_SOCKET,
    MOUNTS,
    SOCKET_PATH_BYTES,
    Layout,
    SetupError,
    data_lock,
    foreign_entry,
    generated_secret,
    lock_holder,
    read_instance,
    remove_stale_media,
    shown,
    write_private,
)


def test_sockets_lie_in_the_data_folder_when_their_paths_fit() -> None:
    assert Layout.of(Path("/srv/footlight")).run == Path("/srv/footlight/run")


def test_a_long_data_folder_gets_a_short_place_for_sockets() -> None:
    deep = Path("/srv") / ("x" * 120)
    run = Layout.of(deep).run
    assert not run.is_relative_to(deep)
    assert len(os.fsencode(run / LONGEST_SOCKET)) <= SOCKET_PATH_BYTES


def test_a_long_temporary_folder_is_not_used_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp/" + "y" * 90)  # noqa: S108
    run = Layout.of(Path("/srv") / ("x" * 120)).run
    assert len(os.fsencode(run / LONGEST_SOCKET)) <= SOCKET_PATH_BYTES


def test_two_instances_share_nothing() -> None:
    one, other = Layout.of(Path("/srv/a" * 30)), Layout.of(Path("/srv/b" * 30))
    assert one.run != other.run
    assert one.media != other.media


def test_everything_in_a_new_data_folder_is_private(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "data")
    layout.prepare()
    for folder in (layout.data, layout.logs, layout.secrets, layout.run):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(SetupError, match=r"thesis\.odt"):
        Layout.of(tmp_path).prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_a_data_folder_is_known_again(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "data")
    layout.prepare()
    (layout.data / "anything").touch()
    assert foreign_entry(layout.data) is None
    layout.prepare()


def test_a_toolchain_alone_makes_a_folder_no_stranger(tmp_path: Path) -> None:
    (tmp_path / "toolchain").mkdir()
    assert foreign_entry(tmp_path) is None


def test_media_of_killed_instances_goes_and_that_of_living_ones_stays(tmp_path: Path) -> None:
    names = ("footlight-" + "a" * 12, "footlight-" + "b" * 12, "other")
    living, dead, foreign = (tmp_path / name for name in names)
    for folder in (dead, foreign):
        (folder / "session").mkdir(parents=True)
        os.utime(folder / "session", (0, 0))
    held = Layout(tmp_path, tmp_path, living).prepare_media()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((living.name, "other"))
    (living / "session").mkdir()
    os.utime(living / "session", (0, 0))
    remove_stale_media(tmp_path)
    assert (living / "session").exists()
    os.close(held)
    remove_stale_media(tmp_path)
    assert not living.exists()


def test_media_of_an_instance_that_was_just_killed_are_there_when_it_starts_again(
    tmp_path: Path,
) -> None:
    names = ("footlight-" + "a" * 12, "footlight-" + "b" * 12)
    killed, other = (Layout(tmp_path, tmp_path, tmp_path / name) for name in names)
    os.close(killed.prepare_media())
    (killed.media / "session").mkdir()
    os.close(other.prepare_media())
    os.close(killed.prepare_media())
    assert (killed.media / "session").exists()


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = generated_secret(tmp_path, "nats_password")
    assert generated_secret(tmp_path, "nats_password") == first
    assert generated_secret(tmp_path, "other") != first
    assert len(first) == 48
    assert first.isalnum()
    # NATS reads a password of digits as a number.
    assert first[0].isalpha()
    assert (tmp_path / "nats_password").stat().st_mode & 0o777 == 0o600


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "instance.json"
    write_private(path, "{}")
    write_private(path, '{"pid": 1}')
    assert read_instance(tmp_path) == {"pid": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["instance.json"]


def test_no_file_means_no_instance(tmp_path: Path) -> None:
    assert read_instance(tmp_path) is None
    assert lock_holder(tmp_path) is None


def test_the_lock_tells_who_has_it_and_is_free_afterwards(tmp_path: Path) -> None:
    with data_lock(tmp_path):
        assert lock_holder(tmp_path) == os.getpid()
        with pytest.raises(SetupError, match=rf"already runs on .*\(pid {os.getpid()}\)"):
            with data_lock(tmp_path):
                pass
    assert lock_holder(tmp_path) is None
    with data_lock(tmp_path):
        pass


def test_paths_are_shown_as_the_user_named_them(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = MOUNTS / "0123abcd" / "logs/api.log"
    assert shown(inside) == inside
    monkeypatch.setenv("FOOTLIGHT_MOUNTED_DATA", "/root/my data")
    assert shown(inside) == Path("/root/my data/logs/api.log")
    assert shown(Path("/elsewhere")) == Path("/elsewhere")
