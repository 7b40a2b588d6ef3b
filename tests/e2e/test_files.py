"""Files in and files out through the edge: uploaded in pieces, watched, exported, downloaded by range."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import os
import signal
import struct
import subprocess
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin

import av
import httpx
import pytest

from api.uploads.chunks import CHUNK_BYTES
from cli.toolchain import Toolchain
from tests.harness import RunningInstance, eventually_async

pytestmark = pytest.mark.e2e
SECONDS = 6
PASSWORD = "correct horse"
TUS = {"Tus-Resumable": "1.0.0"}
_names = itertools.count(1)


@pytest.fixture(scope="module")
def film(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of some megabytes."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    words = (
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=size=640x360:rate=30:duration={SECONDS}",
        "-f",
        "lavfi",
    )
    sound = ("-i", f"sine=frequency=440:duration={SECONDS}", "-c:v", "libx264")
    quickly = ("-preset", "ultrafast", "-b:v", "3M")
    command = [str(toolchain.ffmpeg()), "-loglevel", "error", *words, *sound, *quickly]
    subprocess.run([*command, "-c:a", "aac", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path.read_bytes()


async def _register(http: httpx.AsyncClient) -> str:
    """A new account, logged in: its login."""
    login = f"films_{next(_names)}"
    account = {"login": login, "email": f"{login}@example.org", "password": PASSWORD}
    answer = await http.post("/api/v1/auth/register", json=account)
    assert answer.status_code == 201, answer.text
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return login


async def _begin(http: httpx.AsyncClient, size: int) -> tuple[str, str]:
    """Announce a file: where it goes, and the id of its video."""
    name = base64.b64encode(b"film.mp4").decode()
    metadata = f"filename {name},title {base64.b64encode('Über film'.encode()).decode()}"
    more = {"Upload-Length": str(size), "Upload-Metadata": metadata}
    begun = await http.post("/api/v1/uploads", headers={**TUS, **more})
    assert begun.status_code == 201, begun.text
    return str(begun.headers["Location"]), str(begun.headers["Upload-Video"])


async def _send(http: httpx.AsyncClient, url: str, offset: int, piece: bytes) -> None:
    more = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    sent = await http.patch(url, headers={**TUS, **more}, content=piece)
    assert sent.status_code == 204, sent.text


async def _upload(http: httpx.AsyncClient, data: bytes) -> str:
    """Send a file in two pieces: the id of its video."""
    url, video_id = await _begin(http, len(data))
    half = len(data) // 2
    await _send(http, url, 0, data[:half])
    await _send(http, url, half, data[half:])
    asked = await http.head(url, headers=TUS)
    assert asked.headers["Upload-Offset"] == str(len(data))
    return video_id


async def _ready(http: httpx.AsyncClient, path: str, name: str, *wanted: str) -> dict[str, Any]:
    """What is at `path` once `name` of it is one of `wanted`."""

    async def look() -> dict[str, Any] | None:
        content: dict[str, Any] = (await http.get(path)).json()
        return content if content[name] in wanted else None

    found = await eventually_async(look, within_s=120, what=f"{path} is {wanted}")
    assert found is not None
    return found


@pytest.mark.timeout(240)
async def test_a_film_goes_in_and_comes_out(instance: RunningInstance, film: bytes) -> None:
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as http:
        await _register(http)
        video_id = await _upload(http, film)
        video = await _ready(http, f"/api/v1/videos/{video_id}", "status", "ready", "failed")
        assert video["status"] == "ready", video
        assert video["title"] == "Über film"
        assert video["duration_s"] == pytest.approx(SECONDS, abs=0.1)
        assert await _frames_of_playlist(http, video["playback_url"]) == SECONDS * 30

        for kind in ("mp4", "mp3"):
            asked = await http.post(f"/api/v1/videos/{video_id}/exports", json={"format": kind})
            assert asked.status_code == 202, asked.text
            path = f"/api/v1/exports/{asked.json()['id']}"
            export = await _ready(http, path, "state", "done", "failed")
            assert export["state"] == "done", export
            moved = await http.get(export["download_url"])
            assert moved.status_code == 302
            await _downloads(moved.headers["Location"], instance.url, export["size"], kind)


@pytest.mark.timeout(240)
async def test_client_and_server_start_anew_in_the_middle(
    instance: RunningInstance, film: bytes
) -> None:
    size = CHUNK_BYTES + len(film)
    # A box that every reader passes over makes the file as long as several of the server's chunks.
    data = film + struct.pack(">I4s", CHUNK_BYTES, b"free") + bytes(CHUNK_BYTES - 8)
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as http:
        login = await _register(http)
        url, video_id = await _begin(http, size)
        never = asyncio.Event()

        async def halting() -> AsyncIterator[bytes]:
            yield data[: CHUNK_BYTES + 1000]
            await never.wait()

        more = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        sending = asyncio.create_task(http.patch(url, headers={**TUS, **more}, content=halting()))

        async def kept() -> bool:
            return await _offset(http, url) >= CHUNK_BYTES

        await eventually_async(kept, within_s=30)
        os.kill(instance.pid("api"), signal.SIGKILL)
        os.kill(instance.pid("recorder"), signal.SIGKILL)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    # Somebody who knows nothing but their password.
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as http:

        async def is_back() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually_async(is_back, within_s=60)
        answer = await http.post("/api/v1/auth/login", json={"login": login, "password": PASSWORD})
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        found = (await http.get("/api/v1/uploads")).json()["items"][0]
        assert (found["url"], found["state"], found["size"]) == (url, "receiving", size)
        offset = await _offset(http, url)
        assert offset >= CHUNK_BYTES
        await _send(http, url, offset, data[offset:])
        video = await _ready(http, f"/api/v1/videos/{video_id}", "status", "ready", "failed")
        assert video["status"] == "ready", video
        assert await _frames_of_playlist(http, video["playback_url"]) == SECONDS * 30


async def _offset(http: httpx.AsyncClient, url: str) -> int:
    return int((await http.head(url, headers=TUS)).headers["Upload-Offset"])


async def _frames_of_playlist(http: httpx.AsyncClient, address: str) -> int:
    """How many frames the best rendition of a video has."""
    multivariant = (await http.get(address)).text
    best = next(line for line in multivariant.splitlines() if not line.startswith("#"))
    url = urljoin(address, best)
    playlist = (await http.get(url)).text.splitlines()
    assert "#EXT-X-ENDLIST" in playlist
    init = next(line for line in playlist if line.startswith("#EXT-X-MAP")).split('"')[1]
    names = [init, *(line for line in playlist if not line.startswith("#"))]
    parts = [(await http.get(urljoin(url, name))).content for name in names]
    with av.open(io.BytesIO(b"".join(parts)), "r", format="mov") as container:
        return sum(1 for _ in container.decode(video=0))


async def _downloads(path: str, base: str, size: int, kind: str) -> None:
    """A download without a login, whole and in part; and none without the signature."""
    async with httpx.AsyncClient(base_url=base, timeout=30) as stranger:
        whole = await stranger.get(path)
        assert (whole.status_code, len(whole.content)) == (200, size)
        assert "attachment" in whole.headers["Content-Disposition"]
        middle = await stranger.get(path, headers={"Range": "bytes=1000-1999"})
        assert (middle.status_code, middle.content) == (206, whole.content[1000:2000])
        with av.open(io.BytesIO(whole.content), "r") as container:
            assert (container.duration or 0) / 1e6 == pytest.approx(SECONDS, abs=0.3)
        plain = "/vod/" + path.split("/", 3)[3].partition("?")[0]
        assert (await stranger.get(plain)).status_code in (403, 404)
    assert path.endswith(f".{kind}?download=1")
