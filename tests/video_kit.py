"""What tests of the catalogue share: videos and clips as recorder would have written them."""

from __future__ import annotations

import itertools
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from core.db.engine import Database
from core.db.video_models import Clip, Video

_streams = itertools.count(secrets.randbelow(2**40))


def ago(**delta: float) -> datetime:
    """So long before now."""
    return datetime.now(UTC) - timedelta(**delta)


async def video(database: Database, channel_id: int, **columns: Any) -> int:
    """A new video: a public broadcast that is ready, unless `columns` say otherwise."""
    values: dict[str, Any] = {
        "kind": "broadcast",
        "status": "ready",
        "title": "A broadcast",
        "stream_id": next(_streams),
        "started_at": ago(hours=2),
        "published_at": ago(hours=2),
        "ready_at": ago(hours=1),
        "duration_s": 3600.0,
        "size_bytes": 1_000_000,
        "width": 1280,
        "height": 720,
    }
    async with database.session() as session:
        row = Video(channel_id=channel_id, **{**values, **columns})
        session.add(row)
        await session.flush()
        return row.id


async def clip(database: Database, channel_id: int, **columns: Any) -> str:
    """A new clip that plays, unless `columns` say otherwise."""
    values: dict[str, Any] = {
        "id": secrets.token_urlsafe(8),
        "status": "ready",
        "title": "A clip",
        "start_s": 10.0,
        "duration_s": 20.0,
    }
    async with database.session() as session:
        row = Clip(channel_id=channel_id, **{**values, **columns})
        session.add(row)
        await session.flush()
        return row.id
