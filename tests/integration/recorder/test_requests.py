"""Changing, deleting and purging videos, over real PostgreSQL, NATS and S3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from core.bus import Bus, open_bus
from core.db.models import Channel
from core.db.video_models import Clip, ClipStatus, Video, VideoStatus, VideoTimeline
from core.errors import Conflict, Invalid, NotFound
from core.events import UserDeleted, VideoReady, recorder_question
from core.instance_settings import CurrentSettings
from core.settings import Settings
from recorder.requests import VideoRequests
from recorder.retention import Retention
from recorder.timeline import Entry, Timeline
from tests.harness import RunningServers
from tests.integration.recorder.archive_kit import INIT, NOON, Broadcast, Wired, broadcast, wired


@pytest.fixture
async def bench(servers: RunningServers, tmp_path: Path) -> AsyncIterator[Wired]:
    """An archive with a spool of its own."""
    settings = servers.settings(spool_dir=tmp_path / "spool", node_id="here")
    async with wired(settings) as found:
        yield found


@pytest.fixture
async def bus(bench: Wired) -> AsyncIterator[Bus]:
    """A connection on which videos are answered for."""
    async with open_bus(bench.settings) as bus:
        current = CurrentSettings(bench.settings)
        await VideoRequests(bench.database, current, lambda: None).respond(bus)
        await bus.connected()
        yield bus


def retention_of(bench: Wired, settings: Settings | None = None) -> Retention:
    """One that obeys these settings, or the bench's own."""
    settings = settings or bench.settings
    return Retention(bench.database, bench.storage, settings, CurrentSettings(settings))


async def finished(bench: Wired) -> tuple[Broadcast, Video]:
    """A ready video of two segments."""
    stream = await broadcast(bench)
    stream.segments(1, 2)
    stream.recording.end()
    return stream, await stream.stored()


async def ask(bus: Bus, op: str, video: Video, **fields: Any) -> dict[str, Any]:
    return await bus.request(recorder_question(f"video.{op}"), {"video_id": video.id, **fields})


async def row(bench: Wired, video_id: int) -> Video:
    async with bench.database.session() as session:
        found = await session.get(Video, video_id)
    assert found is not None
    return found


async def test_changing(bench: Wired, bus: Bus) -> None:
    _, video = await finished(bench)
    soon = datetime.now(UTC) + timedelta(hours=1)
    changes = {
        "title": "Another", "description": "Words", "category": None, "tags": ["a", "b"],
        "language": "de", "visibility": "private", "published_at": soon.isoformat(),
    }  # fmt: skip
    await ask(bus, "update", video, changes=changes)
    found = await row(bench, video.id)
    assert {name: getattr(found, name) for name in changes} == {**changes, "published_at": soon}
    assert len(await bench.events("video.updated", video.id)) == 1
    with pytest.raises(Invalid):
        await ask(bus, "update", video, changes={"views": 5})
    with pytest.raises(Invalid):
        await ask(bus, "update", video, changes={"visibility": "secret"})
    with pytest.raises(NotFound):
        await bus.request(recorder_question("video.update"), {"video_id": 10**12, "changes": {}})


async def test_into_the_trash_and_out(bench: Wired, bus: Bus) -> None:
    _, video = await finished(bench)
    answer = await ask(bus, "trash", video)
    purge_at = datetime.fromisoformat(answer["purge_at"])
    assert timedelta(days=6.9) < purge_at - datetime.now(UTC) < timedelta(days=7.1)
    assert (await row(bench, video.id)).trashed_at is not None
    # Once more changes nothing.
    assert await ask(bus, "trash", video) == answer
    await ask(bus, "restore", video)
    found = await row(bench, video.id)
    assert (found.trashed_at, found.purge_at) == (None, None)
    with pytest.raises(Conflict, match="trash"):
        await ask(bus, "restore", video)


async def test_a_running_broadcast_stays(bench: Wired, bus: Bus) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 1)
    video = await stream.stored()
    for op in ("trash", "remove"):
        with pytest.raises(Conflict, match="running"):
            await ask(bus, op, video)


async def test_removed_with_its_objects(bench: Wired, bus: Bus) -> None:
    _, video = await finished(bench)
    _, other = await finished(bench)
    await ask(bus, "remove", video)
    await retention_of(bench).purge()
    assert await bench.objects(video.id) == set()
    assert len(await bench.objects(other.id)) == 9
    found = await row(bench, video.id)
    assert found.purged_at is not None and (found.title, found.size_bytes) == ("", 0)
    async with bench.database.session() as session:
        assert await session.get(VideoTimeline, video.id) is None
    told = await bench.events("video.removed", video.id)
    assert [each["purged"] for each in told] == [False, True]
    with pytest.raises(NotFound):
        await ask(bus, "restore", video)


async def test_what_clips_show_stays(bench: Wired, bus: Bus) -> None:
    stream, video = await finished(bench)
    borrowed = f"videos/{video.id}/source"
    entry = Entry(0, 0.0, 2.0, 10, f"{borrowed}/{INIT}", False, NOON, f"{borrowed}/2.m4s")
    async with bench.database.session() as session:
        session.add(
            Clip(
                id=f"r{video.id:010d}", channel_id=stream.channel_id, video_id=video.id,
                start_s=0.0, duration_s=2.0, status=ClipStatus.READY,
                entries=Timeline({"source": (entry,)}).encode(),
            )
        )  # fmt: skip
    await ask(bus, "remove", video)
    await retention_of(bench).purge()
    assert await bench.objects(video.id) == {"source/2.m4s", f"source/{INIT}"}
    async with bench.database.session() as session:
        clip = await session.get(Clip, f"r{video.id:010d}")
    assert clip is not None and clip.deleted_at is None


async def test_time_is_over(bench: Wired) -> None:
    """The channel's own number goes before the site's."""
    old = datetime.now(UTC) - timedelta(days=10)
    videos = []
    for days in (None, 30, 3):
        stream, video = await finished(bench)
        async with bench.database.session() as session:
            await session.execute(update(Video).where(Video.id == video.id).values(ready_at=old))
            await session.execute(
                update(Channel).where(Channel.id == stream.channel_id).values(retention_days=days)
            )
        videos.append(video)

    async def due(site_days: int) -> list[bool]:
        settings = bench.settings.model_copy(update={"video_retention_days": site_days})
        await retention_of(bench, settings).mark()
        return [(await row(bench, video.id)).purge_at is not None for video in videos]

    assert await due(0) == [False, False, True]
    assert await due(20) == [False, False, True]
    assert await due(5) == [True, False, True]


async def test_a_channel_that_has_too_much(bench: Wired) -> None:
    stream, first = await finished(bench)
    async with bench.database.session() as session:
        more = [
            Video(
                channel_id=stream.channel_id, kind=kind, status=VideoStatus.READY,
                size_bytes=first.size_bytes, published_at=NOON,
                created_at=first.created_at + timedelta(seconds=later),
            )
            for later, kind in enumerate(("upload", "broadcast", "broadcast"), 1)
        ]  # fmt: skip
        session.add_all(more)
    quota = 2 * first.size_bytes
    settings = bench.settings.model_copy(update={"video_channel_quota_bytes": quota})
    retention = retention_of(bench, settings)
    event = VideoReady(video_id=more[-1].id, channel_id=stream.channel_id)
    await retention.happened(event)
    found = [(await row(bench, each.id)).purge_at is not None for each in (first, *more)]
    # The newest two fit; what was uploaded does not go by itself.
    assert found == [True, False, False, False]


async def test_an_account_that_is_gone(bench: Wired) -> None:
    stream, video = await finished(bench)
    retention = retention_of(bench)
    await retention.happened(UserDeleted(user_id=stream.channel_id, login=stream.login))
    await retention.purge()
    assert (await row(bench, video.id)).purged_at is not None
    assert await bench.objects(video.id) == set()
