from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from cli import versions
from cli.instance import SetupError
from core.db.migrate import SchemaTooNew, known_schemas, refuse_unknown
from core.version import RELEASE

SOURCE = Path(__file__).resolve().parents[3]


def test_the_release_is_the_projects() -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    assert project["version"] == RELEASE


def test_schemas_are_read_off_the_files_names() -> None:
    assert versions.schemas() == known_schemas()[::-1]


def test_a_data_folder_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    versions.refuse_newer(tmp_path)
    versions.note(tmp_path)
    versions.refuse_newer(tmp_path)
    newer = {"release": "9.1.0", "schema": "0999"}
    (tmp_path / "release.json").write_text(json.dumps(newer))
    with pytest.raises(SetupError, match=r"used by Footlight 9\.1\.0.*schema 0999"):
        versions.refuse_newer(tmp_path)


def test_a_data_folder_of_an_older_release_is_welcome(tmp_path: Path) -> None:
    older = {"release": "0.0.1", "schema": versions.schemas()[0]}
    (tmp_path / "release.json").write_text(json.dumps(older))
    versions.refuse_newer(tmp_path)


def test_a_file_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text("[]")
    with pytest.raises(SetupError, match=r"release\.json cannot be read"):
        versions.refuse_newer(tmp_path)


def test_a_database_of_a_newer_release_is_refused() -> None:
    refuse_unknown("")
    refuse_unknown(known_schemas()[0])
    with pytest.raises(SchemaTooNew, match="schema 0999"):
        refuse_unknown("0999")
