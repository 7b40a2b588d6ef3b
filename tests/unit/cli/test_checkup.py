from __future__ import annotations

from pathlib import Path

import pytest

from cli import checkup, versions
from cli.findings import Finding, Verdict
from cli.instance import Layout
from cli.replacing import COMPLETE, DRAFT
from core.settings import Settings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "secrets").mkdir(mode=0o700)
    return Layout(tmp_path, tmp_path / "run", tmp_path / "media")


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(checkup.settings(None), Settings)
    monkeypatch.setenv("FOOTLIGHT_BACKUP_KEEP", "none")
    found = checkup.settings(None)
    assert isinstance(found, Finding)
    assert found.verdict is Verdict.BAD
    assert found.detail.startswith("FOOTLIGHT_BACKUP_KEEP: ")


def test_mistyped_settings_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(checkup.mistyped()) == []
    monkeypatch.setenv("FOOTLIGHT_BACKUP_PLCE", "/b")
    [found] = checkup.mistyped()
    assert found.verdict is Verdict.ADVICE
    assert found.detail == "FOOTLIGHT_BACKUP_PLCE is no setting: FOOTLIGHT_BACKUP_PLACE?"


def test_settings_of_a_running_instance_count(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"environment": {"FOOTLIGHT_BACKUP_PLACE": "/b", "FOOTLIGHT_SECRET_KEY_FILE": "/x"}}
    found = checkup.settings(content)
    assert isinstance(found, Settings)
    assert found.backup_place == "/b"


def test_a_data_folder_that_is_well_has_no_findings(layout: Layout) -> None:
    versions.note(layout.data)
    assert list(checkup.data_folder(layout)) == []
    assert [found.verdict for found in checkup.secret_files(layout)] == [Verdict.GOOD]


def test_what_a_restore_left_is_told(layout: Layout) -> None:
    (layout.data / DRAFT).mkdir()
    (layout.data / "replaced-20260101T000000Z").mkdir()
    first, second = checkup.data_folder(layout)
    assert (first.detail, second.detail) == (
        "a restore was interrupted",
        "holds what a restore replaced",
    )
    (layout.data / DRAFT / COMPLETE).touch()
    assert next(checkup.data_folder(layout)).detail == "a restore was interrupted at its end"


def test_a_newer_releases_folder_is_bad(layout: Layout) -> None:
    (layout.data / "release.json").write_text('{"release": "9.0.0", "schema": "0999"}')
    [found] = checkup.data_folder(layout)
    assert found.verdict is Verdict.BAD
    assert "Footlight 9.0.0" in found.detail


def test_open_secrets_are_bad(layout: Layout) -> None:
    file = layout.secrets / "secret_key"
    file.write_text("k")
    file.chmod(0o644)
    [found] = checkup.secret_files(layout)
    assert found.verdict is Verdict.BAD
    assert "secret_key is open to others" in found.detail


def test_backups_nobody_takes_are_noted(layout: Layout) -> None:
    chosen = Settings.model_validate({"secret_key": "k" * 32})
    assert checkup.backups(layout, chosen, running=False).verdict is Verdict.ADVICE
    placed = chosen.model_copy(update={"backup_place": "/b"})
    assert checkup.backups(layout, placed, running=False).verdict is Verdict.GOOD
