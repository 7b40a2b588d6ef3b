"""Work side by side, and in order within a lane."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest

from core.lanes import Lanes


class Work:
    """Items that are done when they are told to be."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.cut: list[str] = []
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def __call__(self, item: str) -> None:
        self.begun.append(item)
        try:
            await self.gates[item].wait()
        except asyncio.CancelledError:
            self.cut.append(item)
            raise
        self.done.append(item)

    def let(self, *items: str) -> None:
        """These may end."""
        for item in items:
            self.gates[item].set()


async def turn() -> None:
    """Everything that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lane_keeps_its_order_and_holds_up_no_other() -> None:
    work = Work()
    lanes = Lanes(work, 2, 10)
    for item in ("a1", "a2", "b1", "b2"):
        assert await lanes.put(item[0], item)
    await turn()
    assert work.begun == ["a1", "b1"]
    work.let("b1", "b2", "a2")
    await turn()
    assert work.done == ["b1", "b2"]
    work.let("a1")
    await turn()
    assert work.done == ["b1", "b2", "a1", "a2"]


async def test_no_more_lanes_than_that_are_busy() -> None:
    work = Work()
    lanes = Lanes(work, 2, 10)
    putting = [asyncio.ensure_future(lanes.put(item[0], item)) for item in ("a1", "b1", "c1")]
    await turn()
    assert [each.done() for each in putting] == [True, True, False]
    # Behind the one that waits for a lane, although that has not begun.
    assert await lanes.put("c", "c2")
    work.let("a1", "c1", "c2")
    await turn()
    assert work.done == ["a1", "c1", "c2"]
    assert work.begun == ["a1", "b1", "c1", "c2"]


async def test_a_lane_is_full_some_time() -> None:
    work = Work()
    lanes = Lanes(work, 2, 2)
    assert await lanes.put("a", "a0")
    await turn()
    assert [await lanes.put("a", f"a{n}") for n in (1, 2, 3)] == [True, True, False]
    assert await lanes.put("b", "b1")
    work.let("a0", "a1", "a2")
    await turn()
    assert work.done == ["a0", "a1", "a2"]
    assert await lanes.put("a", "a4")


async def test_what_has_begun_may_finish_and_what_is_late_is_cut_short() -> None:
    work = Work()
    lanes = Lanes(work, 4, 10)
    for item in ("a1", "a2", "b1"):
        await lanes.put(item[0], item)
    await turn()
    finishing = asyncio.create_task(lanes.finish(0.2))
    await turn()
    work.let("a1", "a2")
    await finishing
    assert (work.done, work.cut) == (["a1", "a2"], ["b1"])
    await lanes.finish(0.2)


async def test_who_gives_up_waiting_for_a_lane_leaves_none_behind() -> None:
    work = Work()
    lanes = Lanes(work, 1, 10)
    await lanes.put("a", "a1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await lanes.put("b", "b1")
    work.let("a1", "b2")
    await turn()
    await lanes.put("b", "b2")
    await turn()
    assert work.done == ["a1", "b2"]
