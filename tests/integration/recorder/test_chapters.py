"""Chapters of a broadcast whose title changes while it runs, over real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.db.video_models import Video
from core.events import ChannelUpdated, VideoReady
from recorder.chapters import Chapters
from tests.harness import RunningServers
from tests.integration.recorder.archive_kit import NOON, Broadcast, Wired, broadcast, wired


@pytest.fixture
async def bench(servers: RunningServers, tmp_path: Path) -> AsyncIterator[Wired]:
    settings = servers.settings(spool_dir=tmp_path / "spool", node_id="here")
    async with wired(settings) as found:
        yield found


async def change(
    bench: Wired, stream: Broadcast, at: datetime | None, title: str, category: str = "Chess"
) -> None:
    event = ChannelUpdated(
        channel_id=stream.channel_id, login=stream.login, title=title, category=category, at=at
    )
    await Chapters(bench.database).happened(event)


async def chapters(bench: Wired, stream: Broadcast) -> list[tuple[float, str]]:
    video = await bench.video(stream.session)
    assert isinstance(video, Video)
    return [(each["at_s"], each["title"]) for each in video.chapters]


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_changes_become_chapters(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 10)
    # Half a minute's reconnect, which the video leaves out.
    stream.segments(11, 20, gap_s=30)
    await stream.stored()
    await change(bench, stream, after(15), "Endgames")
    for _ in range(2):
        # Delivered twice.
        await change(bench, stream, after(62.5), "Openings")
    # What says nothing about the title, and what was before.
    await change(bench, stream, None, "")
    await change(bench, stream, after(-1), "Too early")
    wanted = [(0.0, "A title"), (15.0, "Endgames"), (32.5, "Openings")]
    assert await chapters(bench, stream) == wanted
    stream.recording.end()
    video = await stream.stored()
    spans = [(start, datetime.fromisoformat(wall), length) for start, wall, length in video.spans]
    ready = VideoReady(video_id=video.id, channel_id=stream.channel_id, spans=spans)
    await Chapters(bench.database).happened(ready)
    assert await chapters(bench, stream) == wanted


async def test_a_place_that_was_guessed_is_found(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 10)
    await stream.stored()
    # In the gap that comes now: nobody can know yet how long it is.
    await change(bench, stream, after(40), "Openings")
    assert await chapters(bench, stream) == [(0.0, "A title"), (26.0, "Openings")]
    stream.segments(11, 20, gap_s=30)
    stream.recording.end()
    video = await stream.stored()
    spans = [(start, datetime.fromisoformat(wall), length) for start, wall, length in video.spans]
    ready = VideoReady(video_id=video.id, channel_id=stream.channel_id, spans=spans)
    for _ in range(2):
        await Chapters(bench.database).happened(ready)
    assert await chapters(bench, stream) == [(0.0, "A title"), (20.0, "Openings")]


async def test_a_change_after_the_end_is_none_of_its(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 10)
    stream.recording.end()
    video = await stream.stored()
    assert video.ready_at is not None
    await change(bench, stream, video.ready_at + timedelta(seconds=60), "Tomorrow")
    assert await chapters(bench, stream) == []


async def test_a_change_that_is_told_late_finds_its_place(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 10)
    stream.segments(11, 20, gap_s=30)
    stream.recording.end()
    await stream.stored()
    await change(bench, stream, after(55), "Openings")
    assert await chapters(bench, stream) == [(0.0, "A title"), (25.0, "Openings")]


async def test_nothing_is_recorded(bench: Wired) -> None:
    stream = await broadcast(bench)
    await change(bench, stream, after(5), "Nobody records")
    assert await bench.video(stream.session) is None
