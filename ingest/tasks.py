"""An owner for tasks that live shorter than the service."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from core.logs import logger

log = logger(__name__)


class Tasks:
    """Tasks of one stream: a failure is logged, and closing cancels what still runs."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work`."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", task=task.get_name(), exc_info=error)

    async def wait(self) -> None:
        """Until nothing runs."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def close(self) -> None:
        """Cancel everything and wait for it."""
        for task in self._running:
            task.cancel()
        await self.wait()
