"""One edge for the tests that do not break it."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.edge.nginx import Edge, running_edge


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """An edge of its own for every test: it starts in 20 ms."""
    async with running_edge() as running:
        yield running
