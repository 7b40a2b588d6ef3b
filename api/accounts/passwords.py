"""Password hashing: argon2id in threads, a bounded number at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.names import normal_password
from core.errors import Unavailable

T = TypeVar("T")

# The strongest in memory of OWASP's equivalent choices (46 MiB, one pass): a guess costs an attacker
# memory, and a login costs a small server some 30 ms of one core.
_HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
# Whoever comes when so many wait is sent away: the queue would be longer than anybody's patience.
MOST_WAITING = 64


class Passwords:
    """Hashes and verifies passwords for one process, `at_once` at the same time."""

    def __init__(self, threads: ThreadPoolExecutor, at_once: int) -> None:
        self._threads = threads
        self._free = asyncio.Semaphore(at_once)
        self._waiting = 0
        # What an unknown account's password is compared with, so that it takes as long as a known
        # one's.
        self._nobody = _HASHER.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """The string to store."""
        return await self._run(partial(_HASHER.hash, normal_password(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one `stored` was made from; False, as slowly, when nothing is
        stored.
        """
        right = await self._run(partial(_verify, stored or self._nobody, normal_password(password)))
        return right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than are used now."""
        return _HASHER.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable(
                "Too many people log in at this moment. Try again shortly.", retry_after=2
            )
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


@asynccontextmanager
async def open_passwords() -> AsyncIterator[Passwords]:
    """Password hashing on all cores but one, which the rest of the process keeps."""
    at_once = max(1, min(4, (os.cpu_count() or 1) - 1))
    threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")
    try:
        yield Passwords(threads, at_once)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
