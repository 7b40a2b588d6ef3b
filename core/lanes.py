"""Work done side by side, and in order where the order matters."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Does `work` on items: those of one lane one after the other, different lanes side by side.

    At most `lanes` are busy at a time, and at most `waiting` items wait in each. `work` answers for its own
    errors: it must not raise.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], lanes: int, waiting: int) -> None:
        self._work = work
        self._most = waiting
        self._free = asyncio.Semaphore(lanes)
        self._waiting: dict[Hashable, deque[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, lane: Hashable, item: T) -> bool:
        """Have an item worked on; waits while every lane is busy. False: too many wait in its own."""
        queue = self._waiting.get(lane)
        if queue is None:
            # Before anything is awaited, so that the next one of this lane queues behind it.
            queue = self._waiting[lane] = deque()
            queue.append(item)
            await self._begin(lane)
            return True
        if len(queue) >= self._most:
            return False
        queue.append(item)
        return True

    async def _begin(self, lane: Hashable) -> None:
        try:
            await self._free.acquire()
        except asyncio.CancelledError:
            del self._waiting[lane]
            raise
        task = asyncio.create_task(self._empty(lane), name=f"lane {lane}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _empty(self, lane: Hashable) -> None:
        queue = self._waiting[lane]
        try:
            while queue:
                await self._work(queue.popleft())
        finally:
            del self._waiting[lane]
            self._free.release()

    async def finish(self, within_s: float) -> None:
        """Let what has begun or waits come to its end, and cut it short after that time."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
