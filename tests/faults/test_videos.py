"""Every picture that viewers could see live is in the video exactly once, whatever was killed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from cli.instance import free_port
from tests.e2e.recorded import ready_video, recorded, videos
from tests.e2e.samples import Sample, numbers_in
from tests.e2e.stage import Stage, descendants, frozen, kill, start_stage, state_of
from tests.faults.conftest import Report
from tests.faults.live import Live, live
from tests.harness import eventually, eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: How often a server that is restarted may be waited for, seconds.
BACK_S = 30.0


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


async def _nothing(_stage: Stage, _running: Live) -> None:
    """A normal broadcast."""


async def _recorder(stage: Stage, running: Live) -> None:
    for _ in range(3):
        old = stage.instance.pid("recorder")
        kill(old)
        await restarted(stage, "recorder", old)
        await running.playing(4)


async def _ingest(stage: Stage, running: Live) -> None:
    killed = kill(stage.instance.pid("ingest"))
    await running.recovered(killed)


async def _ffmpeg(stage: Stage, running: Live) -> None:
    killed = kill(*stage.workers(running.session))
    await running.recovered(killed)


async def _nginx(stage: Stage, running: Live) -> None:
    killed = kill(*descendants(stage.instance.pid("rtmp")))
    await running.recovered(killed)


async def _nats(stage: Stage, running: Live) -> None:
    old = stage.instance.pid("nats")
    kill(old)
    await restarted(stage, "nats", old)
    await running.playing()


async def _nats_wiped(stage: Stage, running: Live) -> None:
    old = stage.instance.pid("nats")
    with frozen(old):
        shutil.rmtree(stage.instance.data / "nats" / "jetstream", ignore_errors=True)
        await running.playing()
        kill(old)
    await restarted(stage, "nats", old)
    await running.playing()


async def _storage(stage: Stage, running: Live) -> None:
    for _ in range(2):
        old = stage.instance.pid("s3")
        kill(old)
        await restarted(stage, "s3", old)
        await running.playing(4)


async def _storage_silent(stage: Stage, running: Live) -> None:
    with frozen(stage.instance.pid("s3")):
        await running.playing(30)


async def _postgres(stage: Stage, running: Live) -> None:
    old = stage.instance.pid("postgres")
    kill(old)
    await restarted(stage, "postgres", old)
    await running.playing()


FAULTS: dict[str, tuple[int, Callable[[Stage, Live], Awaitable[None]]]] = {
    "nothing": (4, _nothing),
    "kill -9 recorder, three times": (4, _recorder),
    "kill -9 ingest": (4, _ingest),
    "kill -9 the ffmpeg of a stream": (4, _ffmpeg),
    "kill -9 nginx (ingest), its worker": (2, _nginx),
    "kill -9 NATS": (8, _nats),
    "NATS frozen, wiped and killed": (8, _nats_wiped),
    "kill -9 the object storage, twice": (10, _storage),
    "the object storage says nothing": (10, _storage_silent),
    "kill -9 PostgreSQL": (9, _postgres),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_video_is_whole(stage: Stage, sample: Sample, report: Report, fault: str) -> None:
    row, provoke = FAULTS[fault]
    async with live(stage, sample) as running:
        await provoke(stage, running)
        await running.playing()
        await running.streamer.stop()
        await asyncio.wait_for(running.following, 30)
        video = await compare(stage, running, report, row, f"video: {fault}", within_s=60)
    (stream,) = await stage.streams(running.channel.login)
    assert video["stream_id"] == stream["id"]


async def test_04_everything_killed_at_once(
    tmp_path_factory: pytest.TempPathFactory, sample: Sample, report: Report
) -> None:
    """`up` and all that it runs, in mid-stream; the stream goes on in the same video afterwards."""
    data = tmp_path_factory.mktemp("videos") / "data"
    taken: set[int] = set()
    ports = ("--http-port", str(free_port(taken)), "--rtmp-port", str(free_port(taken)))
    with start_stage(data, *ports, grace_s=60) as first:
        async with live(first, sample) as running:
            everything = [first.instance.process.pid, *descendants(first.instance.process.pid)]
            for pid in everything:
                # Some go with those that started them.
                with contextlib.suppress(ProcessLookupError):
                    kill(pid)
            first.instance.process.wait(5)
            with start_stage(data, *ports, grace_s=60) as second:
                running.stage = second
                await state_of(second, running.channel.login, "live")
                await running.playing()
                await running.streamer.stop()
                await asyncio.wait_for(running.following, 30)
                await compare(second, running, report, 4, "video: everything killed at once")


async def test_20_everything_told_to_stop(
    tmp_path_factory: pytest.TempPathFactory, sample: Sample, report: Report
) -> None:
    """SIGTERM to `up` in mid-stream: what was published is in a video that is whole after the next
    start, and the stream that comes back is another.
    """
    data = tmp_path_factory.mktemp("stopped") / "data"
    taken: set[int] = set()
    ports = ("--http-port", str(free_port(taken)), "--rtmp-port", str(free_port(taken)))
    with start_stage(data, *ports, grace_s=60) as first:
        async with live(first, sample) as running:
            running.streamer.may_dial.clear()
            assert await asyncio.to_thread(first.instance.stop) == 0
            running.following.cancel()
            with start_stage(data, *ports, grace_s=60) as second:
                await compare(second, running, report, 20, "video: SIGTERM to up", within_s=60)


async def test_20_services_told_to_stop(stage: Stage, sample: Sample, report: Report) -> None:
    async with live(stage, sample) as running:
        for service in ("recorder", "ingest", "recorder"):
            old = stage.instance.pid(service)
            asked = time.monotonic()
            os.kill(old, signal.SIGTERM)
            await restarted(stage, service, old)
            if service == "ingest":
                await running.recovered(asked)
            await running.playing()
        await running.streamer.stop()
        await asyncio.wait_for(running.following, 30)
        await compare(stage, running, report, 20, "video: SIGTERM to recorder and ingest")


async def test_10_ended_while_the_storage_was_away(
    stage: Stage, sample: Sample, report: Report
) -> None:
    """Live goes on untouched, and the video is ready once there is a storage again."""
    async with live(stage, sample) as running:
        with frozen(stage.instance.pid("s3")):
            await running.playing(20)
            await running.streamer.stop()
            await asyncio.wait_for(running.following, 30)
            assert [row["status"] for row in await videos(stage, running.channel.login)] == ["live"]
        await compare(stage, running, report, 10, "video: ended without a storage", within_s=60)


async def test_11_spool_full(
    tmp_path_factory: pytest.TempPathFactory, sample: Sample, report: Report
) -> None:
    """A broadcast that runs uses what is left of the quota; a new one is not recorded, which its
    streamer is told; both are live all the same.
    """
    data = tmp_path_factory.mktemp("full") / "data"
    quota = 24 * 1024 * 1024
    with start_stage(data, spool_quota_bytes=quota) as stage:
        async with live(stage, sample) as running:
            filler = data / "spool" / "filler"
            filler.mkdir()
            (filler / "something").write_bytes(bytes(int(quota * 0.9)))
            await _measured(stage, int(quota * 0.9))
            async with live(stage, sample) as second:
                await eventually_async(
                    lambda: _told(second), within_s=10, what="the streamer is told"
                )
                await second.playing()
                await second.streamer.stop()
                await asyncio.wait_for(second.following, 30)
                assert await videos(stage, second.channel.login) == []
            await running.playing()
            await running.streamer.stop()
            await asyncio.wait_for(running.following, 30)
            await compare(stage, running, report, 11, "video: the spool is nearly full")
            shutil.rmtree(filler)
        await eventually_async(
            lambda: _recorded_again(stage, sample), within_s=30, what="recording again"
        )


async def _measured(stage: Stage, least: int) -> None:
    """Until ingest has noticed how much is in its spool: it measures as it writes."""

    async def noticed() -> bool:
        connector = aiohttp.UnixConnector(str(stage.socket("ingest")))
        async with aiohttp.ClientSession("http://ingest", connector=connector) as client:
            async with client.get("/metrics") as answer:
                text = await answer.text()
        found = re.search(r"^footlight_ingest_spool_bytes (\S+)", text, re.MULTILINE)
        return found is not None and float(found[1]) >= least

    await eventually_async(noticed, within_s=15, what="ingest knows that its spool is full")


async def _told(running: Live) -> bool:
    answer = await running.channel.client.get("/api/v1/me/stream")
    return "not_recorded" in [each["code"] for each in answer.json()["warnings"]]


async def _recorded_again(stage: Stage, sample: Sample) -> bool:
    async with live(stage, sample) as running:
        await running.streamer.stop()
        await asyncio.wait_for(running.following, 30)
        return bool(await videos(stage, running.channel.login))
