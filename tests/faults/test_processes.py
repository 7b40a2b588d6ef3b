"""Processes that die while streams run: nginx (ingest), ffmpeg, ingest, PostgreSQL, the edge; and services that are
told to end.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
import pytest

from bench.stage import Channel
from tests.e2e.browser import chromium, open_channel
from tests.e2e.follower import next_query
from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Sample
from tests.e2e.stage import Contention, Stage, descendants, frozen, kill, state_of
from tests.faults.conftest import Report
from tests.faults.live import UNTOUCHED, Live, live
from tests.harness import eventually_async
from tests.playlist_validator import parse_media

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

GRACE_S = 4.0
GOP_S = 1.0
#: Viewers whose requests the edge holds when it is told to reload.
WAITERS = 100
#: What stopping may take, seconds.
STOP_S = 15.0
#: Served this long without a failure, an edge is taken to be back, seconds.
STEADY_S = 1.5


async def test_02_nginx_ingest_killed(stage: Stage, sample: Sample, report: Report) -> None:
    """The encoder dials again and goes on in the same stream; one that does not is no ghost for long."""
    async with live(stage, sample) as running, live(stage, sample) as ghost:
        before = await state_of(stage, running.channel.login, "live")
        ghost.streamer.may_dial.clear()
        killed = kill(stage.instance.pid("rtmp"))
        master_s = await running.recovered(killed)
        await running.playing()
        again = kill(*descendants(stage.instance.pid("rtmp")))
        worker_s = await running.recovered(again)
        await running.playing()
        after = await state_of(stage, running.channel.login, "live")
        assert after["stream_id"] == before["stream_id"]
        outcome = await running.finish()
        assert (outcome.findings, outcome.discontinuities) == ([], 2)
        # Whatever nginx had taken in and not passed on died with it; nothing else may be missing.
        assert outcome.dropped == 0
        await state_of(stage, ghost.channel.login, "offline", within_s=GRACE_S + 15)
        await stage.broadcasts(ghost.channel.login, ("ended", "grace_over"))
        await asyncio.wait_for(ghost.following, 10)
        gone_s = ghost.source.playlists[-1].at - killed
        assert gone_s < GRACE_S + 15
        assert ghost.source.findings() == []
    remark = f"same stream; one that stayed away ended after {gone_s:.1f} s (grace {GRACE_S:.0f} s)"
    faults = (("master", master_s, remark), ("worker", worker_s, "same stream"))
    for lost, (victim, back_s, words) in zip(outcome.gaps, faults, strict=True):
        report(
            2, f"kill -9 nginx (ingest), its {victim}", recovered_s=back_s, lost=lost, remark=words
        )


async def test_03_ffmpeg_and_ingest_killed(
    stage: Stage, sample: Sample, report: Report, contention: Contention
) -> None:
    """The encoder notices nothing: nginx keeps it, and the picture is back within 2 s and a GOP. The next ingest
    takes up the stream where the last one left it.
    """
    async with live(stage, sample) as running:
        before = await state_of(stage, running.channel.login, "live")
        workers = stage.workers(running.session)
        assert len(workers) == 1
        ffmpeg_s = await running.recovered(kill(*workers))
        await running.playing()
        assert len(stage.workers(running.session)) == 1
        ingest = stage.instance.pid("ingest")
        orphans = descendants(ingest)
        ingest_s = await running.recovered(kill(ingest))
        await running.playing()
        assert len(stage.workers(running.session)) == 1
        assert not set(orphans) & set(descendants(stage.instance.process.pid))
        after = await state_of(stage, running.channel.login, "live")
        assert after["stream_id"] == before["stream_id"]
        assert len(running.streamer.legs) == 1
        outcome = await running.finish()
        assert (outcome.findings, outcome.discontinuities) == ([], 2)

        async def over() -> bool:
            return not stage.workers(running.session)

        await eventually_async(over, what="the worker has ended")
        await stage.broadcasts(running.channel.login, ("ended", "stopped"))
        assert max(ffmpeg_s, ingest_s) < contention.limit(2 + GOP_S)
        assert len(outcome.gaps) == 2
        report(3, "kill -9 the ffmpeg of a stream", recovered_s=ffmpeg_s, lost=outcome.gaps[0])
        report(3, "kill -9 ingest", recovered_s=ingest_s, lost=outcome.gaps[1])


async def test_09_postgres_restarted_and_away(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report
) -> None:
    """Live goes on without a database, a new publisher is refused, and a stop in the dark is written down
    afterwards. Viewers and the encoder notice nothing, and the pools find the new server.
    """
    async with (
        live(stage, sample) as running,
        live(stage, sample) as stopped,
        stage.channel() as other,
    ):
        await _postgres_killed(stage, running, report)
        await _postgres_frozen(stage, running, stopped, other, report)
        await running.playing()
        assert await running.finish() == UNTOUCHED
        await stage.broadcasts(running.channel.login, ("ended", "stopped"))


@pytest.mark.long
async def test_09_postgres_away_for_a_minute(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report
) -> None:
    """The same for longer than every timeout."""
    async with (
        live(stage, sample) as running,
        live(stage, sample) as stopped,
        stage.channel() as other,
    ):
        await _postgres_frozen(stage, running, stopped, other, report, away_s=60.0)
        await running.playing()
        assert await running.finish() == UNTOUCHED


async def _postgres_killed(stage: Stage, running: Live, report: Report) -> None:
    killed = kill(stage.instance.pid("postgres"))

    async def works() -> bool:
        try:
            answer = await running.channel.client.get("/api/v1/me/stream", timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    await eventually_async(works, within_s=15, what="the API works again")
    back_s = time.monotonic() - killed
    async with stage.channel() as another:

        async def let_in() -> bool:
            try:
                await (await stage.publisher(another.key)).cut()
            except Rejected:
                return False
            return True

        await eventually_async(let_in, within_s=15, what="a new publisher is let in")
        published_s = time.monotonic() - killed
    report(
        9,
        "PostgreSQL killed and started again",
        recovered_s=back_s,
        lost=0,
        remark=f"live untouched; a new publisher let in after {published_s:.1f} s",
    )


async def _postgres_frozen(
    stage: Stage,
    running: Live,
    stopped: Live,
    other: Channel,
    report: Report,
    away_s: float = 0.0,
) -> None:
    """Freeze PostgreSQL until all of that is seen, and for `away_s` at least."""
    postgres = stage.instance.pid("postgres")
    with frozen(postgres, *descendants(postgres)):
        began = time.monotonic()
        with pytest.raises(Rejected):
            await _dial(stage, other.key)
        refused_s = time.monotonic() - began
        await stopped.finish()
        await state_of(stage, stopped.channel.login, "offline", within_s=2)
        answer = await running.channel.client.get("/api/v1/me/stream", timeout=20)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "unavailable"
        await asyncio.sleep(max(0.0, began + away_s - time.monotonic()))
        await running.playing()
    thawed = time.monotonic()
    await stage.broadcasts(stopped.channel.login, ("ended", "stopped"))
    back_s = time.monotonic() - thawed
    assert await stage.streams(other.login) == []
    async with await stage.publisher(other.key):
        pass
    report(
        9,
        f"PostgreSQL frozen for {thawed - began:.0f} s",
        recovered_s=back_s,
        lost=0,
        remark=f"live untouched; a new publisher refused after {refused_s:.1f} s",
    )


async def _dial(stage: Stage, key: str) -> None:
    """Publish without asking the database why not."""
    async with await Connection.open(stage.rtmp_port) as connection:
        await connection.publish(key)


# The edge


@dataclass
class Waiter:
    """One viewer's blocking reloads: how much later than its part was written each answer came."""

    late_s: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    async def run(
        self, running: Live, client: aiohttp.ClientSession, known: dict[str, tuple[str, str]]
    ) -> None:
        """Ask on and on. `known` remembers, for all waiters, what is read from a playlist: its last
        part, and the query for the next.
        """
        folder = running.stage.media / running.session / "source"
        query = next_query(running.source.latest)
        # A viewer of its own: what one playback may hold is limited.
        base = f"{running.stage.http}/live/{running.channel.login}/"
        async with client.get(f"{base}index.m3u8") as answer:
            lines = (await answer.text()).splitlines()
        url = base + next(line for line in lines if "/source/" in line)
        while True:
            try:
                async with client.get(url + query) as answer:
                    text = (await answer.read()).decode()
                    status = answer.status
            except (aiohttp.ClientError, ConnectionError):
                status = 0
            if status != 200:
                self.failures.append(status)
                await asyncio.sleep(0.02)
                continue
            now = time.time()
            if text not in known:
                parts = re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', text)
                known[text] = parts[-1], next_query(parse_media(text))
            last, query = known[text]
            self.late_s.append(now - (folder / last).stat().st_mtime)


async def test_22_edge_reloaded(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report, contention: Contention
) -> None:
    """HUP with a hundred held requests: none fails, and none is told later than usual."""
    edge = stage.instance.pid("edge")
    connector = aiohttp.TCPConnector(limit=0)
    async with live(stage, sample) as running, aiohttp.ClientSession(connector=connector) as client:
        waiters = [Waiter() for _ in range(WAITERS)]
        known: dict[str, tuple[str, str]] = {}
        tasks = [asyncio.create_task(each.run(running, client, known)) for each in waiters]
        try:
            await running.playing(10)
            usual = max(late for waiter in waiters for late in waiter.late_s[1:])
            seen = [len(waiter.late_s) for waiter in waiters]
            old = set(descendants(edge))
            os.kill(edge, signal.SIGHUP)
            await running.playing(15, within_s=40)

            async def relieved() -> bool:
                return not old & set(descendants(edge))

            await eventually_async(relieved, within_s=contention.limit(15), what="old workers gone")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        late = [
            late
            for waiter, count in zip(waiters, seen, strict=True)
            for late in waiter.late_s[count:]
        ]
        assert min(len(waiter.late_s) for waiter in waiters) > max(seen)
        assert [failure for waiter in waiters for failure in waiter.failures] == []
        outcome = await running.finish()
        assert outcome == UNTOUCHED
        assert max(late) < contention.limit(max(0.2, 2 * usual))
        report(
            22,
            f"HUP to the edge with {WAITERS} held requests",
            recovered_s=0.0,
            lost=outcome.lost,
            remark=f"latest answer {max(late) * 1000:.0f} ms after its part, {usual * 1000:.0f} ms before",
        )


async def test_23_edge_killed(
    stage: Stage, sample: Sample, report: Report, contention: Contention
) -> None:
    """Playlists are back within a second, complete; the encoder notices nothing."""
    async with live(stage, sample) as running:
        for victim in ("worker", "master"):
            master = stage.instance.pid("edge")
            # Workers share the requests: all of them, so that the follower's own is among them.
            killed = kill(*(descendants(master) if victim == "worker" else [master]))
            back_s = await _answers_again(running, killed)
            await running.playing()
            # Players that were already there know the stream by its multivariant playlist, new ones ask for it.
            async with aiohttp.ClientSession(stage.http) as client:
                async with client.get(f"/live/{running.channel.login}/index.m3u8") as answer:
                    assert answer.status == 200
            report(23, f"kill -9 the edge, its {victim}", recovered_s=back_s, lost=0)
            assert back_s < contention.limit(1)
        assert len(running.streamer.legs) == 1
        assert {status for status, _ in running.source.failures} <= {0, 502, 503}
        running.source.failures.clear()
        # A viewer who was away for so long finds everything still listed.
        assert await running.finish() == UNTOUCHED


async def _answers_again(running: Live, killed: float) -> float:
    """Seconds until the playlist is served again and stays so, asked for on a new connection each time.

    A killed master's workers answer until its supervisor has cleared them away.
    """
    failed = killed
    while time.monotonic() < failed + STEADY_S:
        assert time.monotonic() < killed + 10
        try:
            async with aiohttp.ClientSession() as client:
                async with client.get(running.source.url) as answer:
                    served = answer.status == 200
        except (aiohttp.ClientError, ConnectionError):
            served = False
        if not served:
            failed = time.monotonic()
        await asyncio.sleep(0.01)
    return failed - killed


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


# All of them


async def test_20_services_terminated(
    stage: Stage, sample: Sample, report: Report, contention: Contention
) -> None:
    """SIGTERM to each service in turn: it drains and is started again, and a page that plays stands
    still once at most.
    """
    async with live(stage, sample) as running, chromium() as browser:
        login = running.channel.login
        before = await state_of(stage, login, "live")
        viewing = await open_channel(browser, stage.http, login)
        await viewing.until(0, within_s=20)
        for service, joint in (("api", 0), ("edge", 0), ("ingest", 1)):
            pid = stage.instance.pid(service)
            await viewing.collect()
            stalls = len(viewing.stalls)
            asked = time.monotonic()
            os.kill(pid, signal.SIGTERM)

            async def ended(old: int = pid) -> bool:
                return _is_gone(old)

            await eventually_async(ended, within_s=STOP_S, what=f"{service} has ended")
            drained_s = time.monotonic() - asked
            back_s = await running.recovered(asked) if joint else 0.0
            await running.playing(15)
            newest = viewing.numbers[-1][1]
            await viewing.until(newest + 25, within_s=contention.limit(10))
            stood_still = len(viewing.stalls) - stalls
            # A player that gets no time stands still by itself.
            assert stood_still <= contention.factor, (service, stood_still)
            report(
                20,
                f"SIGTERM to {service}, a page playing",
                recovered_s=back_s or drained_s,
                lost=None,
                remark=f"ended after {drained_s:.1f} s; the page stood still {stood_still} times",
            )
        assert (await state_of(stage, login, "live"))["session"] == before["session"]
        assert len(running.streamer.legs) == 1
        running.source.failures.clear()
        outcome = await running.finish()
        assert (outcome.findings, outcome.discontinuities) == ([], 1)
