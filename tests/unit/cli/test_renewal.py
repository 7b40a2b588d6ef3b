"""A certificate that has changed is loaded again, once, when both of its files are there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from cli import renewal
from cli.certificates import ensure_some, is_due, name_of
from core.settings import Settings


class Looks(threading.Event):
    """Instead of time passing, one step before each look; over after the last."""

    def __init__(self, steps: Sequence[Callable[[], object]]) -> None:
        super().__init__()
        self._steps = iter(steps)

    def wait(self, timeout: float | None = None) -> bool:
        step = next(self._steps, None)
        if step is None:
            return True
        step()
        return False


def test_a_change_is_loaded_when_it_is_over(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain", tmp_path / "key"
    chain.write_text("1")
    loaded: list[str] = []

    def nothing() -> None: ...

    steps = [
        nothing,
        lambda: key.write_text("key 2"),
        lambda: chain.write_text("chain 2"),
        lambda: loaded.append("settled"),
        nothing,
        lambda: chain.unlink(),
        nothing,
    ]
    renewal.follow([chain, key], lambda: loaded.append("loaded"), Looks(steps))
    assert loaded == ["settled", "loaded", "loaded"]


def settings(folder: Path, **changes: object) -> Settings:
    values = {
        "secret_key": "s" * 40,
        "data_dir": folder,
        "public_url": "https://live.example.org",
        "acme_directory": "https://authority.example/dir",
    }
    return Settings.model_validate({**values, **changes})


def test_there_is_a_certificate_before_the_authority_has_answered(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    ensure_some(wanted)
    chain, key = wanted.certificate
    before = chain.read_bytes()
    assert is_due(before, datetime.now(UTC))
    assert key.stat().st_mode & 0o777 == 0o600
    assert name_of(wanted) == "live.example.org"
    ensure_some(wanted)
    assert chain.read_bytes() == before


def test_files_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    files = {"tls_certificate": tmp_path / "c", "tls_key": tmp_path / "k", "acme_directory": ""}
    wanted = settings(tmp_path, **files)
    ensure_some(wanted)
    assert list(tmp_path.iterdir()) == []
    assert wanted.certificate == (tmp_path / "c", tmp_path / "k")
    assert wanted.acme_challenges is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rtmps_listen": "0.0.0.0:1936", "acme_directory": ""}, "needs tls_certificate"),
        ({"https_listen": "0.0.0.0:443", "public_url": "http://a.example"}, "must be https://"),
        ({"acme_directory": "http://authority.example"}, "acme_directory"),
    ],
)
def test_tls_is_whole_or_not_there(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(tmp_path, **changes)


def test_renewed_in_the_last_third_of_its_life() -> None:
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    begins = datetime(2030, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "live.example.org")]),
            own.public_key(),
            1,
            begins,
            begins + timedelta(days=90),
        )
        .sign(authority, SHA256())
        .public_bytes(Encoding.PEM)
    )
    assert not is_due(made, begins + timedelta(days=59))
    assert is_due(made, begins + timedelta(days=61))
