"""`footlight bench soak`: everything at once for a while, and whether anything grows that should not.

Streams with viewers and full chat rooms, a clip a minute, a broadcast a minute that comes and goes; Prometheus
reads it all, and is asked meanwhile what every panel of the dashboards and every alert asks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.answers import Answers, answers, firing, sick
from bench.charts import charts
from bench.chat import people, percentile
from bench.chatters import Chatting, Room, chatting
from bench.edge import new_playlists
from bench.encoder import ZEROLATENCY_2S, Profile, make_sample
from bench.figures import FLAT, amounts, latency, processor, trends
from bench.holdings import held
from bench.ingest import pushing
from bench.instance import Instance, running_instance
from bench.prometheus import Prometheus, scraping
from bench.report import Report, arguments
from bench.stage import Channel, make_channel
from bench.trend import Trend
from bench.viewers import Audience, gather_rounds
from cli.instance import Layout, free_port
from cli.scraping import TARGETS_FILE

#: Viewers and chatters run on the machine under test: a picture of this size leaves it room.
PICTURE = Profile("640x360", 640, 360, 30, 1000, ZEROLATENCY_2S.x264)
SAMPLE_S = 30
#: From the first viewer to the first round.
SETTLE_S = 15.0
#: Then all viewers leave and others come.
AUDIENCE_S = 600.0
WARM_UP_S = 4.0
CLIP_EVERY_S = PASSING_EVERY_S = 60.0
CLIP_S = 10.0
PASSING_S = 20.0
GRACE_S = 5.0
#: Ports for the metrics: edge, api, ingest, recorder, worker, chat.
PORTS = 6


@dataclass
class Soak:
    """A running instance and what was seen of it."""

    instance: Instance
    options: argparse.Namespace
    sample: str
    channels: list[Channel] = field(default_factory=list)
    api_s: list[float] = field(default_factory=list)
    clips_s: list[float] = field(default_factory=list)
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    rounds: list[dict[str, float]] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Of the edge."""
        host, _, port = self.instance.http.removeprefix("http://").rpartition(":")
        return host, int(port)

    async def run(self, prometheus: Prometheus) -> None:
        """All rounds."""
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(self.options.streams):
                self.channels.append(await self._begin(stack))
            rooms = await self._rooms()
            # Sockets join first, however long that takes; the clock starts when the viewers come.
            count = max(3, round(self.options.minutes * 60 / self.options.round))
            start = time.time() + SETTLE_S + len(rooms) * 3
            ends = [start + (number + 1) * self.options.round for number in range(count)]
            chat = chatting(self.address, rooms, self.options.rate, ends)
            await asyncio.to_thread(chat.started)
            work = [
                asyncio.create_task(each)
                for each in (self._clip(), self._pass_by(), self._ask_api())
            ]
            try:
                await self._go(prometheus, chat, start, ends)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
            missing = await asyncio.to_thread(chat.missing)
            self.notes.append(f"chat messages that somebody in the room did not hear: {missing}")

    async def _begin(self, stack: contextlib.AsyncExitStack) -> Channel:
        channel = await stack.enter_async_context(
            await make_channel(self.instance.http, self.instance.rtmp)
        )
        await stack.enter_async_context(pushing(self.instance.ffmpeg, self.sample, channel))
        return channel

    async def _rooms(self) -> list[Room]:
        """Every stream's room, its share of the chatters in it."""
        tokens = (await people(self.instance)).tokens
        share = len(tokens) // len(self.channels)
        sockets = self.options.chatters // len(self.channels)
        return [
            Room(channel.login, sockets, tokens[number * share : (number + 1) * share])
            for number, channel in enumerate(self.channels)
        ]

    async def _go(
        self, prometheus: Prometheus, chat: Chatting, start: float, ends: Sequence[float]
    ) -> None:
        stay = max(1, round(AUDIENCE_S / self.options.round))
        audiences: list[Audience] = []
        last = start
        before = await asyncio.to_thread(held, self.instance)
        for number, end in enumerate(ends):
            if number % stay == 0:
                # Those who come count once they have caught up.
                begin = max(last, time.time()) + WARM_UP_S
                audiences = await self._come(begin, ends[number : number + stay])
            late, seen, errors = await self._watched(audiences)
            heard = await asyncio.to_thread(chat.round)
            now = await asyncio.to_thread(held, self.instance)
            api, self.api_s = self.api_s, []
            self.failed += errors
            self.rounds.append(
                {
                    "minutes": round((end - start) / 60, 2),
                    **amounts(now),
                    **processor(before, now, end - last),
                    **latency("part", late),
                    **latency("chat", heard.delays_s),
                    **latency("API", api),
                    "parts a second": round(seen / (end - last), 1),
                    "sockets lost": heard.lost,
                    "messages out of order": heard.wrong,
                }
            )
            before, last = now, end
            if number in (len(ends) // 2, len(ends) - 1):
                await self._ask(prometheus)
            self._save()

    async def _come(self, begin: float, ends: Sequence[float]) -> list[Audience]:
        """Viewers of all streams, who watch until the last of `ends`."""
        media = Layout.of(self.instance.data).media
        each = self.options.viewers // len(self.channels)
        found = []
        for channel in self.channels:
            state = await channel.state()
            paths = await new_playlists(self.instance.http, channel.login, "source", each)
            folder = media / str(state["session"]) / "source"
            found.append(gather_rounds(self.address, paths, 1, begin, ends, folder))
        return found

    async def _watched(self, audiences: list[Audience]) -> tuple[list[float], int, list[str]]:
        """The end of a round: how late parts were, seconds; how many; and what went wrong."""
        outcomes = [await asyncio.to_thread(audience.round) for audience in audiences]
        late = [figure for outcome in outcomes for figure in outcome.lateness]
        errors = [f"viewer: {error}" for outcome in outcomes for error in outcome.errors]
        return late, sum(outcome.parts for outcome in outcomes), errors

    async def _pass_by(self) -> None:
        """A broadcast a minute that comes and goes beside those that last."""
        while True:
            began = time.monotonic()
            try:
                async with contextlib.AsyncExitStack() as stack:
                    await self._begin(stack)
                    await asyncio.sleep(PASSING_S)
                self.passed += 1
            except (httpx.HTTPError, OSError) as error:
                self.failed.append(f"a broadcast that passes: {error!r}")
            await asyncio.sleep(max(0.0, PASSING_EVERY_S - (time.monotonic() - began)))

    async def _ask_api(self) -> None:
        """What a page asks for, over and over: seconds that each took."""
        async with httpx.AsyncClient(base_url=self.instance.http, timeout=30) as client:
            while True:
                for path in ("/api/v1/streams", f"/api/v1/channels/{self.channels[0].login}"):
                    began = time.monotonic()
                    try:
                        answer = await client.get(path)
                        answer.raise_for_status()
                        self.api_s.append(time.monotonic() - began)
                    except httpx.HTTPError as error:
                        self.failed.append(f"{path}: {error!r}")
                await asyncio.sleep(0.2)

    async def _clip(self) -> None:
        """A clip a minute, each by an account of its own: access tokens are short-lived."""
        number = 0
        # Until the streams are long enough.
        await asyncio.sleep(CLIP_S)
        while True:
            began = time.monotonic()
            login = self.channels[number % len(self.channels)].login
            try:
                self.clips_s.append(await self._clip_of(login, f"Clip {number}"))
            except (httpx.HTTPError, OSError) as error:
                self.failed.append(f"clip: {error!r}")
            number += 1
            await asyncio.sleep(max(0.0, CLIP_EVERY_S - (time.monotonic() - began)))

    async def _clip_of(self, login: str, title: str) -> float:
        """Make one: seconds until it plays."""
        async with await make_channel(self.instance.http, self.instance.rtmp) as viewer:
            began = time.monotonic()
            content = {"channel": login, "duration_s": CLIP_S, "title": title}
            answer = await viewer.client.post("/api/v1/clips", json=content)
            answer.raise_for_status()
            answer = await viewer.client.get(answer.json()["playback_url"])
            answer.raise_for_status()
            return time.monotonic() - began

    async def _ask(self, prometheus: Prometheus) -> None:
        """Whether there is an answer to everything that is asked."""
        session = str((await self.channels[0].state())["session"])
        self.answers = await answers(prometheus, self.instance, session)
        self.failed += [f"no data: {place}" for each in self.answers for place in each.empty]
        down, firing_now = await sick(prometheus), await firing(prometheus)
        self.failed += [f"down: {name}" for name in down]
        minutes = self.rounds[-1]["minutes"]
        words = "; ".join(str(each) for each in self.answers)
        self.notes.append(
            f"minute {minutes:g}: {words}; targets that are down: {', '.join(down) or 'none'};"
            f" alerts that fire: {', '.join(firing_now) or 'none'}"
        )

    def _save(self) -> None:
        """What there is so far: a long run that ends early is not for nothing."""
        if self.options.out:
            write(self, self.options.out)

    def trends(self) -> list[Trend]:
        """The line through each figure. The first sixth is warm-up."""
        return trends(self.rounds, self.options.minutes / 6)

    def report(self) -> Report:
        """What was seen, as a table."""
        options = self.options
        report = Report("soak", "Everything at once: what grows")
        report.condition(
            f"{options.streams} streams of {PICTURE.name} at {PICTURE.bitrate_kbps} kb/s, no ladder, recorded;"
            f" {options.viewers} LL-HLS viewers; {options.chatters} chat sockets, {options.rate:g} messages/s"
            f" in all; a clip and a broadcast of {PASSING_S:g} s a minute; {options.minutes:g} min in rounds of"
            f" {options.round:g} s, the first sixth not counted; clients and Prometheus on the same machine"
        )
        for note in options.condition:
            report.condition(note)
        for trend in self.trends():
            report.row(dict(trend.row()))
        report.series = self.rounds
        clips = (
            f"p50 {percentile(self.clips_s, 0.5):.2f}, most {max(self.clips_s, default=0):.2f} s"
        )
        report.notes += [
            f"clips: {len(self.clips_s)}, {clips} until one plays; broadcasts that came and went: {self.passed}",
            *self.notes,
            f"failures: {len(self.failed)}"
            + "".join(f"; {kind}" for kind in sorted(set(self.failed))[:8]),
        ]
        for name in list(FLAT)[:3]:
            report.plot("minutes", name, self.rounds)
        return report

    @property
    def is_well(self) -> bool:
        """Whether nothing failed and nothing grew that may not."""
        return not self.failed and all(trend.is_flat for trend in self.trends())


def write(soak: Soak, folder: Path) -> None:
    """The report as JSON and Markdown, and the charts."""
    report = soak.report()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_text(report.as_json())
    (folder / "soak.md").write_text(report.as_markdown() + "\n")
    title = f"{soak.options.minutes:g} minutes of everything at once"
    shown = [trend for trend in soak.trends() if not trend.name.startswith("memory of ")]
    (folder / "soak.svg").write_text(charts(title, shown))


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


async def run(options: argparse.Namespace) -> Soak:
    with tempfile.TemporaryDirectory(prefix="footlight-soak-") as name:
        folder = Path(name)
        async with prepared(folder) as (instance, prometheus):
            sample = str(folder / "sample.flv")
            await make_sample(instance.ffmpeg, sample, PICTURE, SAMPLE_S)
            soak = Soak(instance, options, sample)
            await soak.run(prometheus)
            return soak


def main() -> None:
    parser = arguments("soak", __doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=5, help="how long (default 5; 60 for the long run)")
    add(
        "--round", type=float, help="seconds of one round of figures (default 15; 60 in a long run)"
    )
    add("--streams", type=int, default=5, help="streams that last (default 5)")
    add("--viewers", type=int, default=300, help="viewers of all of them (default 300)")
    add("--chatters", type=int, default=1000, help="chat sockets in their rooms (default 1000)")
    add("--rate", type=float, default=10, help="messages a second in all rooms (default 10)")
    add("--out", type=Path, metavar="FOLDER", help="write soak.json, soak.md and soak.svg there")
    add("--condition", action="append", default=[], help="a line for the report's conditions")
    options = parser.parse_args()
    options.round = options.round or (15.0 if options.minutes < 30 else 60.0)
    soak = asyncio.run(run(options))
    if options.out:
        write(soak, options.out)
    soak.report().show(options)
    sys.exit(0 if soak.is_well else 1)


if __name__ == "__main__":
    main()
