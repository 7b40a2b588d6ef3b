"""Init, part and segment files: sent whole or held or refused, never in part."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.integration.edge.nginx import Edge
from tests.integration.edge.test_playlists import holds

BASE = "/live/ann/s/source"


async def test_files_and_their_headers(edge: Edge) -> None:
    for name in ("init-0.mp4", "part-7.m4s", "seg-1.m4s"):
        edge.write_media("s/source", name, name.encode())
        async with edge.viewer.get(f"{edge.url}{BASE}/{name}") as answer:
            assert answer.status == 200
            assert await answer.text() == name
            assert answer.headers["Content-Type"] == "video/mp4"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_head_range_and_conditional(edge: Edge) -> None:
    edge.write_media("s/source", "seg-1.m4s", bytes(range(100)))
    url = f"{edge.url}{BASE}/seg-1.m4s"
    async with edge.viewer.head(url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "100")
    async with edge.viewer.get(url, headers={"Range": "bytes=10-19"}) as answer:
        assert answer.status == 206
        assert await answer.read() == bytes(range(10, 20))
        assert answer.headers["Content-Range"] == "bytes 10-19/100"
    async with edge.viewer.get(url, headers={"Range": "bytes=200-"}) as answer:
        assert answer.status == 416
    async with edge.viewer.get(url) as answer:
        tag = answer.headers["ETag"]
    async with edge.viewer.get(url, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
    async with edge.viewer.options(url) as answer:
        assert answer.status == 204
        assert "Range" in answer.headers["Access-Control-Allow-Headers"]
    async with edge.viewer.post(url) as answer:
        assert answer.status == 405


async def test_hinted_part_is_held_until_it_is_there(edge: Edge) -> None:
    await edge.put_playlist("s", "source", msn=5, part=2, complete=4, number=20)

    async def get() -> tuple[int, bytes, str]:
        async with edge.viewer.get(f"{edge.url}{BASE}/part-21.m4s") as answer:
            return answer.status, await answer.read(), answer.headers["Cache-Control"]

    requests = [asyncio.create_task(get()) for _ in range(20)]
    await holds(edge, 20)
    # Written under another name first: until it is whole it is not there.
    growing = edge.media / "s/source/.part-21.m4s"
    growing.parent.mkdir(parents=True)
    growing.write_bytes(b"half")
    await asyncio.sleep(0.03)
    assert not any(request.done() for request in requests)
    growing.write_bytes(b"the whole part")
    growing.rename(edge.media / "s/source/part-21.m4s")
    began = time.monotonic()
    await edge.put_playlist("s", "source", msn=5, part=3, complete=4, number=21)
    for status, body, cache in await asyncio.gather(*requests):
        assert (status, body) == (200, b"the whole part")
        assert "immutable" in cache
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    "name",
    ["part-22.m4s", "part-20.m4s", "part-0.m4s", "seg-5.m4s", "seg-6.m4s", "init-9.mp4"],
)
async def test_what_is_not_hinted_is_unknown(edge: Edge, name: str) -> None:
    await edge.put_playlist("s", "source", msn=5, part=2, complete=4, number=20)
    async with edge.viewer.get(f"{edge.url}{BASE}/{name}") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "not_found"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("how", ["ended", "forgotten", "skipped", "stalled"])
async def test_hinted_part_that_never_comes(edge: Edge, how: str) -> None:
    await edge.put_playlist("s", "source", msn=5, part=2, complete=4, number=20, target_duration=1)

    async def get() -> int:
        async with edge.viewer.get(f"{edge.url}{BASE}/part-21.m4s") as answer:
            await answer.read()
            return answer.status

    request = asyncio.create_task(get())
    await holds(edge, 1)
    if how == "ended":
        await edge.put_playlist("s", "source", msn=5, part=2, complete=5, number=20, ended=True)
    elif how == "forgotten":
        async with edge.publisher.delete("http://edge/sessions/s"):
            pass
    elif how == "skipped":
        await edge.put_playlist("s", "source", msn=5, part=4, complete=4, number=22)
    assert await asyncio.wait_for(request, 4) == (503 if how == "stalled" else 404)


@pytest.mark.parametrize(
    "path",
    [
        "/live/ann/s/source/part-1.mp4", "/live/ann/s/source/part-.m4s", "/live/ann/s/source/x",
        "/live/ann/s/source/", "/live/ann/s/source/../../../secret", "/live/ann/..%2f..%2fsecret",
        "/live/ann/s/source/.part-1.m4s", "/live/ann/s%2fsource/part-1.m4s", "/live/", "/live/a",
        "/live/Ann/index.m3u8", "/live/ann/s/SOURCE/index.m3u8", "/live/-thumbnail/s",
        "/live/ann/s/source/part-1234567890.m4s",
    ],
)  # fmt: skip
async def test_odd_paths_are_unknown(edge: Edge, path: str) -> None:
    edge.write_media("s/source", "part-1.mp4", b"x")
    (edge.root / "secret").write_text("secret")
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split()[1] in (b"404", b"400")
    assert b"secret" not in answer.lower().partition(b"\r\n\r\n")[2]


async def test_thumbnail(edge: Edge) -> None:
    url = f"{edge.url}/live/ann/thumbnail.jpg"
    async with edge.viewer.get(url) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "stream_offline"
    await edge.put_channel("ann", "s", '{"state":"live"}')
    async with edge.viewer.get(url) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "not_found"
    edge.write_media("s", "thumbnail.jpg", b"jpeg")
    async with edge.viewer.get(url) as answer:
        assert answer.status == 200
        assert await answer.read() == b"jpeg"
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"] == "public, max-age=5"
