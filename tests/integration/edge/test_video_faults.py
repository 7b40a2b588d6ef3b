"""Videos while the object storage, recorder or the edge itself is away, and what is written down then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date

import aiohttp
import pytest
import pytest_asyncio

from core.media_tokens import media_token
from recorder.edges import grant, open_edges
from tests.harness import RunningServers, eventually_async
from tests.integration.edge.nginx import MEDIA_TOKEN_KEY
from tests.integration.edge.video_kit import VideoEdge, running_video_edge

SEGMENT = bytes(range(256)) * 4096
LONG_AGO = date(2020, 1, 1)
ONE, TWO = "/vod/7/source/1.m4s", "/vod/7/source/2.m4s"


@pytest_asyncio.fixture
async def videos(servers: RunningServers) -> AsyncIterator[VideoEdge]:
    async with running_video_edge(servers, told=False, storage_patience_s=1) as running:
        running.recorder.states["videos/7"] = {"state": "open", "prefix": "videos/7"}
        for name in (1, 2):
            await running.storage.put(f"videos/7/source/{name}.m4s", SEGMENT)
        yield running


async def code(videos: VideoEdge, path: str, status: int) -> str:
    answer, _ = await videos.get(path)
    assert answer.status == status
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    found: str = (await answer.json())["error"]["code"]
    return found


async def test_storage_away_and_back(videos: VideoEdge) -> None:
    await videos.tell()
    assert (await videos.get(ONE))[0].status == 200
    await videos.wire.stop()
    answer, body = await videos.get(ONE)
    assert (answer.status, body) == (200, SEGMENT)
    answer, body = await videos.get(ONE, headers={"Range": "bytes=5-9"})
    assert (answer.status, body) == (206, SEGMENT[5:10])
    assert await code(videos, TWO, 503) == "storage_unavailable"
    assert (await videos.figures())["video_failures_total"] == 1
    await videos.wire.start()
    answer, body = await videos.get(TWO)
    assert (answer.status, body) == (200, SEGMENT)


async def test_a_storage_that_says_nothing(videos: VideoEdge) -> None:
    await videos.tell()
    videos.wire.silent = True
    began = time.monotonic()
    assert await code(videos, TWO, 503) == "storage_unavailable"
    assert 0.9 < time.monotonic() - began < 5
    videos.wire.silent = False
    assert (await videos.get(TWO))[1] == SEGMENT


async def test_an_object_that_breaks_off_is_not_kept(videos: VideoEdge) -> None:
    await videos.tell()
    videos.wire.cut = True
    with pytest.raises((aiohttp.ClientPayloadError, AssertionError)):
        answer, body = await videos.get(TWO)
        assert answer.status == 200 and len(body) == len(SEGMENT)
    videos.wire.cut = False
    assert (await videos.get(TWO))[1] == SEGMENT


async def test_a_key_of_another_account(videos: VideoEdge) -> None:
    await videos.tell(s3_secret_key=type(videos.settings.s3_secret_key)("wrong"))
    assert await code(videos, ONE, 503) == "storage_unavailable"
    await videos.tell()
    assert (await videos.get(ONE))[0].status == 200


async def test_a_key_of_another_day(videos: VideoEdge) -> None:
    told = grant(videos.settings, [f"127.0.0.1:{videos.wire.port}"], LONG_AGO)
    async with videos.edge.publisher.put(
        "http://edge/storage", headers=told.headers, data=told.body
    ) as answer:
        assert answer.status == 200
    assert await code(videos, ONE, 503) == "unavailable"
    await videos.tell()
    assert (await videos.get(ONE))[0].status == 200


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Scheme", "file"), ("X-Host", "a b"), ("X-Host", "a\\r"), ("X-Addresses", "localhost:1"),
        ("X-Path", "/bucket;x"), ("X-Region", ""), ("X-Access-Key", '"'),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(videos: VideoEdge, header: str, value: str) -> None:
    told = grant(videos.settings, ["127.0.0.1:9"], LONG_AGO)
    for headers, body in (({**told.headers, header: value}, told.body), (told.headers, b"x\n")):
        async with videos.edge.publisher.put(
            "http://edge/storage", headers=headers, data=body
        ) as answer:
            assert answer.status == 400


async def test_recorder_away(videos: VideoEdge) -> None:
    await videos.tell()
    recorder = videos.recorder
    recorder.playlists["/vod/7/index.m3u8"] = "#EXTM3U\n"
    for path in (ONE, "/vod/7/index.m3u8"):
        assert (await videos.get(path))[0].status == 200
    await recorder.stop()
    # What was known of the video, and its playlist, are both out of date now.
    await asyncio.sleep(5.5)
    for path in (ONE, TWO, "/vod/7/index.m3u8"):
        assert (await videos.get(path))[0].status == 200, path
    for path in ("/vod/9/source/1.m4s", "/vod/7/480p.m3u8", "/live/ann/dvr.m3u8"):
        assert await code(videos, path, 503) == "unavailable"
    await recorder.start(videos.edge)
    assert (await videos.get("/vod/9/source/1.m4s"))[0].status == 404


async def test_edges_are_told_and_told_again(videos: VideoEdge) -> None:
    settings = videos.settings.model_copy(
        update={"edge_internal_urls": [f"unix:{videos.edge.values.internal_socket}"]}
    )
    async with open_edges(settings) as edges:
        telling = asyncio.create_task(edges.run())
        try:
            # A request of the first moment waits for the keys.
            assert (await videos.get(ONE))[0].status == 200
            videos.edge.nginx.stop()
            videos.edge.start()
            assert (await videos.get(TWO))[0].status == 200
            # And what was on the disk is there still.
            await videos.wire.stop()

            async def cached() -> bool:
                return (await videos.get(ONE))[0].status == 200

            await eventually_async(cached, what="the cache is read again")
        finally:
            telling.cancel()
            await asyncio.wait([telling])


async def test_nothing_is_written_down_that_opens_a_video(videos: VideoEdge) -> None:
    videos.recorder.states["videos/8"] = {"state": "token", "prefix": "videos/8"}
    token = media_token(MEDIA_TOKEN_KEY, 8, int(time.time()) + 600)
    private = f"/vod/~{token}/8/source/1.m4s"
    await videos.storage.put("videos/8/source/1.m4s", SEGMENT)
    await videos.tell()
    port = str(videos.wire.port)
    assert (await videos.get(private))[0].status == 200
    for path in (private.replace("1.m4s", "99.m4s"), f"/vod/~{token}/9/index.m3u8", private + "/x"):
        assert (await videos.get(path))[0].status in (403, 404)
    await videos.wire.stop()
    await videos.get(private.replace("1.m4s", "98.m4s"))
    await videos.recorder.stop()
    await videos.get(f"/vod/~{token}/8/index.m3u8")
    async with videos.edge.viewer.get(
        f"{videos.edge.url}{private}", headers={"Range": "bytes=0-0, junk", "X-Long": "x" * 9000}
    ):
        pass

    async def told() -> bool:
        return "the object storage does not serve videos" in videos.edge.nginx.log

    await eventually_async(told, what="the trouble is logged")
    written = videos.edge.nginx.log
    # Requests are told, without what their paths hold.
    assert "/vod/~/9/index.m3u8" in written
    for secret in (token, token.split(".")[2], f":{port}", "AWS4-HMAC", "Signature="):
        assert secret not in written
    assert "aborted" not in written
