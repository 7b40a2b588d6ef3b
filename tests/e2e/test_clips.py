"""Clips of a running broadcast: made while one waits, exact, and with what was on a moment ago."""

from __future__ import annotations

import asyncio
import io
import statistics
import time
from typing import Any
from urllib.parse import urljoin

import av
import httpx
import pytest

from bench.stage import Channel
from tests.e2e.samples import Recipe, number_of, numbers_in
from tests.e2e.stage import Contention, Stage
from tests.harness import eventually_async

pytestmark = pytest.mark.e2e

FPS = 30
MADE_WITHIN_S = 2.0
LENGTH_S = 6.3
#: What a viewer is behind, at most: nothing that they can have seen is missing.
BEHIND_S = 0.6


async def shown(client: httpx.AsyncClient, playback_url: str) -> list[int | None]:
    """The numbers of the pictures of a clip, fetched as a player does."""
    index = (await client.get(playback_url)).raise_for_status().text
    variant = urljoin(playback_url, next(x for x in index.splitlines() if x.endswith(".m3u8")))
    found: list[int | None] = []
    init = media = b""
    for line in [*(await client.get(variant)).raise_for_status().text.splitlines(), "#EXT-X-MAP"]:
        if line.startswith("#EXT-X-MAP"):
            if media:
                with av.open(io.BytesIO(init + media), "r", format="mov") as container:
                    found += [number_of(frame) for frame in container.decode(video=0)]
            media = b""
            if '"' in line:
                init = await _object(client, urljoin(variant, line.split('"')[1]))
        elif not line.startswith("#"):
            media += await _object(client, urljoin(variant, line))
    return found


async def _object(client: httpx.AsyncClient, url: str) -> bytes:
    return (await client.get(url)).raise_for_status().content


async def make(owner: Channel, **asked: Any) -> dict[str, Any]:
    answer = await owner.client.post("/api/v1/clips", json={"title": "A clip", **asked}, timeout=30)
    assert answer.status_code == 201, answer.text
    clip: dict[str, Any] = answer.json()
    return clip


async def test_a_clip_of_what_is_on(stage: Stage) -> None:
    sample = Recipe(seconds=60, fps=FPS, gop=2).make()
    async with stage.channel() as channel:
        connection = await stage.publisher(channel.key)
        async with connection:
            began = time.monotonic()
            pushing = asyncio.create_task(connection.push(sample.tags, began=began))

            async def recorded() -> bool:
                rows = await stage.rows(
                    "select v.duration_s from videos v join users u on u.id = v.channel_id"
                    " where u.login = $1", channel.login,
                )  # fmt: skip
                return bool(rows) and rows[0]["duration_s"] > LENGTH_S

            await eventually_async(recorded, within_s=40, what="the broadcast is recorded")
            taken = []
            contention = Contention()
            for _ in range(3):
                asked = time.monotonic()
                clip = await make(channel, channel=channel.login, duration_s=LENGTH_S)
                taken.append(time.monotonic() - asked)
                numbers = await shown(channel.client, clip["playback_url"])
                first = numbers[0] or 0
                assert numbers == list(range(first, first + len(numbers)))
                assert len(numbers) / FPS == pytest.approx(LENGTH_S, abs=1.5 / FPS)
                assert clip["duration_s"] == pytest.approx(len(numbers) / FPS, abs=0.01)
                sent = (asked - began) * FPS
                assert numbers[-1] is not None
                assert numbers[-1] >= sent - BEHIND_S * FPS
            assert statistics.median(taken) <= contention.limit(MADE_WITHIN_S)
            await finished(channel, clip, numbers)
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()


async def finished(channel: Channel, clip: dict[str, Any], numbers: list[int | None]) -> None:
    """The rest follows: a picture, a file to keep, the sound alone."""

    async def there() -> dict[str, Any]:
        seen: dict[str, Any] = (await channel.client.get(f"/api/v1/clips/{clip['id']}")).json()
        assert seen["download_url"] is not None
        return seen

    whole = await eventually_async(there, within_s=30, what="the MP4")
    file = await channel.client.get(whole["download_url"])
    assert numbers_in(file.content) == numbers
    picture = await channel.client.get(whole["thumbnail_url"])
    assert picture.content.startswith(b"\xff\xd8")

    async def sounds() -> bool:
        return "audio.m3u8" in (await channel.client.get(clip["playback_url"])).text

    await eventually_async(sounds, within_s=30, what="the sound alone")
