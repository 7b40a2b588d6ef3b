"""Emotes: added, removed, listed; their pictures in S3 as `emotes/<id>/<size>.webp`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.emotes.images import LARGEST, SIZES, Rendered
from core.db.engine import Database
from core.db.models import Channel, Emote
from core.errors import Conflict, NotFound, Unavailable
from core.events import EmotesChanged
from core.holding import removal
from core.logs import logger
from core.outbox import emit
from core.storage import Storage

log = logger(__name__)

MOST_EMOTES = 60
# The site's own, a folder a size; drawn in web/emotes.
GLOBAL_SET = Path(__file__).parent / "set"
RETRY_S = 5.0
# Pictures of removed emotes are removed again for so long, in case S3 was away at first.
REMOVE_AGAIN = timedelta(days=2)
_ADVISORY_LOCK = 0x0F007_E307


def object_key(emote_id: int, size: int) -> str:
    """Where a picture is kept."""
    return f"emotes/{emote_id}/{size}.webp"


async def list_emotes(session: AsyncSession, channel_id: int | None) -> Sequence[Emote]:
    """The emotes of a channel or (None) of the whole site, by code."""
    mine = Emote.channel_id.is_(None) if channel_id is None else Emote.channel_id == channel_id
    query = select(Emote).where(mine, Emote.deleted_at.is_(None)).order_by(Emote.code)
    return (await session.scalars(query)).all()


async def refuse_taken(session: AsyncSession, channel_id: int, code: str) -> None:
    """Raise Conflict (`emote_exists`, `too_many_emotes`) where a channel cannot add this one."""
    emotes = await list_emotes(session, channel_id)
    if any(emote.code == code for emote in emotes):
        raise _exists()
    if len(emotes) >= MOST_EMOTES:
        raise Conflict(
            f"A channel can have {MOST_EMOTES} emotes. Delete one first.", code="too_many_emotes"
        )


def _exists() -> Conflict:
    return Conflict("There is an emote with this code.", code="emote_exists", field="code")


async def next_id(session: AsyncSession) -> int:
    """The id of an emote to come: its pictures are there before anybody hears of it."""
    query = select(func.nextval(func.pg_get_serial_sequence("emotes", "id")))
    return int((await session.scalar(query)) or 0)


async def store(storage: Storage, emote_id: int, rendered: Rendered) -> None:
    """Keep an emote's pictures."""
    await asyncio.gather(
        *(storage.put(object_key(emote_id, size), data) for size, data in rendered.pictures.items())
    )


async def discard(storage: Storage, emote_id: int) -> None:
    """Remove an emote's pictures, now or (housekeeping) later."""
    try:
        await storage.delete(*(object_key(emote_id, size) for size in SIZES))
    except Unavailable as error:
        log.warning("emote_pictures_stay", emote_id=emote_id, reason=error.message)


async def add(
    session: AsyncSession,
    channel_id: int,
    emote_id: int,
    code: str,
    rendered: Rendered,
    uploader_id: int,
) -> Emote:
    """Add an emote whose pictures are stored. Raises Conflict as `refuse_taken`."""
    # Locks the channel, so that uploads side by side are counted one after the other.
    await session.execute(select(Channel.id).where(Channel.id == channel_id).with_for_update())
    await refuse_taken(session, channel_id, code)
    row = Emote(
        id=emote_id,
        channel_id=channel_id,
        code=code,
        animated=rendered.animated,
        uploader_id=uploader_id,
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise _exists() from error
    await session.refresh(row)
    await emit(session, EmotesChanged(channel_id=channel_id))
    return row


async def remove(session: AsyncSession, channel_id: int, emote_id: int) -> str:
    """Remove a channel's emote: its code. Raises NotFound (`emote_not_found`)."""
    code: str | None = await session.scalar(
        update(Emote)
        .where(Emote.id == emote_id, Emote.channel_id == channel_id, Emote.deleted_at.is_(None))
        .values(deleted_at=datetime.now(UTC))
        .returning(Emote.code)
    )
    if code is None:
        raise NotFound("There is no such emote.", code="emote_not_found")
    await emit(session, EmotesChanged(channel_id=channel_id))
    return code


async def remove_all(session: AsyncSession, channel_id: int) -> None:
    """Remove every emote of a channel that goes; housekeeping removes the pictures."""
    await session.execute(
        update(Emote)
        .where(Emote.channel_id == channel_id, Emote.deleted_at.is_(None))
        .values(deleted_at=datetime.now(UTC))
    )
    await emit(session, EmotesChanged(channel_id=channel_id))


async def discard_removed(database: Database, storage: Storage, now: datetime) -> None:
    """Remove the pictures of emotes that were removed lately."""
    async with database.session() as session:
        query = select(Emote.id).where(Emote.deleted_at > now - REMOVE_AGAIN)
        removed = (await session.scalars(query)).all()
    for emote_id in removed:
        async with removal(database) as may:
            if not may:
                return
            await discard(storage, emote_id)


async def install_global_set(database: Database, storage: Storage) -> None:
    """Add those of the site's own emotes that are not there yet; ends when they are."""
    while True:
        try:
            await _install(database, storage)
        except Unavailable as error:
            log.warning("global_emotes_wait", reason=error.message)
            await asyncio.sleep(RETRY_S)
        else:
            return


async def _install(database: Database, storage: Storage) -> None:
    async with database.session() as session:
        there = {emote.code for emote in await list_emotes(session, None)}
    missing = [code for code in global_set() if code not in there]
    for code in missing:
        async with database.session() as session:
            await _add_global(session, storage, code)
    if missing:
        log.info("global_emotes_added", count=len(missing))


def global_set() -> list[str]:
    """Codes of the site's own emotes. Their pictures come with us: making them takes seconds."""
    return sorted(file.stem for file in (GLOBAL_SET / str(LARGEST)).glob("*.webp"))


def _pictures(code: str) -> Rendered:
    files = {size: GLOBAL_SET / str(size) / f"{code}.webp" for size in SIZES}
    return Rendered(False, {size: file.read_bytes() for size, file in files.items()})


async def _add_global(session: AsyncSession, storage: Storage, code: str) -> None:
    # One process adds it; the others find it added when they have waited.
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if any(emote.code == code for emote in await list_emotes(session, None)):
        return
    emote_id = await next_id(session)
    await store(storage, emote_id, _pictures(code))
    session.add(Emote(id=emote_id, code=code, animated=False))
    await emit(session, EmotesChanged(channel_id=None))
