"""What the edge must survive: reloads and kills with requests held, and clients that are slow on purpose."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.harness import eventually, eventually_async
from tests.integration.edge.nginx import Edge

TEMPLATE = "#EXTM3U\ns/source/index.m3u8?p={p}\n"

pytestmark = pytest.mark.faults


async def held(edge: Edge, query: str) -> tuple[int, float]:
    """Status of a blocking reload and the time its answer came."""
    url = f"{edge.url}/live/ann/s/source/index.m3u8?{query}"
    async with edge.viewer.get(url) as answer:
        await answer.read()
        return answer.status, time.monotonic()


async def holding(edge: Edge, number: int) -> bool:
    """Whether the edge holds at least ``number`` requests, as its status counts connections."""
    async with edge.publisher.get("http://edge/status") as answer:
        return int((await answer.json())["connections_writing"]) >= number + 1


async def test_reload_with_held_requests(edge: Edge) -> None:
    await edge.put_playlist("s", "source", msn=5, part=0, complete=4, number=20)
    waiters = [asyncio.create_task(held(edge, "_HLS_msn=5&_HLS_part=1")) for _ in range(100)]
    await eventually_async(lambda: holding(edge, 100), what="100 held")
    before = set(edge.nginx.workers())
    edge.nginx.reload()
    # The new workers are there while the old ones still hold their requests.
    eventually(lambda: set(edge.nginx.workers()) - before, what="new workers")
    await asyncio.sleep(0.1)
    published = time.monotonic()
    await edge.put_playlist("s", "source", msn=5, part=1, complete=4, number=21)
    answers = await asyncio.gather(*waiters)
    print(max(when - published for _, when in answers), [s for s, _ in answers].count(200))
    assert {status for status, _ in answers} == {200}
    assert max(when - published for _, when in answers) < 0.2
    eventually(lambda: not before & set(edge.nginx.workers()), what="old workers gone")


async def test_reload_while_the_stream_stands_still(edge: Edge) -> None:
    await edge.put_playlist("s", "source", msn=5, part=0, complete=4, number=20)
    waiters = [asyncio.create_task(held(edge, "_HLS_msn=5&_HLS_part=1")) for _ in range(100)]
    await eventually_async(lambda: holding(edge, 100), what="100 held")
    before = set(edge.nginx.workers())
    edge.nginx.reload()
    # Held requests move on to the new workers, so the old ones can leave.
    eventually(lambda: not before & set(edge.nginx.workers()), within_s=5, what="old gone")
    assert not any(waiter.done() for waiter in waiters)
