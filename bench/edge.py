"""What the edge serves: playlists a second beside a static file, and how late thousands of viewers get each part."""

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.feed import RENDITION, Feed
from bench.hammer import Result, hammer, request
from bench.report import Report, arguments
from cli import nginx
from cli.instance import free_port
from cli.toolchain import Toolchain

PLAYBACKS = 4000
CONNECTIONS = 64
STATIC = "\n        location = /static-{size} {{ access_log off; alias {path}; }}\n"


@dataclass(frozen=True)
class Edge:
    """A running edge with nothing behind it."""

    port: int
    root: Path
    values: nginx.EdgeNginx
    master: int

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def workers(self) -> list[int]:
        """Pids of its worker processes."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children").read_text()
        return [int(pid) for pid in children.split()]

    def cpu_ns(self) -> int:
        """Processor time its workers have used, in user and kernel mode."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self.workers())


@contextlib.asynccontextmanager
async def running_edge(workers: int, address_rate: int, extra: str = "") -> AsyncIterator[Edge]:
    """An edge as `up` renders it; ``extra`` is put at the head of its public server for comparisons."""
    toolchain = Toolchain.from_environment()
    program = toolchain.program("nginx")
    with (
        tempfile.TemporaryDirectory(prefix="fl-bench-") as folder,
        tempfile.TemporaryDirectory(prefix="fl-bench-", dir="/dev/shm") as media,  # noqa: S108
    ):
        root = Path(folder)
        (root / "web").mkdir()
        values = nginx.EdgeNginx(
            modules_dir=toolchain.nginx_modules()[0].parent,
            lua_package_path=toolchain.lua_package_path(),
            listen=f"127.0.0.1:{free_port(set())}",
            internal_socket=root / "internal.sock",
            api_socket=root / "api.sock",
            media_dir=Path(media),
            web_root=root / "web",
            playback_key=secrets.token_bytes(32),
            workers=workers,
            address_rate=address_rate,
            user="root" if os.geteuid() == 0 else None,
        )
        text = nginx.render_edge(values)
        nginx.prepare(root / "edge", text.replace("        server_name _;\n", f"        server_name _;\n{extra}", 1))
        process = subprocess.Popen(
            nginx.command(program.path, root / "edge"),
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
        port = int(values.listen.split(":")[1])
        try:
            await _ready(values.internal_socket)
            yield Edge(port, root, values, process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _ready(path: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http:
                async with http.get("http://edge/healthz") as answer:
                    if answer.status == 200:
                        return
        if time.monotonic() > deadline:
            raise RuntimeError("the edge did not start")
        await asyncio.sleep(0.02)


async def new_playbacks(edge: Edge, login: str, count: int) -> list[str]:
    """Playback ids as ``count`` opening viewers would get them."""
    found = []
    async with aiohttp.ClientSession() as http:
        for _ in range(count):
            async with http.get(f"http://127.0.0.1:{edge.port}/live/{login}/index.m3u8") as answer:
                answer.raise_for_status()
                found.append((await answer.text()).split("p=")[1].split()[0])
    return found


def _pin(edge: Edge) -> None:
    """nginx on the first core, the generator on the second."""
    for pid in edge.workers():
        os.sched_setaffinity(pid, {0})
    os.sched_setaffinity(0, {1})


async def compare_rates(report: Report, seconds: float, rounds: int) -> None:
    """Alternate between the playlist and a static file of its size, and add a row for each."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # noqa: S108
        Path(folder).chmod(0o755)
        static = Path(folder) / "file"
        extra = STATIC.format(size="file", path=static)
        async with running_edge(1, 10_000_000, extra) as edge:
            async with Feed(edge.values.internal_socket, edge.values.media_dir) as feed:
                text = feed.playlist(skip=0)
                static.write_text(text)
                report.condition(
                    f"playlist of {len(text)} bytes, asked for with _HLS_msn and _HLS_part of the last part by {PLAYBACKS} "
                    f"playback ids in turn, over {CONNECTIONS} kept-alive connections without pipelining; "
                    "viewer counting, all limits and all headers on (the limit per address raised, all comes from one)"
                )
                report.condition(
                    "one nginx worker pinned to core 0, the generator to core 1; runs alternate "
                    f"({rounds} × {seconds:g} s each); CPU is the worker's own time, user and kernel"
                )
                await _compare(report, edge, feed, seconds, rounds)


async def _compare(report: Report, edge: Edge, feed: Feed, seconds: float, rounds: int) -> None:
    playbacks = await new_playbacks(edge, feed.login, PLAYBACKS)
    msn, part = feed.position
    base = f"/live/{feed.login}/{feed.session}/{RENDITION}"
    names = [f"{base}/index.m3u8?p={p}&_HLS_msn={msn}&_HLS_part={part}" for p in playbacks]
    part_file = Path(edge.values.media_dir) / feed.session / RENDITION / "seg-900.m4s"
    part_file.write_text(feed.playlist(skip=0))
    kinds: dict[str, Sequence[bytes]] = {
        "static file": [request("/static-file", "edge")],
        "media file of that size, limits and headers on": [request(f"{base}/seg-900.m4s", "edge")],
        "playlist": [request(name, "edge") for name in names],
        "playlist, gzip": [request(name, "edge", Accept_Encoding="gzip") for name in names],
    }
    before = os.sched_getaffinity(0)
    _pin(edge)
    measured: dict[str, list[tuple[Result, float]]] = {kind: [] for kind in kinds}
    try:
        for _ in range(rounds):
            for kind, requests in kinds.items():
                began = edge.cpu_ns()
                result = hammer(edge.address, requests, CONNECTIONS, seconds)
                measured[kind].append((result, (edge.cpu_ns() - began) / 1000 / result.requests))
    finally:
        os.sched_setaffinity(0, before)
    rates = {kind: sum(r.requests for r, _ in runs) / sum(r.seconds for r, _ in runs) for kind, runs in measured.items()}
    costs = {kind: sorted(cpu for _, cpu in runs)[len(runs) // 2] for kind, runs in measured.items()}
    for kind, runs in measured.items():
        report.row(
            {
                "what": kind,
                "requests/s": round(rates[kind]),
                "bytes each": runs[0][0].answer_bytes,
                "CPU µs each": round(costs[kind], 1),
                "rate ÷ static": round(rates[kind] / rates["static file"], 2),
                "static CPU ÷ its CPU": round(costs["static file"] / costs[kind], 2),
            }
        )


def main() -> None:
    parser = arguments("edge", __doc__)
    parser.add_argument("--seconds", type=float, default=3, help="length of one run of the comparison (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind (default 5)")
    options = parser.parse_args()
    asyncio.run(run(options)).show(options)


async def run(options: argparse.Namespace) -> Report:
    report = Report("edge", "Requests per second for a blocking-capable playlist and for a static file")
    await compare_rates(report, options.seconds, options.rounds)
    return report


if __name__ == "__main__":
    main()
