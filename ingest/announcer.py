"""The word to recorder that there is something new in the spool."""

from __future__ import annotations

import asyncio
import json
import secrets

from core.bus import Bus, obey_cancellation
from core.errors import Unavailable
from core.logs import logger
from core.streams import SEGMENTS

log = logger(__name__)


class Announcer:
    """Tells recorder of sessions with something new. What it is not told, it finds on its own."""

    def __init__(self, bus: Bus, node: str) -> None:
        self._bus = bus
        self._subject = f"{SEGMENTS.prefix}.{node}"
        self._sessions: set[str] = set()
        self._wake = asyncio.Event()

    def tell(self, session: str) -> None:
        """A session has something new."""
        self._sessions.add(session)
        self._wake.set()

    async def run(self) -> None:
        """Publish, until cancelled."""
        while True:
            obey_cancellation()
            await self._wake.wait()
            self._wake.clear()
            sessions, self._sessions = self._sessions, set()
            payload = json.dumps({"sessions": sorted(sessions)}).encode()
            try:
                await self._bus.publish(self._subject, payload, secrets.token_hex(8), SEGMENTS)
            except Unavailable as error:
                log.debug("segments_not_announced", reason=error.message)
