"""Limits per playback and per address: what a single client can take from the others."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.integration.edge.crowd import Crowd
from tests.integration.edge.nginx import Edge, running_edge
from tests.integration.edge.test_channels import TEMPLATE, live
from tests.integration.edge.test_playlists import holds


def statuses(edge: Edge, path: str, count: int) -> Counter[int]:
    with Crowd(edge.port, [path] * count) as crowd:
        return crowd.run(5).statuses()


async def test_one_playback_cannot_ask_without_end() -> None:
    async with running_edge(playback_rate=1, playback_burst=20) as edge:
        await live(edge)
        greedy, modest = [await edge.new_playback("ann") for _ in range(2)]
        url = "/live/ann/s/source/index.m3u8?p="
        found = statuses(edge, url + greedy, 100)
        assert set(found) == {200, 429}
        assert 20 <= found[200] <= 30
        assert statuses(edge, url + modest, 5) == {200: 5}
        async with edge.viewer.get(edge.url + url + greedy) as answer:
            assert answer.status == 429
            assert (await answer.json())["error"]["code"] == "rate_limited"
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_one_playback_holds_few_requests(edge: Edge) -> None:
    await live(edge)
    playback = await edge.new_playback("ann")
    url = f"/live/ann/s/source/index.m3u8?p={playback}&_HLS_msn=5&_HLS_part=3"
    with Crowd(edge.port, [url] * 40) as flood:
        await holds(edge, 8)
        assert flood.run(10, held=8).unanswered == 8
        await edge.put_playlist("s", "source", msn=5, part=3, complete=4, number=21)
        assert flood.run(2).statuses() == {200: 8, 429: 32}


async def test_requests_without_an_id_are_bounded_per_address() -> None:
    async with running_edge(anonymous_rate=10) as edge:
        await live(edge)
        for invented in ("", "?p=" + "x" * 20, "?p=short&_HLS_msn=4"):
            found = statuses(edge, f"/live/ann/s/source/index.m3u8{invented}", 200)
            assert found[429] > 100
        playback = await edge.new_playback("ann")
        assert statuses(edge, f"/live/ann/s/source/index.m3u8?p={playback}", 5) == {200: 5}


async def test_new_playbacks_are_bounded_per_address() -> None:
    async with running_edge(address_opening_rate=1, address_opening_burst=10) as edge:
        await edge.put_session("s", TEMPLATE)
        await edge.put_channel("ann", "s", "{}")
        found = statuses(edge, "/live/ann/index.m3u8", 50)
        assert 10 <= found[200] <= 16
        assert found[429] == 50 - found[200]


async def test_connections_are_bounded_per_address() -> None:
    async with running_edge(address_connections=20) as edge:
        await live(edge)
        path = "/live/ann/s/source/index.m3u8?_HLS_msn=5&_HLS_part=3"
        with Crowd(edge.port, [path] * 30) as crowd:
            await holds(edge, 20)
            assert crowd.run(10, held=20).unanswered == 20
            await edge.put_playlist("s", "source", msn=5, part=3, complete=4, number=21)
            assert crowd.run(2).statuses() == {200: 20, 429: 10}


@pytest.mark.parametrize(
    ("path", "header", "status", "code"),
    [
        ("/api/v1/streams?q=" + "x" * 8200, "", 414, "address_too_long"),
        ("/api/v1/streams", "x" * 8200, 431, "header_too_long"),
    ],
    ids=["address", "header"],
)
async def test_what_is_too_long_is_answered_as_everything_is(
    edge: Edge, path: str, header: str, status: int, code: str
) -> None:
    async with edge.viewer.get(edge.url + path, headers={"X-Long": header}) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]["code"] == code
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with edge.viewer.get(edge.url + "/-/header-too-long") as answer:
        assert answer.status == 404
