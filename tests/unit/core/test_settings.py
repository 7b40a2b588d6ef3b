"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.settings_docs import CONTAINERS
from core.derived import Purpose, derive
from core.settings import Settings
from core.settings.names import unknown

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", SECRET)


def settings() -> Settings:
    return Settings.from_environment()


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_defaults_need_only_the_secret() -> None:
    assert settings().part_target_s == 0.2
    assert settings().smtp_url == ""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FOOTLIGHT_BACKUP_PLCE", {"FOOTLIGHT_BACKUP_PLCE": "FOOTLIGHT_BACKUP_PLACE"}),
        ("footlight_ladr", {"footlight_ladr": "FOOTLIGHT_LADDER"}),
        ("FOOTLIGHT_SECRET_KEY_FIL", {"FOOTLIGHT_SECRET_KEY_FIL": "FOOTLIGHT_SECRET_KEY"}),
        ("FOOTLIGHT_ZZZZZZ", {"FOOTLIGHT_ZZZZZZ": ""}),
        ("FOOTLIGHT_BACKUP_PLACE", {}),
        ("footlight_backup_place", {}),
        ("FOOTLIGHT_SECRET_KEY_FILE", {}),
        ("FOOTLIGHT_TOOLCHAIN", {}),
        ("PATH", {}),
    ],
)
def test_what_is_no_setting_is_found(name: str, meant: dict[str, str]) -> None:
    assert unknown([name], Settings.model_fields) == meant


def test_every_name_that_compose_reads_is_known() -> None:
    assert unknown([name for name, _, _ in CONTAINERS], Settings.model_fields) == {}


def test_the_secret_is_required_and_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", "too short a secret")
    with pytest.raises(ValidationError) as wrong:
        settings()
    assert "too short a secret" not in str(wrong.value)
    monkeypatch.delenv("FOOTLIGHT_SECRET_KEY")
    with pytest.raises(ValidationError):
        settings()


def test_a_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("f" * 40 + "\n")
    monkeypatch.delenv("FOOTLIGHT_SECRET_KEY")
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY_FILE", str(file))
    assert settings().secret_key.get_secret_value() == "f" * 40
    # The variable itself wins.
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", SECRET)
    assert settings().secret_key.get_secret_value() == SECRET


def test_a_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTLIGHT_SMTP_URL_FILE", "/nowhere/at/all")
    with pytest.raises(ValueError, match="FOOTLIGHT_SMTP_URL_FILE"):
        settings()


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/8,192.168.1.7", '["10.0.0.0/8", "192.168.1.7"]', " 10.0.0.0/8 , 192.168.1.7,"],
)
def test_lists_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FOOTLIGHT_TRUSTED_PROXIES", text)
    assert settings().trusted_proxies == ["10.0.0.0/8", "192.168.1.7/32"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_PROXIES", "somewhere"),
        ("PUBLIC_URL", "example.org"),
        ("PUBLIC_URL", "ftp://example.org"),
        ("PUBLIC_URL", "https://example.org/live"),
        ("LADDER", "480"),
        ("PART_TARGET_S", "0"),
        ("LOG_LEVEL", "loud"),
        ("NODE_ID", "a/b"),
    ],
)
def test_wrong_values_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FOOTLIGHT_{name}", value)
    with pytest.raises(ValidationError):
        settings()


def test_https_makes_it_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not settings().secure
    monkeypatch.setenv("FOOTLIGHT_PUBLIC_URL", "https://tv.example.org/")
    assert settings().secure
    assert settings().public_url == "https://tv.example.org"
    assert settings().mail_sender == "footlight@tv.example.org"


def test_repr_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTLIGHT_S3_SECRET_KEY", "s3-canary")
    monkeypatch.setenv("FOOTLIGHT_S3_ACCESS_KEY", "access-canary")
    monkeypatch.setenv("FOOTLIGHT_NATS_URL", "nats://u:nats-canary@h:1")
    monkeypatch.setenv("FOOTLIGHT_SMTP_URL", "smtp://u:smtp-canary@h")
    monkeypatch.setenv("FOOTLIGHT_DATABASE_URL", "postgresql+asyncpg://u:db-canary@h/d")
    monkeypatch.setenv("FOOTLIGHT_REDIS_URL", "redis://u:redis-canary@h")
    shown = f"{settings()!r} {settings()}"
    assert "canary" not in shown
    assert SECRET not in shown


def test_derived_keys_differ_by_purpose_and_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {derive(settings(), purpose) for purpose in Purpose}
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", SECRET[::-1])
    keys |= {derive(settings(), purpose) for purpose in Purpose}
    assert len(keys) == 2 * len(Purpose)
    assert all(len(key) == 32 for key in keys)
