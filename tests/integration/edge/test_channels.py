"""Live state, multivariant playlists and viewer counts."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime

import pytest

from tests.harness import eventually_async
from tests.integration.edge.crowd import Crowd
from tests.integration.edge.nginx import Edge, running_edge
from tests.integration.edge.test_playlists import holds

TEMPLATE = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ns/source/index.m3u8?p={p}\n"
LIVE = '{"login": "ann", "state": "live", "session": "s", "title": "Brace } and \\" quote"}'


async def state(edge: Edge, version: str | None = None, login: str = "ann") -> dict[str, object]:
    params = {} if version is None else {"v": version}
    async with edge.viewer.get(f"{edge.url}/live/{login}/state", params=params) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        content: dict[str, object] = await answer.json()
        return content


async def poll(edge: Edge, playback: str, session: str = "s") -> int:
    url = f"{edge.url}/live/ann/{session}/source/index.m3u8?p={playback}"
    async with edge.viewer.get(url) as answer:
        await answer.read()
        return answer.status


async def live(edge: Edge) -> None:
    await edge.put_session("s", TEMPLATE)
    await edge.put_channel("ann", "s", LIVE)
    await edge.put_playlist("s", "source", msn=5, part=2, complete=4, number=20)


async def test_offline_channel(edge: Edge) -> None:
    found = await state(edge)
    when = datetime.fromisoformat(str(found.pop("server_time")))
    assert abs((datetime.now(UTC) - when).total_seconds()) < 1
    assert found == {
        "login": "ann", "state": "offline", "session": None, "stream_id": None,
        "started_at": None, "warnings": [], "version": "0", "viewers": 0,
    }  # fmt: skip
    async with edge.viewer.get(f"{edge.url}/live/ann/index.m3u8") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "stream_offline"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_state_follows_the_channel(edge: Edge) -> None:
    waiting = asyncio.create_task(state(edge, "0"))
    await holds(edge, 1)
    await edge.put_channel("ann", "s", LIVE)
    first = await asyncio.wait_for(waiting, 1)
    assert (first["state"], first["title"]) == ("live", 'Brace } and " quote')
    version = str(first["version"])
    waiting = asyncio.create_task(state(edge, version))
    await holds(edge, 1)
    await edge.put_channel("bob", "t", '{"state": "live"}')
    await edge.put_channel("ann", "", '{"login": "ann", "state": "offline"}')
    second = await asyncio.wait_for(waiting, 1)
    assert second["state"] == "offline"
    assert second["version"] != version
    # Absent or old versions are answered at once.
    for known in (None, "0", version, "nonsense"):
        assert (await asyncio.wait_for(state(edge, known), 1))["version"] == second["version"]


async def test_hundreds_of_pages_learn_of_a_start(edge: Edge) -> None:
    with Crowd(edge.port, ["/live/ann/state?v=0"] * 500) as pages:
        await holds(edge, 500)
        began = time.monotonic()
        await edge.put_channel("ann", "s", LIVE)
        assert pages.run(2).statuses() == {200: 500}
        assert all(b'"state": "live"' in page.data for page in pages.clients)
        assert pages.lateness(began)[int(0.99 * 500)] < 0.15


@pytest.mark.parametrize("body", ["", "[]", "null", '{"a":1', '"x"'])
async def test_state_must_be_an_object(edge: Edge, body: str) -> None:
    async with edge.publisher.put("http://edge/channels/ann", data=body.encode()) as answer:
        assert answer.status == 400


async def test_empty_state(edge: Edge) -> None:
    await edge.put_channel("ann", "", "{}")
    assert set(await state(edge)) == {"version", "viewers", "server_time"}


async def test_every_playback_has_an_id_of_its_own(edge: Edge) -> None:
    await live(edge)
    seen = set()
    for _ in range(20):
        async with edge.viewer.get(f"{edge.url}/live/ann/index.m3u8") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
            assert answer.headers["Cache-Control"] == "no-store"
            text = await answer.text()
        found = re.fullmatch(re.escape(TEMPLATE).replace(r"\{p\}", "([A-Za-z0-9_-]{20})"), text)
        assert found
        seen.add(found[1])
    assert len(seen) == 20


async def test_viewers_are_distinct_playbacks(edge: Edge) -> None:
    await live(edge)
    playbacks = [await edge.new_playback("ann") for _ in range(30)]
    assert await edge.viewers() == {"s": 0}
    # Opened by 30, watched by 20; one connection or many, one request or many.
    for _ in range(3):
        await asyncio.gather(*(poll(edge, playback) for playback in playbacks[:20]))
    assert await edge.viewers() == {"s": 20}
    assert (await state(edge))["viewers"] == 20


async def test_invented_ids_count_for_nothing(edge: Edge) -> None:
    await live(edge)
    await edge.put_playlist("t", "source", msn=5, part=2, complete=4, number=20)
    await edge.put_session("t", TEMPLATE)
    genuine = await edge.new_playback("ann")
    flipped = genuine[:-1] + ("A" if genuine[-1] != "A" else "B")
    for invented in ("", "x", "x" * 20, flipped, genuine + "A", genuine[:-1], "%00" * 20):
        assert await poll(edge, invented) == 200
    # An id is good for its own session alone, also when it has been seen there.
    assert await poll(edge, genuine, session="t") == 200
    assert await edge.viewers() == {"s": 0, "t": 0}
    await poll(edge, genuine)
    await poll(edge, genuine, session="t")
    assert await edge.viewers() == {"s": 1, "t": 0}


async def test_viewers_leave_after_15_seconds(edge: Edge) -> None:
    await live(edge)
    staying, leaving = [await edge.new_playback("ann") for _ in range(2)]
    await poll(edge, leaving)
    began = time.monotonic()
    while time.monotonic() - began < 13:
        await poll(edge, staying)
        assert (await edge.viewers())["s"] == 2
        await asyncio.sleep(0.5)

    async def one_left() -> bool:
        await poll(edge, staying)
        return (await edge.viewers())["s"] == 1

    await eventually_async(one_left, within_s=4, what="one viewer left")


async def test_forgotten_session(edge: Edge) -> None:
    await live(edge)
    async with edge.publisher.delete("http://edge/sessions/s"):
        pass
    assert await edge.viewers() == {}
    async with edge.viewer.get(f"{edge.url}/live/ann/index.m3u8") as answer:
        assert answer.status == 404


async def test_ids_outlive_a_restart_with_the_same_key() -> None:
    async with running_edge() as edge:
        await live(edge)
        playback = await edge.new_playback("ann")
        edge.nginx.stop()
        edge.start()
        await live(edge)
        await poll(edge, playback)
        assert await edge.viewers() == {"s": 1}
