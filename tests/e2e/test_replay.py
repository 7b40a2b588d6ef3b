"""The chat beside a recorded broadcast in a browser: a conversation with a reconnect inside, at one and
two times its speed, and after seeks. The broadcast is written into the spool, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import uuid
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser

from bench.generated import SEGMENT_S, Generated, Media, packaged
from bench.stage import Channel
from cli.toolchain import Toolchain
from tests.e2e.stage import Contention, Stage
from tests.e2e.ui import Visitor, visitor
from tests.harness import RunningServers, eventually_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SEGMENTS_BEFORE, SEGMENTS_AFTER = 10, 10
GAP_S = 30.0
#: Somebody says something so often, also while the picture is away.
EVERY_S = 0.8
#: How far from its place a message may appear.
NEAR_S = 1.0

# Notes for each message when it was first seen: its place, where the video was, and how fast.
_WATCH = """() => {
    const video = document.querySelector("video");
    const box = document.querySelector("[data-testid=replay]");
    const seen = new Set();
    window.noted = [];
    const look = () => {
        for (const row of box.querySelectorAll("[data-testid=message]")) {
            if (seen.has(row.dataset.id)) continue;
            seen.add(row.dataset.id);
            window.noted.push([Number(row.dataset.at), video.currentTime, video.playbackRate]);
        }
    };
    look();
    window.noted = [];
    new MutationObserver(look).observe(box, { childList: true, subtree: true });
}"""
_NOW = """() => {
    const rows = [...document.querySelectorAll("[data-testid=replay] [data-testid=message]")];
    const places = rows.map((row) => Number(row.dataset.at));
    return [document.querySelector("video").currentTime, Math.max(-1, ...places)];
}"""


def recording(file: Path) -> Media:
    """What an encoder sent, cut as the packager does it."""
    seconds = SEGMENT_S * (SEGMENTS_BEFORE + SEGMENTS_AFTER + 3)
    subprocess.run(
        [
            *(str(Toolchain.from_environment().ffmpeg()), "-v", "error", "-nostdin", "-y"),
            *("-f", "lavfi", "-i", f"testsrc2=s=320x180:r=24:d={seconds}"),
            *("-f", "lavfi", "-i", f"sine=440:d={seconds}", "-pix_fmt", "yuv420p"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "200k", "-g", "48"),
            *("-keyint_min", "48", "-sc_threshold", "0", "-c:a", "aac", "-f", "flv", str(file)),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return packaged(file.read_bytes())


async def conversation(
    database: asyncpg.Connection[Any], channel: Channel, began: datetime
) -> list[float]:
    """Write what was said into the chat's history. Where each message belongs, in the video's time."""
    owner = await database.fetchval("select id from users where login = $1", channel.login)
    before_s, after_s = SEGMENT_S * SEGMENTS_BEFORE, SEGMENT_S * SEGMENTS_AFTER
    walls = [0.3 + EVERY_S * n for n in range(int((before_s + GAP_S + after_s) / EVERY_S) - 1)]
    await database.executemany(
        'insert into chat_messages (channel_id, "offset", at, id, user_id, text, data)'
        " values ($1, $2, $3, $4, $1, $5, $6)",
        [
            (
                *(owner, number, began + timedelta(seconds=wall), uuid.uuid4(), f"number {number}"),
                f'{{"user": {{"login": "{channel.login}", "name": "{channel.login}"}}}}',
            )
            for number, wall in enumerate(walls, 1)
        ],
    )
    return [min(wall, before_s) + max(0, wall - before_s - GAP_S) for wall in walls]


async def broadcast(stage: Stage, channel: Channel, media: Media) -> tuple[str, list[float]]:
    """A broadcast of the last minutes with its chat, stored. The video's id, and its messages' places."""
    settings = RunningServers(stage.instance.data).settings()
    began = datetime.now(UTC) - timedelta(minutes=5)
    database = await asyncpg.connect(
        host=stage.environment["FOOTLIGHT_RUN_DIR"], user="footlight", database="footlight"
    )
    try:
        places = await conversation(database, channel, began)
        session = secrets.token_hex(8)
        stream_id, channel_id = await database.fetchrow(
            "insert into streams (channel_id, session, node, status, started_at)"
            " select id, $2, $3, 'ended', $4 from users where login = $1 returning id, channel_id",
            *(channel.login, session, settings.node_id, began),
        )
    finally:
        await database.close()
    generated = Generated(settings, media, channel_id, stream_id, session, began)

    def write() -> None:
        generated.begin()
        generated.write(SEGMENTS_BEFORE)
        generated.pause(GAP_S)
        generated.write(SEGMENTS_AFTER)
        generated.end()

    await asyncio.to_thread(write)

    async def ready() -> str | None:
        items = (await channel.client.get("/api/v1/me/videos")).json()["items"]
        return next((str(item["id"]) for item in items if item["status"] == "ready"), None)

    video_id = await eventually_async(ready, within_s=60, what="the video")

    async def copied() -> list[dict[str, Any]]:
        path = f"/api/v1/videos/{video_id}/chat?from=0&to=1000&limit=500"
        items: list[dict[str, Any]] = (await channel.client.get(path)).json()["items"]
        return items if len(items) == len(places) else []

    items = await eventually_async(copied, within_s=60, what="its chat")
    assert [item["at_s"] for item in items] == pytest.approx(places, abs=0.1)
    return str(video_id), places


async def seek(viewer: Visitor, places: list[float], to: float) -> None:
    """Go there; all that was said until then is there within a second, and nothing else."""
    await viewer.video(f"video.currentTime = {to}")
    contention = Contention()

    async def shown() -> bool:
        now, newest = await viewer.page.evaluate(_NOW)
        due = places[bisect_right(places, now) - 1]
        return bool(abs(newest - due) <= NEAR_S)

    began = asyncio.get_running_loop().time()
    await eventually_async(shown, within_s=30, what=f"the chat at {to} s")
    took_s = asyncio.get_running_loop().time() - began
    assert took_s <= contention.limit(NEAR_S), f"the chat at {to} s took {took_s:.1f} s"


async def follows(viewer: Visitor, until: float) -> int:
    """Play until there; each message comes at its place. How many came."""
    page = viewer.page
    await page.evaluate(_WATCH)

    async def there() -> bool:
        return float(await viewer.video("video.currentTime")) >= until

    await eventually_async(there, within_s=60, what=f"{until} s of the video")
    noted: list[list[float]] = await page.evaluate("window.noted")
    late = [(at, now) for at, now, rate in noted if not -0.1 <= (now - at) / rate <= NEAR_S]
    assert late == []
    return len(noted)


async def test_the_chat_follows_through_a_reconnect(
    stage: Stage, browser: Browser, tmp_path: Path
) -> None:
    media = await asyncio.to_thread(recording, tmp_path / "sent.flv")
    async with stage.channel() as channel, visitor(browser, stage.http) as viewer:
        video_id, places = await broadcast(stage, channel, media)
        gap = SEGMENT_S * SEGMENTS_BEFORE
        await viewer.open(f"/videos/{video_id}?t={gap - 6:.0f}")
        await viewer.plays()
        await seek(viewer, places, gap - 6)
        # At its own speed over the reconnect: what was said meanwhile comes where the picture goes on.
        assert await follows(viewer, gap + 3) > GAP_S / EVERY_S
        await seek(viewer, places, 3)
        await viewer.page.get_by_role("slider", name="Seek").press("Shift+>")
        for _ in range(3):
            await viewer.page.keyboard.press("Shift+>")
        assert await viewer.video("video.playbackRate") == 2
        assert await follows(viewer, 11) > 5
        await seek(viewer, places, gap + 8)
        assert await follows(viewer, gap + 16) > 5
        await seek(viewer, places, gap - 2)
