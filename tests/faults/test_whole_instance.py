"""The whole instance under load: `up` told to stop, and `up` killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from cli.instance import free_port
from tests.e2e.samples import Recipe
from tests.e2e.stage import (
    Contention,
    Stage,
    descendants,
    kill,
    start_stage,
    state_of,
    together,
)
from tests.faults.conftest import Loaded, Report
from tests.faults.live import Live, live
from tests.faults.test_videos import compare
from tests.harness import eventually, processes_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

#: What stopping may take, seconds.
STOP_S = 15.0


async def test_24_up_killed_04_everything_killed_20_up_terminated(
    tmp_path_factory: pytest.TempPathFactory,
    report: Report,
    loaded: Loaded,
    contention: Contention,
) -> None:
    """kill -9 of `up` leaves nothing running, and the next `up` has the streams back by their encoders' own
    reconnects; so it is when everything is killed at once. SIGTERM ends everything in time. What was published
    is in one video once there is a next start, and what was said is in the chat.
    """
    data = tmp_path_factory.mktemp("restart") / "data"
    taken: set[int] = set()
    ports = ("--http-port", str(free_port(taken)), "--rtmp-port", str(free_port(taken)))
    sample = Recipe(seconds=240, fps=10, gop=1, channels=1).make()
    with ExitStack() as instances:

        def up() -> Stage:
            return instances.enter_context(start_stage(data, *ports, grace_s=60))

        first = up()
        with loaded(first):
            async with live(first, sample) as one, live(first, sample) as two:
                streams = [one, two]
                second = await _up_killed(first, up, streams, report)
                third = await _everything_killed(second, up, streams, report)
                await _terminate(third, streams, report, contention)
                last = up()
                await compare(last, one, report, 4, "video: everything killed, SIGTERM to up")


async def _up_killed(
    stage: Stage, up: Callable[[], Stage], streams: list[Live], report: Report
) -> Stage:
    """kill -9 of `up` alone, then `up` again."""
    killed = kill(stage.instance.process.pid)
    stage.instance.process.wait(5)
    eventually(lambda: not processes_of(stage.instance.data), within_s=STOP_S, what="nothing left")
    gone_s = time.monotonic() - killed
    report(24, "kill -9 up: its last process is gone", recovered_s=gone_s)
    again, ready_s, live_s = await _again(up, streams, 2)
    report(
        24,
        "up again: streams live by reconnect",
        recovered_s=live_s,
        remark=f"ready after {ready_s:.1f} s",
    )
    return again


async def _everything_killed(
    stage: Stage, up: Callable[[], Stage], streams: list[Live], report: Report
) -> Stage:
    """`up` and all that it runs in one moment, then `up` again."""
    for pid in (stage.instance.process.pid, *descendants(stage.instance.process.pid)):
        # Some go with those that started them.
        with suppress(ProcessLookupError):
            kill(pid)
    stage.instance.process.wait(5)
    again, ready_s, live_s = await _again(up, streams, 3)
    await streams[0].playing()
    report(
        4,
        "everything killed at once, up again",
        recovered_s=live_s,
        remark=f"ready after {ready_s:.1f} s",
    )
    return again


async def _again(
    up: Callable[[], Stage], streams: list[Live], legs: int
) -> tuple[Stage, float, float]:
    """The next instance, and seconds until it was ready and until all streams were live again. Their encoders
    have been dialling all the time.
    """
    began = time.monotonic()
    stage = up()
    ready_s = time.monotonic() - began
    await together(*(state_of(stage, each.channel.login, "live") for each in streams))
    live_s = time.monotonic() - began
    for each in streams:
        each.stage = stage
        assert len(each.streamer.legs) == legs
    pids = {entry["pid"] for entry in stage.instance.info["services"].values()}
    assert pids <= set(processes_of(stage.instance.data))
    return stage, ready_s, live_s


async def _terminate(
    stage: Stage, streams: list[Live], report: Report, contention: Contention
) -> None:
    """SIGTERM to `up` while two encoders push."""
    for each in streams:
        each.streamer.may_dial.clear()
        # A player that had the stream's end shown would ask for nothing more.
        each.following.cancel()
    asked = time.monotonic()
    status = await asyncio.to_thread(stage.instance.stop)
    took_s = time.monotonic() - asked
    assert status == 0
    assert took_s < contention.limit(STOP_S)
    assert not processes_of(stage.instance.data)
    assert not (stage.instance.data / "instance.json").exists()
    for each in streams:
        await asyncio.wait_for(each.streamer.connection.closed.wait(), 1)
    report(20, "SIGTERM to up under load", recovered_s=took_s, remark="nothing left behind")
