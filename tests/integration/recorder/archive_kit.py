"""A broadcast as ingest leaves it in the spool, and an archive over real servers."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.db.engine import Database, open_database
from core.db.models import Channel, OutboxEvent, Stream, StreamStatus, User
from core.db.video_models import Video, VideoSegment
from core.metrics import Metrics
from core.settings import Settings
from core.spool import Source
from core.storage import Storage, open_storage
from ingest.metrics import IngestMetrics
from ingest.packager import SegmentReady
from ingest.spool import Recording, Spool, open_spool
from recorder.archive import Archive, ArchiveMetrics

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
INIT = "init-0.mp4"
QUOTA = 256 * 1024 * 1024


@dataclass
class Wired:
    """An archive, and what it works with."""

    settings: Settings
    database: Database
    storage: Storage
    spool: Spool
    archive: Archive

    async def video(self, session: str) -> Video | None:
        """The row of a session's video."""
        async with self.database.session() as transaction:
            found: Video | None = await transaction.scalar(
                select(Video).where(Video.session == session)
            )
        return found

    async def rows(self, video_id: int) -> list[tuple[str, int]]:
        """(rendition, number) of the segments that are written down."""
        query = select(VideoSegment.rendition, VideoSegment.msn).where(
            VideoSegment.video_id == video_id
        )
        async with self.database.session() as transaction:
            found = await transaction.execute(query)
            return sorted((rendition, msn) for rendition, msn in found)

    async def objects(self, video_id: int) -> set[str]:
        """Names of the stored objects of a video, below its folder."""
        prefix = f"videos/{video_id}/"
        return {each.key.removeprefix(prefix) for each in await self.storage.list(prefix)}

    async def events(self, subject: str, video_id: int) -> list[dict[str, Any]]:
        """Events about a video that wait in the outbox."""
        query = select(OutboxEvent.payload).where(
            OutboxEvent.subject == f"footlight.events.{subject}"
        )
        async with self.database.session() as transaction:
            payloads = list(await transaction.scalars(query))
        return [each for each in payloads if each["video_id"] == video_id]

    def other(self, storage: Storage | None = None) -> Archive:
        """Another life of the recorder, over the same spool; perhaps with another storage."""
        return Archive(
            self.spool.root,
            self.database,
            storage or self.storage,
            self.settings.archive_uploads,
            ArchiveMetrics.of(Metrics()),
        )


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Wired]:
    """An archive over the servers of `settings`, with a spool of its own."""
    async with (
        open_database(settings) as database,
        open_storage(settings) as storage,
        open_spool(Spool(settings.spool, QUOTA, IngestMetrics(Metrics()))) as spool,
    ):
        await storage.ensure_bucket()
        archive = Archive(
            settings.spool,
            database,
            storage,
            settings.archive_uploads,
            ArchiveMetrics.of(Metrics()),
        )
        try:
            yield Wired(settings, database, storage, spool, archive)
        finally:
            await archive.close()


def media(rendition: str, msn: int) -> bytes:
    """What a segment holds: some kilobytes, each of its own."""
    return hashlib.sha256(f"{rendition} {msn}".encode()).digest() * 100


@dataclass
class Broadcast:
    """A running stream of a new channel, with a recording."""

    wired: Wired
    recording: Recording
    channel_id: int
    stream_id: int
    login: str
    renditions: tuple[str, ...] = ("source", "480p", "audio")
    described: bool = False
    begun: set[str] = field(default_factory=set)

    @property
    def session(self) -> str:
        return self.recording.session

    @property
    def folder(self) -> Path:
        return self.recording.folder

    def describe(self) -> None:
        """Say what is recorded."""
        sizes = {"source": (1280, 720), "480p": (854, 480), "audio": (0, 0)}
        self.recording.describe(
            Source(
                session=self.session,
                stream_id=self.stream_id,
                channel_id=self.channel_id,
                node="here",
                target_s=4,
                renditions=tuple(
                    {
                        "name": name,
                        "codecs": "mp4a.40.2" if name == "audio" else "avc1.64001f,mp4a.40.2",
                        "width": sizes[name][0],
                        "height": sizes[name][1],
                        "frame_rate": 30.0 if sizes[name][0] else 0.0,
                    }
                    for name in self.renditions
                ),
            )
        )
        self.described = True

    def segments(self, first: int, last: int, *, gap_s: float = 0.0) -> None:
        """Numbers `first` to `last` of every rendition, two seconds each; after `gap_s` without."""
        if not self.described:
            self.describe()
        for msn in range(first, last + 1):
            for rendition in self.renditions:
                self.segment(rendition, msn, gap_s=gap_s, cut=gap_s > 0 and msn == first)

    def segment(self, rendition: str, msn: int, *, gap_s: float = 0.0, cut: bool = False) -> None:
        """One segment."""
        if rendition not in self.begun:
            self.begun.add(rendition)
            self.recording.init(rendition, INIT, f"{rendition} begins".encode())
        start_s = 2.0 * (msn - 1)
        self.recording.segment(
            SegmentReady(
                rendition, f"seg-{msn}.m4s", msn, 2.0, start_s,
                NOON + timedelta(seconds=start_s + gap_s), cut, (), INIT, media(rendition, msn),
            )
        )  # fmt: skip

    async def written(self) -> None:
        """Until the spool has everything that it was given."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.recording.after(lambda: loop.call_soon_threadsafe(done.set))
        await asyncio.wait_for(done.wait(), 10)

    async def stored(self) -> Video:
        """Until the archive has what the spool has."""
        await self.written()
        await self.wired.archive.look(self.session)
        video = await self.wired.video(self.session)
        assert video is not None
        return video


async def broadcast(wired: Wired, **changes: Any) -> Broadcast:
    """A new channel that is live."""
    login = f"a{uuid.uuid4().hex[:10]}"
    session = uuid.uuid4().hex[:16]
    async with wired.database.session() as transaction:
        user = User(login=login, display_name=login)
        transaction.add(user)
        await transaction.flush()
        transaction.add(
            Channel(id=user.id, title="A title", category="Chess", tags=["one"], **changes)
        )
        await transaction.flush()
        stream = Stream(channel_id=user.id, session=session, node="here", status=StreamStatus.LIVE)
        transaction.add(stream)
        await transaction.flush()
    recording = wired.spool.begin(session)
    assert recording is not None
    return Broadcast(wired, recording, user.id, stream.id, login)
