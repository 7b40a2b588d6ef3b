"""Nothing secret reaches a log line."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from core import logs

KEY = "live_42_abcdefghijklmnopqrstuvwx"
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
APP_TOKEN = "flat_12_abcdefghijklmnopqrstuvwxyz01"
REFRESH = "flr_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, after the configuration of a service."""
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    logs.configure("test", "debug")
    yield text
    root.handlers[:], level = before[0], before[1]
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_one_json_object(lines: io.StringIO) -> None:
    logs.logger("x").info("something_happened", stream_id=7, path="a\nb")
    content = json.loads(lines.getvalue())
    assert content.pop("time").endswith("Z")
    assert content == {
        "event": "something_happened",
        "level": "info",
        "service": "test",
        "stream_id": 7,
        "path": "a\nb",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"anything": f"publishing {KEY} now"},
        {"password": "canary-abcdefghijklmnopqrstuvwx"},
        {"headers": {"Authorization": f"Bearer {TOKEN}", "Cookie": "a=abcdefghijklmnopqrstuvwx"}},
        {"url": f"rtmp://h/live/{KEY}?x=1"},
        {"items": [KEY, (TOKEN, {"deep": [REFRESH]})]},
        {"database": "postgresql://me:abcdefghijklmnopqrstuvwx@db/x"},
        {"raw": KEY.encode()},
        {"line": f"PASS oauth:{APP_TOKEN}"},
        {"line": f"PASS oauth:{APP_TOKEN.upper()}"},
        {"error": ValueError(f"bad key {KEY}")},
        {"new_password": "abcdefghijklmnopqrstuvwx", "s3_secret_key": "abcdefghijklmnopqrstuvwx"},
    ],
)
def test_secrets_are_blotted_out(lines: io.StringIO, fields: dict[str, object]) -> None:
    logs.logger("x").warning("event", **fields)
    written = lines.getvalue()
    for secret in ("abcdefghijklmnopqrstuvwx", TOKEN, REFRESH):
        assert secret.lower() not in written.lower()


def test_what_only_looks_secret_stays(lines: io.StringIO) -> None:
    logs.logger("x").info("key_used", key_id=42, text=KEY)
    content = json.loads(lines.getvalue())
    assert content["key_id"] == 42
    assert content["text"] == "live_42_***"


def test_tracebacks_and_other_libraries_are_redacted_too(lines: io.StringIO) -> None:
    try:
        raise RuntimeError(f"refused {KEY}")
    except RuntimeError:
        logs.logger("x").exception("failed")
    logging.getLogger("some.library").error("got %s", KEY)
    written = lines.getvalue().splitlines()
    assert "RuntimeError" in json.loads(written[0])["exception"]
    assert all("abcdefghijklmnopqrstuvwx" not in line for line in written)


@given(st.text(), st.text())
def test_a_key_is_found_in_any_text(before: str, after: str) -> None:
    # A word character before it makes it another word; keys are at the start of one.
    separated = f"{before} {KEY} {after}"
    assert "abcdefghijklmnopqrstuvwx" not in logs.redact(separated)
