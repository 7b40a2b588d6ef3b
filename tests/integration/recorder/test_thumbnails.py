"""Posters and storyboards out of stored segments: real pictures, whose numbers are read back."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from core.db.video_models import Video, VideoStatus
from core.errors import NotFound, Unavailable
from core.http import observe
from core.metrics import Metrics
from recorder.storyboard import Storyboard
from recorder.storyboards import add_storyboard
from recorder.thumbnails import Thumbnails
from tests.clip_kit import packaged
from tests.e2e.samples import Recipe, number_of
from tests.harness import RunningServers, eventually_async
from tests.integration.recorder.archive_kit import Broadcast, Wired, broadcast, wired
from tests.packager_kit import Published

#: Keyframes each second, and so every thirtieth picture; segments of two seconds.
FPS, INTERVAL_S, SECONDS = 30, 1.0, 30.0


@pytest.fixture(scope="module")
def recorded() -> dict[str, Published]:
    return packaged(Recipe(seconds=SECONDS, fps=FPS, bitrate=200_000).make(), rung="480p")


@pytest.fixture
async def bench(servers: RunningServers, tmp_path: Path, toolchain: object) -> AsyncIterator[Wired]:
    settings = servers.settings(
        spool_dir=tmp_path / "spool", node_id="here", storyboard_interval_s=INTERVAL_S
    )
    async with wired(settings) as found:
        yield found


def thumbnails(bench: Wired) -> Thumbnails:
    return Thumbnails(bench.settings, bench.database, bench.storage)


async def feed(stream: Broadcast, recorded: dict[str, Published], first: int, last: int) -> Video:
    """Segments `first` to `last` of every rendition, stored."""
    if not stream.described:
        stream.describe()
    for name, published in recorded.items():
        for init, data in published.files.items():
            if init.startswith("init-") and first == 1:
                stream.recording.init(name, init, data)
        for segment in published.segments[first - 1 : last]:
            stream.recording.segment(segment)
    return await stream.stored()


async def tiles(bench: Wired, video: Video) -> list[int | None]:
    """The numbers of the pictures in a video's storyboard."""
    board = Storyboard.read(video.storyboard)
    assert board is not None
    found: list[int | None] = []
    for sheet in range(board.sheet_of(board.count - 1) + 1):
        data = await bench.storage.get(f"videos/{video.id}/storyboard/{sheet}.jpg")
        with av.open(io.BytesIO(data), "r", format="mjpeg") as container:
            frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (5 * board.width, 5 * board.height)
        picture = frame.to_ndarray(format="gray")
        for place in range(min(board.sheet_size, board.count - sheet * board.sheet_size)):
            y, x = place // 5 * board.height, place % 5 * board.width
            tile = picture[y : y + board.height, x : x + board.width]
            found.append(number_of(av.VideoFrame.from_ndarray(tile.copy(), format="gray")))
    return found


def expected(recorded: dict[str, Published], count: int) -> list[int]:
    """What a tile shows: the first picture of the segment that holds its time."""
    starts = [segment.start for segment in recorded["source"].segments]
    times = (tile * INTERVAL_S for tile in range(count))
    return [round(max(start for start in starts if start <= time + 1e-6) * FPS) for time in times]


async def now(bench: Wired, stream: Broadcast) -> Video:
    video = await bench.video(stream.session)
    assert video is not None
    return video


async def test_a_storyboard_grows_with_its_broadcast(
    bench: Wired, recorded: dict[str, Published]
) -> None:
    pictures = thumbnails(bench)
    bench.archive.listeners.append(pictures)
    running = asyncio.create_task(pictures.run())
    stream = await broadcast(bench)
    try:
        await feed(stream, recorded, 1, 1)

        async def has_poster() -> bool:
            return bool((await now(bench, stream)).poster)

        await eventually_async(has_poster, what="the first picture")
        await feed(stream, recorded, 2, 9)

        async def has_grown() -> bool:
            return bool((await now(bench, stream)).storyboard["count"] >= 15)

        await eventually_async(has_grown, what="more tiles")
        video = await now(bench, stream)
        assert video.status == VideoStatus.LIVE
        assert not video.storyboard.get("whole")
        count = video.storyboard["count"]
        assert await tiles(bench, video) == expected(recorded, count)
        await feed(stream, recorded, 10, len(recorded["source"].segments))
        stream.recording.end()
        assert (await stream.stored()).status == VideoStatus.READY

        async def is_whole() -> bool:
            # On a busy machine the last sheet comes a moment after.
            return bool((await now(bench, stream)).storyboard.get("whole"))

        await eventually_async(is_whole, what="the last sheet")
    finally:
        running.cancel()
        await asyncio.wait([running])
    video = await now(bench, stream)
    assert video.storyboard["count"] == 30
    assert (video.storyboard["width"], video.storyboard["height"]) == (160, 90)
    assert await tiles(bench, video) == expected(recorded, 30)


async def test_what_edges_are_told_of_it(bench: Wired, recorded: dict[str, Published]) -> None:
    stream = await broadcast(bench)
    video = await feed(stream, recorded, 1, 2)
    app = web.Application(middlewares=[observe(Metrics())])
    add_storyboard(app, bench.database)
    async with TestClient(TestServer(app)) as client:
        path = f"/vod/{video.id}/storyboard.vtt"
        async with client.get(path) as answer:
            assert answer.status == 404
        await thumbnails(bench).advance(video.id)
        async with client.get(path) as answer:
            assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
            assert answer.headers["Cache-Control"] == "public, max-age=5"
            assert (await answer.text()).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n")
        await thumbnails(bench).advance(video.id, ended=True)
        async with client.get(path) as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=3600"


async def test_the_poster_shows_the_source(bench: Wired, recorded: dict[str, Published]) -> None:
    stream = await broadcast(bench)
    video = await feed(stream, recorded, 1, 2)
    await thumbnails(bench).advance(video.id)
    video = await now(bench, stream)
    assert (video.poster["width"], video.poster["height"]) == (320, 180)
    assert video.poster["version"] == 1
    data = await bench.storage.get(f"videos/{video.id}/poster.jpg")
    with av.open(io.BytesIO(data), "r", format="mjpeg") as container:
        shown = number_of(next(container.decode(video=0)))
    assert shown in expected(recorded, 3)
    assert shown == expected(recorded, round(video.poster["at_s"]) + 1)[-1]


async def test_a_poster_of_ones_own_stays(bench: Wired, recorded: dict[str, Published]) -> None:
    stream = await broadcast(bench)
    video = await feed(stream, recorded, 1, 2)
    async with bench.database.session() as session:
        row = await session.get(Video, video.id)
        assert row is not None
        row.poster = {"width": 1, "height": 1, "version": 7, "chosen": True}
    await thumbnails(bench).advance(video.id)
    assert (await now(bench, stream)).poster["version"] == 7
    with pytest.raises(NotFound):
        await bench.storage.get(f"videos/{video.id}/poster.jpg")


async def test_another_process_goes_on(bench: Wired, recorded: dict[str, Published]) -> None:
    """As after kill -9: nothing but the database and the storage is left."""
    stream = await broadcast(bench)
    for first, last in ((1, 3), (4, 8), (9, 14)):
        video = await feed(stream, recorded, first, last)
        await thumbnails(bench).advance(video.id)
    video = await now(bench, stream)
    count = math.ceil(video.duration_s / INTERVAL_S)
    assert count > 25, "more than one sheet"
    assert video.storyboard["count"] == count
    assert await tiles(bench, video) == expected(recorded, count)


async def test_videos_that_have_none_are_found(
    bench: Wired, recorded: dict[str, Published]
) -> None:
    stream = await broadcast(bench)
    await feed(stream, recorded, 1, len(recorded["source"].segments))
    stream.recording.end()
    assert (await stream.stored()).status == VideoStatus.READY
    running = asyncio.create_task(thumbnails(bench).run())
    try:

        async def whole() -> bool:
            return bool((await now(bench, stream)).storyboard.get("whole"))

        await eventually_async(whole, what="the sweep has come to it", within_s=20)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert await tiles(bench, await now(bench, stream)) == expected(recorded, 30)


async def test_damaged_and_missing_objects_leave_the_tile_before(
    bench: Wired, recorded: dict[str, Published]
) -> None:
    stream = await broadcast(bench)
    video = await feed(stream, recorded, 1, 4)
    for rendition in ("source", "480p"):
        await bench.storage.put(f"videos/{video.id}/{rendition}/2.m4s", b"\0" * 5000)
    await bench.storage.delete(f"videos/{video.id}/480p/3.m4s")
    await thumbnails(bench).advance(video.id)
    video = await now(bench, stream)
    wanted = expected(recorded, video.storyboard["count"])
    second, third = recorded["source"].segments[1:3]
    before = wanted[0]
    for tile, number in enumerate(wanted):
        if second.start <= tile * INTERVAL_S < third.start:
            wanted[tile] = before
        else:
            before = number
    assert await tiles(bench, video) == wanted


async def test_sound_alone_has_no_pictures(bench: Wired, recorded: dict[str, Published]) -> None:
    stream = await broadcast(bench)
    stream.renditions = ("audio",)
    await feed(stream, {"audio": recorded["audio"]}, 1, 3)
    video = await now(bench, stream)
    await thumbnails(bench).advance(video.id, ended=True)
    video = await now(bench, stream)
    assert video.poster == {}
    assert Storyboard.read(video.storyboard) is None or video.storyboard["count"] == 0


async def test_a_storage_that_is_away_is_waited_for(
    bench: Wired, recorded: dict[str, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await broadcast(bench)
    video = await feed(stream, recorded, 1, 6)
    pictures = thumbnails(bench)

    async def away(*_: object) -> bytes:
        raise Unavailable("The object storage does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(bench.storage, "get", away)
        with pytest.raises(Unavailable):
            await pictures.advance(video.id)
    assert (await now(bench, stream)).storyboard == {}
    await pictures.advance(video.id)
    video = await now(bench, stream)
    assert await tiles(bench, video) == expected(recorded, video.storyboard["count"])
