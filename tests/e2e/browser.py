"""Chromium on channel pages, with the frame numbers in its pictures read back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from bench.clockframes import decode_bits
from bench.player import CHROMIUM_ARGUMENTS, install_probe
from cli.toolchain import Toolchain


@dataclass
class Viewing:
    """What one page showed: frame numbers with when they were seen, and what it complained about."""

    page: Page
    numbers: list[tuple[float, int]] = field(default_factory=list)
    unreadable: int = 0
    stalls: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def shown(self) -> list[int]:
        return [number for _, number in self.numbers]

    def listen(self) -> None:
        """Note errors, and warnings about the page's policy, from now on."""

        def heard(message: ConsoleMessage) -> None:
            if message.type == "error" or "Content Security Policy" in message.text:
                self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

        self.page.on("console", heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def collect(self) -> None:
        """Take over what the page's probe has seen since the last call."""
        seen: dict[str, Any] | None = await self.page.evaluate(
            "window.footlightProbe ? window.footlightProbe.drain() : null"
        )
        if seen is None:
            return
        for raw in seen["samples"]:
            number = decode_bits([int(bit) for bit in raw["bits"]], 0)
            if number is None:
                self.unreadable += 1
            else:
                self.numbers.append((raw["at"] / 1000, number))
        self.stalls += [at / 1000 for at in seen["stalls"]]

    async def until(self, number: int, within_s: float) -> None:
        """Wait until a frame with this number or a later one is shown."""
        deadline = time.monotonic() + within_s
        while not self.numbers or self.numbers[-1][1] < number:
            assert time.monotonic() < deadline, (number, self.numbers[-1:], self.complaints)
            await asyncio.sleep(0.1)
            await self.collect()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One headless Chromium."""
    executable: Path = Toolchain.from_environment().chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=list(CHROMIUM_ARGUMENTS)
        )
        try:
            yield browser
        finally:
            await browser.close()


async def open_channel(browser: Browser, http: str, login: str) -> Viewing:
    """The channel's page in a profile of its own."""
    context = await browser.new_context(viewport={"width": 1024, "height": 700})
    viewing = Viewing(await context.new_page())
    viewing.listen()
    await install_probe(viewing.page)
    await viewing.page.goto(f"{http}/{login}", wait_until="load")
    return viewing
