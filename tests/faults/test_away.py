"""Services and servers that stay away for a while: the API (row 1), NATS (row 8)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import nats
import pytest
from nats.js import JetStreamContext

from bench.stage import Channel
from core.events import ChannelUpdated
from core.streams import EVENTS
from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Sample
from tests.e2e.stage import Stage, frozen, kill, state_of
from tests.faults.conftest import Report
from tests.faults.live import UNTOUCHED, Live, live
from tests.faults.load import Load
from tests.faults.test_videos import compare, restarted
from tests.harness import eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

AWAY_S = 3.0
CHANGES = 5


@pytest.mark.parametrize("away_s", (AWAY_S, pytest.param(30.0, marks=pytest.mark.long)))
async def test_01_api_killed(
    stage: Stage,
    sample: Sample,
    load: Load,
    live_unnoticed: None,
    report: Report,
    away_s: float,
) -> None:
    """Whoever watches, streams or chats notices nothing; a new publish is let in wholly or not at all."""
    async with live(stage, sample) as running, stage.channel() as other:
        old = stage.instance.pid("api")
        # It cannot start it again as long as it does not run itself.
        with frozen(stage.instance.process.pid):
            killed = kill(old)
            how = await _publish(stage, other, sample)
            said = load.strain().said
            await asyncio.sleep(max(0.0, killed + away_s - time.monotonic()))
            await running.playing(4)
            assert load.strain().said > said
            assert load.failures("chat", since=killed) == []
        thawed = time.monotonic()
        await eventually_async(lambda: _works(running.channel), within_s=20, what="the API works")
        back_s = time.monotonic() - thawed
        assert await running.finish() == UNTOUCHED
    report(
        1,
        f"kill -9 the API, away for {thawed - killed:.0f} s",
        recovered_s=back_s,
        lost=0,
        remark=f"live and chat went on; a new publisher was {how} meanwhile",
    )


async def _publish(stage: Stage, other: Channel, sample: Sample) -> str:
    """Begin and end a stream: "let in", with all that belongs to it, or "refused", with nothing."""
    try:
        connection = await Connection.open(stage.rtmp_port)
        async with connection:
            await connection.publish(other.key)
            pushing = asyncio.create_task(connection.push(sample.tags))
            try:
                await state_of(stage, other.login, "live")
                await stage.broadcasts(other.login, ("live", None))
            finally:
                pushing.cancel()
                await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()
    except Rejected:
        await state_of(stage, other.login, "offline", within_s=5)
        # It may be written down that it was tried.
        begun = await stage.streams(other.login)
        assert {each["end_reason"] for each in begun} <= {"never_started"}
        return "refused"
    await state_of(stage, other.login, "offline", within_s=5)
    await stage.broadcasts(other.login, ("ended", "stopped"))
    return "let in"


async def _works(channel: Channel) -> bool:
    try:
        answer = await channel.client.get("/api/v1/me/stream", timeout=5)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


async def test_08_nats_away(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report
) -> None:
    """Killed, killed with its folder wiped, and frozen: what is committed meanwhile waits, and is published in
    order and once; a broadcast that begins and ends without NATS becomes a whole video.
    """
    async with live(stage, sample) as running:
        for fault in ("killed", "killed and wiped", "frozen"):
            async with _away(stage, fault) as away, live(stage, sample) as meanwhile:
                titles = [f"{fault} {n}" for n in range(CHANGES)]
                for title in titles:
                    url = f"/api/v1/channels/{running.channel.login}"
                    answer = await running.channel.client.patch(url, json={"title": title})
                    assert answer.status_code == 200, answer.text
                await meanwhile.finish()
                assert await stage.rows("select 1 from outbox")
                back = await away()
                await eventually_async(lambda: _drained(stage), within_s=30, what="the outbox")
                drained_s = time.monotonic() - back
                assert await _published(stage, running, fault) == titles
            report(8, f"NATS {fault}: the outbox", recovered_s=drained_s, lost=0, remark="in order")
            await compare(stage, meanwhile, report, 8, f"NATS {fault}: a broadcast meanwhile")
        assert await running.finish() == UNTOUCHED


@contextlib.asynccontextmanager
async def _away(stage: Stage, fault: str) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """NATS is gone during the block, until its value is called: that gives when (monotonic) it came back."""
    nats_server = stage.instance.pid("nats")
    with contextlib.ExitStack() as stack:
        if fault == "frozen":
            stack.enter_context(frozen(nats_server))
        else:
            stack.enter_context(frozen(stage.instance.process.pid))
            kill(nats_server)
        if fault == "killed and wiped":
            shutil.rmtree(stage.instance.data / "nats" / "jetstream")

        async def back() -> float:
            stack.close()
            now = time.monotonic()
            if fault != "frozen":
                await restarted(stage, "nats", nats_server)
            return now

        yield back


async def _drained(stage: Stage) -> bool:
    return not await stage.rows("select 1 from outbox")


async def _published(stage: Stage, running: Live, prefix: str) -> list[str]:
    """The titles that the bus has of a channel, in its order."""
    bus = await nats.connect(stage.instance.info["nats"])
    try:
        events = [event async for event in _events(bus.jetstream())]
    finally:
        await bus.close()
    titles = [str(event["title"]) for event in events if event["login"] == running.channel.login]
    return [title for title in titles if title.rpartition(" ")[0] == prefix]


async def _events(bus: JetStreamContext) -> AsyncIterator[dict[str, object]]:
    """Every change of a channel that is kept, oldest first."""
    state = (await bus.stream_info(EVENTS.name)).state
    for number in range(state.first_seq, state.last_seq + 1):
        message = await bus.get_msg(EVENTS.name, number)
        if message.subject == ChannelUpdated.subject and message.data:
            yield json.loads(message.data)
