"""Chromium on our own channel page, with the clock in its picture read back."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Page, Route, async_playwright

from bench.clockframes import decode_bits

CHROMIUM_ARGUMENTS = (
    *(
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
_PROBE = Path(__file__).with_name("probe.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Sample:
    """One presented frame: seconds of Unix time, its age (s) from drawing to presentation, and the player's
    state: its rate, how far behind the stream's end it is (s), and where it wants to be (s).
    """

    at: float
    latency: float
    width: int
    rate: float
    target: float | None
    behind: float | None


@dataclass
class Watch:
    """What was seen since the probe was put in."""

    samples: list[Sample] = field(default_factory=list)
    unreadable: int = 0
    stalls: list[float] = field(default_factory=list)

    def latencies(self, after: float = 0.0) -> list[float]:
        """Ages of the frames presented after the Unix time ``after``."""
        return [sample.latency for sample in self.samples if sample.at >= after]

    def stalls_after(self, after: float) -> int:
        """How many times playback stood still after the Unix time ``after``."""
        return sum(1 for at in self.stalls if at >= after)

    def on_target_after(self, opened: float, tolerance: float = 0.15) -> float | None:
        """Seconds from ``opened`` until the player stays within ``tolerance`` of its target (s); None: never."""
        outside = [
            sample.at
            for sample in self.samples
            if sample.target is None
            or sample.behind is None
            or abs(sample.behind - sample.target) > tolerance
        ]
        if not self.samples or (outside and outside[-1] == self.samples[-1].at):
            return None
        return (outside[-1] if outside else self.samples[0].at) - opened


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of ``values`` lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextlib.asynccontextmanager
async def chromium(executable: str) -> AsyncIterator[Page]:
    """One headless Chromium with one page of a laptop's size."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=list(CHROMIUM_ARGUMENTS)
        )
        try:
            yield await browser.new_page(viewport={"width": 1440, "height": 900})
        finally:
            await browser.close()


async def install_probe(page: Page) -> None:
    """Read clock frames in every document that ``page`` opens from now on."""
    await page.add_init_script(f"({_PROBE})()")


async def only_rendition(page: Page, name: str) -> None:
    """Let the page's player see this one rendition of the stream, and no other to switch to."""

    async def handle(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=keep_variant(await answer.text(), name))

    await page.route("**/live/*/index.m3u8", handle)


def keep_variant(multivariant: str, name: str) -> str:
    """A multivariant playlist without the variants of other renditions."""
    kept = []
    lines = iter(multivariant.splitlines())
    for line in lines:
        if not line.startswith("#EXT-X-STREAM-INF"):
            kept.append(line)
            continue
        uri = next(lines)
        if f"/{name}/" in uri:
            kept += [line, uri]
    return "\n".join(kept) + "\n"


async def collect(page: Page, watch: Watch) -> None:
    """Move what the page's probe has seen since the last call into ``watch``."""
    seen = await page.evaluate("window.footlightProbe ? window.footlightProbe.drain() : null")
    if seen is None:
        return
    watch.stalls += [at / 1000 for at in seen["stalls"]]
    for raw in seen["samples"]:
        drawn = decode_bits([int(bit) for bit in raw["bits"]], int(raw["at"]))
        if drawn is None:
            watch.unreadable += 1
            continue
        watch.samples.append(
            Sample(
                raw["at"] / 1000,
                (raw["at"] - drawn) / 1000,
                raw["width"],
                raw["rate"],
                raw["target"],
                raw["behind"],
            )
        )
