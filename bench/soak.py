"""`footlight bench soak`: everything at once for a while, and whether anything grows that should not.

Streams with viewers and full chat rooms, a clip a minute, a broadcast that ends and another that begins;
Prometheus reads it all, and in the end is asked what every panel of the dashboards and every alert asks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.chat import People, people, percentile
from bench.chat_clients import Crowd, Tally, crowd
from bench.edge import new_playlists
from bench.encoder import ZEROLATENCY_2S, Profile, make_sample
from bench.ingest import descendants, pushing, usage
from bench.instance import Instance, running_instance
from bench.prometheus import Prometheus, alerts, panels, scraping
from bench.report import Report, arguments
from bench.stage import Channel, make_channel
from bench.viewers import gather
from bench.viewers import percentile as share_of
from cli.instance import Layout, free_port
from cli.scraping import TARGETS_FILE

#: Viewers and chatters run on the machine under test: a picture of this size leaves it room.
PICTURE = Profile("640x360", 640, 360, 30, 1000, ZEROLATENCY_2S.x264)
SAMPLE_S = 30
#: Before the first round: playlists fill, caches warm, accounts exist.
SETTLE_S = 20.0
WARM_UP_S = 2.0
CLIP_EVERY_S = 60.0
CLIP_S = 10.0
GRACE_S = 5.0
#: Ports for the metrics: edge, api, ingest, recorder, worker, chat.
PORTS = 6
SERVICES = ("api", "ingest", "recorder", "chat", "edge", "rtmp", "postgres", "redis", "nats", "s3")
#: What should stay flat, and by how much of its mean it may grow over the run.
FLAT = {
    "memory, MB": 0.10,
    "open files": 0.05,
    "spool and media, MB": 0.25,
    "part p99, ms": 0.5,
    "chat p99, ms": 0.5,
    "API p99, ms": 0.5,
}


@dataclass
class Soak:
    """A running instance and what was seen of it."""

    instance: Instance
    options: argparse.Namespace
    sample: str
    channels: list[Channel] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    clips_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def run(self, prometheus: Prometheus) -> Report:
        """All rounds, and what Prometheus has in the end."""
        options = self.options
        report = Report("soak", "Everything at once: what grows")
        report.condition(
            f"{options.streams} streams of {PICTURE.name} at {PICTURE.bitrate_kbps} kb/s, no ladder;"
            f" {options.viewers} LL-HLS viewers; {options.chatters} chatters, {options.rate:g} messages/s"
            f" in all; a clip a minute; {options.minutes:g} min; clients on the same machine"
        )
        known = await people(self.instance)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(options.streams):
                await self._begin(stack)
            crowds = await self._crowds(known)
            for each in crowds:
                stack.callback(each.close)
            await asyncio.sleep(SETTLE_S)
            clipping = asyncio.create_task(self._clip())
            try:
                await self._rounds(report, crowds)
            finally:
                clipping.cancel()
                await asyncio.gather(clipping, return_exceptions=True)
            await self._ask(report, prometheus)
        self._judge(report)
        return report

    async def _begin(self, stack: contextlib.AsyncExitStack) -> None:
        channel = await stack.enter_async_context(
            await make_channel(self.instance.http, self.instance.rtmp)
        )
        await stack.enter_async_context(pushing(self.instance.ffmpeg, self.sample, channel))
        self.channels.append(channel)

    async def _crowds(self, known: People) -> list[Crowd]:
        """Every stream's room, its share of the chatters in it."""
        host, _, port = self.instance.http.removeprefix("http://").rpartition(":")
        rooms = len(self.channels)
        share = len(known.tokens) // rooms
        return [
            await crowd(
                (host, int(port)),
                self.tally,
                channel.login,
                self.options.chatters // rooms,
                known.tokens[number * share : (number + 1) * share],
            )
            for number, channel in enumerate(self.channels)
        ]

    async def _rounds(self, report: Report, crowds: list[Crowd]) -> None:
        began = time.monotonic()
        while time.monotonic() - began < self.options.minutes * 60:
            seen = len(self.tally.delays_s)
            length = self.options.round
            talking = [
                asyncio.create_task(each.talk(self.options.rate / len(crowds), length))
                for each in crowds
            ]
            # A broadcast that comes and goes beside those that last.
            passing = asyncio.create_task(self._pass_by(length / 2))
            asking = asyncio.create_task(self._ask_api(length))
            parts, errors = await self._watch(length)
            await asyncio.gather(*talking, passing)
            api = await asking
            self.failed += errors
            report.row(
                {
                    "minutes": round((time.monotonic() - began) / 60, 1),
                    **await asyncio.to_thread(held, self.instance),
                    "part p99, ms": round(share_of(parts, 0.99) * 1000, 1),
                    "chat p99, ms": round(percentile(self.tally.delays_s[seen:], 0.99) * 1000, 1),
                    "API p99, ms": round(percentile(api, 0.99) * 1000, 1),
                }
            )

    async def _watch(self, seconds: float) -> tuple[list[float], list[str]]:
        """Viewers of all streams for a round: how late parts arrived, seconds, and what went wrong."""
        host, _, port = self.instance.http.removeprefix("http://").rpartition(":")
        media = Layout.of(self.instance.data).media
        each = self.options.viewers // len(self.channels)
        audiences = []
        for channel in self.channels:
            state = await channel.state()
            paths = await new_playlists(self.instance.http, channel.login, "source", each)
            folder = media / str(state["session"]) / "source"
            watched = max(1.0, seconds - WARM_UP_S)
            audiences.append(gather((host, int(port)), paths, 1, WARM_UP_S, watched, folder))
        outcomes = [await asyncio.to_thread(audience.outcome) for audience in audiences]
        late = sorted(figure for outcome in outcomes for figure in outcome.lateness)
        return late, [f"viewer: {error}" for outcome in outcomes for error in outcome.errors]

    async def _pass_by(self, seconds: float) -> None:
        async with (
            await make_channel(self.instance.http, self.instance.rtmp) as channel,
            pushing(self.instance.ffmpeg, self.sample, channel),
        ):
            await asyncio.sleep(seconds)

    async def _ask_api(self, seconds: float) -> list[float]:
        """What a page asks for, over and over: seconds that each took."""
        taken = []
        ends = time.monotonic() + seconds
        async with httpx.AsyncClient(base_url=self.instance.http, timeout=30) as client:
            while time.monotonic() < ends:
                for path in ("/api/v1/streams", f"/api/v1/channels/{self.channels[0].login}"):
                    began = time.monotonic()
                    answer = await client.get(path)
                    taken.append(time.monotonic() - began)
                    if answer.is_error:
                        self.failed.append(f"{path}: {answer.status_code}")
                await asyncio.sleep(0.2)
        return taken

    async def _clip(self) -> None:
        """A clip a minute, each by an account of its own: access tokens are short-lived."""
        number = 0
        while True:
            began = time.monotonic()
            async with await make_channel(self.instance.http, self.instance.rtmp) as viewer:
                login = self.channels[number % len(self.channels)].login
                content = {"channel": login, "duration_s": CLIP_S, "title": f"Clip {number}"}
                answer = await viewer.client.post("/api/v1/clips", json=content)
                if answer.is_success:
                    answer = await viewer.client.get(answer.json()["playback_url"])
                if answer.is_success:
                    self.clips_s.append(time.monotonic() - began)
                else:
                    self.failed.append(f"clip: {answer.status_code} {answer.text[:100]}")
            number += 1
            await asyncio.sleep(max(0.0, CLIP_EVERY_S - (time.monotonic() - began)))

    async def _ask(self, report: Report, prometheus: Prometheus) -> None:
        """Whether Prometheus has an answer to everything that is asked of it."""
        for what, queries in (("panels", panels()), ("alerts", alerts())):
            empty = await prometheus.without_data(queries)
            found = f"{len(queries) - len(empty)} of {len(queries)} queries of {what} have data"
            report.notes.append(found + (f"; none: {', '.join(empty)}" if empty else ""))
        # Prometheus looks for itself at its usual port, where a benchmark's does not listen.
        sick = [
            name
            for name, health in (await prometheus.targets()).items()
            if health != "up" and not name.startswith("prometheus ")
        ]
        report.notes.append(f"targets that are down: {', '.join(sick) or 'none'}")
        answer = await prometheus.client.get("/api/v1/alerts")
        firing = {
            alert["labels"]["alertname"]
            for alert in answer.json()["data"]["alerts"]
            if alert["state"] == "firing"
        }
        report.notes.append(f"alerts that fire: {', '.join(sorted(firing)) or 'none'}")

    def _judge(self, report: Report) -> None:
        """Lines through the rounds: what grew further than it may."""
        for column, limit in FLAT.items():
            report.plot("minutes", column)
            grown = growth([(float(str(r["minutes"])), float(str(r[column]))) for r in report.rows])
            word = "flat" if grown <= limit else "GROWS"
            report.notes.append(f"{column}: {grown:+.0%} over the run by its line: {word}")
        report.notes.append(
            f"clips: {len(self.clips_s)}, p50 {percentile(self.clips_s, 0.5):.2f} s until one plays;"
            f" messages out of order: {self.tally.wrong}"
        )
        kinds = sorted(set(self.failed))
        report.notes.append(f"failures: {len(self.failed)}" + "".join(f"; {k}" for k in kinds[:8]))


def growth(points: list[tuple[float, float]]) -> float:
    """By what share of its mean a figure grew from the first point to the last, along the least-squares
    line; 0 with too few.
    """
    if len(points) < 3:
        return 0.0
    xs, ys = zip(*points, strict=True)
    slope = statistics.linear_regression(xs, ys).slope
    mean = statistics.fmean(ys)
    return slope * (xs[-1] - xs[0]) / mean if mean else 0.0


def held(instance: Instance) -> dict[str, object]:
    """What the instance holds now: memory, open files, disk."""
    services = instance.facts["services"]
    pids = [int(services[name]["pid"]) for name in SERVICES if name in services]
    files = 0
    for pid in (member for parent in pids for member in descendants(parent)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            files += len(os.listdir(f"/proc/{pid}/fd"))
    data = instance.data
    return {
        "memory, MB": round(sum(usage(pid).pss for pid in pids) / 1e6),
        "open files": files,
        "spool and media, MB": round((size(data / "spool") + size(Layout.of(data).media)) / 1e6, 1),
        "database, MB": round(size(data / "postgres") / 1e6),
        "logs, MB": round(size(data / "logs") / 1e6, 1),
        "videos, MB": round(size(data / "s3") / 1e6),
    }


def size(folder: Path) -> int:
    """Bytes below a folder from which files go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses."""
    while True:
        first = free_port(set())
        if first + count < 65_000 and all(_is_free(first + n) for n in range(1, count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.asynccontextmanager
async def prepared(folder: Path) -> AsyncIterator[tuple[Instance, Prometheus]]:
    """An instance that Prometheus reads."""
    environment = {
        "FOOTLIGHT_LADDER": "off",
        "FOOTLIGHT_GRACE_S": str(GRACE_S),
        "FOOTLIGHT_METRICS_PORT": str(free_ports(PORTS)),
    }
    async with (
        running_instance(environment) as instance,
        scraping(instance.data / TARGETS_FILE, folder) as prometheus,
    ):
        yield instance, prometheus


async def run(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory(prefix="footlight-soak-") as name:
        folder = Path(name)
        async with prepared(folder) as (instance, prometheus):
            sample = str(folder / "sample.flv")
            await make_sample(instance.ffmpeg, sample, PICTURE, SAMPLE_S)
            return await Soak(instance, options, sample).run(prometheus)


def main() -> None:
    parser = arguments("soak", __doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=5, help="how long (default 5; 60 for the long run)")
    add("--round", type=float, default=30, help="seconds of one round of figures (default 30)")
    add("--streams", type=int, default=5, help="streams that last (default 5)")
    add("--viewers", type=int, default=300, help="viewers of all of them (default 300)")
    add("--chatters", type=int, default=1000, help="chat sockets in their rooms (default 1000)")
    add("--rate", type=float, default=10, help="messages a second in all rooms (default 10)")
    options = parser.parse_args()
    asyncio.run(run(options)).show(options)


if __name__ == "__main__":
    main()
