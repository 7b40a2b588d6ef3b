"""Playlists over what is stored, and who may watch: over real PostgreSQL and S3, by HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import update

from core.db.models import Stream, Suspension, Visibility
from core.db.video_models import Clip, ClipStatus, Video, VideoKind, VideoStatus, VideoTimeline
from core.http import observe
from core.media_paths import object_path
from core.metrics import Metrics
from recorder import broadcasts
from recorder.catalogue import LIVE_FRESH_S, Catalogue
from recorder.playlists import add_routes
from recorder.timeline import Entry, Timeline
from tests.harness import RunningServers, eventually_async
from tests.integration.recorder.archive_kit import NOON, Wired, broadcast, wired
from tests.playlist_validator import check_media, check_multivariant, parse_media

KEY = bytes(32)
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def bench(servers: RunningServers, tmp_path: Path) -> AsyncIterator[Wired]:
    """An archive with a spool of its own."""
    settings = servers.settings(spool_dir=tmp_path / "spool", node_id="here")
    async with wired(settings) as found:
        yield found


@asynccontextmanager
async def served(bench: Wired) -> AsyncIterator[Client]:
    """The playlists of a recorder, as an edge asks for them."""
    app = web.Application(middlewares=[observe(Metrics())])
    add_routes(app, Catalogue(bench.database, KEY))
    async with TestClient(TestServer(app)) as client:
        yield client


async def text(client: Client, path: str, status: int = 200) -> str:
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def change(bench: Wired, video_id: int, **values: Any) -> None:
    async with bench.database.session() as session:
        await session.execute(update(Video).where(Video.id == video_id).values(**values))


async def test_a_running_broadcast(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 3)
    video = await stream.stored()
    async with served(bench) as client:
        index = await text(client, f"/vod/{video.id}/index.m3u8")
        assert check_multivariant(index) == []
        assert [line for line in index.splitlines() if not line.startswith("#")] == [
            "source.m3u8", "480p.m3u8", "audio.m3u8",
        ]  # fmt: skip
        first = await text(client, f"/vod/{video.id}/480p.m3u8")
        assert check_media(first) == []
        assert [each.uri for each in parse_media(first).segments] == [
            f"480p/{msn}.m4s" for msn in (1, 2, 3)
        ]
        stream.segments(4, 20)
        await stream.stored()

        async def grown() -> bool:
            second = await text(client, f"/vod/{video.id}/480p.m3u8")
            return second.startswith(first) and second.count("#EXTINF") == 20

        await eventually_async(grown, within_s=LIVE_FRESH_S + 5, what="the playlist has grown")
        delta = await text(client, f"/vod/{video.id}/480p.m3u8?_HLS_skip=YES")
        assert "#EXT-X-SKIP:SKIPPED-SEGMENTS=8\n" in delta
        assert delta.count("#EXTINF") == 12
        await text(client, f"/vod/{video.id}/1080p.m3u8", 404)


async def test_one_that_ends_while_it_is_looked_at(
    bench: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segments are no rows any more, but nobody is given an empty playlist."""
    stream = await broadcast(bench)
    stream.segments(1, 3)
    video = await stream.stored()
    read = broadcasts.segments

    async def late(*args: Any) -> Any:
        monkeypatch.undo()
        stream.recording.end()
        await stream.stored()
        return await read(*args)

    monkeypatch.setattr(broadcasts, "segments", late)
    async with served(bench) as client:
        found = parse_media(await text(client, f"/vod/{video.id}/source.m3u8"))
    assert found.ended and len(found.segments) == 3


async def test_from_its_channel(bench: Wired) -> None:
    stream = await broadcast(bench)
    async with served(bench) as client:
        await text(client, f"/live/{stream.login}/dvr.m3u8", 404)
        stream.segments(1, 2)
        video = await stream.stored()
        index = await text(client, f"/live/{stream.login}/dvr.m3u8")
        assert check_multivariant(index) == []
        assert f"\n/vod/{video.id}/source.m3u8\n" in index
        path = f"/live/{stream.login}/dvr.m3u8?rendition=audio&_HLS_skip=YES"
        assert "audio/2.m4s" in await text(client, path)
        await change(bench, video.id, visibility=Visibility.PRIVATE)
        await text(client, f"/live/{stream.login}/dvr.m3u8", 404)
        await change(bench, video.id, visibility=Visibility.UNLISTED)
        await text(client, f"/live/{stream.login}/dvr.m3u8")
        async with bench.database.session() as session:
            query = update(Stream).where(Stream.id == stream.stream_id)
            await session.execute(query.values(status="ended"))
        await text(client, f"/live/{stream.login}/dvr.m3u8", 404)


async def test_a_finished_one(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 2)
    stream.segments(3, 5, gap_s=20)
    # A rung that failed for a while.
    (stream.folder / "480p").mkdir(exist_ok=True)
    await stream.written()
    for name in ("4.json", "4.m4s"):
        (stream.folder / "480p" / name).unlink()
    stream.recording.end()
    video = await stream.stored()
    async with served(bench) as client:
        for rendition in ("source", "480p", "audio"):
            found = await text(client, f"/vod/{video.id}/{rendition}.m3u8")
            assert check_media(found) == []
            playlist = parse_media(found)
            assert playlist.ended and len(playlist.segments) == 5
            assert [each.msn for each in playlist.segments if each.discontinuity] == [3]
            assert [each.msn for each in playlist.segments if each.gap] == (
                [4] if rendition == "480p" else []
            )
        index = await text(client, f"/vod/{video.id}/index.m3u8")
        assert check_multivariant(index) == []


async def test_compressed_for_whoever_takes_it(bench: Wired) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 1)
    stream.recording.end()
    video = await stream.stored()
    async with served(bench) as client, aiohttp.ClientSession(auto_decompress=False) as plain:
        url = client.make_url(f"/vod/{video.id}/source.m3u8")
        async with plain.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
            packed = await answer.read()
        async with plain.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert gzip.decompress(packed) == await answer.read()


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, "open"),
        ({"visibility": Visibility.UNLISTED}, "open"),
        ({"visibility": Visibility.PRIVATE}, "token"),
        ({"trashed_at": NOON}, "token"),
        ({"published_at": None}, "token"),
        ({"published_at": datetime.now(UTC) + timedelta(hours=1)}, "token"),
        ({"status": VideoStatus.PROCESSING}, "gone"),
        ({"purged_at": NOON}, "gone"),
    ],
)
async def test_who_may_watch(bench: Wired, values: dict[str, Any], state: str) -> None:
    stream = await broadcast(bench)
    stream.segments(1, 1)
    stream.recording.end()
    video = await stream.stored()
    if values:
        await change(bench, video.id, **values)
    async with served(bench) as client:
        async with client.get(f"/internal/media/videos/{video.id}") as answer:
            found = await answer.json()
    assert found == {"state": state, "prefix": f"videos/{video.id}"}


async def test_what_is_not_there(bench: Wired) -> None:
    async with served(bench) as client:
        async with client.get("/internal/media/videos/999999999") as answer:
            assert (await answer.json())["state"] == "gone"
        async with client.get("/internal/media/clips/nothing") as answer:
            assert (await answer.json())["state"] == "gone"
        for path in (
            "/vod/999999999/index.m3u8",
            "/vod/999999999999999999999/index.m3u8",
            "/vod/x/index.m3u8",
            "/clip-media/nothing/index.m3u8",
            "/live/nobody/dvr.m3u8",
        ):
            await text(client, path, 404)


async def test_a_clip_and_a_highlight_borrow(bench: Wired) -> None:
    """Objects of another video are named by a signed path; own ones stay as they are. Nobody may watch
    either while the channel is suspended, but its owner the video.
    """
    stream = await broadcast(bench)
    stream.segments(1, 2)
    stream.recording.end()
    video = await stream.stored()
    borrowed = f"videos/{video.id}/source"

    def line(prefix: str) -> bytes:
        own = Entry(
            0, 0.0, 0.5, 10, f"{prefix}/source/i0.mp4", False, NOON, f"{prefix}/source/0.m4s"
        )
        other = Entry(
            1, 0.5, 2.0, 10, f"{borrowed}/init-0.mp4", True, NOON, f"{borrowed}/2.m4s"
        )  # fmt: skip
        return Timeline({"source": (own, other)}).encode()

    described = [{"name": "source", "codecs": "avc1.64001f", "width": 1280, "height": 720,
                  "frame_rate": 30.0, "bandwidth": 5, "average_bandwidth": 4}]  # fmt: skip
    clip_id = f"c{video.id:010d}"
    async with bench.database.session() as session:
        clip = Clip(
            id=clip_id, channel_id=stream.channel_id, video_id=video.id, start_s=0.0,
            duration_s=2.5, status=ClipStatus.READY, renditions=described,
            entries=line(f"clips/{clip_id}"),
        )  # fmt: skip
        cut = Video(
            channel_id=stream.channel_id, kind=VideoKind.HIGHLIGHT, status=VideoStatus.READY,
            source_video_id=video.id, renditions=described, published_at=NOON,
        )  # fmt: skip
        session.add_all([clip, cut])
        await session.flush()
        session.add(VideoTimeline(video_id=cut.id, entries=line(f"videos/{cut.id}")))
    async with served(bench) as client:
        for owner in (f"clip-media/{clip_id}", f"vod/{cut.id}"):
            assert check_multivariant(await text(client, f"/{owner}/index.m3u8")) == []
            found = parse_media(await text(client, f"/{owner}/source.m3u8"))
            assert [each.uri for each in found.segments] == [
                "source/0.m4s",
                object_path(KEY, owner, f"{borrowed}/2.m4s"),
            ]
            assert found.segments[0].map_uri == "source/i0.mp4"
        assert await states(client, video.id, clip_id) == ["open", "open"]
        async with bench.database.session() as session:
            session.add(Suspension(user_id=stream.channel_id, scope="channel", reason="Spam."))
        assert await states(client, video.id, clip_id) == ["token", "gone"]
        async with bench.database.session() as session:
            await session.execute(
                update(Suspension)
                .where(Suspension.user_id == stream.channel_id)
                .values(until=datetime.now(UTC))
            )
        assert await states(client, video.id, clip_id) == ["open", "open"]


async def states(client: Client, video_id: int, clip_id: str) -> list[str]:
    """Who may watch a video, and a clip of it, as edges are told."""
    found = []
    for path in (f"videos/{video_id}", f"clips/{clip_id}"):
        async with client.get(f"/internal/media/{path}") as answer:
            told = await answer.json()
        assert told["prefix"] == path
        found.append(told["state"])
    return found
