"""Every picture that viewers could see live is in the video exactly once, whatever was killed meanwhile.

A broadcast outlives several faults, one after the other: whatever is missing in its video was lost to one of
them. Each alone is a long test, to see which.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.recorded import ready_video, recorded, videos
from tests.e2e.samples import Recipe, Sample, numbers_in
from tests.e2e.stage import Stage, descendants, frozen, kill
from tests.faults.conftest import SPOOL_QUOTA, Report
from tests.faults.live import UNTOUCHED, Live, live
from tests.harness import eventually, eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: How long a service that was killed may take to be back, seconds.
BACK_S = 30.0
#: How long servers are away in the long test, seconds.
AWAY_S = 600
STUCK = "footlight_archive_stuck_seconds"


def seen(running: Live) -> list[int]:
    """The pictures that a viewer was given live."""
    came = [n for _, media in running.source.stretches() for n in numbers_in(media)]
    return [n for n in came if n is not None]


async def compare(
    stage: Stage, running: Live, report: Report, row: int, fault: str, *, within_s: float = 30.0
) -> dict[str, object]:
    """The stream is over: its video has what viewers had, in order and once. Gives the video's row."""
    over = time.monotonic()
    video = await ready_video(stage, running.channel.login, within_s=within_s)
    ready_s = time.monotonic() - over
    found = await recorded(stage, int(video["id"]))
    numbers = found.numbers
    assert numbers == sorted(set(numbers)), "a picture is in the video twice, or out of order"
    missing = set(seen(running)) - set(numbers)
    assert not missing, f"pictures that were published are not in the video: {sorted(missing)}"
    assert found.findings == []
    assert found.playlist.ended
    # Nothing waits any more.
    spool = stage.instance.data / "spool" / running.session
    eventually(lambda: not spool.exists(), within_s=10, what="the spool is empty")
    report(row, fault, recovered_s=ready_s, lost=len(missing), remark="the video is whole")
    return video


async def restarted(stage: Stage, service: str, old: int) -> None:
    """Until another process stands in the place of one that was killed."""

    async def other() -> bool:
        pid = stage.instance.info["services"][service]["pid"]
        return pid is not None and pid != old

    await eventually_async(other, within_s=BACK_S, what=f"{service} is back")


async def _recorder(stage: Stage, running: Live) -> None:
    """In mid-upload: its storage has not answered yet."""
    old = stage.instance.pid("recorder")
    with frozen(stage.instance.pid("s3")):
        await running.playing()
        kill(old)
    await restarted(stage, "recorder", old)


async def _recorder_told(stage: Stage, _running: Live) -> None:
    old = stage.instance.pid("recorder")
    os.kill(old, signal.SIGTERM)
    await restarted(stage, "recorder", old)


async def _ingest(stage: Stage, running: Live) -> None:
    killed = kill(stage.instance.pid("ingest"))
    await running.recovered(killed)


async def _ingest_told(stage: Stage, running: Live) -> None:
    asked = time.monotonic()
    os.kill(stage.instance.pid("ingest"), signal.SIGTERM)
    await running.recovered(asked)


async def _ffmpeg(stage: Stage, running: Live) -> None:
    killed = kill(*stage.workers(running.session))
    await running.recovered(killed)


async def _nginx(stage: Stage, running: Live) -> None:
    killed = kill(*descendants(stage.instance.pid("rtmp")))
    await running.recovered(killed)


async def _nats(stage: Stage, running: Live) -> None:
    old = stage.instance.pid("nats")
    with frozen(old):
        shutil.rmtree(stage.instance.data / "nats" / "jetstream", ignore_errors=True)
        await running.playing()
        kill(old)
    await restarted(stage, "nats", old)


async def _storage(stage: Stage, _running: Live) -> None:
    old = stage.instance.pid("s3")
    kill(old)
    await restarted(stage, "s3", old)


async def _storage_silent(stage: Stage, running: Live) -> None:
    with frozen(stage.instance.pid("s3")):
        await running.playing(20)
        await eventually_async(lambda: _stuck(stage), within_s=30, what="an alert is due")


async def _postgres(stage: Stage, _running: Live) -> None:
    old = stage.instance.pid("postgres")
    kill(old)
    await restarted(stage, "postgres", old)


Provoke = Callable[[Stage, Live], Awaitable[None]]
#: What viewers notice as well, and what they do not.
OURS: dict[str, tuple[int, Provoke]] = {
    "kill -9 the ffmpeg of a stream": (4, _ffmpeg),
    "kill -9 recorder in mid-upload": (4, _recorder),
    "kill -9 ingest": (4, _ingest),
    "kill -9 nginx (ingest), its worker": (2, _nginx),
    "SIGTERM to recorder": (20, _recorder_told),
    "SIGTERM to ingest": (20, _ingest_told),
}
SERVERS: dict[str, tuple[int, Provoke]] = {
    "NATS frozen, wiped and killed": (8, _nats),
    "kill -9 the object storage": (10, _storage),
    "kill -9 PostgreSQL": (9, _postgres),
    "the object storage says nothing": (10, _storage_silent),
}


async def test_the_video_outlives_our_processes(
    stage: Stage, sample: Sample, report: Report
) -> None:
    """One fault after the other in one broadcast: none of its pictures is lost to any."""
    async with live(stage, sample) as running:
        for _, provoke in OURS.values():
            await provoke(stage, running)
            await running.playing(4)
        await running.streamer.stop()
        await asyncio.wait_for(running.following, 30)
        what = "the video after all of these"
        video = await compare(stage, running, report, 4, what, within_s=60)
    for fault, (row, _) in OURS.items():
        report(row, f"video: {fault}", lost=0, remark="the video is whole")
    (stream,) = await stage.streams(running.channel.login)
    assert video["stream_id"] == stream["id"]


async def test_the_video_outlives_servers(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report
) -> None:
    """Nobody who watches live notices, and it may even end while there is no storage."""
    async with live(stage, sample) as running:
        for _, provoke in SERVERS.values():
            await provoke(stage, running)
            await running.playing(4)
        with frozen(stage.instance.pid("s3")):
            await running.playing()
            assert await running.finish() == UNTOUCHED
            assert [row["status"] for row in await videos(stage, running.channel.login)] == ["live"]
        await compare(stage, running, report, 10, "video: it ended without a storage", within_s=60)
    for fault, (row, _) in SERVERS.items():
        report(row, f"video: {fault}", lost=0, remark="live untouched, the video is whole")


@pytest.mark.long
@pytest.mark.parametrize("fault", [*OURS, *SERVERS])
async def test_each_alone(stage: Stage, sample: Sample, report: Report, fault: str) -> None:
    row, provoke = {**OURS, **SERVERS}[fault]
    async with live(stage, sample) as running:
        await provoke(stage, running)
        await running.playing()
        await running.streamer.stop()
        await asyncio.wait_for(running.following, 30)
        await compare(stage, running, report, row, f"video: {fault}", within_s=60)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_10_ten_minutes_without_storage_and_bus(
    stage: Stage, live_unnoticed: None, report: Report
) -> None:
    """Live goes on untouched, the spool grows meanwhile and drains afterwards."""
    sample = Recipe(seconds=AWAY_S + 120, fps=25, gop=1, channels=1).make()
    async with live(stage, sample) as running:
        before = await metric(stage, "ingest", "footlight_ingest_spool_bytes")
        # `up` as well: it starts anew what has not answered for a minute.
        away = (stage.instance.process.pid, *map(stage.instance.pid, ("s3", "nats")))
        with frozen(*away):
            await asyncio.sleep(AWAY_S)
            await running.playing()
            assert await metric(stage, "ingest", "footlight_ingest_spool_bytes") > before
            assert await metric(stage, "recorder", STUCK) > AWAY_S / 2
        await running.playing()
        assert await running.finish() == UNTOUCHED
        await compare(
            stage, running, report, 10, "video: S3 and NATS away for 10 min", within_s=120
        )


async def test_11_spool_full(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report
) -> None:
    """In the reserve a broadcast that runs is recorded on, and a new one is not. When that is used up
    as well the recording ends. Streamers are told, everybody stays live.
    """
    cut = "footlight_ingest_recordings_cut_total"
    async with live(stage, sample) as running:
        before = await metric(stage, "ingest", cut)
        with _filler(stage) as filler, frozen(stage.instance.pid("s3")):
            await _fill(stage, filler, 0.9)
            await running.playing(20)
            in_reserve = seen(running)[-1] - 2 * 25
            async with live(stage, sample) as second:
                await _told(second, "not_recorded")
                assert await second.finish() == UNTOUCHED
                assert await videos(stage, second.channel.login) == []
            await _fill(stage, filler, 1.0)
            await _told(running, "recording_cut")
            # That of the load's stream as well, unless it had been before.
            assert await metric(stage, "ingest", cut) - before in (1, 2)
        # While it is live.
        video = await ready_video(stage, running.channel.login)
        await running.playing()
        assert await running.finish() == UNTOUCHED
    assert video["error"] is not None and "recording_cut" in video["error"]
    found = await recorded(stage, int(video["id"]))
    numbers, published = found.numbers, seen(running)
    assert numbers == sorted(set(numbers))
    assert {n for n in published if n <= numbers[-1]} <= set(numbers)
    assert in_reserve < numbers[-1] < published[-1]
    assert found.findings == [] and found.playlist.ended
    assert len(await videos(stage, running.channel.login)) == 1
    await _spool_holds(stage, lambda used: used < 0.8 * SPOOL_QUOTA)
    async with live(stage, sample) as third:
        await third.streamer.stop()
        await asyncio.wait_for(third.following, 30)
        await compare(stage, third, report, 11, "video: recorded again after a full spool")


async def metric(stage: Stage, service: str, name: str) -> float:
    """A figure of a service."""
    connector = aiohttp.UnixConnector(str(stage.socket(service)))
    async with aiohttp.ClientSession("http://service", connector=connector) as client:
        async with client.get("/metrics") as answer:
            text = await answer.text()
    found = re.search(rf"^{name} (\S+)", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


async def _stuck(stage: Stage) -> bool:
    return await metric(stage, "recorder", STUCK) > 3


async def _spool_holds(stage: Stage, check: Callable[[float], bool]) -> None:
    """Until ingest has noticed how much is in its spool."""

    async def noticed() -> bool:
        return check(await metric(stage, "ingest", "footlight_ingest_spool_bytes"))

    await eventually_async(noticed, within_s=15, what="ingest knows what its spool holds")


@contextlib.contextmanager
def _filler(stage: Stage) -> Iterator[Path]:
    """A file in the spool that is nobody's."""
    folder = stage.instance.data / "spool" / "filler"
    folder.mkdir()
    try:
        yield folder / "something"
    finally:
        shutil.rmtree(folder)


async def _fill(stage: Stage, filler: Path, share: float) -> None:
    """Until the spool's quota is used up so far."""
    with filler.open("wb") as file:
        file.truncate(int(SPOOL_QUOTA * share))
    await _spool_holds(stage, lambda used: used >= SPOOL_QUOTA * share)


async def _told(running: Live, code: str) -> None:
    """Until the streamer is told."""

    async def told() -> bool:
        answer = await running.channel.client.get("/api/v1/me/stream")
        return code in [each["code"] for each in answer.json()["warnings"]]

    await eventually_async(told, within_s=20, what=f"the streamer is told: {code}")
