"""What the edge must survive: reloads and kills with requests held, and clients that are slow on
purpose.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

import aiohttp
import pytest

from tests.faults.table import Report
from tests.harness import eventually, eventually_async
from tests.integration.edge.crowd import Crowd
from tests.integration.edge.nginx import Edge, running_edge
from tests.integration.edge.test_channels import LIVE, TEMPLATE, live, poll, state
from tests.integration.edge.test_playlists import holds, writing

pytestmark = pytest.mark.faults

PLAYLIST = "/live/ann/s/source/index.m3u8"


def hold(edge: Edge, count: int) -> Crowd:
    """``count`` viewers that wait for the next part."""
    return Crowd(edge.port, [f"{PLAYLIST}?_HLS_msn=5&_HLS_part=3"] * count)


async def publish_next(edge: Edge) -> float:
    """Publish the part that ``hold`` waits for; when, as monotonic time."""
    published = time.monotonic()
    await edge.put_playlist("s", "source", msn=5, part=3, complete=4, number=21)
    return published


async def test_reload_with_held_requests(edge: Edge) -> None:
    """Parts go on coming while the old workers leave: nobody waits longer for it."""
    await live(edge)
    with hold(edge, 300) as crowd:
        await holds(edge, 300)
        before = set(edge.nginx.workers())
        edge.nginx.reload()
        eventually(lambda: set(edge.nginx.workers()) - before, what="new workers")
        published = await publish_next(edge)
        crowd.run(2)
        assert crowd.statuses() == {200: 300}
        assert crowd.lateness(published)[-1] < 0.2
    eventually(lambda: not before & set(edge.nginx.workers()), what="old workers gone")


async def test_reload_while_the_stream_stands_still(edge: Edge) -> None:
    """Held requests move on to the new workers, which wake them; the old workers can leave."""
    await live(edge)
    with hold(edge, 300) as crowd:
        await holds(edge, 300)
        before = set(edge.nginx.workers())
        boot = await edge.boot()
        edge.nginx.reload()
        crowd.run(0.5)
        assert crowd.unanswered == 300
        assert {client.redirects for client in crowd.clients} == {1}
        eventually(lambda: not before & set(edge.nginx.workers()), what="old workers gone")
        await holds(edge, 300)
        published = await publish_next(edge)
        crowd.run(2)
        assert crowd.statuses() == {200: 300}
        assert crowd.lateness(published)[-1] < 0.2
        # A reload keeps what was published.
        assert await edge.boot() == boot


async def test_reload_answers_waiting_pages(edge: Edge) -> None:
    await edge.put_channel("ann", "s", LIVE)
    version = str((await state(edge))["version"])
    pages = [asyncio.create_task(state(edge, version)) for _ in range(50)]
    await holds(edge, 50)
    before = set(edge.nginx.workers())
    edge.nginx.reload()
    for found in await asyncio.wait_for(asyncio.gather(*pages), 2):
        assert (found["state"], found["version"]) == ("live", version)
    eventually(lambda: not before & set(edge.nginx.workers()), within_s=2, what="old workers gone")


async def test_killed_worker(edge: Edge) -> None:
    """Its requests are lost with it; everything published is still there, and so is the boot."""
    await live(edge)
    boot = await edge.boot()
    with hold(edge, 50) as crowd:
        await holds(edge, 50)
        before = set(edge.nginx.workers())
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        crowd.run(1)
        assert crowd.statuses() == {0: 50}
    eventually(lambda: len(set(edge.nginx.workers()) - before) == 2, what="new workers")
    # nginx never takes a killed worker's connections out of its count.
    idle = await writing(edge)
    playback = await edge.new_playback("ann")
    assert await poll(edge, playback) == 200
    assert await edge.boot() == boot
    with hold(edge, 50) as crowd:
        await holds(edge, 50, idle)
        await publish_next(edge)
        assert crowd.run(1).statuses() == {200: 50}


async def test_killed_master_has_another_boot(edge: Edge) -> None:
    """Everything published is lost; the changed boot tells the publisher to post it again."""
    await live(edge)
    boot = await edge.boot()
    assert edge.nginx.process is not None
    edge.nginx.process.kill()
    edge.nginx.stop()
    edge.start()
    assert await edge.boot() != boot
    assert await plain(edge) == 404
    await live(edge)
    assert await plain(edge) == 200


async def test_nothing_is_gone_before_the_edge_has_been_told(edge: Edge) -> None:
    """Right after a start streams that run are not known yet: who asks for them waits a moment."""
    assert edge.nginx.process is not None
    edge.nginx.process.kill()
    edge.nginx.stop()
    edge.start(told=False)
    asked = [asyncio.create_task(plain(edge)), asyncio.create_task(state_of(edge, "ann"))]
    nobody = asyncio.create_task(state_of(edge, "bob"))
    await asyncio.wait(asked, timeout=0.3)
    assert not any(task.done() for task in (*asked, nobody))
    await live(edge)
    async with edge.publisher.put("http://edge/told") as answer:
        assert answer.status == 200
    assert await asyncio.gather(*asked) == [200, "live"]
    assert await nobody == "offline"
    # From now on what is not known does not exist.
    began = time.monotonic()
    assert await state_of(edge, "carl") == "offline"
    assert time.monotonic() - began < 1


async def test_an_edge_that_nobody_tells_anything_does_not_wait_for_ever(edge: Edge) -> None:
    assert edge.nginx.process is not None
    edge.nginx.process.kill()
    edge.nginx.stop()
    edge.start(told=False)
    patience = aiohttp.ClientTimeout(30)
    async with edge.viewer.get(edge.url + PLAYLIST, timeout=patience) as answer:
        assert answer.status == 404
    # Whoever comes later does not wait at all.
    async with edge.viewer.get(
        f"{edge.url}/live/ann/state", timeout=aiohttp.ClientTimeout(2)
    ) as answer:
        assert (await answer.json())["state"] == "offline"


async def state_of(edge: Edge, login: str) -> str:
    """The channel's live state as pages see it."""
    async with edge.viewer.get(f"{edge.url}/live/{login}/state") as answer:
        return str((await answer.json())["state"])


async def plain(edge: Edge) -> int:
    """The status of a plain playlist request."""
    async with edge.viewer.get(edge.url + PLAYLIST) as answer:
        await answer.read()
        return answer.status


def median_of_answers(edge: Edge) -> float:
    """Seconds from connecting to a playlist's arrival; the median, as other work here has outliers."""
    times = []
    for _ in range(200):
        began = time.monotonic()
        with Crowd(edge.port, [PLAYLIST]) as crowd:
            assert crowd.run(5).statuses() == {200: 1}
        times.append(time.monotonic() - began)
    return sorted(times)[100]


async def test_slow_loris(edge: Edge, report: Report) -> None:
    """A thousand connections that never finish their request, sent a byte at a time."""
    await live(edge)
    before = median_of_answers(edge)
    crowd = [socket.create_connection(("127.0.0.1", edge.port)) for _ in range(1000)]
    try:
        for letter in b"GET /live/ann":
            for client in crowd:
                client.send(bytes([letter]))
        after = median_of_answers(edge)
        assert after < before + 0.02
        deadline = time.monotonic() + 12
        # None of them lives longer than the time for a header, whatever it keeps sending.
        for client in crowd:
            client.settimeout(max(0.1, deadline - time.monotonic()))
        assert await asyncio.to_thread(lambda: all(_gone(client) for client in crowd))
        remark = (
            f"a playlist took {after * 1000:.0f} ms instead of {before * 1000:.0f}; all dropped"
        )
        report(16, "edge: 1000 slow-loris connections", remark=remark)
    finally:
        for client in crowd:
            client.close()


def _gone(client: socket.socket) -> bool:
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


async def test_slow_readers(report: Report) -> None:
    """Hundreds of clients that ask for a large segment and do not read it."""
    async with running_edge() as edge:
        await live(edge)
        edge.write_media("s/source", "seg-1.m4s", b"\0" * (8 << 20))
        before = median_of_answers(edge)
        memory = sum(_resident(pid) for pid in edge.nginx.workers())
        crowd = []
        try:
            for _ in range(300):
                client = socket.create_connection(("127.0.0.1", edge.port))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.send(b"GET /live/ann/s/source/seg-1.m4s HTTP/1.1\r\nHost: x\r\n\r\n")
                crowd.append(client)

            async def all_sending() -> bool:
                return await writing(edge) >= 300

            await eventually_async(all_sending, what="300 slow readers")
            after = median_of_answers(edge)
            assert after < before + 0.02
            # 8 MB each would be 2.4 GB: what is not read stays in the file.
            grown = sum(_resident(pid) for pid in edge.nginx.workers()) - memory
            assert grown < 50 << 20
            await eventually_async(
                lambda: _few_left(edge), within_s=20, what="slow readers dropped"
            )
            remark = (
                f"a playlist took {after * 1000:.0f} ms instead of {before * 1000:.0f}; "
                f"{grown / 1e6:.0f} MB more; all dropped"
            )
            report(16, "edge: 300 slow readers of 8 MB", remark=remark)
        finally:
            for client in crowd:
                client.close()


async def _few_left(edge: Edge) -> bool:
    return await writing(edge) <= 2


def _resident(pid: int) -> int:
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_flood_of_sessions_fails_loudly() -> None:
    """A full shared dict refuses what is new and keeps what is live."""
    async with running_edge(playlists_bytes=1 << 20) as edge:
        await live(edge)
        await edge.put_session("s", TEMPLATE)
        statuses = set()
        for number in range(100):
            headers = {
                "X-Msn": "1", "X-Part": "0", "X-Complete-Msn": "-1", "X-Part-Number": "0",
                "X-Ended": "0", "X-Target-Duration": "4", "X-Part-Target": "0.2",
                "X-Delta-Length": "0",
            }  # fmt: skip
            url = f"http://edge/playlists/flood{number}/source"
            async with edge.publisher.put(url, data=b"x" * 50_000, headers=headers) as answer:
                statuses.add(answer.status)
        assert statuses == {200, 507}
        assert await plain(edge) == 200
