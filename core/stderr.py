"""What a child process says on its standard error, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


async def lines(stream: asyncio.StreamReader | None, length: int) -> AsyncIterator[str]:
    """Every line without its end, cut to `length` characters. A line beyond the reader's own limit is
    left out.
    """
    while stream is not None:
        try:
            line = await stream.readline()
        except ValueError:
            # It was thrown away.
            continue
        if not line:
            return
        yield line.decode("utf-8", "replace").rstrip()[:length]
