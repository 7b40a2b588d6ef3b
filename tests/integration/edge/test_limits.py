"""Limits per playback and per address: what a single client can take from the others."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.integration.edge.nginx import Edge, running_edge
from tests.integration.edge.test_channels import TEMPLATE, live
from tests.integration.edge.test_playlists import holds


async def statuses(edge: Edge, url: str, count: int) -> Counter[int]:
    async def get() -> int:
        async with edge.viewer.get(edge.url + url) as answer:
            await answer.read()
            return answer.status

    return Counter(await asyncio.gather(*(get() for _ in range(count))))


async def test_one_playback_cannot_ask_without_end() -> None:
    async with running_edge(playback_rate=10, playback_burst=20) as edge:
        await live(edge)
        greedy, modest = [await edge.new_playback("ann") for _ in range(2)]
        url = "/live/ann/s/source/index.m3u8?p="
        found = await statuses(edge, url + greedy, 100)
        assert set(found) == {200, 429}
        assert 20 <= found[200] <= 40
        assert await statuses(edge, url + modest, 5) == {200: 5}
        async with edge.viewer.get(edge.url + url + greedy) as answer:
            assert answer.status == 429
            assert (await answer.json())["error"]["code"] == "rate_limited"
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_one_playback_holds_few_requests(edge: Edge) -> None:
    await live(edge)
    playback = await edge.new_playback("ann")
    url = f"/live/ann/s/source/index.m3u8?p={playback}&_HLS_msn=5&_HLS_part=3"
    flood = asyncio.create_task(statuses(edge, url, 40))
    await holds(edge, 8)
    await edge.put_playlist("s", "source", msn=5, part=3, complete=4, number=21)
    assert await flood == {200: 8, 429: 32}


async def test_requests_without_an_id_are_bounded_per_address(edge: Edge) -> None:
    await live(edge)
    found = await statuses(edge, "/live/ann/s/source/index.m3u8?p=" + "x" * 19, 2500)
    assert found[429] > 0
    playback = await edge.new_playback("ann")
    assert await statuses(edge, f"/live/ann/s/source/index.m3u8?p={playback}", 5) == {200: 5}


async def test_new_playbacks_are_bounded_per_address() -> None:
    async with running_edge(address_opening_rate=5, address_opening_burst=10) as edge:
        await edge.put_session("s", TEMPLATE)
        await edge.put_channel("ann", "s", "{}")
        found = await statuses(edge, "/live/ann/index.m3u8", 50)
        assert 10 <= found[200] <= 16
        assert found[429] == 50 - found[200]


async def test_connections_are_bounded_per_address() -> None:
    async with running_edge(address_connections=20) as edge:
        await live(edge)
        flood = asyncio.create_task(statuses(edge, "/live/ann/state?v=nothing-new", 1))
        await flood
        url = "/live/ann/s/source/index.m3u8?_HLS_msn=5&_HLS_part=3"
        held = asyncio.create_task(statuses(edge, url, 30))
        await holds(edge, 20)
        await edge.put_playlist("s", "source", msn=5, part=3, complete=4, number=21)
        assert await held == {200: 20, 429: 10}
