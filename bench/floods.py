"""Floods on one machine: what a stream's viewers and another room's chat notice of them.

Everything is on loopback and bounded. The flood comes from addresses of its own, and its processes stand back for
the server's.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chat_clients import Crowd, Tally, crowd
from bench.edge import new_playlists
from bench.encoder import ZEROLATENCY_1S, copy_argv, make_sample
from bench.flooders import JOINS_A_SOCKET, Flood, run
from bench.instance import Instance, running_instance
from bench.report import Report, arguments
from bench.stage import Channel, make_channel
from bench.viewers import gather, percentile
from cli.certificates import ensure_some
from cli.instance import Layout, free_port
from core.settings import Settings

WARM_UP_S = 3.0
SAMPLE_S = 30
# What a flood may do to a figure, and what is too small to be more than chance.
ALLOWED, NOISE_MS = 1.5, 5.0
SPEAKERS, MESSAGES_PER_S = 20, 10
LISTENERS = 50


@dataclass
class Figures:
    """What was seen for some seconds, sorted; seconds."""

    parts: list[float]
    messages: list[float]
    errors: int
    lost: int


@dataclass
class Scene:
    """A running stream with viewers, and a room with people in it."""

    instance: Instance
    channel: Channel
    room: Crowd
    tally: Tally
    viewers: int
    # Those with TLS, by what is there.
    tls_ports: dict[str, int]

    @property
    def http(self) -> tuple[str, int]:
        host, _, port = self.instance.http.removeprefix("http://").rpartition(":")
        return host, int(port)

    async def measure(self, seconds: float) -> Figures:
        """Watch and talk for so long."""
        state = await self.channel.state()
        folder = Layout.of(self.instance.data).media / str(state["session"]) / "source"
        paths = await new_playlists(self.instance.http, self.channel.login, "source", self.viewers)
        audience = gather(self.http, paths, 1, WARM_UP_S, seconds, folder)
        await asyncio.sleep(WARM_UP_S)
        for socket in self.room.sockets:
            # Who is silent for too long is dropped.
            socket.pong()
        self.tally.delays_s.clear()
        heard = [socket.messages for socket in self.room.sockets]
        sent = await self.room.talk(MESSAGES_PER_S, seconds)
        outcome = await asyncio.to_thread(audience.outcome)
        messages = sorted(self.tally.delays_s)
        lost = sum(
            max(0, sent - (socket.messages - before))
            for socket, before in zip(self.room.sockets, heard, strict=True)
        )
        return Figures(outcome.lateness, messages, len(outcome.errors), lost)


@contextlib.asynccontextmanager
async def scene(options: argparse.Namespace) -> AsyncIterator[Scene]:
    """A whole instance with its usual limits, a stream pushed to it, viewers, and another channel's room."""
    settings = {"FOOTLIGHT_LADDER": "off", "FOOTLIGHT_RATE_LIMIT_FACTOR": "1"}
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fl-bench-"))
        taken: set[int] = set()
        ports = {name: free_port(taken) for name in ("HTTPS", "RTMPS", "IRC over TLS")}
        settings |= _encrypted(Path(folder), ports)
        instance = await stack.enter_async_context(running_instance(settings))
        channel = await stack.enter_async_context(await make_channel(instance.http, instance.rtmp))
        people = [
            await stack.enter_async_context(await make_channel(instance.http, instance.rtmp))
            for _ in range(SPEAKERS)
        ]
        sample = f"{folder}/sample.flv"
        await make_sample(instance.ffmpeg, sample, ZEROLATENCY_1S, SAMPLE_S)
        encoder = await asyncio.create_subprocess_exec(
            *copy_argv(instance.ffmpeg, sample, channel.publish_url)
        )
        # Over before the server is, which it would complain about.
        stack.push_async_callback(encoder.wait)

        def stop() -> None:
            # Where it has ended by itself, what came of that is to be seen.
            with contextlib.suppress(ProcessLookupError):
                encoder.terminate()

        stack.callback(stop)
        await channel.wait_for("live")
        tally = Tally()
        tokens = [p.client.headers["Authorization"].removeprefix("Bearer ") for p in people]
        host, _, port = instance.http.removeprefix("http://").rpartition(":")
        room = await crowd((host, int(port)), tally, people[0].login, LISTENERS, tokens)
        stack.callback(room.close)
        yield Scene(instance, channel, room, tally, options.viewers, ports)


def _encrypted(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    """Settings for TLS with a certificate of our own making."""
    url = f"https://localhost:{ports['HTTPS']}"
    placeholder = {"secret_key": "-" * 32, "data_dir": folder, "public_url": url}
    made = Settings.model_validate({**placeholder, "acme_directory": url})
    ensure_some(made)
    chain, key = made.certificate
    return {
        "FOOTLIGHT_PUBLIC_URL": url,
        "FOOTLIGHT_TLS_CERTIFICATE": str(chain),
        "FOOTLIGHT_TLS_KEY": str(key),
        "FOOTLIGHT_HTTPS_LISTEN": f"127.0.0.1:{ports['HTTPS']}",
        "FOOTLIGHT_RTMPS_LISTEN": f"127.0.0.1:{ports['RTMPS']}",
        "FOOTLIGHT_IRC_TLS_LISTEN": f"127.0.0.1:{ports['IRC over TLS']}",
    }


def floods(scene: Scene, size: float) -> list[Flood]:
    """All of them; `size` scales their numbers."""
    rtmp = ("127.0.0.1", scene.instance.rtmp_port)
    irc = ("127.0.0.1", int(scene.instance.facts["irc_port"]))

    def many(count: int) -> int:
        return max(JOINS_A_SOCKET, round(count * size))

    slow = "GET / HTTP/1.1\r\nHost: bench\r\nX-Slow: " + "a" * 1000
    encrypted = [(name, ("127.0.0.1", port)) for name, port in scene.tls_ports.items()]
    return [
        Flood("idle connections, HTTP", "hold", scene.http, many(5000)),
        Flood("idle connections, RTMP", "hold", rtmp, many(5000)),
        Flood("idle connections, IRC", "hold", irc, many(5000)),
        *(Flood(f"idle connections, {name}", "hold", at, many(5000)) for name, at in encrypted),
        *(
            Flood(f"handshakes a second, {name}", "shake hands", at, many(500))
            for name, at in encrypted
        ),
        Flood("publishing with wrong keys, a second", "guess", rtmp, many(500)),
        Flood("joins, a second", "join", scene.http, many(2000), scene.channel.login),
        Flood("slow-loris, HTTP", "hold", scene.http, many(2000), slow),
        Flood("slow-loris, RTMP", "hold", rtmp, many(2000), "\x03" + "a" * 1000),
    ]


async def under(scene: Scene, flood: Flood, seconds: float) -> tuple[Figures, Counter[str]]:
    """What viewers and the room see while `flood` goes on, and what became of it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # Begun before it is measured, and not over before that is.
    ends = time.time() + 6 + WARM_UP_S + seconds + 2
    process = context.Process(target=run, args=(theirs, flood, ends))
    process.start()
    # Held by the flood alone, so that its death is heard of.
    theirs.close()
    try:
        await asyncio.sleep(6)
        figures = await scene.measure(seconds)
        said: Counter[str] = await asyncio.to_thread(ours.recv)
    finally:
        process.kill()
        process.join()
    return figures, said


def _row(name: str, count: int | None, figures: Figures, before: Figures | None) -> dict[str, Any]:
    row: dict[str, Any] = {"flood": name, "number": count}
    for what, now, then in (
        ("parts", figures.parts, before.parts if before else None),
        ("chat", figures.messages, before.messages if before else None),
    ):
        middle, late = (1000 * percentile(now, share) for share in (0.5, 0.99))
        row[f"{what} p50 / p99 ms"] = f"{middle:.1f} / {late:.1f}"
        row[f"{what} p50 × before"] = None if then is None else _times(now, then, 0.5)
        row[f"{what} p99 × before"] = None if then is None else _times(now, then, 0.99)
    return {**row, "viewers' errors": figures.errors, "messages lost": figures.lost}


def _times(now: list[float], then: list[float], share: float) -> float:
    return round(percentile(now, share) / percentile(then, share), 2)


def holds(now: list[float], then: list[float], share: float) -> bool:
    """Whether a figure is within what a flood may do to it."""
    figure, before = (1000 * percentile(each, share) for each in (now, then))
    return figure <= max(ALLOWED * before, before + NOISE_MS)


def exceeded(now: Figures, before: Figures) -> list[str]:
    """To what a flood did more than it may."""
    pairs = {"parts": (now.parts, before.parts), "chat": (now.messages, before.messages)}
    return [
        what
        for what, (figures, then) in pairs.items()
        if not all(holds(figures, then, share) for share in (0.5, 0.99))
    ]


async def measure(options: argparse.Namespace) -> tuple[Report, bool]:
    """All floods, one after the other, on one instance; and whether it held against each."""
    held = True
    report = Report("floods", "Floods: what viewers of a stream and another room's chat notice")
    async with scene(options) as stage:
        report.condition(
            f"a whole instance with its usual limits, 720p30 at 3 Mb/s pushed over RTMP, {options.viewers} "
            f"viewers; another channel's room with {LISTENERS} sockets and {MESSAGES_PER_S} messages/s; "
            f"{options.seconds:g} s each"
        )
        report.condition(
            "parts: from the writing of a part's file to its last byte at a viewer; chat: from a message's "
            "sending to its arrival. Floods from 127.0.0.2, idle and slow ones from eight addresses, by processes at "
            "nice 19 on this machine; handshakes are whole ones with an ECDSA certificate (P-256)"
        )
        before = await stage.measure(options.seconds)
        report.row(_row("none", None, before, None))
        for flood in floods(stage, options.size):
            if options.only and options.only not in flood.name:
                continue
            figures, said = await under(stage, flood, options.seconds)
            report.row(_row(flood.name, flood.count, figures, before))
            told = ", ".join(f"{what} {number:,}" for what, number in sorted(said.items()))
            report.notes.append(f"- {flood.name}: {told}")
            for what in exceeded(figures, before):
                held = False
                report.notes.append(f"- {flood.name}: **{what} over {ALLOWED} ×**")
        after = await stage.measure(options.seconds)
        report.row(_row("none, afterwards", None, after, before))
    return report, held


def main() -> None:
    """`python -m bench.floods`; status 1 when a flood was noticed more than it may be."""
    parser = arguments("floods", __doc__)
    parser.add_argument(
        "--viewers", type=int, default=50, help="viewers of the stream (default 50)"
    )
    parser.add_argument(
        "--seconds", type=float, default=20, help="how long to measure at each (default 20)"
    )
    parser.add_argument(
        "--size", type=float, default=1.0, help="scales how large the floods are (default 1)"
    )
    parser.add_argument("--only", default="", help="floods with this in their name")
    options = parser.parse_args()
    report, held = asyncio.run(measure(options))
    report.show(options)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
