"""What the recorder service is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.bus import open_bus
from core.db.engine import open_database
from core.derived import Purpose, derive
from core.events import ChannelUpdated, UserDeleted, VideoReady
from core.http import make_app
from core.instance_settings import follow
from core.outbox import relay
from core.service import Service
from core.storage import open_storage
from recorder import clip_jobs, worker
from recorder.archive import Archive, ArchiveMetrics
from recorder.catalogue import Catalogue
from recorder.chapters import Chapters
from recorder.clips import Clips
from recorder.crafts import crafts, undo
from recorder.cuts import Cutter
from recorder.edges import open_edges
from recorder.highlights import Highlights
from recorder.job_requests import JobRequests
from recorder.jobs import Queue
from recorder.material import Materials
from recorder.playlists import add_routes
from recorder.posters import Posters
from recorder.requests import VideoRequests
from recorder.retention import Retention
from recorder.storyboards import add_storyboard
from recorder.thumbnails import Thumbnails
from recorder.upload_requests import UploadRequests
from recorder.views import Views
from recorder.workers import JobMetrics, Workers


@asynccontextmanager
async def _open_archive(archive: Archive) -> AsyncIterator[Archive]:
    try:
        yield archive
    finally:
        await archive.close()


async def build(service: Service) -> None:
    """Construct the service and start everything it runs."""
    settings = service.settings
    database = await service.enter(open_database(settings))
    service.metrics.watch_pool(database.in_use, settings.database_pool_size)
    bus = await service.enter(open_bus(settings))
    storage = await service.enter(open_storage(settings))
    edges = await service.enter(open_edges(settings))
    service.metrics.watch_disk("data", settings.data_dir)
    archive = await service.enter(
        _open_archive(
            Archive(
                settings.spool,
                database,
                storage,
                settings.archive_uploads,
                ArchiveMetrics.of(service.metrics),
            )
        )
    )
    thumbnails = Thumbnails(settings, database, storage)
    archive.listeners.append(thumbnails)
    catalogue = Catalogue(database, derive(settings, Purpose.MEDIA_TOKENS))
    archive.finished = catalogue.forget
    current = await follow(service, database, bus)
    retention = Retention(database, storage, settings, current)
    current.on_change(retention.look)
    queue = Queue(database, bus, settings.job_lease_s)
    known = crafts(settings, database, storage)
    ffmpeg = str(settings.ffmpeg_path)
    materials, cutter = Materials(settings, database, bus), Cutter(storage, ffmpeg)
    clips = Clips(database, bus, storage, materials, cutter, queue, service.metrics)
    job_metrics = JobMetrics.of(service.metrics)
    finishers = Workers(
        queue,
        clip_jobs.crafts(database, storage, materials, cutter, ffmpeg),
        settings.data_dir / "work" / "clip-jobs",
        clip_jobs.AT_ONCE,
        settings.node_id,
        job_metrics,
    )
    service.check("postgres", database.check)
    service.check("s3", storage.check)

    service.spawn(archive.sweep(settings.archive_sweep_s), "sweep")
    service.spawn(archive.listen(bus, settings), "segments")
    service.spawn(edges.run(), "edges")
    service.spawn(relay(database, bus, settings), "outbox")
    service.spawn(retention.run(), "retention")
    service.spawn(bus.consume("recorder", [UserDeleted, VideoReady], retention.happened), "events")
    service.spawn(clips.keep_sweeping(), "clips")
    service.spawn(thumbnails.run(), "thumbnails")
    service.spawn(
        bus.consume("recorder-chapters", [ChannelUpdated, VideoReady], Chapters(database).happened),
        "chapters",
    )
    service.spawn(finishers.run(), "clip-jobs")
    if settings.recorder_works:
        worker.begin(service, queue, bus, storage, known, current, job_metrics)
    await VideoRequests(database, current, retention.look).respond(bus)
    await Views(database).respond(bus)
    await clips.respond(bus)
    await Highlights(queue).respond(bus)
    await JobRequests(queue, undo(known), current).respond(bus)
    await Posters(database, storage, str(settings.ffmpeg_path)).respond(bus)
    await UploadRequests(queue, undo(known)).respond(bus)
    app = make_app(service)
    add_routes(app, catalogue)
    add_storyboard(app, database)
    await service.listen(app, settings.recorder_listen)
