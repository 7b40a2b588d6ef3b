"""The load that every fault meets: a stream, viewers, chat, an upload and the API, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Self

import aiohttp

from tests.e2e.follower import wait_for_state
from tests.e2e.stage import Stage
from tests.faults.table import Strain
from tests.faults.visitors import (
    PATIENCE,
    Account,
    Caller,
    Encoder,
    Place,
    Reader,
    Speaker,
    Uploader,
    Viewer,
    Visitor,
)

VIEWERS, READERS = 2, 2
#: How long everybody may take to be there, and to be well again after a fault, seconds.
BEGIN_S, WELL_S = 90.0, 40.0


class Load:
    """What runs on one instance. Costs a few hundredths of a core."""

    def __init__(self, stage: Stage) -> None:
        self._http, self._rtmp_port = stage.http, stage.rtmp_port
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._error: BaseException | None = None
        self.visitors: list[Visitor] = []
        self.rooms: list[tuple[Speaker, list[Reader]]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(BEGIN_S)
        self._alive()
        self.settle(BEGIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            # It may have ended by itself.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    # Read from the tests' thread

    def failures(self, *kinds: str, since: float = 0.0) -> list[str]:
        """What failed for visitors of these kinds (default all) since a moment (monotonic)."""
        return [
            f"{what} ({at - since:.1f} s after the test's start)"
            for visitor in self.visitors
            if not kinds or visitor.kind in kinds
            for at, what in list(visitor.failures)
            if at >= since
        ]

    def missed(self) -> list[str]:
        """Messages that were acknowledged and that a reader of their room has not got."""
        return [
            text
            for speaker, readers in self.rooms
            for said in [speaker.acknowledged[speaker.judged :]]
            for reader in readers
            for text in reader.missed(said)
        ]

    def doubled(self) -> list[str]:
        """Messages that somebody got as two."""
        return [text for _, readers in self.rooms for each in readers for text in each.doubled()]

    def write_off(self) -> None:
        """What is missing by now has been judged."""
        for speaker, _ in self.rooms:
            speaker.judged = len(speaker.acknowledged)

    def strain(self) -> Strain:
        """What it comes to: messages since the last `write_off`, requests since its start."""
        asking = [each for each in self.visitors if each.kind in ("viewer", "API", "upload")]
        return Strain(
            said=sum(len(speaker.acknowledged) - speaker.judged for speaker, _ in self.rooms),
            missed=len(set(self.missed())),
            asked=sum(each.asked for each in asking),
            failed=sum(len(each.failures) for each in asking),
        )

    def settle(self, within_s: float = WELL_S) -> None:
        """Wait until nobody is in trouble and nothing that was said is missing. Who stays in trouble is told
        of by an AssertionError; what stays missing is not, and is the caller's to judge.
        """
        deadline = time.monotonic() + within_s
        while True:
            self._alive()
            ill = [each for each in self.visitors if not each.well]
            if not ill and not self.missed():
                return
            if time.monotonic() > deadline:
                assert not ill, [each.failures[-3:] or each.kind for each in ill]
                return
            time.sleep(0.05)

    def uploaded(self) -> int:
        """Films that were uploaded and became videos."""
        return sum(each.ready for each in self.visitors if isinstance(each, Uploader))

    def _alive(self) -> None:
        if self._error is not None:
            raise AssertionError("the load has ended") from self._error
        assert self._ready.is_set(), "the load has not begun"

    # In its own thread

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=PATIENCE, connector=connector) as client,
            asyncio.TaskGroup() as group,
        ):
            place = Place(self._http, self._rtmp_port, client)
            tasks = []
            async for visitor in self._arrivals(place):
                self.visitors.append(visitor)
                tasks.append(group.create_task(visitor.stay()))
            self._ready.set()
            await self._stop.wait()
            for task in tasks:
                task.cancel()

    async def _arrivals(self, place: Place) -> AsyncIterator[Visitor]:
        """Everybody; viewers come when there is a stream, speakers when they are heard."""
        host = Visitor(place)
        streamer, other = await Account().register(host), await Account().register(host)
        yield Encoder(place, await streamer.stream_key(host))
        await wait_for_state(place.client, place.http, streamer.login, "live")
        for _ in range(VIEWERS):
            yield Viewer(place, streamer.login)
        for account in (streamer, other):
            readers = [Reader(place, account.login) for _ in range(READERS)]
            for reader in readers:
                yield reader
                await reader.here.wait()
            speaker = Speaker(place, account)
            self.rooms.append((speaker, readers))
            yield speaker
        yield Caller(place, other)
        yield Uploader(place, streamer)


@contextlib.contextmanager
def strained(load: Load) -> Iterator[list[Strain]]:
    """What the block comes to for a load, once it is well again: in the list after the block."""
    found: list[Strain] = []
    load.write_off()
    before = load.strain()
    yield found
    load.settle()
    after = load.strain()
    load.write_off()
    asked, failed = after.asked - before.asked, after.failed - before.failed
    found.append(replace(after, asked=asked, failed=failed))
