"""How soon there is a picture: a stream starts under an open page, or a page opens on a running stream."""

import argparse
import asyncio
import time

from playwright.async_api import Page

from bench.encoder import ZEROLATENCY_1S, ZEROLATENCY_2S, Profile, encoding
from bench.instance import Instance, running_instance
from bench.player import chromium, install_probe, percentile
from bench.relay import Relay
from bench.report import Report, arguments
from bench.stage import make_channel

FIRST_FRAME_DEADLINE_S = 20.0


async def first_frame(page: Page) -> float:
    """Unix time at which the page presented its first frame. The page is not disturbed until then."""
    async with asyncio.timeout(FIRST_FRAME_DEADLINE_S):
        return float(await page.evaluate("window.footlightProbe.firstShown")) / 1000


async def stream_starts(instance: Instance, profile: Profile) -> float:
    """Seconds from the encoder's TCP connect to the first frame in a page that was already open, offline."""
    channel = await make_channel(instance.http, instance.rtmp)
    async with channel, Relay(instance.rtmp_port) as relay, chromium(instance.chromium) as page:
        await install_probe(page)
        # The page is ready once it waits for the channel's state to change.
        async with page.expect_request("**/state?v=*"):
            await page.goto(f"{instance.http}/{channel.login}")
        async with encoding(
            instance.ffmpeg, profile, f"rtmp://127.0.0.1:{relay.port}/live/{channel.key}"
        ):
            shown = await first_frame(page)
    assert relay.connected_at is not None
    return shown - relay.connected_at


async def page_opens(instance: Instance, profile: Profile, times: int) -> list[float]:
    """Seconds from navigation to the first frame, on a stream that has run for a while; a new browser each time."""
    found = []
    channel = await make_channel(instance.http, instance.rtmp)
    async with channel, encoding(instance.ffmpeg, profile, channel.publish_url):
        await channel.wait_for("live")
        await asyncio.sleep(8)
        for _ in range(times):
            async with chromium(instance.chromium) as page:
                await install_probe(page)
                # The browser itself has just started; a blank page lets it settle before the clock runs.
                await page.goto(f"{instance.http}/healthz")
                await asyncio.sleep(1)
                opened = time.time()
                await page.goto(f"{instance.http}/{channel.login}", wait_until="commit")
                found.append(await first_frame(page) - opened)
    return found


async def run(options: argparse.Namespace) -> Report:
    report = Report("start", "Time to the first frame, 1280x720p30 at 3 Mb/s with AAC, in Chromium")
    report.condition(
        f"{options.times} times each; encoder, servers and browser on this one machine; cold browser cache"
    )
    async with running_instance({"FOOTLIGHT_LADDER": "off"}) as instance:
        starts = [await stream_starts(instance, ZEROLATENCY_1S) for _ in range(options.times)]
        report.row(_row(f"RTMP connect to picture in an open page; {ZEROLATENCY_1S.name}", starts))
        for profile in (ZEROLATENCY_1S, ZEROLATENCY_2S):
            report.row(
                _row(
                    f"page opened on a running stream; {profile.name}",
                    await page_opens(instance, profile, options.times),
                )
            )
    return report


def _row(name: str, values: list[float]) -> dict[str, object]:
    return {
        "what": name,
        "p50 s": round(percentile(values, 0.5), 3),
        "min s": round(min(values), 3),
        "max s": round(max(values), 3),
    }


def main() -> None:
    parser = arguments("start", __doc__)
    parser.add_argument("--times", type=int, default=9, help="repetitions of each (default 9)")
    options = parser.parse_args()
    asyncio.run(run(options)).show(options)


if __name__ == "__main__":
    main()
