"""Loops that compare what we believe with what is: nginx's publishers, keys, viewers, health."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import UTC, datetime

from core.db.engine import Database
from core.errors import Unavailable
from core.logs import logger
from core.settings import Settings
from ingest import store
from ingest.director import Director
from ingest.edge import Edges
from ingest.gate import Gate
from ingest.nginx import IngestNginx

log = logger(__name__)

HEALTH_S = 2.0
VIEWERS_S = 3.0
#: Health samples that wait for the database, over all streams; older ones go first.
MOST_SAMPLES = 5000


async def reconcile(director: Director, nginx: IngestNginx, gate: Gate, settings: Settings) -> None:
    """Compare sessions with /stat every few seconds, and their keys with the database."""
    while True:
        await asyncio.sleep(settings.reconcile_interval_s)
        await reconcile_once(director, nginx)
        try:
            await check_keys(director, gate)
        except Unavailable:
            log.debug("keys_not_checked")


async def check_keys(director: Director, gate: Gate) -> None:
    """End streams whose key or account is no longer good, in case the event is lost."""
    if in_use := director.keys_in_use():
        for key_id, reason in (await gate.no_longer_good(in_use)).items():
            director.carry_out(director.sessions.revoke(key_id, time.monotonic(), reason))


async def reconcile_once(director: Director, nginx: IngestNginx) -> None:
    """One comparison with nginx."""
    asked_at = time.monotonic()
    try:
        stat = await nginx.stat()
    except Unavailable as error:
        log.warning("nginx_silent", reason=error.message)
        now = time.monotonic()
        effects = director.sessions.stat(None, {}, asked_at, now, director.flowing(now))
    else:
        now = time.monotonic()
        effects = director.sessions.stat(
            stat.boot, stat.publishers, asked_at, now, director.flowing(now)
        )
    director.carry_out(effects)


async def watch_health(director: Director, database: Database) -> None:
    """Sample every stream's health and write the samples of all in one statement."""
    waiting: deque[tuple[int, datetime, store.Json]] = deque(maxlen=MOST_SAMPLES)
    while True:
        await asyncio.sleep(HEALTH_S)
        at = datetime.now(UTC)
        pictures: dict[int, datetime] = {}
        for show in list(director.shows.values()):
            sample = show.broadcast.measure()
            if show.stream_id is None or not show.session.started:
                continue
            if sample is not None:
                waiting.append((show.stream_id, at, sample.as_json()))
            if show.broadcast.watch.thumbnail_at is not None:
                pictures[show.stream_id] = show.broadcast.watch.thumbnail_at
        if not waiting and not pictures:
            continue
        try:
            async with database.session() as session:
                if pictures:
                    await store.set_thumbnails(session, pictures)
                if waiting:
                    await store.add_health(session, list(waiting))
        except Unavailable:
            continue
        waiting.clear()


async def watch_viewers(director: Director, edges: Edges, database: Database) -> None:
    """Bring viewer counts from the edges into the database."""
    while True:
        await asyncio.sleep(VIEWERS_S)
        by_session = {
            show.session.id: show.stream_id
            for show in director.shows.values()
            if show.stream_id is not None and show.session.started
        }
        if not by_session:
            continue
        try:
            counts = await edges.viewers()
            viewers = {stream: counts.get(name, 0) for name, stream in by_session.items()}
            async with database.session() as session:
                await store.set_viewers(session, viewers)
        except Unavailable as error:
            log.debug("viewers_not_counted", reason=error.message)
