"""The instance that these tests share, and the look for secrets at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.stage import Stage, start_stage


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole instance without a ladder and with a grace window of 4 s."""
    with start_stage(tmp_path_factory.mktemp("e2e") / "data") as running:
        yield running
