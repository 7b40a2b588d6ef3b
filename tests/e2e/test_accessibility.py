"""Every page against WCAG 2.2 A and AA, as far as a program can judge that (axe-core)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from cli.toolchain import Toolchain
from tests.e2e.stage import Stage
from tests.e2e.test_video import holiday
from tests.e2e.ui import DESKTOP, PHONE, Visitor, shown, visitor
from tests.harness import eventually_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_RUN = """async (tags) => {
    const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
    return found.violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => String(target))]);
}"""


async def findings(page: Page, axe: str) -> list[Any]:
    """What is wrong with what the page shows now."""
    waiting = page.locator("[role=status][aria-label^=Loading]")
    await expect(waiting).to_have_count(0, timeout=30_000)
    # Its own world: the page's policy lets in no script from elsewhere.
    await page.evaluate(axe)
    found: list[Any] = await page.evaluate(_RUN, TAGS)
    return found


async def uploaded(viewer: Visitor, file: Path) -> str:
    """A video of theirs. Its id."""
    await asyncio.to_thread(holiday, file)
    await viewer.open("/dashboard/upload")
    await viewer.page.get_by_test_id("upload-files").set_input_files(file)

    async def ready() -> str | None:
        items = (await viewer.rest("GET", "/me/videos"))["items"]
        return next((str(item["id"]) for item in items if item["status"] == "ready"), None)

    return str(await eventually_async(ready, within_s=120, what="the video"))


async def test_no_page_shuts_anybody_out(
    stage: Stage, browser: Browser, toolchain: Toolchain, tmp_path: Path
) -> None:
    axe = (toolchain.web_tests() / "node_modules/axe-core/axe.min.js").read_text()
    wrong: dict[str, list[Any]] = {}
    async with visitor(browser, stage.http) as viewer:
        page = viewer.page
        login = await viewer.register()
        video = await uploaded(viewer, tmp_path / "a holiday.mp4")
        pages = (
            *("/", f"/videos/{video}", f"/{login}", "/videos", "/dashboard/videos"),
            *(f"/{login}/videos", f"/{login}/clips", f"/{login}/about", "/settings", "/dashboard"),
            *(f"/dashboard/videos?edit={video}", f"/dashboard/videos?export={video}"),
            *("/dashboard/upload", "/dashboard/chat", f"/moderation/{login}"),
            *(f"/videos/{video}?highlight", f"/embed/{login}", f"/embed/videos/{video}"),
        )
        # What a phone shows otherwise is in the first five.
        for size, paths in ((DESKTOP, pages), (PHONE, pages[:5])):
            await page.set_viewport_size(size)
            for path in paths:
                await viewer.open(path)
                await shown(page.locator("main"))
                if found := await findings(page, axe):
                    wrong[f"{path} {size['width']}"] = found
    assert wrong == {}
