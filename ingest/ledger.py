"""What happened to one stream, written down in order, however long the database is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.errors import Unavailable
from core.logs import logger

log = logger(__name__)

RETRY_S = 0.5
#: A stream changes a few times a minute at most; this is an hour without a database.
MOST = 1000

Entry = Callable[[AsyncSession], Awaitable[None]]


class Ledger:
    """A queue of transactions, each done once and before the next begins."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: deque[Entry] = deque(maxlen=MOST)
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, entry: Entry) -> None:
        """`entry` is run in a transaction of its own, again until the database takes it."""
        self._entries.append(entry)
        self._empty.clear()
        self._more.set()

    async def settled(self) -> None:
        """Until everything so far is written."""
        await self._empty.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._more.wait()
            while self._entries:
                entry = self._entries[0]
                try:
                    async with self._database.session() as session:
                        await entry(session)
                except Unavailable:
                    await asyncio.sleep(RETRY_S)
                    continue
                except Exception:
                    # Writing it again would fail again, and hold up what comes after it.
                    log.exception("ledger_entry_failed")
                if self._entries and self._entries[0] is entry:
                    self._entries.popleft()
            self._more.clear()
            self._empty.set()
