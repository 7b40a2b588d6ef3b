from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.instance import SetupError
from cli.places import FileTarget, Place, dated_name, surplus, written
from core.settings import Settings

NOW = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)


def test_places_are_files_or_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Place.of("one.tar")) == str(tmp_path / "one.tar")
    assert Place.of("s3://backups/site/one.tar") == Place("backups", "site/one.tar")
    assert str(Place.of("s3://backups/site").within("x")) == "s3://backups/site/x"
    assert str(Place.of("s3://backups").within("x")) == "s3://backups/x"
    assert str(Place.of("/var/backups/").within("x")) == "/var/backups/x"
    with pytest.raises(SetupError, match="no bucket"):
        Place.of("s3:///x")


def test_only_dated_names_beyond_the_newest_go() -> None:
    assert dated_name(NOW, encrypted=True) == "footlight-20260301T040506Z.tar.age"
    names = [dated_name(NOW.replace(day=day), encrypted=day == 2) for day in (3, 1, 2)]
    others = ["footlight.tar", "holiday.jpg", "footlight-20200101T000000Z.tar.old"]
    assert surplus([*others, *names], 2) == [names[1]]
    assert surplus([*others, *names], 3) == []


async def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    settings = Settings.model_validate({"secret_key": "k" * 32})
    place = Place.of(str(tmp_path / "one.tar"))
    with pytest.raises(RuntimeError, match="cut"):
        async with written(settings, place) as target:
            await target.write(b"half")
            raise RuntimeError("cut")
    assert os.listdir(tmp_path) == []
    async with written(settings, place) as target:
        await target.write(b"whole")
        assert not (tmp_path / "one.tar").exists()
    assert (tmp_path / "one.tar").read_bytes() == b"whole"
    assert (tmp_path / "one.tar").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be written: No such file"):
        FileTarget(tmp_path / "missing" / "one.tar")


async def test_the_instances_own_bucket_is_refused() -> None:
    settings = Settings.model_validate({"secret_key": "k" * 32})
    with pytest.raises(SetupError, match="is what is backed up"):
        async with written(settings, Place("footlight", "x")):
            pass
