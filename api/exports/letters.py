"""Who asked for an export is written to when it is there, or cannot be made."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from api.exports import links
from api.exports.people import account
from api.exports.schemas import FORMATS
from api.mail import Mail
from api.operations import PREFIX
from core.db.video_models import Job, JobState, Video
from core.events import Event, JobDone

if TYPE_CHECKING:
    from api.app import Api

CONSUMER = "api-exports"
_NAMES = {FORMATS["mp4"]: "MP4", FORMATS["mp3"]: "MP3"}


def ready(to: str, title: str, kind: str, url: str, days: float, size: int, instance: str) -> Mail:
    """That a file can be downloaded."""
    for_how_long = f"{days:g} {'day' if days == 1 else 'days'}"
    return Mail(
        to,
        f"{instance}: your {_NAMES[kind]} is ready",
        (
            f"“{title or 'Your video'}” is ready to download as {_NAMES[kind]} ({_readable(size)}).",
            f"The link works for you only, and for {for_how_long}.",
        ),
        (f"Download the {_NAMES[kind]}", url),
    )


def failed(to: str, title: str, kind: str, reason: str, instance: str) -> Mail:
    """That a file could not be made, and why."""
    return Mail(
        to,
        f"{instance}: your {_NAMES[kind]} could not be made",
        (f"“{title or 'Your video'}” could not be made into an {_NAMES[kind]}.", reason),
    )


def _readable(size: int) -> str:
    for unit, limit in (("kB", 1e6), ("MB", 1e9), ("GB", 1e15)):
        if size < limit:
            return f"{size / (limit / 1000):.3g} {unit}"
    return "very large"


async def announce(api: Api, event: Event) -> None:
    """Write to whoever asked for an export that has come to its end. Raises Unavailable."""
    if not isinstance(event, JobDone) or event.kind not in _NAMES or event.user_id is None:
        return
    async with api.database.session() as session:
        row = await session.get(Job, event.job_id)
        video = await session.get(Video, event.video_id or 0)
        known = await account(session, event.user_id)
    if row is None or video is None or known is None:
        return
    instance = api.current.now.instance_name
    if row.state == JobState.FAILED:
        reason = (row.error or {}).get("message", "")
        await api.mailer.deliver(failed(known.email, video.title, row.kind, reason, instance))
    elif row.state == JobState.DONE and row.ended_at is not None:
        days = api.current.now.export_link_days
        expires_at = int((row.ended_at + timedelta(days=days)).timestamp())
        link = links.sign(api.export_key, row.id, event.user_id, expires_at)
        url = f"{api.settings.public_url}{PREFIX}/exports/{row.id}/download?link={link}"
        size = int(row.result.get("size", 0))
        await api.mailer.deliver(
            ready(known.email, video.title, row.kind, url, days, size, instance)
        )
