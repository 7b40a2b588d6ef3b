"""The main job, whole: from an empty browser to being seen and heard live, and off again."""

from __future__ import annotations

import re
import secrets
import time

import pytest
from playwright.async_api import Browser, expect

from bench.player import install_probe
from tests.e2e.browser import Viewing
from tests.e2e.stage import NOISE_S, Stage, Streamer
from tests.e2e.ui import PASSWORD, broadcast, shown, visitor
from tests.harness import PLAIN_HOST, eventually_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]


@pytest.mark.parametrize(
    "plain_http",
    [
        pytest.param(False, marks=pytest.mark.long, id="secure context"),
        pytest.param(True, id="plain HTTP"),
    ],
)
async def test_from_registration_to_a_live_channel_and_off_again(
    stage: Stage, browser: Browser, plain_http: bool
) -> None:
    http = stage.http.replace("127.0.0.1", PLAIN_HOST) if plain_http else stage.http
    login = f"live_{secrets.token_hex(4)}"
    title = f"The title of {login}"
    async with visitor(browser, http) as creator, visitor(browser, http) as viewer:
        # An account, and straight on to the dashboard.
        page = creator.page
        await creator.open("/")
        await page.get_by_role("link", name="Sign up").click()
        await page.get_by_label("Name", exact=True).fill(login)
        await page.get_by_label("E-mail").fill(f"{login}@example.org")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await creator.button("Make my channel").click()
        await shown(creator.heading("Connect OBS"))

        # A key, copied: what is pasted is what works.
        await creator.button("Make my stream key").click()
        await creator.button("Copy stream key").click()
        await shown(page.get_by_text("Copied to the clipboard."))
        place = page.get_by_label("Title")
        await place.focus()
        await page.keyboard.press("Control+V")
        key = await place.input_value()
        assert re.fullmatch(r"live_[0-9]+_[A-Za-z0-9]{16,}", key)
        stage.keys.append(key)
        await creator.button("Copy server").click()
        await place.fill("")
        await page.keyboard.press("Control+V")
        assert await place.input_value() == stage.instance.info["rtmp"]
        await place.fill(title)
        await creator.button("Save").click()
        await shown(page.get_by_text("Your stream info is saved."))

        # Nobody is there yet.
        viewing = Viewing(viewer.page)
        await install_probe(viewer.page)
        await viewer.open(f"/{login}")
        await shown(viewer.page.get_by_test_id("offline"))

        async with Streamer(stage, key, broadcast()) as streamer:
            # The open page plays by itself, and what it plays moves and sounds.
            await viewing.until(100, within_s=40)
            assert len(set(viewing.shown())) >= 3
            assert await viewer.loudness() > 0.01
            assert await viewer.video("video.webkitAudioDecodedByteCount") > 0
            await shown(page.get_by_text("You are live"))
            await shown(page.get_by_text("Bitrate"))

            # The directory has it, with a picture, and leads to it.
            await viewer.open("/")
            card = viewer.page.get_by_role("article").filter(has_text=title)
            await shown(card)
            await shown(card.locator("img"))
            await card.get_by_role("link").click()
            await viewer.plays()
            assert viewer.page.url == f"{http}/{login}"

            await streamer.stop()
            stopped = time.monotonic()
            await shown(viewer.page.get_by_test_id("ended"), within_s=2 + NOISE_S)
            await shown(page.get_by_text("Waiting for OBS", exact=True), within_s=5)
            assert time.monotonic() - stopped < 8
        await viewer.open("/")
        await expect(viewer.page.get_by_text(title)).to_have_count(0)


async def test_end_stream_on_the_dashboard_ends_it_for_everybody(
    stage: Stage, browser: Browser
) -> None:
    async with visitor(browser, stage.http) as creator, visitor(browser, stage.http) as viewer:
        login = await creator.register()
        key = await creator.make_key()
        stage.keys.append(key)
        await creator.open("/dashboard")
        await viewer.open(f"/{login}")
        async with Streamer(stage, key, broadcast()) as streamer:
            await viewer.plays()
            # So that the encoder's own reconnect does not start a new stream meanwhile.
            streamer.may_dial.clear()
            await creator.button("End stream").click()
            await creator.button("End it now").click()
            await shown(viewer.page.get_by_test_id("ended"), within_s=2 + NOISE_S)
            await shown(creator.page.get_by_text("Waiting for OBS", exact=True))


async def test_a_refused_encoder_is_explained(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as creator:
        await creator.register()
        key = await creator.make_key()
        stage.keys.append(key)
        key_id = key.split("_")[1]
        await creator.open("/dashboard")
        await shown(creator.heading("Connect OBS"))
        await creator.rest("DELETE", f"/me/stream-keys/{key_id}")
        async with Streamer(stage, key, broadcast()) as streamer:

            async def refused() -> bool:
                return streamer.refusals > 0

            await eventually_async(refused, what="a refusal")
            streamer.may_dial.clear()
            await shown(creator.page.get_by_text("The last attempt was refused"))
            streamer.legs.clear()
