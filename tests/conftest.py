"""Fixtures and rules of the whole suite.

`servers`   private PostgreSQL (migrated), Redis, NATS and S3, as `Servers` with a `settings()` factory
`instance`  a whole `up` on free ports
Both last for the session. Neither can be used under tests/unit, where sockets are disabled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import RunningInstance, RunningServers, start_instance

pytest_plugins: list[str] = []


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServers]:
    """The four servers, empty but for the schema, for tests that build a service in their own
    process.
    """
    data = _data_folder(tmp_path_factory, "servers")
    with start_instance(data, "--servers-only") as running:
        yield RunningServers(running.data)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInstance]:
    """One whole instance that all tests share; tests that break things start their own."""
    with start_instance(_data_folder(tmp_path_factory, "instance")) as running:
        yield running


def _data_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name, numbered=True) / "data"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """FOOTLIGHT_ settings of the developer's shell do not reach the tests."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith("FOOTLIGHT_") and name != "FOOTLIGHT_TOOLCHAIN":
            patch.delenv(name)
    yield
    patch.undo()
