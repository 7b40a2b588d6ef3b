"""What is done about uploads that nobody goes on with, and of which a video was made."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update

from api.uploads.chunks import folder
from api.uploads.uploads import TRANSCODE
from core.bus import Bus
from core.db.engine import Database
from core.db.video_models import Job, Upload, UploadState, Video, VideoKind, VideoStatus
from core.errors import DomainError
from core.events import recorder_question
from core.holding import removal
from core.logs import logger
from core.storage import Storage

log = logger(__name__)

INTERVAL_S = 30.0
BATCH = 100
# Rounds between two looks for videos without an upload, and how old those are at least.
ORPHANS_EVERY = 120
ORPHAN_AGE = timedelta(hours=1)
# What was completed just now is recorder's already, most likely.
PATIENCE = timedelta(seconds=20)


class Sweep:
    """Goes over the uploads of the installation. Two that do so at once do no harm."""

    def __init__(self, database: Database, storage: Storage, bus: Bus) -> None:
        self._database = database
        self._storage = storage
        self._bus = bus

    async def run(self) -> None:
        """Again and again, until cancelled."""
        for number in itertools.count():
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.once(datetime.now(UTC))
                if number % ORPHANS_EVERY == 0:
                    await self.forget_orphans(datetime.now(UTC))
            except DomainError as error:
                log.warning("uploads_not_swept", reason=error.message)

    async def once(self, now: datetime) -> None:
        """Raises Unavailable; what is not done then is done the next time."""
        await self._ask_again(now)
        await self._forget_abandoned(now)
        await self._clear_finished(now)

    async def _ask_again(self, now: datetime) -> None:
        """Complete uploads that recorder was not told of."""
        made = exists().where(Job.video_id == Upload.video_id, Job.kind == TRANSCODE)
        query = select(Upload.id, Upload.video_id).where(
            Upload.state == UploadState.COMPLETE,
            Upload.created_at < now - PATIENCE,
            Upload.video_id.is_not(None),
            ~made,
        )
        async with self._database.session() as session:
            waiting = (await session.execute(query.limit(BATCH))).all()
        for upload_id, video_id in waiting:
            question = {"upload_id": str(upload_id), "video_id": video_id}
            await self._bus.request(recorder_question("upload.complete"), question)

    async def _forget_abandoned(self, now: datetime) -> None:
        """Cancelled ones, and those that were not gone on with in time."""
        late = (Upload.state == UploadState.RECEIVING) & (Upload.expires_at < now)
        query = select(Upload).where(or_(Upload.state == UploadState.CANCELLED, late))
        async with self._database.session() as session:
            rows = (await session.scalars(query.limit(BATCH))).all()
        for row in rows:
            async with self._database.session() as session:
                # From here on nothing is added to it.
                mine = Upload.id == row.id
                state = UploadState.CANCELLED
                await session.execute(update(Upload).where(mine).values(state=state))
            if row.video_id is not None:
                question = {"video_id": row.video_id}
                await self._bus.request(recorder_question("upload.abandon"), question)
            if not await self._remove_chunks(row):
                return
            async with self._database.session() as session:
                await session.execute(delete(Upload).where(Upload.id == row.id))

    async def forget_orphans(self, now: datetime) -> None:
        """Videos whose upload was never written down: we died between the two. Reads all videos."""
        query = (
            select(Video.id)
            .where(
                Video.kind == VideoKind.UPLOAD,
                Video.status == VideoStatus.PROCESSING,
                Video.created_at < now - ORPHAN_AGE,
                ~exists().where(Upload.video_id == Video.id),
                ~exists().where(Job.video_id == Video.id),
            )
            .limit(BATCH)
        )
        async with self._database.session() as session:
            orphans = (await session.scalars(query)).all()
        for video_id in orphans:
            question = {"video_id": video_id}
            await self._bus.request(recorder_question("upload.abandon"), question)

    async def _clear_finished(self, now: datetime) -> None:
        """The files go once there is a video of them, or none will be; the rows some days later, and with
        them the files that could have been tried again.
        """
        query = (
            select(Upload)
            .outerjoin(Video, Video.id == Upload.video_id)
            .where(Upload.state == UploadState.COMPLETE, _is_finished(now))
        )
        async with self._database.session() as session:
            found = (await session.scalars(query.limit(BATCH))).all()
        for each in found:
            # Asked again, and locked: its owner may have it tried again at this moment.
            mine = query.where(Upload.id == each.id).with_for_update(of=Upload)
            async with self._database.session() as session:
                row = await session.scalar(mine)
                if row is None:
                    continue
                late = row.expires_at < now
                if late and row.video_id is not None:
                    question = {"video_id": row.video_id}
                    await self._bus.request(recorder_question("upload.forget"), question)
                if not await self._remove_chunks(row):
                    return
                if late:
                    await session.delete(row)
                else:
                    row.chunks = []

    async def _remove_chunks(self, row: Upload) -> bool:
        """False while a backup copies them."""
        stored = await self._storage.list(folder(row.id))
        async with removal(self._database) as may:
            if may:
                await self._storage.delete(*(found.key for found in stored))
            return may


def _is_finished(now: datetime) -> ColumnElement[bool]:
    """Whether there is something to remove of a complete upload."""
    failed = Video.status == VideoStatus.FAILED
    may_pass = func.coalesce(Video.error["retry"].as_boolean(), False)
    settled = or_(
        Video.id.is_(None),
        Video.purged_at.is_not(None),
        Video.status == VideoStatus.READY,
        and_(failed, ~may_pass),
    )
    return or_(
        and_(settled, Upload.chunks != []),
        and_(or_(settled, failed), Upload.expires_at < now),
    )
