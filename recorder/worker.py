"""Work on the queue's jobs: as a process of its own, as many of them, on as many machines, as there is work
for, or inside `recorder`, where a machine of its own is not worth a process.

What is heavy about a job runs in ffmpeg, a process of its own either way; a job that fails fails alone
(`recorder.workers`).
"""

from __future__ import annotations

from collections.abc import Mapping

from core.bus import Bus, open_bus
from core.db.engine import open_database
from core.http import make_app
from core.instance_settings import CurrentSettings, follow
from core.outbox import relay
from core.service import Service, run
from core.storage import Storage, open_storage
from recorder import exports
from recorder.crafts import crafts
from recorder.jobs import Kind, Queue
from recorder.workers import Craft, JobMetrics, Workers


def begin(
    service: Service,
    queue: Queue,
    bus: Bus,
    storage: Storage,
    known: Mapping[str, Craft],
    current: CurrentSettings,
    metrics: JobMetrics,
) -> None:
    """Work on jobs for as long as the service lives."""
    settings = service.settings
    workers = Workers(
        queue,
        known,
        settings.data_dir / "work" / "jobs",
        settings.worker_jobs,
        settings.node_id,
        metrics,
        heavy=frozenset({Kind.TRANSCODE}),
    )
    service.spawn(workers.run(), "workers")
    service.spawn(workers.listen(bus), "wake-ups")
    service.spawn(workers.watch(), "watch")
    sweeping = exports.keep_sweeping(queue.database, storage, current)
    service.spawn(sweeping, "exports")


async def build(service: Service) -> None:
    """Construct a service that does nothing else."""
    settings = service.settings
    database = await service.enter(open_database(settings))
    service.metrics.watch_pool(database.in_use, settings.database_pool_size)
    bus = await service.enter(open_bus(settings))
    storage = await service.enter(open_storage(settings))
    service.check("postgres", database.check)
    service.check("s3", storage.check)
    service.spawn(relay(database, bus, settings), "outbox")
    begin(
        service,
        Queue(database, bus, settings.job_lease_s),
        bus,
        storage,
        crafts(settings, database, storage),
        await follow(service, database, bus),
        JobMetrics.of(service.metrics),
    )
    await service.listen(make_app(service), settings.worker_listen)


if __name__ == "__main__":
    run("worker", build)
