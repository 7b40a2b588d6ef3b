"""Encoders that send rubbish: their own session ends, restarts or warns; nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bench.stage import Channel
from tests.e2e.rtmp import CHUNK, COMMAND, Connection, Rejected, amf
from tests.e2e.samples import AUDIO, SCRIPT, VIDEO, Recipe, Sample, Tag
from tests.e2e.stage import Stage, descendants, together
from tests.faults.conftest import Report
from tests.faults.live import live

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

SECONDS = 9
#: From here on something is wrong with the media, ms.
SPOILED = 4000
TEN_HOURS = 36_000_000
#: What the streamer is rightly told when this machine has no time for a dozen of our encoders.
STARVED = ("slow_upload",)

Tags = Iterable[Tag]


@dataclass(frozen=True)
class Spoiling:
    """What is done to a good sample, and the codes of which the streamer must see one; none for what
    is unusual but right.
    """

    change: Callable[[Tag, random.Random], Tags]
    told: tuple[str, ...]
    #: Left on the line after the last tag, for what only time brings to light, s.
    wait_s: float = 0.0


def _garbage(tag: Tag, chance: random.Random, keep: int) -> Tag:
    return replace(tag, payload=tag.payload[:keep] + chance.randbytes(60))


def _frames(tag: Tag, chance: random.Random) -> Tags:
    spoil = tag.kind == VIDEO and not tag.is_header and tag.time > SPOILED
    return [_garbage(tag, chance, 5) if spoil else tag]


def _config(tag: Tag, chance: random.Random) -> Tags:
    return [_garbage(tag, chance, 5) if tag.kind == VIDEO and tag.is_header else tag]


def _audio_config(tag: Tag, chance: random.Random) -> Tags:
    return [
        replace(tag, payload=b"\xaf\x00\xff\xff") if tag.kind == AUDIO and tag.is_header else tag
    ]


def _no_keyframe(tag: Tag, chance: random.Random) -> Tags:
    return [] if tag.is_keyframe else [tag]


def _mp3(tag: Tag, chance: random.Random) -> Tags:
    spoil = tag.kind == AUDIO and tag.time > SPOILED
    return [replace(tag, payload=b"\x2f" + chance.randbytes(200)) if spoil else tag]


def _hevc(tag: Tag, chance: random.Random) -> Tags:
    """Enhanced RTMP from one frame to the next, its header in front of each keyframe."""
    if tag.kind != VIDEO or tag.time <= SPOILED:
        return [tag]
    if tag.is_keyframe:
        header = Tag(VIDEO, tag.time, b"\x90hvc1\x01" + chance.randbytes(60))
        return [header, replace(tag, payload=b"\x91hvc1\0\0\0" + tag.media)]
    return [replace(tag, payload=b"\xa1hvc1\0\0\0" + tag.media)]


def _one_picture(tag: Tag, chance: random.Random) -> Tags:
    return [tag] if tag.kind != VIDEO or tag.is_header or (tag.time == 0) else []


def _late(tag: Tag, chance: random.Random) -> Tags:
    return [replace(tag, time=tag.time + TEN_HOURS)]


def _jump(tag: Tag, chance: random.Random) -> Tags:
    return [replace(tag, time=tag.time + TEN_HOURS) if tag.time > SPOILED else tag]


def _back(tag: Tag, chance: random.Random) -> Tags:
    return [replace(tag, time=tag.time - SPOILED) if tag.time > SPOILED else tag]


def _stubs(tag: Tag, chance: random.Random) -> Tags:
    """Messages too short to be anything, between the good ones."""
    if tag.time < SPOILED:
        return [tag]
    stubs = ((VIDEO, b"\x17"), (VIDEO, b"\x17\x01\0"), (VIDEO, b"\x27\x01\0\0\0"), (AUDIO, b"\xaf"))
    return [tag, *(Tag(kind, tag.time, payload) for kind, payload in stubs)]


def _script(tag: Tag, chance: random.Random) -> Tags:
    """Script data whose string says it is longer than it is."""
    if SPOILED < tag.time < SPOILED + 60:
        return [tag, Tag(SCRIPT, tag.time, b"\x02\xff\xffonMetaData" + chance.randbytes(100))]
    return [tag]


SPOILINGS = {
    "frames of noise": Spoiling(_frames, ("keyframe_interval", "corrupt_media", "video_gaps")),
    "a decoder configuration of noise": Spoiling(_config, ("worker_died", "nothing_playable"), 7),
    "an audio configuration of noise": Spoiling(_audio_config, ("codec_config",)),
    "no keyframe": Spoiling(_no_keyframe, ("nothing_playable",), 10),
    "one picture, then none": Spoiling(_one_picture, ("nothing_playable", "no_video"), 10),
    "another audio codec in mid-stream": Spoiling(_mp3, ("audio_stopped", "audio_codec")),
    "another video codec in mid-stream": Spoiling(
        _hevc, ("video_stopped", "video_gaps", "worker_died")
    ),
    "times that begin at 10 h": Spoiling(_late, ()),
    "times that jump by 10 h": Spoiling(_jump, ("timestamps_reset",)),
    "times that go back by 4 s": Spoiling(_back, ("timestamps_reset", "keyframe_interval")),
    "messages too short to be anything": Spoiling(_stubs, ()),
    "broken script data": Spoiling(_script, ("closed",)),
}


async def test_18_spoiled_media(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report
) -> None:
    """Everything at once beside a good stream, which must come through whole. So many encoders alone may make the
    API late on a small machine.
    """
    short = Recipe(seconds=SECONDS, fps=25, channels=1).make()
    nginx = descendants(stage.instance.pid("rtmp"))
    ingest = stage.instance.pid("ingest")
    async with live(stage, sample) as running:
        # A dozen encoders do not start in the same moment, least of all on two cores.
        door = asyncio.Semaphore(2)
        told = await together(
            *(_spoil(stage, short, spoiling, door) for spoiling in SPOILINGS.values())
        )
        outcome = await running.finish()
    for (name, spoiling), codes in zip(SPOILINGS.items(), told, strict=True):
        if spoiling.told:
            assert codes & set(spoiling.told), (name, codes)
        else:
            assert not codes, (name, codes)
        report(18, name, remark=", ".join(sorted(codes & set(spoiling.told))) or "plays on")
    assert (outcome.findings, outcome.discontinuities, outcome.lost) == ([], 0, 0)
    assert descendants(stage.instance.pid("rtmp")) == nginx
    assert stage.instance.pid("ingest") == ingest


async def _spoil(
    stage: Stage, sample: Sample, spoiling: Spoiling, door: asyncio.Semaphore
) -> set[str]:
    """Push the spoiled sample; every code that the streamer was shown, `closed` for a connection that
    nginx itself ended.
    """
    chance = random.Random(18)
    spoiled = [(tag, new) for tag in sample.tags for new in spoiling.change(tag, chance)]
    seen: set[str] = set()
    async with contextlib.AsyncExitStack() as stack:
        async with door:
            channel = await stack.enter_async_context(stage.channel())
            connection = await stage.publisher(channel.key)
        looking = asyncio.create_task(_look(channel, seen))
        began = time.monotonic()
        try:
            with contextlib.suppress(Rejected, TimeoutError):
                for tag, new in spoiled:
                    # When the good tag was due: the time that now stands in it may be nonsense.
                    await connection.push([new], began=began + (tag.time - new.time) / 1000)
                if not spoiling.told:
                    # Before the line goes quiet, which is worth a warning of its own.
                    return seen - {"accepted", *STARVED}
                await asyncio.wait_for(connection.closed.wait(), spoiling.wait_s)
            if connection.closed.is_set():
                seen.add("closed")
            # Health is sampled every two seconds.
            await asyncio.sleep(2.5)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await connection.cut()
    return seen - {"accepted"}


async def _look(channel: Channel, seen: set[str]) -> None:
    """What the dashboard shows, as long as it is open."""
    while True:
        answer = await channel.client.get("/api/v1/me/stream")
        mine: dict[str, Any] = answer.json()
        seen.update(warning["code"] for warning in mine["warnings"])
        seen.update(attempt["code"] for attempt in mine["attempts"])
        await asyncio.sleep(0.5)


# Bytes that are no RTMP


async def _noise(connection: Connection) -> None:
    connection.send_raw(random.Random(1).randbytes(100_000))


async def _no_handshake(connection: Connection) -> None:
    connection.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def _noise_after_the_handshake(connection: Connection) -> None:
    await connection.shake_hands()
    connection.send_raw(random.Random(2).randbytes(100_000))


def _chunk_size(size: int) -> Callable[[Connection], Any]:
    async def attack(connection: Connection) -> None:
        await connection.shake_hands()
        connection.set_chunk_size(size)
        connection.send_message(COMMAND, amf("connect", 1, {"app": "live"}) + b"\0" * 300, 0, 3, 0)

    return attack


async def _huge_message(connection: Connection) -> None:
    await connection.shake_hands()
    connection.set_chunk_size(CHUNK)
    head = b"\x06" + b"\0\0\0" + b"\xff\xff\xff" + b"\x09" + b"\1\0\0\0"
    connection.send_raw(head + b"\0" * CHUNK * 4)


def _command(payload: bytes) -> Callable[[Connection], Any]:
    async def attack(connection: Connection) -> None:
        await connection.shake_hands()
        connection.set_chunk_size(CHUNK)
        connection.send_message(COMMAND, payload, 0, 3, 0)

    return attack


async def _many_channels(connection: Connection) -> None:
    """The beginning of a message on every chunk stream there is."""
    await connection.shake_hands()
    for channel in range(64, 2000):
        basic = (
            b"\x00" + bytes([channel - 64])
            if channel < 320
            else (b"\x01" + struct.pack("<H", channel - 64))
        )
        connection.send_raw(basic + b"\0\0\0\0\xff\xff\x09\1\0\0\0" + b"x" * 128)


ATTACKS: dict[str, Callable[[Connection], Any]] = {
    "noise": _noise,
    "HTTP": _no_handshake,
    "noise after the handshake": _noise_after_the_handshake,
    **{f"a chunk size of {n}": _chunk_size(n) for n in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)},
    "a message of 16 MB": _huge_message,
    "AMF: a string longer than its message": _command(b"\x02\xff\xffconnect"),
    "AMF: objects in objects": _command(amf("connect", 1) + b"\x03\x00\x01a" * 20_000),
    "AMF: no such type": _command(bytes(range(256)) * 40),
    "AMF: nothing": _command(b""),
    "half a thousand messages at once": _many_channels,
}


async def test_18_rtmp_that_is_none(
    stage: Stage, sample: Sample, unnoticed: None, report: Report
) -> None:
    """Broken RTMP on eight connections each: the stream beside it misses nothing, nothing restarts,
    and nothing is left spinning.
    """
    nginx = descendants(stage.instance.pid("rtmp"))
    async with live(stage, sample) as running:
        await together(*(_attack(stage, each) for each in ATTACKS.values() for _ in range(8)))
        await running.playing()
        async with stage.channel() as other, await stage.publisher(other.key):
            pass
        outcome = await running.finish()
    assert (outcome.findings, outcome.discontinuities, outcome.lost) == ([], 0, 0)
    assert descendants(stage.instance.pid("rtmp")) == nginx
    report(18, f"broken RTMP, {len(ATTACKS)} ways", lost=outcome.lost, remark="nobody noticed")


async def _attack(stage: Stage, attack: Callable[[Connection], Any]) -> None:
    async with await Connection.dial(stage.rtmp_port) as connection:
        try:
            await attack(connection)
            await connection.drain()
            await asyncio.wait_for(connection.closed.wait(), 3)
        except (Rejected, TimeoutError):
            pass
