"""Wall time that does not jump."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class SteadyClock:
    """The wall clock as it was when asked first, carried on by the monotonic one.

    A session's programme times must not leap when the machine's clock is set.
    """

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._mark = time.monotonic()

    def now(self) -> datetime:
        """Aware, UTC."""
        return self._began + timedelta(seconds=time.monotonic() - self._mark)
