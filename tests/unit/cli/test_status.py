from __future__ import annotations

import pytest

from cli.status import table, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    (
        ("nats://footlight:secret@127.0.0.1:4222", "nats://127.0.0.1:4222"),
        (
            "postgresql+asyncpg://footlight@/db?host=/run",
            "postgresql+asyncpg://footlight@/db?host=/run",
        ),
        ("unix:/run/api.sock", "unix:/run/api.sock"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ),
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_nothing_runs() -> None:
    assert "./footlight up" in table({"data": "/d", "running": False, "services": {}})


def test_it_starts() -> None:
    text = table({"data": "/d", "running": True, "starting": True, "pid": 7, "services": {}})
    assert "starting or stopping (pid 7)" in text


def test_a_sick_service_stands_out() -> None:
    entry = {"url": "unix:/a", "pid": 8, "state": "ready", "healthy": True}
    state = {
        "data": "/d",
        "running": True,
        "healthy": False,
        "pid": 7,
        "http": "http://127.0.0.1:1",
        "rtmp": "rtmp://127.0.0.1:2/live",
        "services": {
            "api": entry,
            "ingest": {**entry, "state": "not answering", "healthy": False, "pid": None},
        },
    }
    text = table(state)
    assert "not healthy" in text
    assert "api        ok" in text
    assert "ingest     NOT ANSWERING" in text
