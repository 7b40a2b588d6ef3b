"""Asking Redis: what it means when it does not answer, and for how long a decision of many steps waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar

from redis.exceptions import RedisError

from core.errors import Unavailable

UNREACHABLE = (RedisError, OSError, TimeoutError)


def unreached() -> Unavailable:
    """What is said where Redis does not answer."""
    return Unavailable("Chat is not available just now. Try again in a moment.", retry_after=2)


class Patience:
    """For how long one decision waits for Redis, all its steps together."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    @asynccontextmanager
    async def spent(self, share: float) -> AsyncIterator[None]:
        """Take what the block waits off it. Raises TimeoutError past that share of what is left."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left_s * share):
                yield
        finally:
            self._left_s -= loop.time() - began


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """What the block asks of Redis may take so long in all."""
    before = _patience.set(Patience(seconds))
    try:
        yield
    finally:
        _patience.reset(before)


@asynccontextmanager
async def reaching(share: float = 1.0) -> AsyncIterator[None]:
    """Turns Redis' errors into Unavailable. Of a decision's patience no more than a share is spent."""
    known = _patience.get()
    try:
        async with nullcontext() if known is None else known.spent(share):
            yield
    except UNREACHABLE as error:
        raise unreached() from error
