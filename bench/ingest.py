"""What passthrough streams cost: processor time and memory of `ingest` and its ffmpeg processes."""

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.encoder import ZEROLATENCY_2S, copy_argv, make_sample
from bench.instance import Instance, running_instance
from bench.report import Report, arguments
from bench.stage import Channel, make_channel
from cli.toolchain import Toolchain

SAMPLE_S = 60
RECORDING = {"on": ["on"], "off": ["off"], "both": ["off", "on"]}
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Processor seconds used so far and memory (bytes, proportional set size) of a process and its descendants."""

    cpu_s: float
    pss: int
    processes: int


def usage(pid: int) -> Usage:
    """Add up ``pid`` and everything below it; the time of children that have ended is in their parent's account."""
    family = descendants(pid)
    ticks = 0
    pss = 0
    for member in family:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
            pss += next(
                int(line.split()[1]) * 1024
                for line in rollup.splitlines()
                if line.startswith("Pss:")
            )
    return Usage(ticks / _TICK, pss, len(family))


def descendants(pid: int) -> list[int]:
    """``pid`` and all processes below it, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


@contextlib.asynccontextmanager
async def pushing(ffmpeg: str, sample: str, channel: Channel) -> AsyncIterator[None]:
    """Push the sample to the channel, over and over, while the block runs."""
    process = await asyncio.create_subprocess_exec(*copy_argv(ffmpeg, sample, channel.publish_url))
    try:
        await channel.wait_for("live")
        yield
    finally:
        process.terminate()
        await process.wait()


async def measure(
    instance: Instance, sample: str, counts: list[int], seconds: float
) -> list[dict[str, object]]:
    """Grow the number of streams through ``counts`` and take the cost at each for ``seconds``."""
    rows: list[dict[str, object]] = []
    pid = instance.pid("ingest")
    async with contextlib.AsyncExitStack() as stack:
        idle = await _cost(pid, seconds)
        running = 0
        for count in counts:
            for _ in range(count - running):
                channel = await stack.enter_async_context(
                    await make_channel(instance.http, instance.rtmp)
                )
                await stack.enter_async_context(pushing(instance.ffmpeg, sample, channel))
            running = count
            await asyncio.sleep(5)
            cores, memory, processes = await _cost(pid, seconds)
            rows.append(
                {
                    "streams": count,
                    "% of a core, all": round(100 * cores, 1),
                    "% of a core a stream": round(100 * cores / count, 2),
                    "% of a core a further stream": round(100 * (cores - idle[0]) / count, 2),
                    "MB PSS, all": round(memory / 1e6),
                    "MB PSS a stream": round(memory / 1e6 / count, 1),
                    "processes": processes,
                }
            )
    return rows


async def _cost(pid: int, seconds: float) -> tuple[float, int, int]:
    before, began = usage(pid), time.monotonic()
    await asyncio.sleep(seconds)
    after, ended = usage(pid), time.monotonic()
    return (after.cpu_s - before.cpu_s) / (ended - began), after.pss, after.processes


async def run(options: argparse.Namespace) -> Report:
    report = Report(
        "ingest",
        "Cost of passthrough streams, 1280x720p30 at 3 Mb/s with AAC: `ingest` and its ffmpeg processes",
    )
    report.condition(
        f"no ladder; pictures every 10 s, health and viewer counting on; {options.seconds} s at each number"
    )
    with tempfile.TemporaryDirectory() as folder:
        sample = f"{folder}/sample.flv"
        ffmpeg = str(Toolchain.from_environment().ffmpeg())
        await make_sample(ffmpeg, sample, ZEROLATENCY_2S, SAMPLE_S)
        for recording in RECORDING[options.recording] * options.rounds:
            for row in await _round(options, sample, recording):
                report.row({"recording": recording, **row})
    if len(report.rows) == len(options.streams):
        report.plot("streams", "% of a core, all")
        report.plot("streams", "MB PSS, all")
    return report


async def _round(
    options: argparse.Namespace, sample: str, recording: str
) -> list[dict[str, object]]:
    """All numbers of streams on one instance."""
    environment = {
        "FOOTLIGHT_LADDER": "off",
        "FOOTLIGHT_RECORDING": str(recording == "on").lower(),
        **options.environment,
    }
    async with running_instance(environment) as instance:
        return await measure(instance, sample, options.streams, options.seconds)


def main() -> None:
    parser = arguments("ingest", __doc__)
    parser.add_argument(
        "--streams",
        type=int,
        nargs="*",
        default=[1, 5, 10, 15, 20],
        help="numbers of streams to measure at",
    )
    parser.add_argument(
        "--seconds", type=float, default=30, help="how long to measure at each (default 30)"
    )
    parser.add_argument(
        "--recording",
        choices=RECORDING,
        default="on",
        help="whether the streams are recorded; both: in turn, each on an instance of its own",
    )
    parser.add_argument("--rounds", type=int, default=1, help="times all of it (default 1)")
    options = parser.parse_args()
    options.environment = {}
    asyncio.run(run(options)).show(options)


if __name__ == "__main__":
    main()
