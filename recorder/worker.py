"""The process that works on jobs; as many of them, on as many machines, as there is work for.

It is one of its own beside `recorder`, whose segments must not wait for a transcode's.
"""

from __future__ import annotations

from core.bus import open_bus
from core.db.engine import open_database
from core.http import make_app
from core.outbox import relay
from core.service import Service, run
from core.storage import open_storage
from recorder import exports
from recorder.crafts import crafts
from recorder.jobs import Kind, Queue
from recorder.workers import Workers


async def build(service: Service) -> None:
    """Construct the service and start everything it runs."""
    settings = service.settings
    database = await service.enter(open_database(settings))
    bus = await service.enter(open_bus(settings))
    storage = await service.enter(open_storage(settings))
    workers = Workers(
        Queue(database, bus, settings.job_lease_s),
        crafts(settings, database, storage),
        settings.data_dir / "work" / "jobs",
        settings.worker_jobs,
        settings.node_id,
        service.metrics,
        heavy=frozenset({Kind.TRANSCODE}),
    )
    service.check("postgres", database.check)
    service.check("s3", storage.check)
    service.spawn(relay(database, bus, settings), "outbox")
    service.spawn(workers.run(), "workers")
    service.spawn(workers.listen(bus), "wake-ups")
    service.spawn(workers.watch(), "watch")
    sweeping = exports.keep_sweeping(database, storage, settings.export_link_days)
    service.spawn(sweeping, "exports")
    await service.listen(make_app(service), settings.worker_listen)


if __name__ == "__main__":
    run("worker", build)
