"""Glass to glass latency: from drawing a frame that carries the clock to presenting it in Chromium on our channel page.

Every millisecond is in it: the encoder, RTMP, packaging, the edge, the player's buffer, decoding and compositing. Both
ends read the same machine's clock.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass

from bench.encoder import OBS_DEFAULTS, ZEROLATENCY_1S, ZEROLATENCY_2S, Profile, encoding
from bench.instance import Instance, running_instance
from bench.player import Watch, chromium, collect, install_probe, only_rendition, percentile
from bench.report import Report, arguments
from bench.stage import Channel, make_channel

# The player is given this long to reach its target; what is reported starts after it.
SETTLE_S = 20
PROFILES = {
    "zerolatency-1s": ZEROLATENCY_1S,
    "obs-defaults": OBS_DEFAULTS,
    "zerolatency-2s": ZEROLATENCY_2S,
}


@dataclass(frozen=True)
class Outcome:
    """What one profile showed, all times in seconds."""

    watch: Watch
    opened: float

    def row(self, name: str) -> dict[str, object]:
        settled_from = self.opened + SETTLE_S
        ages = self.watch.latencies(settled_from)
        if not ages:
            seen = f"{len(self.watch.samples)} frames read, {self.watch.unreadable} unreadable"
            raise RuntimeError(f"nothing to measure of {name}: {seen}")
        rates = [s.rate for s in self.watch.samples if s.at >= settled_from]
        target = next(
            (s.target for s in reversed(self.watch.samples) if s.target is not None), None
        )
        on_target = self.watch.on_target_after(self.opened)
        widths = {s.width for s in self.watch.samples if s.at >= settled_from}
        return {
            "source": name,
            "p50 s": round(percentile(ages, 0.5), 3),
            "p95 s": round(percentile(ages, 0.95), 3),
            "max s": round(max(ages), 3),
            "stalls": self.watch.stalls_after(self.opened + SETTLE_S),
            "stalls while settling": self.watch.stalls_after(0)
            - self.watch.stalls_after(self.opened + SETTLE_S),
            "on target after s": None if on_target is None else round(on_target, 1),
            "target s": None if target is None else round(target, 2),
            "rate": f"{min(rates):.2f} to {max(rates):.2f}",
            "width": "/".join(str(width) for width in sorted(widths)),
            "frames read": len(self.watch.samples),
            "unreadable": self.watch.unreadable,
        }


async def watch_channel(
    instance: Instance, channel: Channel, seconds: float, rendition: str | None = None
) -> Outcome:
    """Open the channel's page while it is live and read its picture for ``seconds`` after settling."""
    watch = Watch()
    async with chromium(instance.chromium) as page:
        await install_probe(page)
        if rendition:
            await only_rendition(page, rendition)
        opened = time.time()
        await page.goto(f"{instance.http}/{channel.login}", wait_until="commit")
        until = time.monotonic() + SETTLE_S + seconds
        while time.monotonic() < until:
            await asyncio.sleep(1)
            await collect(page, watch)
    return Outcome(watch, opened)


async def measure(instance: Instance, profile: Profile, seconds: float) -> list[dict[str, object]]:
    """Push ``profile``, watch it, and end it; one row."""
    channel = await make_channel(instance.http, instance.rtmp)
    async with channel, encoding(instance.ffmpeg, profile, channel.publish_url):
        await channel.wait_for("live")
        outcome = await watch_channel(instance, channel, seconds)
        return [outcome.row(profile.name)]


async def run(options: argparse.Namespace) -> Report:
    report = Report(
        "latency", "Glass to glass, 1280x720p30 at 3 Mb/s with AAC, Chromium on the channel page"
    )
    report.condition(
        f"{options.seconds} s each after {SETTLE_S} s of settling; encoder, servers and browser on this one machine"
    )
    for name in options.profiles:
        async with running_instance({"FOOTLIGHT_LADDER": "off"}) as instance:
            for row in await measure(instance, PROFILES[name], options.seconds):
                report.row(row)
    if options.ladder:
        await _ladder(report, options)
    return report


async def _ladder(report: Report, options: argparse.Namespace) -> None:
    """Every rendition of a ladder in turn, watched on its own."""
    async with running_instance({"FOOTLIGHT_LADDER": options.ladder}) as instance:
        channel = await make_channel(instance.http, instance.rtmp)
        async with channel, encoding(instance.ffmpeg, ZEROLATENCY_1S, channel.publish_url):
            await channel.wait_for("live")
            for rendition in ["source", *options.ladder.split(",")]:
                outcome = await watch_channel(instance, channel, options.seconds, rendition)
                report.row(
                    outcome.row(
                        f"{ZEROLATENCY_1S.name}; ladder {options.ladder}; rendition {rendition}"
                    )
                )


def main() -> None:
    parser = arguments("latency", __doc__)
    parser.add_argument(
        "--seconds", type=float, default=60, help="how long to measure each source (default 60)"
    )
    parser.add_argument("--profiles", nargs="*", choices=PROFILES, default=list(PROFILES))
    parser.add_argument(
        "--ladder", default="480p,240p", help="rungs to measure one by one; empty: none"
    )
    options = parser.parse_args()
    asyncio.run(run(options)).show(options)


if __name__ == "__main__":
    main()
