"""What tests of jobs share: videos as they are stored, and workers in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus, open_bus
from core.db.engine import Database, open_database
from core.db.video_models import Job, Video, VideoKind, VideoStatus, VideoTimeline
from core.instance_settings import CurrentSettings
from core.metrics import Metrics
from core.settings import Settings
from core.storage import Storage, open_storage
from recorder.crafts import crafts, undo
from recorder.job_requests import JobRequests
from recorder.jobs import Queue
from recorder.timeline import Entry, Timeline
from recorder.upload_requests import UploadRequests
from recorder.workers import Craft, JobMetrics, Workers
from tests.harness import eventually_async
from tests.packager_kit import Published


async def add_video(
    database: Database,
    storage: Storage,
    channel_id: int,
    published: Mapping[str, Published],
    *,
    title: str = "A broadcast",
    status: VideoStatus = VideoStatus.READY,
) -> int:
    """A broadcast that was recorded: its id."""
    now = datetime.now(UTC)
    renditions = {name: tuple(_entries(each)) for name, each in published.items()}
    timeline = Timeline(renditions)
    async with database.session() as session:
        row = Video(
            channel_id=channel_id,
            kind=VideoKind.BROADCAST,
            status=status,
            title=title,
            published_at=now,
            started_at=now,
            duration_s=timeline.duration_s,
            size_bytes=timeline.size,
            has_audio=True,
            renditions=[{"name": name} for name in renditions],
        )
        session.add(row)
        await session.flush()
        session.add(VideoTimeline(video_id=row.id, entries=timeline.encode()))
        video_id = row.id
    for name, each in published.items():
        folder = f"videos/{video_id}/{name}"
        for segment in each.segments:
            await storage.put(f"{folder}/{segment.msn}.m4s", segment.data)
        for init in {segment.init_name for segment in each.segments}:
            await storage.put(f"{folder}/{init}", each.files[init])
    return video_id


def _entries(published: Published) -> list[Entry]:
    return [
        Entry(
            segment.msn,
            segment.start,
            segment.duration,
            len(segment.data),
            segment.init_name,
            segment.discontinuity,
            segment.program_date_time,
        )
        for segment in published.segments
    ]


class Running:
    """Workers and their answers to questions, in this process."""

    def __init__(self, settings: Settings, database: Database, storage: Storage, bus: Bus) -> None:
        self.settings = settings
        self.database = database
        self.storage = storage
        self.bus = bus
        self.crafts: dict[str, Craft] = crafts(settings, database, storage)
        self.queue = Queue(database, bus, settings.job_lease_s)

    @asynccontextmanager
    async def workers(self, folder: Path, slots: int = 1) -> AsyncIterator[Workers]:
        """Workers that end with the block."""
        workers = Workers(self.queue, self.crafts, folder, slots, "test", JobMetrics.of(Metrics()))
        tasks = [asyncio.create_task(workers.run()), asyncio.create_task(workers.listen(self.bus))]
        try:
            yield workers
        finally:
            # Again and again, as a service does: one cancellation may be lost (core.service).
            running = set(tasks)
            while running:
                for task in running:
                    task.cancel()
                _, running = await asyncio.wait(running, timeout=1)

    async def respond(self) -> None:
        """Answer questions about jobs and uploads."""
        await self.bus.connected()
        current = CurrentSettings(self.settings)
        await JobRequests(self.queue, undo(self.crafts), current).respond(self.bus)
        await UploadRequests(self.queue, undo(self.crafts)).respond(self.bus)

    async def job(self, job_id: int) -> Job:
        """A job's row."""
        async with self.database.session() as session:
            return await _job(session, job_id)

    async def until(self, job_id: int, *states: str, within_s: float = 30) -> Job:
        """A job's row once it is in one of these states."""

        async def reached() -> Job | None:
            row = await self.job(job_id)
            return row if row.state in states else None

        found = await eventually_async(reached, within_s=within_s, what=f"job is {states}")
        assert found is not None
        return found


async def _job(session: AsyncSession, job_id: int) -> Job:
    row = await session.get(Job, job_id)
    assert row is not None
    return row


@asynccontextmanager
async def jobs_of(settings: Settings) -> AsyncIterator[Running]:
    """What works on jobs, over the servers of `settings`."""
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        storage = await stack.enter_async_context(open_storage(settings))
        bus = await stack.enter_async_context(open_bus(settings))
        await storage.ensure_bucket()
        yield Running(settings, database, storage, bus)
