"""Videos: who may have what, and objects of the private bucket through the edge."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.media_paths import export_path, object_path
from core.media_tokens import media_token
from tests.harness import RunningServers
from tests.integration.edge.nginx import MEDIA_TOKEN_KEY
from tests.integration.edge.video_kit import VideoEdge, running_video_edge

SEGMENT = bytes(range(256)) * 4096


@pytest_asyncio.fixture
async def videos(servers: RunningServers) -> AsyncIterator[VideoEdge]:
    async with running_video_edge(servers) as running:
        states = running.recorder.states
        states["videos/7"] = {"state": "open", "prefix": "videos/7"}
        states["videos/8"] = {"state": "token", "prefix": "videos/8"}
        states["clips/Clip_-x1234"] = {"state": "open", "prefix": "clips/Clip_-x1234"}
        for video in (7, 8):
            await running.storage.put(f"videos/{video}/source/1.m4s", SEGMENT)
        yield running


def token(video: int, life_s: int = 600, key: bytes = MEDIA_TOKEN_KEY) -> str:
    return "~" + media_token(key, video, int(time.time()) + life_s)


async def error_code(videos: VideoEdge, path: str, status: int) -> str:
    answer, _ = await videos.get(path)
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    code: str = (await answer.json())["error"]["code"]
    return code


async def test_an_object_and_its_headers(videos: VideoEdge) -> None:
    for _ in range(2):
        answer, body = await videos.get("/vod/7/source/1.m4s", headers={"Cookie": "session=secret"})
        assert answer.status == 200
        assert body == SEGMENT
        assert answer.headers["Content-Type"] == "video/mp4"
        assert answer.headers["Content-Length"] == str(len(SEGMENT))
        assert answer.headers["Cache-Control"] == "public, max-age=3600, immutable"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert not [name for name in answer.headers if name.lower().startswith("x-amz")]
        assert "Access-Control-Allow-Methods" not in answer.headers
    figures = await videos.figures()
    assert figures["video_cache_hits_total"] == 1
    assert figures["video_cache_misses_total"] == 1
    assert "/internal/media/videos/7" in videos.recorder.asked
    assert not [headers for headers in videos.recorder.headers if "Cookie" in headers]


@pytest.mark.parametrize("cached", [False, True])
async def test_ranges_and_head(videos: VideoEdge, cached: bool) -> None:
    path = "/vod/7/source/1.m4s"
    if cached:
        await videos.get(path)
    answer, body = await videos.get(path, headers={"Range": "bytes=1000-1999"})
    assert answer.status == 206
    assert body == SEGMENT[1000:2000]
    assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(SEGMENT)}"
    answer, body = await videos.get(path, headers={"Range": "bytes=-10"})
    assert (answer.status, body) == (206, SEGMENT[-10:])
    answer, body = await videos.get(path, headers={"Range": f"bytes={len(SEGMENT)}-"})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(SEGMENT)}"
    async with videos.edge.viewer.head(videos.edge.url + path) as head:
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(SEGMENT)))
        tag = head.headers["ETag"]
    answer, body = await videos.get(path, headers={"If-None-Match": tag})
    assert (answer.status, body) == (304, b"")


async def test_head_comes_first(videos: VideoEdge) -> None:
    async with videos.edge.viewer.head(f"{videos.edge.url}/vod/7/source/1.m4s") as head:
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(SEGMENT)))
        assert await head.read() == b""
    answer, body = await videos.get("/vod/7/source/1.m4s")
    assert (answer.status, body) == (200, SEGMENT)


async def test_other_methods(videos: VideoEdge) -> None:
    url = f"{videos.edge.url}/vod/7/source/1.m4s"
    async with videos.edge.viewer.options(url) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Range" in answer.headers["Access-Control-Allow-Headers"]
    async with videos.edge.viewer.post(url, data=b"x") as answer:
        assert answer.status == 405
    async with videos.edge.viewer.delete(url) as answer:
        assert answer.status == 405


async def test_private_videos_need_a_token(videos: VideoEdge) -> None:
    for path, code in (
        ("/vod/8/source/1.m4s", "playback_token_missing"),
        ("/vod/8/index.m3u8", "playback_token_missing"),
        (f"/vod/{token(7)}/8/source/1.m4s", "playback_token_invalid"),
        (f"/vod/{token(8, key=b'another')}/8/source/1.m4s", "playback_token_invalid"),
        (f"/vod/{token(8)[:-1]}x/8/source/1.m4s", "playback_token_invalid"),
        ("/vod/~1.8.x/8/source/1.m4s", "playback_token_invalid"),
        (f"/vod/{token(8, life_s=-120)}/8/source/1.m4s", "playback_token_expired"),
    ):
        assert await error_code(videos, path, 403) == code, path
    # A clock of ours may be late by as much.
    for life in (600, -30):
        answer, body = await videos.get(f"/vod/{token(8, life)}/8/source/1.m4s")
        assert (answer.status, body) == (200, SEGMENT)
        assert answer.headers["Cache-Control"] == "private, max-age=3600, immutable"
    # What somebody with a token has fetched is not there for others.
    assert await error_code(videos, "/vod/8/source/1.m4s", 403) == "playback_token_missing"
    # Nobody minds the token of a video that has become public.
    answer, _ = await videos.get(f"/vod/{token(8)}/7/source/1.m4s")
    assert answer.status == 200
    assert answer.headers["Cache-Control"].startswith("public")


async def test_what_is_gone_is_unknown(videos: VideoEdge) -> None:
    videos.recorder.states["videos/9"] = {"state": "gone"}
    await videos.storage.put("videos/9/source/1.m4s", SEGMENT)
    for path in (
        "/vod/9/source/1.m4s",
        f"/vod/{token(9)}/9/source/1.m4s",
        "/vod/10/index.m3u8",
        "/vod/7/source/9999.m4s",
        "/vod/7/poster.jpg",
        "/clip-media/7/source/1.m4s",
    ):
        assert await error_code(videos, path, 404) == "not_found", path


async def test_what_is_taken_back_is_gone_at_once(videos: VideoEdge) -> None:
    path = "/vod/7/source/1.m4s"
    assert (await videos.get(path))[0].status == 200
    videos.recorder.states["videos/7"]["state"] = "token"
    began = time.monotonic()
    while (await videos.get(path))[0].status == 200:
        await asyncio.sleep(0.1)
        assert time.monotonic() - began < 7
    assert (await videos.get(path))[0].status == 403
    assert time.monotonic() - began > 3, "asked for every object"


async def test_many_at_once_ask_and_fetch_once(videos: VideoEdge) -> None:
    """Of the edge's two workers each asks for itself."""
    answers = await asyncio.gather(*(videos.get("/vod/7/source/1.m4s") for _ in range(100)))
    assert {answer.status for answer, _ in answers} == {200}
    assert videos.recorder.asked.count("/internal/media/videos/7") <= 2
    assert videos.wire.connections <= 2


async def test_playlists(videos: VideoEdge) -> None:
    recorder = videos.recorder
    recorder.playlists["/vod/7/source.m3u8"] = "#EXTM3U\n" * 100
    for accepts in ("gzip", ""):
        answer, body = await videos.get(
            "/vod/7/source.m3u8?x=1&_HLS_msn=7", headers={"Accept-Encoding": accepts}
        )
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["Cache-Control"] == "public, max-age=1"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert (answer.headers.get("Content-Encoding") == "gzip") == (accepts == "gzip")
        assert (gzip.decompress(body) if accepts else body) == b"#EXTM3U\n" * 100
    assert recorder.asked.count("/vod/7/source.m3u8") == 1
    await videos.get("/vod/7/source.m3u8?_HLS_skip=YES&x=2")
    assert recorder.asked[-1] == "/vod/7/source.m3u8?_HLS_skip=YES"
    answer, _ = await videos.get("/vod/7/480p.m3u8")
    assert answer.status == 404
    assert (await answer.json())["error"]["code"] == "not_found"


async def test_playlists_are_kept_as_long_as_recorder_says(videos: VideoEdge) -> None:
    recorder = videos.recorder
    recorder.cache_control = "public, max-age=60"
    recorder.playlists["/vod/8/index.m3u8"] = "#EXTM3U\n"
    for life in (600, 500):
        answer, _ = await videos.get(f"/vod/{token(8, life)}/8/index.m3u8")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert recorder.asked.count("/vod/8/index.m3u8") == 1


async def test_rewinding_a_live_stream(videos: VideoEdge) -> None:
    recorder = videos.recorder
    recorder.playlists["/live/ann/dvr.m3u8"] = "#EXTM3U\n"
    for query, asked in (
        ("", "/live/ann/dvr.m3u8"),
        ("?_HLS_skip=YES&rendition=source", "/live/ann/dvr.m3u8?_HLS_skip=YES&rendition=source"),
    ):
        answer, _ = await videos.get(f"/live/ann/dvr.m3u8{query}")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert recorder.asked[-1] == asked
    answer, _ = await videos.get("/live/bob/dvr.m3u8")
    assert answer.status == 404
    assert (await answer.json())["error"]["code"] == "not_found"


async def test_a_clip_borrows_what_it_names(videos: VideoEdge) -> None:
    owner = "clip-media/Clip_-x1234"
    await videos.storage.put("clips/Clip_-x1234/source/head.m4s", b"head")
    await videos.storage.put("videos/8/source/2.m4s", b"not named")
    answer, body = await videos.get(f"/{owner}/source/head.m4s")
    assert (answer.status, body) == (200, b"head")
    path = object_path(MEDIA_TOKEN_KEY, owner, "videos/8/source/1.m4s")
    answer, body = await videos.get(f"/{owner}/{path}")
    assert (answer.status, body) == (200, SEGMENT)
    for other in (
        f"/{owner}/{path.replace('1.m4s', '2.m4s')}",
        f"/vod/7/{path}",
        f"/{owner}/o/{'A' * 16}/videos/8/source/1.m4s",
        f"/{owner}/o/A/videos/8/source/1.m4s",
    ):
        assert await error_code(videos, other, 404) == "not_found"


async def test_pictures_may_change(videos: VideoEdge) -> None:
    for version in ("1", "2"):
        await videos.storage.put("videos/7/poster.jpg", version.encode())
        answer, body = await videos.get(f"/vod/7/poster.jpg?v={version}")
        assert (answer.status, body) == (200, version.encode())
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"] == "public, max-age=3600, immutable"
    answer, body = await videos.get("/vod/7/poster.jpg")
    assert (answer.status, body) == (200, b"2")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    await videos.storage.put("videos/7/storyboard/0.jpg", b"sprite")
    answer, body = await videos.get("/vod/7/storyboard/0.jpg?v=12")
    assert (answer.status, body) == (200, b"sprite")


async def test_exports(videos: VideoEdge) -> None:
    await videos.storage.put("videos/7/exports/5.mp3", SEGMENT)
    soon = int(time.time()) + 60
    path = export_path(MEDIA_TOKEN_KEY, 7, 5, "mp3", soon)
    answer, body = await videos.get(path)
    assert (answer.status, body) == (200, SEGMENT)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Cache-Control"] == "private, max-age=0"
    answer, body = await videos.get(path, headers={"Range": "bytes=100-199"})
    assert (answer.status, body) == (206, SEGMENT[100:200])
    answer, _ = await videos.get(path, headers={"Range": f"bytes={len(SEGMENT)}-"})
    assert answer.status == 416
    async with videos.edge.viewer.head(videos.edge.url + path) as head:
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(SEGMENT)))
    answer, _ = await videos.get(f"{path}?download=1")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="7.mp3"'
    for other, code in (
        ("/vod/7/exports/5.mp3", "playback_token_missing"),
        (f"/vod/{token(7)}/7/exports/5.mp3", "playback_token_invalid"),
        (path.replace("/5.mp3", "/6.mp3"), "playback_token_invalid"),
        (export_path(MEDIA_TOKEN_KEY, 7, 5, "mp3", soon - 1000), "playback_token_expired"),
    ):
        assert await error_code(videos, other, 403) == code
    # It plays nothing else.
    videos.recorder.states["videos/7"]["state"] = "token"
    videos.recorder.states["videos/11"] = {"state": "token", "prefix": "videos/7"}
    stolen = path.split("/")[2]
    assert await error_code(videos, f"/vod/{stolen}/11/source/1.m4s", 403)


async def test_odd_paths_are_unknown(videos: VideoEdge) -> None:
    for path in (
        "/vod/7/", "/vod/7", "/vod/7/source/", "/vod/7/source/1.mp3", "/vod/7/source/../1.m4s",
        "/vod/7/source%2f1.m4s%00", "/vod/7/a/b/c.m4s",
        "/vod/7/source/.1.m4s", "/vod/7/source/1.m4s.m4s", "/vod/7/Source/1.m4s", "/vod/~/7/source/1.m4s",
        "/vod/7/exports/5.txt", "/vod/7/exports/x.mp4", "/vod/7/storyboard/x.jpg", "/vod/7/source/1%0d%0a.m4s",
        "/vod/7/o/AAAAAAAAAAAAAAAA/uploads/1/source/x.mp4", "/-media/state/videos/7", "/vod/7/x.php",
    ):  # fmt: skip
        reader, writer = await asyncio.open_connection("127.0.0.1", videos.edge.port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.split()[1] in (b"404", b"400"), (path, answer)
        assert SEGMENT not in answer


async def test_a_public_bucket_serves_what_everybody_may_watch(servers: RunningServers) -> None:
    async with running_video_edge(
        servers, storage_public_url="https://cdn.example/bucket/"
    ) as videos:
        videos.recorder.states["videos/7"] = {"state": "open", "prefix": "videos/7"}
        videos.recorder.states["videos/8"] = {"state": "token", "prefix": "videos/8"}
        await videos.storage.put("videos/8/source/1.m4s", SEGMENT)
        answer, _ = await videos.get("/vod/7/source/1.m4s")
        assert answer.status == 302
        assert answer.headers["Location"] == "https://cdn.example/bucket/videos/7/source/1.m4s"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        answer, body = await videos.get(f"/vod/{token(8)}/8/source/1.m4s")
        assert (answer.status, body) == (200, SEGMENT)
        answer, _ = await videos.get("/")
        policy = answer.headers["Content-Security-Policy"]
        for part in ("connect-src 'self'", "media-src 'self' blob:", "img-src 'self' data: blob:"):
            assert f"{part} https://cdn.example;" in policy
