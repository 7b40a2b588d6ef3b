"""What the ingest service is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.bus import open_bus
from core.db.engine import open_database
from core.derived import Purpose, derive
from core.events import END_STREAM, OPEN_SEGMENTS, StreamKeyRevoked, UserDeleted, UserSuspended
from core.http import make_app
from core.instance_settings import follow
from core.machine_metrics import MachineMetrics
from core.outbox import relay
from core.service import Service
from ingest.announcer import Announcer
from ingest.attempts import Attempts
from ingest.director import Director
from ingest.edge import Edges
from ingest.gate import Gate
from ingest.hooks import add_routes
from ingest.machine import Machine, learn
from ingest.metrics import IngestMetrics
from ingest.nginx import open_nginx
from ingest.publisher import MediaFolder
from ingest.reception import Reception
from ingest.reconcile import reconcile, watch_health, watch_viewers
from ingest.records import Records
from ingest.spool import Spool, open_spool


@asynccontextmanager
async def _open_director(director: Director) -> AsyncIterator[Director]:
    try:
        yield director
    finally:
        await director.stop()


async def build(service: Service) -> None:
    """Construct the service and start everything it runs."""
    settings = service.settings
    program = str(settings.ffmpeg_path)
    metrics = IngestMetrics(service.metrics)
    MachineMetrics(service.metrics.registry)
    database = await service.enter(open_database(settings))
    service.metrics.watch_pool(database.in_use, settings.database_pool_size)
    bus = await service.enter(open_bus(settings))
    current = await follow(service, database, bus)
    nginx = await service.enter(open_nginx(settings))
    nginx.seen = metrics.nginx.answered
    edges = Edges(settings.edge_internal_urls, metrics.edge_seconds.observe)
    media = MediaFolder(settings.media_dir, settings.media_quota_bytes)
    spool = await service.enter(
        open_spool(Spool(settings.spool, settings.spool_quota_bytes, metrics))
    )
    announcer = Announcer(bus, settings.node_id)
    spool.told = announcer.tell
    machine = Machine()
    attempts = Attempts(database, metrics)
    records = Records(database, settings.node_id)
    gate = Gate(database, derive(settings, Purpose.STREAM_KEY_PEPPER), current)
    director = await service.enter(
        _open_director(
            Director(
                settings,
                current,
                records=records,
                attempts=attempts,
                nginx=nginx,
                edges=edges,
                media=media,
                spool=spool,
                machine=machine,
                metrics=metrics,
            )
        )
    )
    service.check("postgres", database.check)
    service.metrics.watch_disk("media", settings.media_dir)
    service.metrics.watch_disk("spool", settings.spool)

    service.spawn(edges.run(), "edges")
    service.spawn(machine.watch(), "machine")
    service.spawn(announcer.run(), "announcer")
    # Before hooks come in: they are about the sessions taken up here.
    adopted = await director.adopt()
    app = make_app(service)
    reception = Reception(director, gate=gate, attempts=attempts, records=records, media=media)
    add_routes(app, reception)
    await service.listen(app, settings.ingest_listen)
    # nginx asks us about every worker that subscribes.
    director.rejoin(adopted)

    service.spawn(attempts.run(), "attempts")
    service.spawn(relay(database, bus, settings), "outbox")
    service.spawn(director.keep_deadlines(), "deadlines")
    service.spawn(director.keep_rows(), "rows")
    service.spawn(reconcile(director, nginx, gate, settings), "reconcile")
    service.spawn(watch_health(director, database), "health")
    service.spawn(watch_viewers(director, edges, database), "viewers")
    service.spawn(
        bus.consume(
            f"ingest-{settings.node_id}",
            [StreamKeyRevoked, UserDeleted, UserSuspended],
            director.happened,
        ),
        "events",
    )
    service.spawn(learn(machine, program, settings.data_dir / "encoders.json"), "encoders")
    await bus.respond(END_STREAM, director.end_stream)
    await bus.respond(OPEN_SEGMENTS, director.open_segments)
