"""The player on the channel's page: keys, theatre, memory, and what becomes of it when things break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, expect

from bench.stage import Channel
from tests.e2e.stage import NOISE_S, Stage, Streamer
from tests.e2e.ui import PHONE, Visitor, broadcast, shown, visitor
from tests.harness import eventually_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(150),
]


@asynccontextmanager
async def live(stage: Stage) -> AsyncIterator[tuple[Channel, Streamer]]:
    """A channel that is being streamed to."""
    async with stage.channel() as channel, Streamer(stage, channel.key, broadcast()) as streamer:
        await streamer.sending()
        await channel.wait_for("live")
        yield channel, streamer


async def test_keyboard_theatre_and_what_the_player_remembers(
    stage: Stage, browser: Browser
) -> None:
    async with live(stage) as (channel, _), visitor(browser, stage.http) as viewer:
        page = viewer.page
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        assert await viewer.video("video.muted") is False

        await page.keyboard.press("m")
        assert await viewer.video("video.muted") is True
        await page.keyboard.press("m")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        assert await viewer.video("video.volume") == pytest.approx(0.9)

        await page.keyboard.press("k")
        await eventually_async(lambda: viewer.video("video.paused"), what="paused")
        await page.keyboard.press("Space")
        await viewer.plays()

        narrow = await viewer.video("video.getBoundingClientRect().width")
        await page.keyboard.press("t")
        await expect(page.locator("[data-theatre]")).to_have_count(1)
        await eventually_async(
            lambda: viewer.video(f"video.getBoundingClientRect().width > {narrow}"), what="theatre"
        )

        await page.keyboard.press("?")
        await shown(page.get_by_role("dialog").get_by_text("Theatre mode"))
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)

        await page.reload()
        await viewer.plays()
        assert await viewer.video("video.volume") == pytest.approx(0.9)
        await expect(page.locator("[data-theatre]")).to_have_count(1)


async def test_paused_falls_behind_and_go_live_catches_up(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, _), visitor(browser, stage.http) as viewer:
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        await viewer.page.keyboard.press("k")

        async def behind() -> bool:
            return bool((await viewer.player())["edgeLatency"] > 6)

        await eventually_async(behind, within_s=20, what="six seconds behind")
        await viewer.page.keyboard.press("k")
        await viewer.plays()
        assert (await viewer.player())["edgeLatency"] > 5, "it stays where the viewer stopped it"
        await viewer.page.mouse.move(700, 400)
        await viewer.page.get_by_role("button", name="Go to live").click()

        async def at_the_edge() -> bool:
            return bool((await viewer.player())["edgeLatency"] < 3)

        await eventually_async(at_the_edge, within_s=10, what="at the live edge")
        await viewer.plays()


async def test_sound_only_and_back(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, _), visitor(browser, stage.http) as viewer:
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        await viewer.page.mouse.move(700, 400)
        await viewer.button("Quality").click()
        await viewer.page.get_by_role("menuitemradio", name="Sound only").click()
        await shown(viewer.page.get_by_text("Sound only"))
        assert await viewer.loudness() > 0.01
        await viewer.page.mouse.move(600, 300)
        await viewer.button("Quality").click()
        await viewer.page.get_by_role("menuitemradio", name="Auto").click()
        await viewer.plays()


async def test_a_reconnecting_streamer(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, streamer), visitor(browser, stage.http) as viewer:
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        streamer.may_dial.clear()
        await streamer.connection.cut()
        await shown(viewer.page.get_by_text("The streamer is reconnecting…"), within_s=3 + NOISE_S)
        await asyncio.sleep(1)
        streamer.may_dial.set()
        await expect(viewer.page.get_by_text("The streamer is reconnecting…")).to_have_count(
            0, timeout=15_000
        )
        await viewer.plays()
        assert (await viewer.player())["edgeLatency"] < 5


async def test_a_viewer_who_loses_the_network(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, _), visitor(browser, stage.http) as viewer:
        await viewer.open(f"/{channel.login}")
        await viewer.plays()
        await viewer.context.set_offline(True)
        before = await viewer.player()

        async def dry() -> bool:
            return bool((await viewer.player())["buffer"] < 0.1)

        await eventually_async(dry, within_s=20, what="an empty buffer")
        await asyncio.sleep(3)
        await viewer.context.set_offline(False)
        await viewer.plays(within_s=20)
        assert (await viewer.player())["totalFrames"] > 0
        assert before["totalFrames"] > 0
        # Chromium itself logs each request that found no network.
        viewer.complaints = [c for c in viewer.complaints if "ERR_INTERNET_DISCONNECTED" not in c]


async def test_an_open_page_starts_by_itself_every_time(stage: Stage, browser: Browser) -> None:
    async with stage.channel() as channel, visitor(browser, stage.http) as viewer:
        await viewer.open(f"/{channel.login}")
        await shown(viewer.page.get_by_test_id("offline"))
        for _ in range(2):
            async with Streamer(stage, channel.key, broadcast()) as streamer:
                await viewer.plays()
                await streamer.stop()
                await shown(viewer.page.get_by_test_id("ended"), within_s=2 + NOISE_S)


async def test_on_a_phone(stage: Stage, browser: Browser) -> None:
    async with live(stage) as (channel, _):
        async with visitor(browser, stage.http, viewport=PHONE) as viewer:
            await viewer.open(f"/{channel.login}")
            await viewer.plays()
            await viewer.no_sideways_scroll()
            # The picture comes first and fills the width.
            box = await viewer.video("video.getBoundingClientRect().toJSON()")
            assert box["width"] == PHONE["width"]
            assert box["top"] < 80
            await _open_menu(viewer)
            await viewer.no_sideways_scroll()


async def _open_menu(viewer: Visitor) -> None:
    await viewer.page.mouse.move(200, 180)
    await viewer.button("Quality").click()
    await shown(viewer.page.get_by_role("menuitemradio", name="Auto"))
