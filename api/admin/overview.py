"""How the instance is, at a glance: what is live, load, disks, queues, the last backup, alerts, versions.

The figures of other processes are read from their metrics. What cannot be had is null, and is itself an
alert where it should be there.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from pydantic import Field
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.admin.alerts import Alert, Figures, alerts_of
from api.operations import Call, Model, Operations
from api.probes import Samples, scrape
from api.streams.queries import IS_RUNNING
from api.watching import without_backup_s
from core.access import SiteAction, authorize_site
from core.db.models import BackupRun, OutboxEvent, Stream, StreamStatus
from core.db.video_models import Job, JobState
from core.settings import Settings
from core.version import RELEASE

overview = Operations("Administration")
#: Folders, and who watches each.
_FOLDERS = {"data": "recorder", "spool": "ingest", "media": "ingest"}


class LiveView(Model):
    """What is on."""

    streams: int = Field(description="Streams with a picture.")
    waiting: int = Field(description="Admitted without a picture, or cut and waited for.")
    viewers: int


class DiskView(Model):
    """The file system that holds a folder."""

    name: str = Field(description="`data`, `spool` or `media`.")
    total_bytes: int
    free_bytes: int


class MachineView(Model):
    """The machine that `api` runs on, and the folders of `ingest` and `recorder` as those see them."""

    node: str
    cores: int
    load: float = Field(description="Processes that ran or waited to, over the last minute.")
    memory_total_bytes: int | None
    memory_free_bytes: int | None
    disks: list[DiskView]


class WaitingView(Model):
    """A queue."""

    waiting: int
    oldest_s: float = Field(description="For how long the oldest has waited.")


class JobsView(WaitingView):
    """The queue of jobs."""

    running: int


class SpoolView(Model):
    """Segments that wait for the object storage, on the node that `api` asks."""

    bytes: int
    limit_bytes: int
    oldest_s: float


class BackupView(Model):
    """The last backup."""

    at: datetime
    ok: bool
    size_bytes: int | None


class ServiceView(Model):
    """A part of the instance, as it says itself."""

    name: str
    ready: bool


class AlertView(Model):
    """Something that somebody should look at."""

    code: str
    severity: str = Field(description="`warning` or `critical`.")
    message: str

    @classmethod
    def of(cls, alert: Alert) -> AlertView:
        """As it was found."""
        return cls(code=alert.code, severity=alert.severity, message=alert.message)


class OverviewView(Model):
    """The instance at this moment."""

    at: datetime
    live: LiveView
    services: list[ServiceView]
    machine: MachineView
    outbox: WaitingView
    jobs: JobsView
    spool: SpoolView | None
    backup: BackupView | None
    alerts: list[AlertView]
    versions: dict[str, str]


@overview.get(
    "/admin/overview",
    "How the instance is",
    answer=OverviewView,
    errors={HTTPStatus.FORBIDDEN: ("forbidden",)},
)
async def get_overview(call: Call[None, None]) -> OverviewView:
    """For admins. What all videos take is at `/admin/storage`, who is live at `/admin/streams`."""
    authorize_site(call.actor, SiteAction.SEE_OVERVIEW)
    api, settings = call.api, call.api.settings
    addresses = addresses_of(settings)
    ready, redis_version, scraped = await asyncio.gather(
        api.readiness(),
        _redis_version(api.redis),
        asyncio.gather(*(scrape(name, address) for name, address in addresses.items())),
    )
    known = dict(zip(addresses, scraped, strict=True))
    machine = _machine(settings, disks_of(known))
    silent = tuple(name for name, samples in known.items() if samples is None)
    async with api.database.session() as session:
        live = await _live(session)
        outbox, jobs = await _outbox(session), await _jobs(session)
        backup = await _last_backup(session)
        good_age = await _age_of_good_backup(session, settings)
        versions = await _versions(session)
    figures = Figures(
        silent=silent,
        missed=tuple(name for name, up in ready.items() if not up and name not in known),
        rtmp=_most(known["ingest"], "footlight_rtmp_up") != 0,
        values=_values(known, outbox, jobs) | _of_machine(machine) | good_age,
        disks={disk.name: disk.free_bytes / disk.total_bytes for disk in machine.disks},
        backup_ok=backup.ok if backup else None,
    )
    services = {name: up and name not in silent for name, up in ready.items()}
    services |= {name: name not in silent for name in known if name not in services}
    versions |= {
        "redis": redis_version,
        "nats": api.bus.server_version,
        "settings": str(api.current.version),
    }
    return OverviewView(
        at=datetime.now(UTC),
        live=live,
        services=[ServiceView(name=name, ready=up) for name, up in services.items()],
        machine=machine,
        outbox=outbox,
        jobs=jobs,
        spool=_spool(known["ingest"]),
        backup=backup,
        alerts=[AlertView.of(alert) for alert in alerts_of(figures)],
        versions={name: value for name, value in versions.items() if value},
    )


def addresses_of(settings: Settings) -> dict[str, str]:
    """Where each service that has figures listens. `worker` is asked where it can be: there need not be one, and
    in containers it is reached by nobody.
    """
    worker = settings.worker_listen
    seen = not worker.startswith("unix:") or Path(worker.removeprefix("unix:")).exists()
    return {
        "ingest": settings.ingest_listen,
        "chat": settings.chat_listen,
        "recorder": settings.recorder_listen,
        "edge": next(iter(settings.edge_internal_urls), ""),
        **({"worker": worker} if seen else {}),
    }


async def _versions(session: AsyncSession) -> dict[str, str]:
    server = await session.scalar(text("show server_version"))
    schema = await session.scalar(text("select version_num from alembic_version"))
    return {
        "footlight": RELEASE,
        "schema": schema or "",
        "python": platform.python_version(),
        # Debian adds its own.
        "postgresql": str(server).partition(" ")[0],
    }


async def _live(session: AsyncSession) -> LiveView:
    live = Stream.status == StreamStatus.LIVE
    count = func.count()
    query = select(
        count.filter(live), count.filter(~live), func.coalesce(func.sum(Stream.viewers), 0)
    ).where(IS_RUNNING)
    streams, waiting, viewers = (await session.execute(query)).one()
    return LiveView(streams=streams, waiting=waiting, viewers=int(viewers))


async def _outbox(session: AsyncSession) -> WaitingView:
    age = func.extract("epoch", func.now() - func.min(OutboxEvent.created_at))
    count, oldest = (await session.execute(select(func.count(), age))).one()
    return WaitingView(waiting=count, oldest_s=max(0.0, float(oldest or 0)))


async def _jobs(session: AsyncSession) -> JobsView:
    queued = Job.state == JobState.QUEUED
    age = func.extract("epoch", func.now() - func.min(Job.created_at).filter(queued))
    query = select(
        func.count().filter(queued), func.count().filter(Job.state == JobState.RUNNING), age
    ).where(Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
    waiting, running, oldest = (await session.execute(query)).one()
    return JobsView(waiting=waiting, running=running, oldest_s=max(0.0, float(oldest or 0)))


async def _last_backup(session: AsyncSession) -> BackupView | None:
    """None when none was ever tried."""
    row = await session.scalar(select(BackupRun).order_by(BackupRun.started_at.desc()).limit(1))
    if row is None:
        return None
    ok = row.error is None
    return BackupView(at=row.ended_at, ok=ok, size_bytes=row.size_bytes if ok else None)


async def _age_of_good_backup(session: AsyncSession, settings: Settings) -> dict[str, float]:
    """Of the last one that was taken, in intervals, or for how long there is none: under the names of their rules."""
    ended = func.max(BackupRun.ended_at).filter(BackupRun.error.is_(None))
    age = await session.scalar(select(func.extract("epoch", func.now() - ended)))
    if age is None:
        return {"BackupMissing": await without_backup_s(session)}
    return {"BackupOld": float(age) / (settings.backup_interval_hours * 3600)}


def _most(samples: Samples | None, name: str) -> float | None:
    """The largest value of a metric; None where it is not known."""
    return max((samples or {}).get(name, []), default=None)


def _spool(ingest: Samples | None) -> SpoolView | None:
    used = _most(ingest, "footlight_ingest_spool_bytes")
    limit = _most(ingest, "footlight_ingest_spool_limit_bytes")
    if used is None or limit is None:
        return None
    oldest = _most(ingest, "footlight_ingest_spool_age_seconds")
    return SpoolView(bytes=int(used), limit_bytes=int(limit), oldest_s=oldest or 0.0)


def _values(
    known: Mapping[str, Samples | None], outbox: WaitingView, jobs: JobsView
) -> dict[str, float]:
    """What the rules with a limit look at, as far as it is known."""
    spool = _spool(known["ingest"])
    edge = known["edge"]
    chatting = _most(known["chat"], "footlight_chat_connections") or 0.0
    connections = _most(edge, "footlight_edge_connections_active")
    limit = _most(edge, "footlight_edge_connections_limit")
    found = {
        "OutboxWaits": outbox.oldest_s,
        "JobsWait": jobs.oldest_s,
        "SpoolFills": spool.bytes / spool.limit_bytes if spool and spool.limit_bytes else None,
        "SpoolOld": spool.oldest_s if spool else None,
        "ArchiveStuck": _most(known["recorder"], "footlight_archive_stuck_seconds"),
        "ChatUnwritten": _most(known["chat"], "footlight_chat_unpersisted"),
        "PlaylistsStale": _most(edge, "footlight_edge_playlist_staleness_seconds"),
        "EdgeMemoryLow": _most(edge, "footlight_edge_playlists_free_bytes"),
        "EdgeConnectionsRunOut": (connections + chatting) / limit
        if connections and limit
        else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _of_machine(machine: MachineView) -> dict[str, float]:
    """As `_values`, of the machine itself."""
    found = {"Overloaded": machine.load / machine.cores}
    if machine.memory_total_bytes and machine.memory_free_bytes is not None:
        found["MemoryLow"] = machine.memory_free_bytes / machine.memory_total_bytes
    return found


def _machine(settings: Settings, disks: list[DiskView]) -> MachineView:
    total, free = _memory()
    return MachineView(
        node=settings.node_id,
        cores=os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2),
        memory_total_bytes=total,
        memory_free_bytes=free,
        disks=disks,
    )


def disks_of(known: Mapping[str, Samples | None]) -> list[DiskView]:
    """As the services say whose folders these are: in containers `api` sees none of them."""
    found = []
    for name, service in _FOLDERS.items():
        labels = f'{{folder="{name}"}}'
        total = _most(known[service], f"footlight_disk_size_bytes{labels}")
        free = _most(known[service], f"footlight_disk_free_bytes{labels}")
        if total and free is not None:
            found.append(DiskView(name=name, total_bytes=int(total), free_bytes=int(free)))
    return found


def _memory() -> tuple[int | None, int | None]:
    """All memory, and what could be had of it, bytes (proc(5))."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None, None
    sizes = {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (x.partition(":") for x in lines)
    }
    return sizes.get("MemTotal"), sizes.get("MemAvailable")


async def _redis_version(redis: Redis) -> str:
    try:
        return str((await redis.info("server")).get("redis_version", ""))
    except (RedisError, OSError):
        return ""
