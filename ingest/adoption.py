"""After a restart: take up the sessions that an earlier life of this process was running.

What it needs lies beside the media, written before each announcement; nginx says who still publishes.
So a stream goes on with its next numbers even while the database is away.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import Unavailable
from core.logs import logger
from ingest.broadcast import STATE_FILE, read_state
from ingest.nginx import IngestNginx, Stat
from ingest.publisher import MediaFolder
from ingest.session import Connection, Phase, Publisher, Session

log = logger(__name__)

#: nginx (ingest) starts after us on a cold start, and is there at once after our own.
STAT_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Left:
    """A session as its notes tell: `publisher_there` when nginx still has its publisher."""

    session: Session
    login: str
    stream_id: int
    started_at: datetime | None
    publisher_there: bool


async def ask_nginx(nginx: IngestNginx) -> Stat | None:
    """Who publishes now; None when nginx is not there."""
    deadline = time.monotonic() + STAT_PATIENCE_S
    while True:
        try:
            return await nginx.stat()
        except Unavailable:
            if time.monotonic() > deadline:
                return None
        await asyncio.sleep(0.1)


def read_notes(
    media: MediaFolder, name: str, stat: Stat | None, grace_s: float, now: float
) -> Left | None:
    """What is left of session `name`; None when there is nothing to go on from.

    Its age is told by its notes' file, which is written with every part.
    """
    path = media.root / name / STATE_FILE
    try:
        identity = read_state(path.read_text())["session"]["identity"]
        age = max(0.0, time.time() - path.stat().st_mtime)
        session = _session(name, identity, stat, now)
        session.cut_at = None if session.publisher else now - age
        session.deadline = None if session.publisher else now - age + grace_s
        started = identity["started_at"]
        return Left(
            session,
            str(identity["login"]),
            int(identity["stream_id"]),
            datetime.fromisoformat(started) if started else None,
            session.publisher is not None,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.info("session_not_adopted", session=name, reason=repr(error))
        return None


def _session(name: str, identity: dict[str, Any], stat: Stat | None, now: float) -> Session:
    if identity["phase"] == Phase.ENDED.value:
        raise ValueError("it had ended")
    publisher = _publisher(identity["publisher"], stat, now)
    return Session(
        name,
        int(identity["channel_id"]),
        phase=Phase.LIVE if publisher else Phase.RECONNECTING,
        publisher=publisher,
        started=True,
    )


def _publisher(kept: dict[str, Any] | None, stat: Stat | None, now: float) -> Publisher | None:
    """The publisher that was attached, if it is still the same connection to the same nginx."""
    if kept is None or stat is None or stat.boot != kept["boot"]:
        return None
    client = stat.publishers.get(kept["name"])
    if client is None or client != kept["client"]:
        return None
    connection = Connection(kept["boot"], client)
    return Publisher(connection, kept["name"], kept["key_id"], kept["order"], now)
