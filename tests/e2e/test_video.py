"""A broadcast as a video, in a browser: rewound while it is live, clipped, and watched when it is over with
its chat beside it; and a file that is uploaded and watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from bench.stage import Channel
from cli.toolchain import Toolchain
from tests.e2e.samples import Recipe, Sample
from tests.e2e.stage import Stage, Streamer
from tests.e2e.ui import PHONE, Visitor, shown, visitor
from tests.harness import eventually_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]


# Where the video is when a message of the chat beside it is first seen: asked from outside the page, the answer
# would be late by as much as this machine is busy.
_FIRST_SEEN = """(words) => new Promise((found) => {
    const box = document.querySelector("[data-testid=replay]");
    const look = () => {
        const rows = [...box.querySelectorAll("[data-testid=message]")];
        const there = rows.some((row) => row.textContent.includes(words));
        if (there) found(document.querySelector("video").currentTime);
        return there;
    };
    if (look()) return;
    const watching = new MutationObserver(() => look() && watching.disconnect());
    watching.observe(box, { childList: true, subtree: true });
})"""


@cache
def evening() -> Sample:
    """Four minutes of few pictures, made once: long enough to be paused, cut and looked back at."""
    return Recipe(seconds=240, fps=12, bitrate=200_000).make()


def holiday(file: Path) -> None:
    """A file as a camera writes it."""
    subprocess.run(
        [
            *(str(Toolchain.from_environment().ffmpeg()), "-v", "error", "-nostdin", "-y"),
            *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=24:d=8"),
            *("-f", "lavfi", "-i", "sine=440:d=8", "-pix_fmt", "yuv420p", "-c:v", "libx264"),
            *("-preset", "ultrafast", "-c:a", "aac", str(file)),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )


@contextlib.asynccontextmanager
async def live(stage: Stage) -> AsyncIterator[tuple[Channel, Streamer]]:
    """A channel that is being streamed to."""
    async with stage.channel() as channel, Streamer(stage, channel.key, evening()) as streamer:
        await streamer.sending()
        await channel.wait_for("live")
        yield channel, streamer


def line(viewer: Visitor) -> Locator:
    """The timeline under the picture."""
    return viewer.page.get_by_role("slider", name="Seek")


async def place(viewer: Visitor) -> tuple[int, int]:
    """Where the playhead is on the line, and how long that is, whole seconds."""
    now = await line(viewer).get_attribute("aria-valuenow")
    end = await line(viewer).get_attribute("aria-valuemax")
    return int(now or 0), int(end or 0)


async def recorded(viewer: Visitor, seconds: int) -> None:
    """Wait until the line reaches back to the beginning and is that long."""
    await expect(line(viewer)).to_have_count(1, timeout=60_000)

    async def long() -> bool:
        return (await place(viewer))[1] >= seconds

    await eventually_async(long, within_s=90, what=f"{seconds} s of a broadcast")


async def state(viewer: Visitor, wanted: str) -> None:
    """Wait until the player is in that state."""
    player = viewer.page.locator(f"[data-player-state={wanted}]")
    await expect(player).to_have_count(1, timeout=30_000)


async def seek(viewer: Visitor, share: float) -> None:
    """Press on the line, that far along."""
    await viewer.page.mouse.move(*await _over(viewer, 0.5, 0.4))
    x, y = await _on_line(viewer, share)
    await viewer.page.mouse.move(x, y)
    await viewer.page.mouse.click(x, y)


async def _over(viewer: Visitor, across: float, down: float) -> tuple[float, float]:
    box = await viewer.page.locator("[data-player-state]").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * across, box["y"] + box["height"] * down


async def _on_line(viewer: Visitor, share: float) -> tuple[float, float]:
    box = await line(viewer).bounding_box()
    assert box is not None
    return box["x"] + box["width"] * share, box["y"] + box["height"] / 2


async def video_of(stage: Stage, channel: Channel, *statuses: str) -> dict[str, Any]:
    """The channel's video, once it is in one of these states."""

    async def found() -> dict[str, Any] | None:
        answer = await channel.client.get("/api/v1/me/videos")
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return next((item for item in items if item["status"] in statuses), None)

    video = await eventually_async(found, within_s=60, what=f"a video that is {statuses}")
    assert video is not None
    return video


async def stored(stage: Stage, channel: Channel, seconds: float) -> None:
    """Wait until that much of what is live is in its video."""

    async def enough() -> bool:
        return ((await video_of(stage, channel, "live"))["duration_s"] or 0) >= seconds

    await eventually_async(enough, within_s=60, what=f"{seconds} s of a video")


async def test_rewind_clip_stop_and_watch_with_the_chat(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, streamer), visitor(browser, stage.http) as viewer:
        page = viewer.page
        # A page that was there from the beginning may still have it, and would not ask the record.
        await stored(stage, channel, 6)
        await viewer.register()
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        box = page.get_by_label("Your message")
        await box.fill("the first word")
        await page.keyboard.press("Enter")
        await shown(page.get_by_test_id("message").filter(has_text="the first word"))
        await box.blur()
        await recorded(viewer, 25)

        # Back to the beginning, where the record plays; the line does not jump.
        await seek(viewer, 0.05)
        await state(viewer, "rewound")
        await viewer.plays()
        assert (await place(viewer))[0] < 20
        await shown(page.get_by_role("button", name="Go to live"))

        # And to the edge again.
        await page.keyboard.press("l")
        await state(viewer, "live")
        await viewer.plays()

        clip = await make_clip(viewer)
        await streamer.stop()
        video = await video_of(stage, channel, "ready")
        assert video["duration_s"] > 20

        await watch(viewer, video["id"])
        await viewer.open(f"/clips/{clip}")
        await viewer.plays()
        await viewer.open(f"/{channel.login}/videos")
        await shown(page.locator(f'a[href="/videos/{video["id"]}"]'))
        await viewer.open(f"/{channel.login}/clips")
        await shown(page.locator(f'a[href="/clips/{clip}"]'))


async def make_clip(viewer: Visitor) -> str:
    """Cut one of what is live, its ends moved by keys. Its id."""
    page = viewer.page
    await page.mouse.move(*await _over(viewer, 0.5, 0.4))
    await viewer.button("Clip").click()
    start = page.get_by_role("slider", name="Start of the clip")
    await shown(start)
    before = float(await start.get_attribute("aria-valuenow") or 0)
    await start.focus()
    await page.keyboard.press("Shift+ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(start).to_have_attribute("aria-valuenow", f"{round(before + 1.1, 1):g}")
    await page.get_by_label("Title").fill("What a moment")
    await viewer.button("Make the clip").click()
    await page.wait_for_url("**/clips/*", timeout=30_000)
    await shown(viewer.heading("What a moment"))
    await viewer.plays()
    return page.url.rsplit("/", 1)[1]


async def watch(viewer: Visitor, video_id: str) -> None:
    """The finished video: it seeks by its previews, its chat follows, and it goes on where one left it."""
    page = viewer.page
    await viewer.open(f"/videos/{video_id}")
    await viewer.plays()
    said = page.get_by_test_id("replay").get_by_test_id("message")

    await page.mouse.move(*await _over(viewer, 0.5, 0.4))
    await page.mouse.move(*await _on_line(viewer, 0.6))
    await shown(page.get_by_test_id("preview").locator("[style*=background-image]"))

    # Everything was said by the end, and nothing at the beginning.
    await page.keyboard.press("9")
    await expect(said.filter(has_text="the first word")).to_have_count(1, timeout=30_000)
    at = float(await said.first.get_attribute("data-at") or 0)
    await page.keyboard.press("0")
    await expect(said).to_have_count(0 if at > 2 else 1, timeout=30_000)

    # It is there when the playhead comes to it, also at double speed.
    seen = asyncio.create_task(page.evaluate(_FIRST_SEEN, "the first word"))
    await page.keyboard.press("Shift+>")
    for _ in range(3):
        await page.keyboard.press("Shift+>")
    assert await viewer.video("video.playbackRate") == 2
    assert await asyncio.wait_for(seen, 60) < at + 4
    await expect(said.filter(has_text="the first word")).to_have_count(1)

    await page.keyboard.press("5")
    await page.keyboard.press("k")
    await eventually_async(lambda: viewer.video("video.paused"), what="paused")
    left = float(await viewer.video("video.currentTime"))

    async def kept() -> bool:
        found = await viewer.rest("GET", f"/videos/{video_id}")
        return abs(float(found["position_s"] or 0) - left) < 3

    await eventually_async(kept, within_s=20, what="the place to go on from")
    await page.reload()
    await viewer.plays()
    assert float(await viewer.video("video.currentTime")) > left - 3


@pytest.mark.long
async def test_a_long_pause_goes_on_where_it_was(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, _), visitor(browser, stage.http) as viewer:
        page = viewer.page
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        await recorded(viewer, 8)
        await page.keyboard.press("k")
        await eventually_async(lambda: viewer.video("video.paused"), what="paused")
        paused_at, end = await place(viewer)
        await recorded(viewer, end + 33)
        await page.keyboard.press("k")
        await state(viewer, "rewound")
        await viewer.plays()
        assert (await place(viewer))[0] < paused_at + 15
        await page.get_by_role("button", name="Go to live").click()
        await state(viewer, "live")
        await viewer.plays()


async def test_upload_and_watch(stage: Stage, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "a holiday.mp4"
    await asyncio.to_thread(holiday, file)
    async with visitor(browser, stage.http) as creator:
        page = creator.page
        await creator.register()
        await creator.open("/dashboard/upload")
        await page.get_by_test_id("upload-files").set_input_files(file)
        done = page.locator("[data-testid=upload][data-state=done]")
        await expect(done).to_have_count(1, timeout=120_000)
        await done.get_by_role("link", name="Watch").click()
        await shown(creator.heading("a holiday"))
        await creator.plays()


async def test_the_catalogue_on_a_phone(stage: Stage, browser: Browser) -> None:
    async with (
        live(stage) as (channel, _),
        visitor(browser, stage.http, viewport=PHONE) as viewer,
    ):
        video = await video_of(stage, channel, "live")
        await viewer.open("/videos")
        card = viewer.page.locator(f'a[href="/videos/{video["id"]}"]')
        await shown(card)
        await viewer.no_sideways_scroll()
        await card.click()
        await viewer.plays()
        await viewer.no_sideways_scroll()
        await viewer.open("/videos?q=nothingislikethis")
        await shown(viewer.heading("No video is like that"))
