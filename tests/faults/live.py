"""A stream that runs while something is broken, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise

from bench.stage import Channel
from tests.e2e.follower import Follower, Rendition
from tests.e2e.samples import Sample, numbers_in
from tests.e2e.stage import Stage, Streamer, state_of


@dataclass
class Outcome:
    """What viewers got of a stream, held against its camera."""

    #: Pictures between the first and the last that nobody got to see, gap by gap.
    gaps: list[int]
    #: Pictures that were sent and did not come, except those behind the last one that came.
    dropped: int
    discontinuities: int
    findings: list[str]

    @property
    def lost(self) -> int:
        """Pictures between the first and the last that nobody got to see."""
        return sum(self.gaps)


#: Of a fault that neither the encoder nor the viewers notice.
UNTOUCHED = Outcome(gaps=[], dropped=0, discontinuities=0, findings=[])


@dataclass
class Live:
    """A channel whose stream is being followed."""

    stage: Stage
    channel: Channel
    streamer: Streamer
    follower: Follower
    following: asyncio.Task[None]

    @property
    def source(self) -> Rendition:
        return self.follower.source

    @property
    def session(self) -> str:
        """The media folder's name for the stream."""
        return self.source.url.split("/")[-3]

    async def playing(self, playlists: int = 8, within_s: float = 20.0) -> None:
        """Wait for so many more playlists that say something new."""
        wanted = self._known() + playlists
        await self._until(lambda: self._known() >= wanted, within_s, "the stream goes on")

    async def recovered(self, since: float, within_s: float = 30.0) -> float:
        """Seconds from `since` (monotonic) until the first playlist with a part behind a discontinuity
        that was not there then.
        """
        playlists = self.source.playlists
        known = next((i for i, answer in enumerate(playlists) if answer.at > since), len(playlists))
        before = playlists[known - 1].joints if known else 0
        await self._until(
            lambda: any(answer.joints > before for answer in playlists[known:]),
            within_s,
            "the picture is back",
        )
        back = next(answer for answer in playlists[known:] if answer.joints > before)
        return back.at - since

    def _known(self) -> int:
        return len(self.follower.renditions and self.source.playlists)

    async def _until(self, check: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not check():
            if self.following.done():
                self.following.result()
                raise AssertionError(f"{what}: the stream has ended")
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
            await asyncio.sleep(0.02)

    async def finish(self) -> Outcome:
        """Stop as OBS does, and count what came."""
        await self.streamer.stop()
        await asyncio.wait_for(self.following, 30)
        return self.outcome()

    def outcome(self) -> Outcome:
        """What came so far."""
        came = [n for _, media in self.source.stretches() for n in numbers_in(media)]
        numbers = [n for n in came if n is not None]
        assert len(numbers) == len(came), "a picture could not be read"
        assert numbers == sorted(set(numbers)), "a picture came twice, or out of order"
        sent: set[int] = set()
        cut_off: set[int] = set()
        for leg in self.streamer.legs:
            of_leg = self.streamer.numbers(leg)
            sent |= set(of_leg)
            last = max((n for n in of_leg if n in set(numbers)), default=-1)
            cut_off |= {n for n in of_leg if n > last}
        assert set(numbers) <= sent, "a picture came that nobody sent"
        return Outcome(
            gaps=[b - a - 1 for a, b in pairwise(numbers) if b > a + 1],
            dropped=len(sent - cut_off - set(numbers)),
            discontinuities=self.source.discontinuities(),
            findings=self.source.findings(),
        )


@contextlib.asynccontextmanager
async def live(stage: Stage, sample: Sample) -> AsyncIterator[Live]:
    """A new channel on which `sample` is live, followed from its start."""
    async with stage.channel() as channel, Streamer(stage, channel.key, sample) as streamer:
        follower = Follower(stage.http, channel.login, only=("source",))
        following = asyncio.create_task(follower.run(), name=f"follow {channel.login}")
        try:
            running = Live(stage, channel, streamer, follower, following)
            await state_of(stage, channel.login, "live")
            await running.playing()
            yield running
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
