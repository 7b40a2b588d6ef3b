"""Every frame that was sent reaches viewers exactly once, whatever the encoder is like.

All cases are broadcast at once, each to its own channel: a follower fetches everything its playlists
list, and four of them are watched in Chromium on the channel's page. The tests then look at what came.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import pytest

from bench.stage import Channel
from cli.toolchain import Toolchain
from tests import playlist_validator
from tests.e2e.browser import Viewing, chromium, open_channel
from tests.e2e.follower import Follower, access_units
from tests.e2e.samples import AUDIO, VIDEO, Recipe, Sample, numbers_in, parted
from tests.e2e.stage import Stage, state_of, together

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

#: Long enough between a cut and the reconnect that the page shows it; shorter than the grace window.
OUTAGE_S = 1.0
#: What a reset connection may swallow: bytes that nginx had not read yet.
IN_FLIGHT_S = 0.5


def _drops(count: int, share: float) -> frozenset[int]:
    """Single frames an encoder skipped here and there, and most of a second at once."""
    chance = random.Random(7)
    single = {n for n in range(1, count) if n % 30 and chance.random() < share}
    return frozenset(single | set(range(125, 145)))


#: The connections of each case: what is sent over the first, the second after a cut, and so on.
CASES: dict[str, Callable[[], tuple[Sample, ...]]] = {
    "24 fps, B-frames, stereo, 2 s GOP": lambda: (
        Recipe(seconds=8, fps=24, gop=2, b_frames=3).make(),
    ),
    "25 fps, GOP of 0.5 to 15 s, mono": lambda: (
        Recipe(
            seconds=21, fps=25, channels=1, keyframes=(0, 0.52, 1.48, 4, 19, 19.52, 20.4)
        ).make(),
    ),
    "30 fps, no sound, dropped frames": lambda: (
        Recipe(seconds=8, fps=30, channels=0, dropped=_drops(240, 0.15)).make(),
    ),
    "50 fps, B-frames, another size in mid-stream": lambda: (
        Recipe(seconds=4, fps=50, b_frames=2).make()
        + Recipe(seconds=4, fps=50, b_frames=2, size=(448, 256), first=200).make(),
    ),
    "60 fps, B-frames, mono, a reconnect": lambda: parted(
        Recipe(seconds=9, fps=60, b_frames=3, channels=1).make(), 4
    ),
}
#: Watched in the browser as well.
WATCHED = (
    "24 fps, B-frames, stereo, 2 s GOP",
    "30 fps, no sound, dropped frames",
    "50 fps, B-frames, another size in mid-stream",
    "60 fps, B-frames, mono, a reconnect",
)


@dataclass
class Broadcast:
    """What was sent over each connection, and what came."""

    sent: tuple[Sample, ...]
    follower: Follower
    viewing: Viewing | None
    probed: str

    @property
    def numbers(self) -> list[int]:
        return [number for sample in self.sent for number in sample.numbers]


@pytest.fixture(scope="module")
def broadcasts(stage: Stage) -> dict[str, Broadcast]:
    """All cases, broadcast and over."""
    return asyncio.run(_broadcast_all(stage))


async def _broadcast_all(stage: Stage) -> dict[str, Broadcast]:
    samples = {name: make() for name, make in CASES.items()}
    # They do not all connect in the same moment: each has a process of its own that must start.
    door = asyncio.Semaphore(1)
    # Four pages that decode at once leave none of them time to be looked at.
    screens = asyncio.Semaphore(2)
    async with chromium() as browser:

        async def one(name: str) -> Broadcast:
            async with stage.channel() as channel:
                if name not in WATCHED:
                    return await _broadcast(stage, channel, samples[name], None, door)
                async with screens:
                    viewing = await open_channel(browser, stage.http, channel.login)
                    try:
                        return await _broadcast(stage, channel, samples[name], viewing, door)
                    finally:
                        await viewing.page.close()

        found = await together(*(one(name) for name in samples))
    return dict(zip(samples, found, strict=True))


async def _broadcast(
    stage: Stage,
    channel: Channel,
    connections: tuple[Sample, ...],
    viewing: Viewing | None,
    door: asyncio.Semaphore,
) -> Broadcast:
    follower = Follower(stage.http, channel.login)
    following = asyncio.create_task(follower.run())
    for number, sample in enumerate(connections):
        async with door:
            connection = await stage.publisher(channel.key)
        await connection.push(sample.tags)
        if viewing is not None:
            # The page is behind by its buffer; a stop would not cut its last pictures off, a cut might.
            await viewing.until(sample.numbers[-1] - 60, within_s=15)
        if number < len(connections) - 1:
            await connection.cut()
            await state_of(stage, channel.login, "reconnecting")
            await asyncio.sleep(OUTAGE_S)
        else:
            await connection.stop()
    await following
    if viewing is not None:
        await viewing.page.get_by_test_id("ended").wait_for()
        await viewing.collect()
    return Broadcast(connections, follower, viewing, await _ffprobe(follower))


async def _ffprobe(follower: Follower) -> str:
    """What ffprobe says to the multivariant playlist; it reads the ended window whole."""
    program = Toolchain.from_environment().program("ffprobe")
    process = await asyncio.create_subprocess_exec(
        str(program.path),
        *("-v", "error", "-show_entries", "stream=codec_name,codec_type", "-of", "csv=p=0"),
        "-count_packets",
        f"{follower.http}/live/{follower.login}/{_first_variant(follower)}",
        env=dict(program.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    words, _ = await asyncio.wait_for(process.communicate(), 30)
    return f"{process.returncode} {words.decode()}"


def _first_variant(follower: Follower) -> str:
    return next(line for line in follower.multivariant.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("name", CASES)
def test_every_frame_once(broadcasts: dict[str, Broadcast], name: str) -> None:
    broadcast = broadcasts[name]
    rate = len(broadcast.numbers) / sum(sample.duration_s for sample in broadcast.sent)
    stretches = broadcast.follower.source.stretches()
    got = [list(access_units(media)) for _, media in stretches]
    if len(broadcast.sent) == 1:
        for kind, words in ((VIDEO, "video"), (AUDIO, "audio")):
            sent = broadcast.sent[0].frames(kind)
            assert [unit for run in got for word, _, unit in run if word == words] == sent
    else:
        assert len(got) == len(broadcast.sent)
        for run, sample, last in zip(got, broadcast.sent, (False, True), strict=True):
            for kind, words in ((VIDEO, "video"), (AUDIO, "audio")):
                sent, came = sample.frames(kind), [unit for word, _, unit in run if word == words]
                assert came == sent[: len(came)]
                missing = 0 if last else IN_FLIGHT_S * max(rate, 50)
                assert len(sent) - len(came) <= missing
    numbers = [number for _, media in stretches for number in numbers_in(media)]
    assert None not in numbers
    assert len(numbers) == len(set(numbers)), "a picture came twice"
    assert set(numbers) <= set(broadcast.numbers)
    if len(broadcast.sent) == 1:
        assert numbers == broadcast.numbers


@pytest.mark.parametrize("name", CASES)
def test_times_are_the_encoders(broadcasts: dict[str, Broadcast], name: str) -> None:
    """Within each run of segments frames stand where the encoder put them, to the millisecond or two
    that FLV's rounding leaves.
    """
    broadcast = broadcasts[name]
    tags = [tag for sample in broadcast.sent for tag in sample.tags if tag.kind == VIDEO]
    times = {
        tag.media: (tag.time + int.from_bytes(tag.payload[2:5], "big")) / 1000
        for tag in tags
        if not tag.is_header
    }
    for _, media in broadcast.follower.source.stretches():
        pictures = [(at, unit) for word, at, unit in access_units(media) if word == "video"]
        offsets = [at - times[unit] for at, unit in pictures]
        assert max(offsets) - min(offsets) < 0.003


@pytest.mark.parametrize("name", CASES)
def test_playlists_keep_the_rules(broadcasts: dict[str, Broadcast], name: str) -> None:
    follower = broadcasts[name].follower
    found = playlist_validator.check_multivariant(follower.multivariant)
    for rendition in follower.renditions.values():
        found += [f"{rendition.name}: {finding}" for finding in rendition.findings()]
    latest = {each.name: each.playlists[-1].text for each in follower.renditions.values()}
    assert found + playlist_validator.check_renditions(latest) == []
    assert all(rendition.ended for rendition in follower.renditions.values())
    joints = len(follower.source.stretches()) - 1
    assert follower.source.discontinuities() == joints


@pytest.mark.parametrize("name", CASES)
def test_ffprobe_reads_it(broadcasts: dict[str, Broadcast], name: str) -> None:
    broadcast = broadcasts[name]
    status, *streams = broadcast.probed.split()
    assert status == "0", broadcast.probed
    sound = any(sample.frames(AUDIO) for sample in broadcast.sent)
    wanted = {"h264,video", "aac,audio"} if sound else {"h264,video"}
    assert set(streams) == wanted, broadcast.probed


@pytest.mark.parametrize("name", WATCHED)
def test_chromium_plays_it(broadcasts: dict[str, Broadcast], name: str) -> None:
    broadcast = broadcasts[name]
    viewing = broadcast.viewing
    assert viewing is not None
    assert viewing.complaints == []
    shown = viewing.shown()
    # A page samples ten pictures a second when it is given the time, and here it often is not; all of
    # them stand in the order in which they were made, and each connection is among them.
    assert shown == sorted(shown)
    assert viewing.unreadable == 0
    for sample in broadcast.sent:
        assert len(set(shown) & set(sample.numbers)) >= 3, shown
    assert shown[-1] > broadcast.numbers[-1] - 60


async def test_offline_everywhere_two_seconds_after_stop(stage: Stage) -> None:
    """Edge state, playlist, directory, channel page data and the streamer's own page, all of them."""
    async with stage.channel() as channel:
        async with await stage.publisher(channel.key) as connection:
            pushing = asyncio.create_task(connection.push(Recipe(seconds=8).make().tags))
            await channel.wait_for("live")
            await asyncio.sleep(1)
            assert await _live_places(stage, channel) == set(PLACES)
            pushing.cancel()
            await connection.stop()
            stopped = time.monotonic()
            while left := await _live_places(stage, channel):
                assert time.monotonic() - stopped < 2.0, left
                await asyncio.sleep(0.05)


PLACES = ("state", "playlist", "directory", "channel", "dashboard")


async def _live_places(stage: Stage, channel: Channel) -> set[str]:
    """Where the channel still counts as live."""
    async with aiohttp.ClientSession(stage.http) as client:
        async with client.get(f"/live/{channel.login}/state") as answer:
            state = (await answer.json())["state"] != "offline"
        async with client.get(f"/live/{channel.login}/index.m3u8") as answer:
            playlist = answer.status == 200
        async with client.get("/api/v1/streams") as answer:
            items = (await answer.json())["items"]
            directory = any(item["channel"]["login"] == channel.login for item in items)
        async with client.get(f"/api/v1/channels/{channel.login}") as answer:
            page = bool((await answer.json())["live"])
    mine = (await channel.client.get("/api/v1/me/stream")).json()["state"] != "offline"
    answers = (state, playlist, directory, page, mine)
    return {place for place, live in zip(PLACES, answers, strict=True) if live}
