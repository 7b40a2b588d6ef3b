"""A visitor with a browser of their own: opens pages, plays streams, and notes what the pages complain of."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    expect,
)

from tests.e2e.samples import Recipe, Sample
from tests.harness import eventually_async

DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PASSWORD = "a quiet stage before eight"


@cache
def broadcast() -> Sample:
    """A minute and a half of small moving pictures and a tone, made once for all tests."""
    return Recipe(seconds=90, fps=24, bitrate=300_000).make()


# How loud the playing element is, 0 to 1, listened to until it is heard or two seconds are over.
_LISTEN = """async () => {
    const context = new AudioContext();
    const sound = context.createMediaStreamSource(document.querySelector("video").captureStream());
    const analyser = context.createAnalyser();
    sound.connect(analyser);
    await context.resume();
    const samples = new Float32Array(analyser.fftSize);
    let peak = 0;
    for (let step = 0; step < 40 && peak < 0.01; step++) {
        await new Promise((done) => setTimeout(done, 50));
        analyser.getFloatTimeDomainData(samples);
        for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    }
    await context.close();
    return peak;
}"""


@dataclass
class Visitor:
    """One browser profile with one page. `complaints` are console errors and breaches of its policy."""

    context: BrowserContext
    page: Page
    http: str
    complaints: list[str] = field(default_factory=list)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def forgive(self, status: int) -> None:
        """Drop what Chromium itself logs about an answer with this status, which the test asked for."""
        self.complaints = [text for text in self.complaints if f"status of {status}" not in text]

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.http}{path}")

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", name=text)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def player(self) -> dict[str, Any]:
        """The player's figures; empty while there is none."""
        found: dict[str, Any] | None = await self.page.evaluate("window.footlight?.player ?? null")
        return found or {}

    async def plays(self, *, frames: int = 20, within_s: float = 30.0) -> None:
        """Wait until that many more frames have been decoded and the playhead moves."""
        before = await self._decoded()

        async def moved() -> bool:
            nonlocal before
            now = await self._decoded()
            # The browser counts from nothing again when something else is loaded.
            before = min(before, now)
            return now >= before + frames

        await eventually_async(moved, within_s=within_s, what="moving pictures")

    async def _decoded(self) -> int:
        return int((await self.player()).get("totalFrames", 0))

    async def loudness(self) -> float:
        """How loud the video is, 0 to 1."""
        return float(await self.page.evaluate(_LISTEN))

    async def video(self, expression: str) -> Any:
        """`expression` about the video element `video`."""
        return await self.page.evaluate(
            f"(() => {{ const video = document.querySelector('video'); return {expression}; }})()"
        )

    async def no_sideways_scroll(self) -> None:
        """Nothing is wider than the window."""
        width, window = await self.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert width <= window, f"{self.page.url} is {width} px wide in a window of {window}"

    async def register(self, login: str | None = None) -> str:
        """Make an account over REST; this browser is logged in then. Its login."""
        login = login or f"ui_{secrets.token_hex(4)}"
        answer = await self.context.request.post(
            f"{self.http}/api/v1/auth/register",
            data={
                "login": login,
                "email": f"{login}@example.org",
                "password": PASSWORD,
                "session": "cookie",
            },
        )
        assert answer.status == 201, await answer.text()
        return login

    async def rest(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the API as the person whose browser this is. The decoded answer."""
        cookies = {c["name"]: c["value"] for c in await self.context.cookies()}
        answer = await self.context.request.fetch(
            f"{self.http}/api/v1{path}",
            method=method,
            data=body,
            headers={"X-CSRF-Token": cookies.get("footlight_csrf", "")},
        )
        assert answer.ok, await answer.text()
        return await answer.json() if answer.status != 204 else None

    async def make_key(self) -> str:
        """A stream key of this account."""
        made = await self.rest("POST", "/me/stream-keys", {"name": "Encoder"})
        return str(made["key"])


@contextlib.asynccontextmanager
async def visitor(
    browser: Browser, http: str, *, viewport: ViewportSize = DESKTOP
) -> AsyncIterator[Visitor]:
    """A new profile; leaving it asserts that its page never complained."""
    context = await browser.new_context(viewport=viewport)
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    someone = Visitor(context, page, http)
    page.on("console", someone.heard)
    page.on("pageerror", lambda error: someone.complaints.append(str(error)))
    yield someone
    await context.close()
    assert someone.complaints == [], someone.complaints


async def shown(place: Locator, within_s: float = 15.0) -> None:
    """Wait until it can be seen."""
    await expect(place).to_be_visible(timeout=within_s * 1000)
