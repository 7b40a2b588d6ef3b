"""What the edge serves: playlists a second beside a static file, and how late 2,000 viewers get each part."""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.encoder import ZEROLATENCY_1S, copy_argv, make_sample
from bench.feed import RENDITION, Feed
from bench.hammer import Result, hammer, request
from bench.instance import running_instance
from bench.report import Report, arguments
from bench.stage import make_channel
from bench.viewers import Outcome, gather, percentile
from cli import nginx
from cli.instance import Layout, free_port
from cli.toolchain import Toolchain

PLAYBACKS = 4000
CONNECTIONS = 64
NO_LIMIT = 10_000_000
GROUPS = 2
WARM_UP_S = 8.0
SAMPLE_S = 60
STATIC_SERVER = """
    server {{
        listen 127.0.0.1:{port};
        access_log off;
        location / {{ root "{folder}"; }}
    }}
}}
"""


@dataclass(frozen=True)
class Edge:
    """A running edge with nothing behind it; ``static_port`` serves the files of ``static``."""

    values: nginx.EdgeNginx
    master: int
    static: Path
    static_port: int

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.values.listen.rpartition(":")
        return host, int(port)


@contextlib.contextmanager
def running_edge(workers: int, address_rate: int = nginx.EdgeNginx.address_rate) -> Iterator[Edge]:
    """An edge as `up` renders it, and in the same nginx a bare server for static files."""
    toolchain = Toolchain.from_environment()
    program = toolchain.program("nginx")
    with (
        tempfile.TemporaryDirectory(prefix="fl-bench-") as folder,
        tempfile.TemporaryDirectory(prefix="fl-bench-", dir="/dev/shm") as media,
    ):
        root, taken = Path(folder), set[int]()
        static, static_port = Path(media) / "static", free_port(taken)
        static.mkdir()
        values = nginx.EdgeNginx(
            modules_dir=toolchain.nginx_modules()[0].parent,
            lua_package_path=toolchain.lua_package_path(),
            listen=f"127.0.0.1:{free_port(taken)}",
            internal_socket=root / "internal.sock",
            api_socket=root / "api.sock",
            recorder_socket=root / "recorder.sock",
            chat_sockets=(root / "chat-ws.sock",),
            chat_http_sockets=(root / "chat.sock",),
            media_dir=Path(media),
            web_root=root,
            playback_key=secrets.token_bytes(32),
            media_token_key=secrets.token_bytes(32),
            workers=workers,
            address_rate=address_rate,
            user="root" if os.geteuid() == 0 else None,
        )
        text = nginx.render_edge(values).rstrip().removesuffix("}")
        text += STATIC_SERVER.format(port=static_port, folder=static)
        nginx.prepare(root / "edge", text)
        process = subprocess.Popen(
            nginx.command(program.path, root / "edge"),
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
        try:
            _wait_until_listening(values.internal_socket)
            yield Edge(values, process.pid, static, static_port)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_listening(path: Path) -> None:
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)) != 0:
            if time.monotonic() > deadline:
                raise RuntimeError("the edge did not start")
            time.sleep(0.02)


def workers_of(master: int) -> list[int]:
    """Pids of an nginx's worker processes; its cache manager is none."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    found = []
    for pid in children.split():
        # A killed one may have gone by now.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"worker process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def cpu_ns(master: int) -> int:
    """Processor time an nginx's workers have used, in user and kernel mode."""
    stats = (Path(f"/proc/{pid}/schedstat").read_text() for pid in workers_of(master))
    return sum(int(text.split()[0]) for text in stats)


async def new_playlists(http: str, login: str, rendition: str, count: int) -> list[str]:
    """Paths of a rendition's media playlist as ``count`` opening viewers are given them."""
    found = []
    async with aiohttp.ClientSession() as client:
        for _ in range(count):
            async with client.get(f"{http}/live/{login}/index.m3u8") as answer:
                answer.raise_for_status()
                lines = (await answer.text()).splitlines()
            name = next(
                line for line in lines if f"/{rendition}/index.m3u8?" in line and line[0] != "#"
            )
            found.append(f"/live/{login}/{name}")
    return found


# Requests a second


@contextlib.contextmanager
def _on_cores(master: int) -> Iterator[None]:
    """nginx on the first core, this process on the second."""
    before = os.sched_getaffinity(0)
    for pid in workers_of(master):
        os.sched_setaffinity(pid, {0})
    os.sched_setaffinity(0, {1})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def compare_rates(seconds: float, rounds: int) -> Report:
    """Alternate between the playlist and a static file of its size."""
    report = Report(
        "edge-rate", "Edge: a blocking-capable playlist beside a static file of its size"
    )
    with running_edge(1, NO_LIMIT) as edge:
        async with Feed(edge.values.internal_socket, edge.values.media_dir) as feed:
            text = feed.playlist(skip=0)
            (edge.static / "file.m3u8").write_text(text)
            feed.write("seg-900.m4s", text.encode())
            http = "http://{}:{}".format(*edge.address)
            playlists = await new_playlists(http, feed.login, RENDITION, PLAYBACKS)
            runs = _runs(edge, _requests(feed, playlists), seconds, rounds)
    report.condition(
        f"a playlist of {len(text)} bytes, asked for with _HLS_msn and _HLS_part of its last part by "
        f"{PLAYBACKS} playback ids in turn; viewer counting, limits and headers on (all requests come "
        "from one address, whose limit is raised); the static file is served bare, without any of these"
    )
    report.condition(
        f"one nginx worker pinned to core 0, the generator to core 1, {CONNECTIONS} kept-alive "
        f"connections, no pipelining; {rounds} rounds of {seconds:g} s for each, in turn; CPU is the "
        "worker's own time (user and kernel), the median of the rounds"
    )
    for row in _rate_rows(runs):
        report.row(row)
    return report


def _requests(feed: Feed, playlists: Sequence[str]) -> dict[str, Sequence[bytes]]:
    msn, part = feed.position
    asked = [f"{path}&_HLS_msn={msn}&_HLS_part={part}" for path in playlists]
    media = playlists[0].partition("index.m3u8")[0]
    return {
        "static file": [request("/file.m3u8", "edge")],
        "segment of that size": [request(f"{media}seg-900.m4s", "edge")],
        "playlist": [request(path, "edge") for path in asked],
        "playlist, gzip": [request(path, "edge", Accept_Encoding="gzip") for path in asked],
    }


def _runs(
    edge: Edge, kinds: dict[str, Sequence[bytes]], seconds: float, rounds: int
) -> dict[str, list[tuple[Result, float]]]:
    """Result and CPU microseconds a request, for each kind and round."""
    measured: dict[str, list[tuple[Result, float]]] = {kind: [] for kind in kinds}
    with _on_cores(edge.master):
        for _ in range(rounds):
            for kind, requests in kinds.items():
                address = ("127.0.0.1", edge.static_port) if kind == "static file" else edge.address
                before = cpu_ns(edge.master)
                result = hammer(address, requests, CONNECTIONS, seconds)
                used = (cpu_ns(edge.master) - before) / 1000
                measured[kind].append((result, used / result.requests))
    return measured


def _rate_rows(measured: dict[str, list[tuple[Result, float]]]) -> Iterator[dict[str, object]]:
    rates = {
        kind: sum(result.requests for result, _ in runs) / sum(result.seconds for result, _ in runs)
        for kind, runs in measured.items()
    }
    costs = {
        kind: sorted(cpu for _, cpu in runs)[len(runs) // 2] for kind, runs in measured.items()
    }
    for kind, runs in measured.items():
        yield {
            "what": kind,
            "requests/s": round(rates[kind]),
            "bytes with header": runs[0][0].answer_bytes,
            "CPU µs": round(costs[kind], 1),
            "requests/s ÷ static": round(rates[kind] / rates["static file"], 2),
            "static CPU ÷ CPU": round(costs["static file"] / costs[kind], 2),
        }


# Viewers


@dataclass(frozen=True)
class Stage:
    """A running stream to watch: where, its part files, and the nginx that serves it."""

    http: str
    login: str
    rendition: str
    folder: Path
    master: int
    what: str


@contextlib.asynccontextmanager
async def fed_stage() -> AsyncIterator[Stage]:
    """An edge alone, fed with parts of a fixed size."""
    with running_edge(2) as edge:
        async with Feed(edge.values.internal_socket, edge.values.media_dir) as feed:
            stop = asyncio.Event()
            feeding = asyncio.create_task(feed.run(stop))
            try:
                http = "http://{}:{}".format(*edge.address)
                what = "an edge alone, fed with 75 kB parts"
                yield Stage(http, feed.login, RENDITION, feed.folder, edge.master, what)
            finally:
                stop.set()
                await feeding


@contextlib.asynccontextmanager
async def real_stage() -> AsyncIterator[Stage]:
    """A whole instance with a stream pushed to it over RTMP."""
    with tempfile.TemporaryDirectory(prefix="fl-bench-") as folder:
        async with (
            running_instance({"FOOTLIGHT_LADDER": "off"}) as instance,
            await make_channel(instance.http, instance.rtmp) as channel,
        ):
            sample = f"{folder}/sample.flv"
            await make_sample(instance.ffmpeg, sample, ZEROLATENCY_1S, SAMPLE_S)
            argv = copy_argv(instance.ffmpeg, sample, channel.publish_url)
            encoder = await asyncio.create_subprocess_exec(*argv)
            try:
                state = await channel.wait_for("live")
                media = Layout.of(instance.data).media / str(state["session"]) / "source"
                what = f"a whole instance, {ZEROLATENCY_1S.name} pushed over RTMP, ladder off"
                yield Stage(
                    instance.http, channel.login, "source", media, instance.pid("edge"), what
                )
            finally:
                encoder.terminate()
                await encoder.wait()


async def watch_parts(viewers: int, seconds: float, alone: bool) -> Report:
    """Let ``viewers`` watch a running stream for ``seconds``."""
    report = Report("edge-viewers", "Edge: LL-HLS viewers of one stream at 3 Mb/s, parts of 0.2 s")
    async with fed_stage() if alone else real_stage() as stage:
        paths = await new_playlists(stage.http, stage.login, stage.rendition, viewers)
        host, _, port = stage.http.removeprefix("http://").rpartition(":")
        before, began = cpu_ns(stage.master), time.monotonic()
        audience = gather((host, int(port)), paths, GROUPS, WARM_UP_S, seconds, stage.folder)
        outcome = await asyncio.to_thread(audience.outcome)
        cores = (cpu_ns(stage.master) - before) / 1e9 / (time.monotonic() - began)
        workers = len(workers_of(stage.master))
    report.condition(
        f"{stage.what}; {workers} nginx workers; each viewer holds a blocking reload (SKIP, gzip) and "
        f"fetches every part on a second connection; all on this machine: {GROUPS} viewer processes"
    )
    report.condition(
        "lateness counts from the writing of the part's file to the last byte received, over all "
        "viewers; every viewer has a genuine playback id; counting, limits and headers on"
    )
    for error in sorted(set(outcome.errors))[:5]:
        report.condition(f"error seen: {error}")
    report.row(_viewers_row(outcome, seconds, cores))
    return report


def _viewers_row(outcome: Outcome, seconds: float, cores: float) -> dict[str, object]:
    def late(figures: list[float], share: float) -> float:
        return round(1000 * percentile(figures, share), 1)

    return {
        "viewers": outcome.viewers,
        "seconds": seconds,
        "errors": len(outcome.errors),
        "parts skipped": outcome.skipped_parts,
        "playlists/s": round(outcome.playlists / seconds),
        "parts/s": round(outcome.parts / seconds),
        "Gb/s": round(outcome.part_bytes * 8 / seconds / 1e9, 2),
        "playlist late p50 / p99 ms": (
            f"{late(outcome.playlist_lateness, 0.5)} / {late(outcome.playlist_lateness, 0.99)}"
        ),
        "part late p50 ms": late(outcome.lateness, 0.5),
        "part late p99 ms": late(outcome.lateness, 0.99),
        "worst ms": late(outcome.lateness, 1),
        "nginx cores": round(cores, 2),
        "viewers' cores": round(outcome.cpu_s / seconds, 2),
    }


async def run(options: argparse.Namespace) -> list[Report]:
    reports = []
    if options.only != "viewers":
        reports.append(await compare_rates(options.seconds, options.rounds))
    if options.only != "rate":
        reports.append(await watch_parts(options.viewers, options.watch, options.alone))
    return reports


def main() -> None:
    parser = arguments("edge", __doc__)
    parser.add_argument("--only", choices=("rate", "viewers"), help="one of the two measurements")
    parser.add_argument("--seconds", type=float, default=3, help="length of a rate run (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="rate runs of each kind (default 5)")
    parser.add_argument("--viewers", type=int, default=2000, help="how many watch (default 2000)")
    parser.add_argument("--watch", type=float, default=60, help="for how many seconds (default 60)")
    parser.add_argument(
        "--alone", action="store_true", help="feed an edge directly instead of running an instance"
    )
    options = parser.parse_args()
    reports = asyncio.run(run(options))
    if options.json:
        print(json.dumps([json.loads(report.as_json()) for report in reports], indent=2))
    else:
        print("\n".join(report.as_markdown() for report in reports))


if __name__ == "__main__":
    main()
