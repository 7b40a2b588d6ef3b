"""The pages around the video: accounts, settings, the dashboard's forms, and every page on a phone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.stage import Stage
from tests.e2e.ui import DESKTOP, PASSWORD, PHONE, shown, visitor

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]


async def test_a_page_of_ones_own_asks_for_a_login_and_leads_back(
    stage: Stage, browser: Browser
) -> None:
    async with visitor(browser, stage.http) as owner:
        login = await owner.register()
        await owner.context.clear_cookies()
        await owner.open("/settings")
        await shown(owner.heading("Log in"))
        await owner.page.get_by_label("Name or e-mail").fill(login)
        await owner.page.get_by_label("Password", exact=True).fill("not the password")
        await owner.button("Log in").click()
        await shown(owner.page.get_by_role("alert"))
        owner.forgive(401)
        await owner.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await owner.button("Log in").click()
        await shown(owner.heading("Settings"))
        assert owner.page.url.endswith("/settings")

        await owner.page.get_by_role("button", name="Account:").click()
        await owner.page.get_by_role("menuitem", name="Log out").click()
        await shown(owner.page.get_by_role("link", name="Log in").first)


async def test_a_login_outlives_its_access_token(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as owner:
        await owner.register()
        # What is left after a quarter of an hour: the access cookie is gone, the refresh cookie is not.
        cookies = await owner.context.cookies()
        await owner.context.clear_cookies(name="footlight_access")
        assert any(cookie["name"] == "footlight_access" for cookie in cookies)
        await owner.open("/settings")
        await shown(owner.heading("Settings"))
        owner.forgive(401)


async def test_registration_says_what_is_wrong(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as somebody:
        page = somebody.page
        await somebody.open("/register")
        await page.get_by_label("Name", exact=True).fill("no spaces please")
        await shown(page.get_by_text("Use 3 to 25 letters"))
        await page.get_by_label("Name", exact=True).fill("admin")
        await page.get_by_label("E-mail").fill("somebody@example.org")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await somebody.button("Make my channel").click()
        await shown(page.get_by_text("This login is reserved."))
        somebody.forgive(422)
        assert await page.get_by_label("Name", exact=True).get_attribute("aria-invalid") == "true"


async def test_forgotten_and_reset_say_what_to_do(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as somebody:
        await somebody.open("/forgot")
        await shown(somebody.page.get_by_text("This site sends no e-mail"))
        await somebody.open("/reset")
        await shown(somebody.heading("This link is not whole"))
        await somebody.open("/reset#token=flp_nonsense")
        await somebody.page.get_by_label("New password").fill(PASSWORD)
        assert "token" not in somebody.page.url
        await somebody.button("Set the password").click()
        await shown(somebody.page.get_by_text("This link is over or was used."))
        somebody.forgive(422)


async def test_settings(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as owner, visitor(browser, stage.http) as other:
        login = await owner.register()
        await other.context.request.post(
            f"{stage.http}/api/v1/auth/login",
            data={"login": login, "password": PASSWORD, "session": "cookie"},
        )
        page = owner.page
        await owner.open("/settings")
        await page.get_by_label("Display name").fill("Ana ✿ Duarte")
        await page.get_by_label("About you").fill("I play instruments that I built.")
        await owner.button("Save profile").click()
        await shown(page.get_by_text("Your profile is saved."))

        await page.get_by_role("button", name="Log out Chrome").click()
        await shown(page.get_by_text("That device is logged out."))
        await other.open("/settings")
        await shown(other.heading("Log in"))
        other.forgive(401)

        await page.get_by_label("Current password").fill(PASSWORD)
        await page.get_by_label("New password").fill("another quiet evening")
        await owner.button("Change password").click()
        await shown(page.get_by_text("Your password is changed."))

        await other.open(f"/{login}")
        await shown(other.heading("Ana ✿ Duarte").first)
        await shown(other.page.get_by_text("I play instruments that I built."))

        await owner.button("Delete my account…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Password", exact=True).fill("another quiet evening")
        await dialog.get_by_role("button", name="Delete for ever").click()
        await shown(page.get_by_text("Your account is deleted."))
        await other.open(f"/{login}")
        await shown(other.heading("There is no such channel"))
        other.forgive(404)


async def test_stream_keys_and_stream_info(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as owner:
        login = await owner.register()
        page = owner.page
        await owner.open("/dashboard")
        await owner.button("New key").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("What is it for?").fill("The studio")
        await dialog.get_by_role("button", name="Make the key").click()
        await shown(dialog.get_by_label("Stream key", exact=True))
        await dialog.get_by_role("button", name="Show stream key").click()
        key = await dialog.get_by_label("Stream key", exact=True).input_value()
        stage.keys.append(key)
        assert key.startswith("live_")
        await dialog.get_by_role("button", name="Done").click()
        await page.reload()
        await shown(page.get_by_text("The studio"))
        assert key not in await page.content()

        await owner.button("Revoke key The studio").click()
        await owner.button("Revoke").click()
        await shown(page.get_by_text("No keys yet."))

        await page.get_by_label("Title").fill("Ünïcödé and <b>no markup</b>")
        await page.get_by_label("Category").fill("Music")
        await page.get_by_label("Tags").fill("Modular, chill,")
        await page.keyboard.press("Enter")
        await page.get_by_label("Language").select_option("pt")
        await owner.button("Save").click()
        await shown(page.get_by_text("Your stream info is saved."))
        await owner.open(f"/{login}")
        await shown(owner.heading("Ünïcödé and <b>no markup</b>"))
        await shown(page.get_by_text("modular", exact=True))


async def test_a_retention_that_removes_broadcasts_is_asked_about(
    stage: Stage, browser: Browser
) -> None:
    async with visitor(browser, stage.http) as owner:
        await owner.register()
        page = owner.page
        await owner.open("/dashboard/videos")
        await owner.button("Broadcast settings").click()
        days = page.get_by_label("Broadcasts are kept")
        await days.select_option("7")
        await shown(page.get_by_text("Remove broadcasts older than 7 days?"))
        await owner.button("Leave it as it was").click()
        assert await days.input_value() == ""
        await days.select_option("14")
        await owner.button("Remove older ones").click()
        await shown(page.get_by_text("Saved."))
        # A longer one removes nothing.
        async with page.expect_response("**/video-settings"):
            await days.select_option("30")
        await page.reload()
        await shown(page.get_by_text("Broadcasts are kept for 30 days"))


async def test_every_page_fits_and_keeps_to_its_policy(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http, viewport=PHONE) as owner:

        async def look(path: str, heading: str) -> None:
            await owner.page.set_viewport_size(PHONE)
            await owner.open(path)
            for size in (PHONE, DESKTOP):
                await owner.page.set_viewport_size(size)
                await shown(owner.heading(heading).first)
                await owner.no_sideways_scroll()
                # One main landmark, one first heading, and a title of its own.
                await expect(owner.page.get_by_role("main")).to_have_count(1)
                await expect(owner.page.locator("h1")).to_have_count(1)

        await look("/login", "Log in")
        await look("/register", "Make your channel")
        await look("/forgot", "Forgotten password")
        await look("/reset", "This link is not whole")
        await look("/nothing/here", "There is nothing on this stage")
        login = await owner.register()
        await owner.page.set_viewport_size(PHONE)
        await owner.open("/")
        for size in (PHONE, DESKTOP):
            await owner.page.set_viewport_size(size)
            await shown(owner.page.locator("h1"))
            await owner.no_sideways_scroll()
        await look("/dashboard", "Dashboard")
        await look("/settings", "Settings")
        await look(f"/{login}", login)


async def test_a_page_that_cannot_reach_the_server_says_so(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as somebody:
        await somebody.page.route("**/api/v1/streams*", lambda route: route.abort())
        await somebody.open("/")
        await shown(somebody.heading("The directory did not load"))
        await somebody.page.unroute("**/api/v1/streams*")
        await somebody.button("Try again").click()
        await expect(somebody.heading("The directory did not load")).to_have_count(0)
        somebody.complaints = [c for c in somebody.complaints if "ERR_FAILED" not in c]
