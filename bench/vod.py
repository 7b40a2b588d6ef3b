"""Broadcasts that become videos: how soon one is ready, what archiving costs, how fast the spool drains."""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

from bench import ends
from bench.clips import clip_times
from bench.draining import drain
from bench.encoder import ZEROLATENCY_2S, Profile, make_sample
from bench.generated import RENDITIONS, packaged
from bench.ingest import pushing, usage
from bench.instance import Instance, running_instance
from bench.report import Report, arguments
from bench.stage import Channel, make_channel
from core.settings import PREFIX, Settings

SAMPLE_S = 20
#: Eight hours of it are some hundred megabytes.
SMALL = Profile("320x192", 320, 192, 30, 100, ZEROLATENCY_2S.x264)
GRACE_S = 5.0
#: Files uploaded beside boto3: as large as two seconds at 3 Mb/s.
SEGMENT_BYTES = 750_000
#: What a clip of a broadcast needs before it.
CLIP_AFTER_S = 20.0
PARTS = ("lengths", "ends", "cost", "clips", "drain")


def settings_of(instance: Instance) -> Settings:
    """The settings of the instance's services."""
    values: dict[str, Any] = {}
    for name, value in instance.facts["environment"].items():
        field = name.removeprefix(PREFIX).lower()
        if field.endswith("_file"):
            field, value = field.removesuffix("_file"), Path(value).read_text().strip()
        values[field] = json.loads(value) if value.startswith("[") else value
    return Settings(**values)


class Bench:
    """One instance and what is measured on it."""

    def __init__(self, instance: Instance, folder: Path, options: argparse.Namespace) -> None:
        self.instance = instance
        self.options = options
        self.settings = settings_of(instance)
        self.sample = str(folder / "sample.flv")
        self._small = folder / "small.flv"

    async def prepare(self) -> None:
        """Encode what is pushed."""
        await make_sample(self.instance.ffmpeg, self.sample, ZEROLATENCY_2S, SAMPLE_S)
        await make_sample(self.instance.ffmpeg, str(self._small), SMALL, SAMPLE_S)

    async def lengths(self) -> Report:
        """Generated broadcasts of several lengths."""
        report = Report("vod-lengths", "Generated broadcasts: from the end to a ready video")
        report.condition(
            f"{len(RENDITIONS)} renditions of segments of 2 s; all but the last of each, and their"
            " pictures, are stored before the end; recorder's CPU with its ffmpeg until the last frame"
        )
        media = packaged(await asyncio.to_thread(self._small.read_bytes))
        for minutes in self.options.minutes:
            row = await ends.generated_end(self.instance, self.settings, media, minutes)
            report.row(row)
        return report

    async def ends(self) -> Report:
        """Real broadcasts, by the way in which they end."""
        report = Report("vod-ends", "Real broadcasts: from the end to a ready video")
        report.condition(
            f"1280x720p30 at 3 Mb/s, {self.options.live:.0f} s long, no ladder, {self.options.times}"
            f" times each; grace {GRACE_S:.0f} s, from whose end the third counts"
        )
        ways = {
            "encoder's stop": ends.stop,
            "ended over REST": ends.end_over_rest,
            "grace over": ends.cut(GRACE_S),
        }
        for name, way in ways.items():
            found = [
                await ends.live_end(
                    self.instance, self.settings, self.sample, self.options.live, way
                )
                for _ in range(self.options.times)
            ]
            report.row(
                {
                    "end": name,
                    "ready after, s, median": round(median(end.ready_s for end in found), 2),
                    "longest": round(max(end.ready_s for end in found), 2),
                    "plays to its last frame after, s, median": round(
                        median(end.plays_s for end in found), 2
                    ),
                    "longest ": round(max(end.plays_s for end in found), 2),
                }
            )
        return report

    async def cost(self) -> Report:
        """What archiving takes of a core."""
        streams, seconds = self.options.streams, self.options.seconds
        report = Report("vod-cost", "Archiving real broadcasts, % of a core a stream")
        report.condition(f"{streams} streams of 1280x720p30 at 3 Mb/s, no ladder; {seconds:.0f} s")
        services = ("recorder", "s3")
        async with self._live(streams):
            pids = [self.instance.pid(name) for name in services]
            before, began = [usage(pid).cpu_s for pid in pids], time.monotonic()
            await asyncio.sleep(seconds)
            after, took_s = [usage(pid).cpu_s for pid in pids], time.monotonic() - began
        report.row(
            {
                name: round(100 * (last - first) / took_s / streams, 2)
                for name, first, last in zip(services, before, after, strict=True)
            }
        )
        return report

    async def clips(self) -> Report:
        """Clips of a broadcast that runs."""
        report = Report("vod-clips", "Clips of 12.3 s made while live, from asking")
        report.condition("1280x720p30 at 3 Mb/s, GOP of 2 s, both ends within one; no ladder")
        async with self._live(1) as channels:
            await asyncio.sleep(CLIP_AFTER_S)
            times = await clip_times(channels[0], count=self.options.clips)
        for what, found in (("answered", times.made_s), ("plays", times.plays_s)):
            report.row(
                {
                    "until": what,
                    "p50, s": round(median(found), 2),
                    "least": round(min(found), 2),
                    "most": round(max(found), 2),
                    "clips": len(found),
                }
            )
        return report

    async def drain(self) -> Report:
        """A full spool into the storage."""
        options = self.options
        report = Report("vod-drain", "From a full spool into the storage, and by boto3 alone")
        report.condition(
            f"files of {SEGMENT_BYTES:,} bytes, {options.megabytes} MB a round, in turn;"
            f" {options.uploads} uploads at once, also boto3's put_object"
        )
        async with ends.connected(self.settings) as database:
            channel_id = int(await database.fetchval("select min(id) from channels"))
        rates = await drain(
            self.settings, channel_id, SEGMENT_BYTES, options.megabytes, options.rounds
        )
        for number, (ours, plain) in enumerate(zip(rates.archive, rates.boto3, strict=True)):
            report.row(
                {
                    "round": number + 1,
                    "archive, MB/s": round(ours),
                    "boto3, MB/s": round(plain),
                    "archive ÷ boto3": round(ours / plain, 2),
                }
            )
        report.row({"round": "median", "archive ÷ boto3": round(rates.share, 2)})
        return report

    @contextlib.asynccontextmanager
    async def _live(self, streams: int) -> AsyncIterator[list[Channel]]:
        """Some streams that have settled."""
        async with contextlib.AsyncExitStack() as stack:
            channels = []
            for _ in range(streams):
                channel = await make_channel(self.instance.http, self.instance.rtmp)
                channels.append(await stack.enter_async_context(channel))
                await stack.enter_async_context(pushing(self.instance.ffmpeg, self.sample, channel))
            await asyncio.sleep(5)
            yield channels


async def run(options: argparse.Namespace) -> list[Report]:
    environment = {
        "FOOTLIGHT_LADDER": "off",
        "FOOTLIGHT_ARCHIVE_UPLOADS": str(options.uploads),
        "FOOTLIGHT_S3_CONCURRENCY": str(options.uploads),
        "FOOTLIGHT_RATE_LIMIT_FACTOR": "1000",
        "FOOTLIGHT_GRACE_S": str(GRACE_S),
    }
    with tempfile.TemporaryDirectory() as folder:
        async with running_instance(environment) as instance:
            bench = Bench(instance, Path(folder), options)
            await bench.prepare()
            return [await getattr(bench, part)() for part in PARTS if part in options.parts]


def main() -> None:
    parser = arguments("vod", __doc__)
    add = parser.add_argument
    add("--parts", nargs="*", choices=PARTS, default=PARTS, help="what to measure (default all)")
    add("--minutes", type=float, nargs="*", default=[10, 480], help="lengths of generated ones")
    add("--live", type=float, default=10, help="seconds of a real broadcast (default 10)")
    add("--times", type=int, default=3, help="real broadcasts for each way to end (default 3)")
    add("--streams", type=int, default=5, help="streams for what archiving costs (default 5)")
    add("--seconds", type=float, default=30, help="for which they are measured (default 30)")
    add("--clips", type=int, default=10, help="clips made while live (default 10)")
    add("--megabytes", type=int, default=300, help="uploaded beside boto3 a round (default 300)")
    add("--rounds", type=int, default=3, help="rounds beside boto3 (default 3)")
    add("--uploads", type=int, default=8, help="uploads at once (default 8)")
    options = parser.parse_args()
    for report in asyncio.run(run(options)):
        report.show(options)


if __name__ == "__main__":
    main()
