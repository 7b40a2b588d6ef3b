"""From the spool into the object storage, over real PostgreSQL and S3."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.instance import free_port
from core.db.models import Channel, User
from core.db.video_models import VideoStatus, VideoTimeline
from core.errors import Unavailable
from core.spool import SOURCE_FILE
from core.storage import open_storage
from ingest.spool import Recording
from recorder.timeline import Timeline
from tests.harness import RunningServers, eventually_async
from tests.integration.recorder.archive_kit import (
    INIT,
    Broadcast,
    Wired,
    broadcast,
    media,
    wired,
)

RENDITIONS = ("480p", "audio", "source")


@pytest.fixture
async def bench(servers: RunningServers, tmp_path: Path) -> AsyncIterator[Wired]:
    """An archive with a spool of its own."""
    settings = servers.settings(spool_dir=tmp_path / "spool", node_id="here")
    async with wired(settings) as found:
        yield found


def spooled(stream: Broadcast) -> list[str]:
    """Media files that wait."""
    return sorted(str(path.relative_to(stream.folder)) for path in stream.folder.glob("*/*.m4s"))


async def test_segments_are_stored_and_then_removed(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 3)
    video = await stream.stored()
    assert spooled(stream) == []
    assert video.status == VideoStatus.LIVE
    assert (video.title, video.category, video.tags) == ("A title", "Chess", ["one"])
    assert (video.duration_s, video.width, video.height) == (6.0, 1280, 720)
    assert video.published_at is not None and video.started_at is not None
    assert video.size_bytes == 9 * len(media("source", 1))
    assert await bench.rows(video.id) == [(name, n) for name in RENDITIONS for n in (1, 2, 3)]
    for rendition in RENDITIONS:
        assert await bench.storage.get(f"videos/{video.id}/{rendition}/2.m4s") == media(
            rendition, 2
        )
        init = await bench.storage.get(f"videos/{video.id}/{rendition}/{INIT}")
        assert init == f"{rendition} begins".encode()
    assert len(await bench.events("video.started", video.id)) == 1
    # More of it is the same video, and no news.
    stream.segments(4, 5)
    again = await stream.stored()
    assert (again.id, again.duration_s) == (video.id, 10.0)
    assert len(await bench.events("video.started", video.id)) == 1


async def test_the_end_makes_it_ready(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 2)
    stream.segments(3, 4, gap_s=30)
    stream.recording.end()
    video = await stream.stored()
    assert video.status == VideoStatus.READY
    assert video.duration_s == 8.0 and video.ready_at is not None
    assert not stream.folder.exists()
    assert await bench.rows(video.id) == []
    async with bench.database.session() as session:
        kept = await session.get(VideoTimeline, video.id)
    assert kept is not None
    line = Timeline.decode(kept.entries)
    assert set(line.renditions) == set(RENDITIONS)
    assert [entry.msn for entry in line.main] == [1, 2, 3, 4]
    assert [entry.discontinuity for entry in line.main] == [False, False, True, False]
    (event,) = await bench.events("video.ready", video.id)
    assert [(span[0], span[2]) for span in event["spans"]] == [(0.0, 4.0), (4.0, 4.0)]
    assert video.spans == [[start, wall.replace("Z", "+00:00"), length]
                           for start, wall, length in event["spans"]]  # fmt: skip
    names = [each["name"] for each in video.renditions]
    assert names == ["source", "480p", "audio"]
    assert all(each["bandwidth"] >= each["average_bandwidth"] > 0 for each in video.renditions)


async def test_what_is_handed_over_again_is_not_stored_again(bench: Wired) -> None:
    """A killed ingest hands everything over again that is still in its live window."""
    stream = await broadcast(bench)
    stream.segments(1, 3)
    await stream.stored()
    stream.segments(1, 4)
    video = await stream.stored()
    assert await bench.rows(video.id) == [(name, n) for name in RENDITIONS for n in range(1, 5)]
    assert video.size_bytes == 12 * len(media("source", 1))
    assert spooled(stream) == []
    # Nor after the end, when there are no rows any more.
    stream.recording.end()
    await stream.stored()
    stream.folder.mkdir()
    again = Broadcast(
        bench, Recording(bench.spool, stream.session), stream.channel_id, stream.stream_id, ""
    )
    again.segments(1, 2)
    await again.stored()
    assert spooled(stream) == []
    ready = await bench.video(stream.session)
    assert ready is not None and ready.duration_s == 8.0


async def test_two_recorders_in_turn(bench: Wired) -> None:
    """One that was killed before it removed what it had stored: the next one finishes its work."""
    stream = await broadcast(bench)
    stream.segments(1, 2)
    await stream.written()
    copies = {path: path.read_bytes() for path in stream.folder.rglob("*") if path.is_file()}
    video = await stream.stored()
    for path, content in copies.items():
        path.write_bytes(content)
    other = bench.other()
    stream.segments(3, 3)
    stream.recording.end()
    await stream.written()
    await other.look(stream.session)
    ready = await bench.video(stream.session)
    assert ready is not None and (ready.id, ready.status) == (video.id, VideoStatus.READY)
    assert ready.size_bytes == 9 * len(media("source", 1))
    await other.close()


async def test_while_the_storage_is_away(bench: Wired) -> None:
    gone = bench.settings.model_copy(
        update={"s3_endpoint": f"http://127.0.0.1:{free_port(set())}", "request_timeout_s": 0.5}
    )
    stream = await broadcast(bench)
    stream.segments(1, 3)
    await stream.written()
    async with open_storage(gone) as storage:
        other = bench.other(storage)
        with pytest.raises(Unavailable):
            await other.look(stream.session)
        # It is not asked again at once.
        with pytest.raises(Unavailable, match="needs"):
            await other.look(stream.session)
        await other.close()
    assert len(spooled(stream)) == 9
    video = await bench.video(stream.session)
    assert video is not None
    # Nobody sees a video of nothing.
    assert (await bench.rows(video.id), video.published_at) == ([], None)
    stream.recording.end()
    ready = await stream.stored()
    assert (ready.id, ready.status, ready.duration_s) == (video.id, VideoStatus.READY, 6.0)


async def test_rows_of_a_rendition_keep_their_order(
    bench: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that is missing below the last one never comes: players rely on it."""
    stream = await broadcast(bench)
    stream.segments(1, 4)
    await stream.written()
    put, refused = bench.storage.put, {"source/2.m4s"}

    async def hurt(key: str, data: bytes) -> None:
        if any(key.endswith(name) for name in refused):
            raise Unavailable("Not this one.")
        await put(key, data)

    monkeypatch.setattr(bench.storage, "put", hurt)
    with pytest.raises(Unavailable):
        await bench.archive.look(stream.session)
    video = await bench.video(stream.session)
    assert video is not None
    rows = await bench.rows(video.id)
    assert [n for name, n in rows if name == "source"] == [1]
    assert [n for name, n in rows if name == "audio"] == [1, 2, 3, 4]
    refused.clear()
    await bench.other().look(stream.session)
    assert await bench.rows(video.id) == [(name, n) for name in RENDITIONS for n in range(1, 5)]


async def test_a_damaged_segment_is_put_aside(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 3)
    await stream.written()
    (stream.folder / "source" / "2.m4s").write_bytes(b"something else")
    stream.recording.end()
    await stream.written()
    await bench.archive.look(stream.session)
    video = await bench.video(stream.session)
    assert video is not None and video.status == VideoStatus.READY
    async with bench.database.session() as session:
        kept = await session.get(VideoTimeline, video.id)
    assert kept is not None
    line = Timeline.decode(kept.entries)
    assert [(entry.msn, entry.gap) for entry in line.main] == [(1, False), (2, True), (3, False)]
    assert line.duration_s == 6.0


async def test_a_sweep_finds_what_nobody_announced(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 2)
    stream.recording.end()
    await stream.written()
    sweeping = asyncio.create_task(bench.archive.sweep(0.05))
    try:

        async def ready() -> bool:
            video = await bench.video(stream.session)
            return video is not None and video.status == VideoStatus.READY

        await eventually_async(ready, what="the video is ready")
    finally:
        sweeping.cancel()


async def test_a_session_that_was_never_seen_leaves_nothing(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.recording.init("source", INIT, b"init")
    stream.recording.discard()
    await stream.written()
    assert not stream.folder.exists()
    other = await broadcast(bench)
    other.described = True
    other.segments(1, 1)
    other.recording.end()
    await other.written()
    assert not (other.folder / SOURCE_FILE).exists()
    await bench.archive.look(other.session)
    assert not other.folder.exists()
    assert await bench.video(other.session) is None


async def test_a_channel_that_is_gone(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 1)
    await stream.written()
    async with bench.database.session() as session:
        channel = await session.get(Channel, stream.channel_id)
        await session.delete(channel)
        await session.flush()
        await session.delete(await session.get(User, stream.channel_id))
    await bench.archive.look(stream.session)
    assert spooled(stream) == []


async def test_a_private_channel_makes_private_videos(bench: Wired) -> None:
    stream = await broadcast(bench, video_visibility="private")
    stream.segments(1, 1)
    assert (await stream.stored()).visibility == "private"


async def test_notes_that_cannot_be_read(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 2)
    await stream.written()
    (stream.folder / "audio" / "1.json").write_bytes(b"{")
    os.truncate(stream.folder / "audio" / "2.json", 0)
    video = await stream.stored()
    rows = await bench.rows(video.id)
    assert rows == [("480p", 1), ("480p", 2), ("source", 1), ("source", 2)]
