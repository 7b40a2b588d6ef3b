"""Clips over the real database, bus and storage: exact from a video and from a running broadcast, whole
or not at all, and there when their video is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from cli.toolchain import Toolchain
from core.bus import Bus, open_bus
from core.db.engine import Database, open_database
from core.db.models import Channel, User
from core.db.video_models import (
    Clip,
    Job,
    Video,
    VideoKind,
    VideoSegment,
    VideoStatus,
    VideoTimeline,
)
from core.errors import DomainError, Unavailable
from core.events import OPEN_SEGMENTS, recorder_question
from core.instance_settings import CurrentSettings
from core.metrics import Metrics
from core.settings import Settings
from core.spool import SegmentNote
from core.storage import Storage, open_storage
from recorder import clip_jobs
from recorder.clips import Clips
from recorder.cuts import Cutter
from recorder.highlights import Highlights
from recorder.jobs import Queue, Work
from recorder.material import Materials
from recorder.retention import Retention
from recorder.timeline import Entry, Timeline
from recorder.workers import Task
from tests.clip_kit import Cut, Stored, packaged, stored
from tests.e2e.samples import Recipe, Sample, numbers_in
from tests.harness import RunningServers
from tests.packager_kit import Published

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECONDS = 14.0


@cache
def sample() -> Sample:
    return Recipe(seconds=SECONDS, gop=2).make()


@cache
def broadcast() -> dict[str, Published]:
    """A source, and the same as a rung and as sound alone."""
    return packaged(sample())


@cache
def source() -> Stored:
    return stored(broadcast()["source"], sample().numbers)


@dataclass
class Studio:
    """What cuts, and what it cuts from."""

    settings: Settings
    database: Database
    bus: Bus
    storage: Storage
    clips: Clips
    highlights: Highlights
    crafts: dict[str, Any]
    retention: Retention
    user: int

    async def cut(self, video: int, start_s: float | None, duration_s: float) -> Clip:
        """A clip, asked for as `api` does."""
        question = {
            "actor": {"id": str(self.user)}, "video_id": video, "start_s": start_s,
            "duration_s": duration_s, "title": "A clip",
        }  # fmt: skip
        answer = await self.bus.request(recorder_question("clip.create"), question, 20)
        return await self.clip(answer["clip_id"])

    async def clip(self, clip_id: str) -> Clip:
        async with self.database.session() as session:
            row = await session.get(Clip, clip_id)
        assert row is not None
        return row

    async def played(self, entries: tuple[Entry, ...]) -> Cut:
        """What a player fetches."""
        parts = [
            (
                await self.storage.get(entry.init),
                await self.storage.get(entry.key or ""),
                round(entry.duration_s * 1e6),
            )
            for entry in entries
        ]
        return Cut(parts)

    async def finish(self, **which: Any) -> None:
        """Work on the job of a clip or highlight, as recorder does."""
        async with self.database.session() as session:
            column, value = next(iter(which.items()))
            row = await session.scalar(select(Job).where(getattr(Job, column) == value))
            assert row is not None
        work = Work.of(row)
        outcome = await self.crafts[work.kind].run(Task(work, Path()))
        async with self.database.session() as session:
            if outcome.commit is not None:
                await outcome.commit(session)

    async def video(self, **columns: Any) -> int:
        """A video that is ready, its objects stored."""
        number = await self._row(VideoStatus.READY, **columns)
        renditions = {}
        for name, published in broadcast().items():
            entries = []
            for segment in published.segments:
                await self.put(number, name, published, segment.msn)
                entries.append(entry_of(segment))
            renditions[name] = tuple(entries)
        timeline = Timeline(renditions)
        async with self.database.session() as session:
            session.add(VideoTimeline(video_id=number, entries=timeline.encode()))
            await session.execute(
                update(Video).where(Video.id == number).values(duration_s=timeline.duration_s)
            )
        return number

    async def put(self, number: int, name: str, published: Published, msn: int) -> None:
        segment = next(each for each in published.segments if each.msn == msn)
        folder = f"videos/{number}/{name}"
        await self.storage.put(f"{folder}/{segment.init_name}", published.files[segment.init_name])
        await self.storage.put(f"{folder}/{msn}.m4s", segment.data)

    async def _row(self, status: VideoStatus, **columns: Any) -> int:
        described = [
            {"name": "source", "codecs": "avc1.42c00d,mp4a.40.2", "width": 320, "height": 180,
             "frame_rate": 30.0},
            {"name": "180p", "codecs": "avc1.42c00d,mp4a.40.2", "width": 320, "height": 180,
             "frame_rate": 30.0},
            {"name": "audio", "codecs": "mp4a.40.2", "width": 0, "height": 0, "frame_rate": 0.0},
        ]  # fmt: skip
        async with self.database.session() as session:
            row = Video(
                channel_id=self.user,
                kind=VideoKind.BROADCAST,
                status=status,
                title="A broadcast",
                published_at=func.now(),
                started_at=NOON,
                renditions=described,
                width=320,
                height=180,
                **columns,
            )
            session.add(row)
            await session.flush()
            return row.id

    async def live(self, archived: int, spooled: int, parts: int) -> int:
        """A broadcast that runs: so many segments stored, so many in the spool, and of the next one so
        many parts published.
        """
        session_name = secrets.token_hex(8)
        node = self.settings.node_id
        number = await self._row(VideoStatus.LIVE, session=session_name, node=node)
        for name, published in broadcast().items():
            for segment in published.segments[:archived]:
                await self.put(number, name, published, segment.msn)
                await self._archived(number, name, segment)
        published = broadcast()["source"]
        spool = self.settings.spool / session_name / "source"
        media = self.settings.media_dir / session_name / "source"
        for folder in (spool, media):
            folder.mkdir(parents=True)
            (folder / "init-0.mp4").write_bytes(published.files["init-0.mp4"])
        for segment in published.segments[archived : archived + spooled]:
            note = SegmentNote(
                segment.msn,
                segment.start,
                segment.duration,
                NOON + timedelta(seconds=segment.start),
                False,
                segment.init_name,
                len(segment.data),
                "",
            )
            (spool / f"{segment.msn}.m4s").write_bytes(segment.data)
            (spool / f"{segment.msn}.json").write_bytes(note.encode())
        growing = published.segments[archived + spooled]
        names = growing.parts[:parts]
        for name in names:
            (media / name).write_bytes(published.files[name])
        answer = {
            "rendition": "source", "msn": growing.msn, "init": growing.init_name,
            "start_s": growing.start,
            "duration_s": sum(p.duration for p in published.parts if p.name in names),
            "pdt": (NOON + timedelta(seconds=growing.start)).isoformat(), "discontinuity": False,
            "parts": names,
        }  # fmt: skip

        async def opened(question: dict[str, Any]) -> dict[str, Any] | None:
            return (
                {"segments": [answer], "complete": growing.msn - 1}
                if question["session"] == session_name
                else None
            )

        await self.bus.respond(OPEN_SEGMENTS, opened)
        return number

    async def _archived(self, number: int, name: str, segment: Any) -> None:
        entry = entry_of(segment)
        async with self.database.session() as session:
            session.add(
                VideoSegment(
                    video_id=number,
                    rendition=name,
                    msn=entry.msn,
                    start_s=entry.start_s,
                    duration_s=entry.duration_s,
                    size=entry.size,
                    sha256=b"",
                    init=entry.init,
                    discontinuity=entry.discontinuity,
                    pdt=entry.pdt,
                )
            )


def entry_of(segment: Any) -> Entry:
    return Entry(
        segment.msn,
        segment.start,
        segment.duration,
        len(segment.data),
        segment.init_name,
        segment.discontinuity,
        NOON + timedelta(seconds=segment.start),
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Studio]:
    async with (
        open_database(settings) as database,
        open_bus(settings) as bus,
        open_storage(settings) as storage,
    ):
        await storage.ensure_bucket()
        await bus.connected()
        queue = Queue(database, bus, 30)
        program = str(settings.ffmpeg_path)
        materials, cutter = Materials(settings, database, bus), Cutter(storage, program)
        clips = Clips(database, bus, storage, materials, cutter, queue, Metrics())
        highlights = Highlights(queue)
        await clips.respond(bus)
        await highlights.respond(bus)
        login = f"c{secrets.token_hex(5)}"
        async with database.session() as session:
            user = User(login=login, display_name=login)
            session.add(user)
            await session.flush()
            session.add(Channel(id=user.id))
        crafts = clip_jobs.crafts(database, storage, materials, cutter, program)
        retention = Retention(database, storage, settings, CurrentSettings(settings))
        yield Studio(
            settings, database, bus, storage, clips, highlights, dict(crafts), retention, user.id
        )


@pytest.fixture
async def studio(
    servers: RunningServers, toolchain: Toolchain, tmp_path: Path
) -> AsyncIterator[Studio]:
    settings = servers.settings(
        node_id="here",
        spool_dir=tmp_path / "spool",
        media_dir=tmp_path / "media",
        ffmpeg_path=toolchain.ffmpeg(),
    )
    async with opened(settings) as made:
        yield made


async def shown(studio: Studio, clip: Clip, rendition: str = "source") -> list[int | None]:
    entries = Timeline.decode(clip.entries).renditions[rendition]
    return (await studio.played(entries)).numbers()


async def test_a_clip_of_a_video(studio: Studio) -> None:
    """It plays when the answer comes, exact at both ends; the middle is the video's own."""
    clip = await studio.cut(await studio.video(), 1.3, 8.4)
    assert await shown(studio, clip) == source().wanted(1.3, 9.7)
    entries = Timeline.decode(clip.entries).renditions["source"]
    borrowed = [e.key for e in entries if e.key and e.key.startswith("videos/")]
    assert len(borrowed) >= 3
    assert clip.status == "ready"
    assert clip.duration_s == pytest.approx(8.4, abs=0.034)
    assert clip.started_at == pytest.approx(NOON + timedelta(seconds=1.3), abs=timedelta(0.04))
    assert [each["name"] for each in clip.renditions] == ["source"]


async def test_asked_for_twice(studio: Studio) -> None:
    """The answer was lost, or came too late: it is one clip, for that user."""
    video = await studio.video()
    question = {
        "actor": {"id": studio.user}, "video_id": video, "start_s": 1.0, "duration_s": 6.0,
        "title": "Again", "request_id": secrets.token_urlsafe(16),
    }  # fmt: skip
    first, second = await asyncio.gather(*(studio.clips.create(question) for _ in range(2)))
    third = await studio.clips.create(question)
    assert first == second == third
    other = await studio.clips.create({**question, "request_id": secrets.token_urlsafe(16)})
    assert other != first
    mine = select(func.count()).select_from(Clip).where(Clip.video_id == video)
    async with studio.database.session() as session:
        assert await session.scalar(mine) == 2


async def test_up_to_now(studio: Studio) -> None:
    """The last seconds of a broadcast: partly stored, partly in the spool, partly parts."""
    published = broadcast()["source"]
    archived, spooled, parts = 3, 2, 4
    video = await studio.live(archived, spooled, parts)
    clip = await studio.cut(video, None, 7)
    growing = published.segments[archived + spooled]
    names = growing.parts[:parts]
    edge = growing.start + sum(p.duration for p in published.parts if p.name in names)
    assert await shown(studio, clip) == source().wanted(edge - 7, edge)


@pytest.mark.parametrize("start", [0.0, 2.0, 3.7, 4.0])
async def test_a_part_of_what_is_live(studio: Studio, start: float) -> None:
    clip = await studio.cut(await studio.live(2, 3, 3), start, 5.2)
    assert await shown(studio, clip) == source().wanted(start, start + 5.2)


async def test_what_follows(studio: Studio) -> None:
    """The other renditions at the same frames, the sound, the file, the picture."""
    clip = await studio.cut(await studio.video(), 2.7, 7.6)
    await studio.finish(clip_id=clip.id)
    clip = await studio.clip(clip.id)
    wanted = source().wanted(2.7, 10.3)
    renditions = Timeline.decode(clip.entries).renditions
    assert list(renditions) == ["source", "180p", "audio"]
    for name in ("source", "180p"):
        assert await shown(studio, clip, name) == wanted
    sounds = (await studio.played(renditions["audio"])).sounds()
    assert sounds[-1][1] - sounds[0][0] == pytest.approx(7.6, abs=0.05)
    assert numbers_in(await studio.storage.get(f"clips/{clip.id}/clip.mp4")) == wanted
    assert (await studio.storage.get(f"clips/{clip.id}/poster.jpg")).startswith(b"\xff\xd8")
    assert (clip.has_poster, clip.has_file) == (True, True)


async def test_it_stays_when_the_video_goes(studio: Studio) -> None:
    """And what only clips still need goes with the last of them."""
    video = await studio.video()
    one, other = await studio.cut(video, 1.3, 6), await studio.cut(video, 3.3, 6)
    async with studio.database.session() as session:
        await session.execute(
            update(Video).where(Video.id == video).values(trashed_at=NOON, purge_at=NOON)
        )
    await studio.retention.purge()
    assert await shown(studio, one) == source().wanted(1.3, 7.3)
    question = {"actor": {"id": str(studio.user)}, "clip_id": one.id}
    await studio.bus.request(recorder_question("clip.remove"), question)
    await studio.clips.sweep()
    assert not await studio.storage.list(f"clips/{one.id}/")
    assert await shown(studio, other) == source().wanted(3.3, 9.3)
    await studio.bus.request(recorder_question("clip.remove"), {**question, "clip_id": other.id})
    await studio.clips.sweep()
    assert not await studio.storage.list(f"videos/{video}/")


async def test_a_highlight(studio: Studio) -> None:
    """A cut becomes a video, with every rendition; a clip of it outlives both."""
    video = await studio.video()
    question = {
        "actor": {"id": str(studio.user)}, "video_id": video, "start_s": 1.3, "duration_s": 10.0,
        "title": "The best of it",
    }  # fmt: skip
    answer = await studio.bus.request(recorder_question("highlight.create"), question)
    number = int(answer["video_id"])
    await studio.finish(video_id=number)
    async with studio.database.session() as session:
        row = await session.get(Video, number)
        kept = await session.scalar(
            select(VideoTimeline.entries).where(VideoTimeline.video_id == number)
        )
    assert row is not None and kept is not None
    assert (row.kind, row.status, row.title) == ("highlight", "ready", "The best of it")
    renditions = Timeline.decode(kept).renditions
    wanted = source().wanted(1.3, 11.3)
    for name in ("source", "180p"):
        assert (await studio.played(renditions[name])).numbers() == wanted
    clip = await studio.cut(number, 0.5, 6)
    for gone in (video, number):
        async with studio.database.session() as session:
            await session.execute(
                update(Video).where(Video.id == gone).values(trashed_at=NOON, purge_at=NOON)
            )
        await studio.retention.purge()
    first = wanted.index((await shown(studio, clip))[0] or -1)
    assert await shown(studio, clip) == wanted[first : first + 180]


class Failing(Storage):
    """A storage that takes nothing more of clips."""

    async def put(self, key: str, data: bytes) -> None:
        if key.startswith("clips/") and key.endswith(".m4s"):
            raise Unavailable("The object storage does not answer.")
        await super().put(key, data)


async def test_nothing_half_is_left(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a clip that could not be made, and of one whose recorder died over it."""
    video = await studio.video()
    before = {item.key for item in await studio.storage.list("clips/")}
    with monkeypatch.context() as patch:
        patch.setattr(studio.storage, "__class__", Failing)
        with pytest.raises(Unavailable):
            await studio.cut(video, 1.3, 6)
    mine = select(func.count()).select_from(Clip).where(Clip.video_id == video)
    async with studio.database.session() as session:
        assert await session.scalar(mine) == 0
        session.add(
            Clip(
                id=secrets.token_urlsafe(8),
                channel_id=studio.user,
                video_id=video,
                start_s=0,
                duration_s=6,
                created_at=NOON,
            )
        )
    async with studio.database.session() as session:
        dead = await session.scalar(select(Clip.id).where(Clip.video_id == video))
    await studio.storage.put(f"clips/{dead}/source/1.m4s", b"half")
    await studio.clips.sweep()
    async with studio.database.session() as session:
        assert await session.scalar(mine) == 0
    assert {item.key for item in await studio.storage.list("clips/")} == before


@pytest.mark.parametrize(
    "start, duration, code",
    [
        (1.0, 4.9, "clip_too_short"),
        (1.0, 60.1, "clip_too_long"),
        (10.0, 10.0, "not_recorded"),
        (2000.0, 10.0, "not_recorded"),
    ],
)
async def test_what_cannot_be_cut(studio: Studio, start: float, duration: float, code: str) -> None:
    video = await studio.video()
    with pytest.raises(DomainError) as refused:
        await studio.cut(video, start, duration)
    assert refused.value.code == code


async def test_two_machines(studio: Studio) -> None:
    """Whoever is asked, the machine that the stream is on cuts."""
    video = await studio.live(2, 3, 3)
    other = studio.settings.model_copy(
        update={"node_id": "there", "spool_dir": Path("/nonexistent"), "media_dir": Path("/none")}
    )
    async with opened(other) as far:
        question = {
            "actor": {"id": str(studio.user)}, "video_id": video, "start_s": 5.0,
            "duration_s": 5.0, "title": "",
        }  # fmt: skip
        answer = await far.clips.create(question)
    clip = await studio.clip(answer["clip_id"])
    assert await shown(studio, clip) == source().wanted(5.0, 10.0)
