"""Sources of every kind: what is passed through, what gets a rung that every browser plays."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import time
from dataclasses import replace
from itertools import pairwise

import av
import pytest

from tests.e2e.follower import Follower, Rendition, access_units
from tests.e2e.samples import AUDIO, Recipe
from tests.e2e.stage import Stage, command_line, descendants, frozen, state_of
from tests.harness import eventually_async
from tests.integration.ingest.conftest import RUNG, Made, Push

CASES = [
    ("h264", "aac", "h264", "aac"),
    pytest.param("h264-b", "aac", "h264", "aac", marks=pytest.mark.long),
    pytest.param("h264-10", "aac", "h264", "aac", marks=pytest.mark.long),
    ("h264", None, "h264", None),
    ("h264", "mp3", "h264", "aac"),
    ("hevc", "aac", "hevc", "aac"),
    ("av1", "aac", "av1", "aac"),
]


async def follow(
    stage: Stage, push: Push, made: Made, video: str, audio: str | None
) -> tuple[Follower, dict[str, object]]:
    """A whole broadcast as a player sees it, and the stream's row afterwards."""
    async with stage.channel() as channel:
        follower = Follower(stage.http, channel.login)
        async with push(channel.publish_url, made(video, audio)) as encoder:

            async def complete() -> bool:
                answer = await channel.client.get(f"/live/{channel.login}/index.m3u8")
                return f"/{RUNG}/" in answer.text

            await eventually_async(complete, within_s=15, what="the rung is there")
            following = asyncio.create_task(follower.run())
            await asyncio.wait_for(encoder.wait(), 40)
            await asyncio.wait_for(following, 20)
        return follower, (await stage.streams(channel.login))[-1]


def codecs_of(rendition: Rendition) -> dict[str, str]:
    """Kind → codec name of what a decoder finds in the rendition."""
    (_, media), *_ = rendition.stretches()
    with av.open(io.BytesIO(media), format="mov") as container:
        return {stream.type: stream.codec_context.name for stream in container.streams}


def picture_times(rendition: Rendition) -> list[float]:
    """Presentation times of the pictures, in order, seconds."""
    (_, media), *_ = rendition.stretches()
    return sorted(round(at, 3) for kind, at, _ in access_units(media) if kind == "video")


@pytest.mark.parametrize(("video", "audio", "seen", "heard"), CASES)
async def test_a_source_plays_with_its_rung(
    stage: Stage,
    push: Push,
    made: Made,
    video: str,
    audio: str | None,
    seen: str,
    heard: str | None,
) -> None:
    follower, row = await follow(stage, push, made, video, audio)
    wanted = {"source", "audio", RUNG} if audio else {"source", RUNG}
    assert set(follower.renditions) == wanted
    for rendition in follower.renditions.values():
        assert rendition.ended and rendition.findings() == []
    found = codecs_of(follower.source)
    assert found["video"].removeprefix("lib").removesuffix("dav1d") in (seen, "")
    assert found.get("audio") == heard
    assert codecs_of(follower.renditions[RUNG])["video"] == "h264"
    offered = [rendition["name"] for rendition in json.loads(str(row["renditions"]))]
    assert offered == ["source", RUNG, *(["audio"] if audio else [])]
    assert json.loads(str(row["source"]))["video"] == seen


async def test_a_rung_has_the_sources_pictures_at_the_sources_times(
    stage: Stage, push: Push, made: Made
) -> None:
    follower, _ = await follow(stage, push, made, "h264-b", "aac")
    source, rung = follower.source, follower.renditions[RUNG]
    assert sorted(source.segments) == sorted(rung.segments)
    wanted, found = picture_times(source), picture_times(rung)
    assert found == wanted
    assert max(b - a for a, b in pairwise(found)) < 0.05
    for number, segment in rung.segments.items():
        assert segment.duration == pytest.approx(source.segments[number].duration, abs=0.1)


async def test_sound_alone_plays(stage: Stage, push: Push, made: Made) -> None:
    path = made("h264", "aac")
    alone = path.with_name("alone.flv")
    with av.open(str(path)) as given, av.open(str(alone), "w", format="flv") as out:
        stream = out.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(given.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    async with stage.channel() as channel:
        follower = Follower(stage.http, channel.login)
        following = asyncio.create_task(follower.run())
        async with push(channel.publish_url, alone) as encoder:
            await asyncio.wait_for(encoder.wait(), 40)
            await asyncio.wait_for(following, 20)
        assert codecs_of(follower.source) == {"audio": "aac"}


async def test_hevc_comes_back_by_the_encoders_reconnect_when_its_worker_dies(
    stage: Stage, push: Push, made: Made
) -> None:
    """nginx keeps no headers of Enhanced RTMP, so a new worker needs a new publish."""
    async with stage.channel() as channel:
        path = made("hevc", "aac")
        follower = Follower(stage.http, channel.login, only=("source",))
        following = asyncio.create_task(follower.run())
        async with push(channel.publish_url, path) as first:
            live = await state_of(stage, channel.login, "live")
            (worker,) = [p for p in stage.workers(live["session"]) if p]
            killed = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            await asyncio.wait_for(first.wait(), 5)
            assert time.monotonic() - killed < 3, "the publisher is dropped at once"
        await state_of(stage, channel.login, "reconnecting")
        async with push(channel.publish_url, path):
            again = await state_of(stage, channel.login, "live")
            assert again["session"] == live["session"]
            assert again["stream_id"] == live["stream_id"]
            await asyncio.sleep(3)
            await channel.client.post(f"/api/v1/channels/{channel.login}/stream/end")
            await asyncio.wait_for(following, 20)
        assert follower.source.discontinuities() == 1
        assert follower.source.findings() == []


async def test_sound_that_begins_late_is_heard(stage: Stage) -> None:
    whole = Recipe(seconds=30, fps=30, gop=1, channels=1).make()
    header = next(tag for tag in whole.tags if tag.kind == AUDIO)
    late = [tag for tag in whole.tags if tag.kind != AUDIO or tag.time >= 6000]
    begin = next(i for i, tag in enumerate(late) if tag.kind == AUDIO)
    late.insert(begin, replace(header, time=6000))
    async with stage.channel() as channel, await stage.publisher(channel.key) as connection:
        pushing = asyncio.create_task(connection.push(late))

        async def heard() -> bool:
            answer = await channel.client.get(f"/live/{channel.login}/index.m3u8")
            return "mp4a" in answer.text

        await eventually_async(heard, within_s=25, what="sound is offered")
        pushing.cancel()


async def test_a_rung_that_cannot_keep_up_is_ended(stage: Stage, push: Push, made: Made) -> None:
    """Its transcoder stands still: the source does not notice, the rung ends for good."""
    async with stage.channel() as channel:
        async with push(channel.publish_url, made("h264", "aac", 40)):
            live = await state_of(stage, channel.login, "live")
            url = f"/live/{channel.login}/index.m3u8"

            async def offered() -> str:
                text = (await channel.client.get(url)).text
                assert f"/{RUNG}/" in text
                return text

            text = await eventually_async(offered, within_s=15, what="the rung is there")
            media = {
                line.split("/")[-2]: f"/live/{channel.login}/{line}"
                for line in text.splitlines()
                if line and line[0] != "#"
            }
            (transcoder,) = transcoders(stage, live["session"])
            with frozen(transcoder):

                async def ended() -> bool:
                    return "#EXT-X-ENDLIST" in (await channel.client.get(media[RUNG])).text

                await eventually_async(ended, within_s=25, what="the rung has ended")
                source = (await channel.client.get(media["source"])).text
                assert "#EXT-X-ENDLIST" not in source and "#EXT-X-DISCONTINUITY\n" not in source

                async def withdrawn() -> bool:
                    return f"/{RUNG}/" not in (await channel.client.get(url)).text

                await eventually_async(withdrawn, what="it is offered no more")


def transcoders(stage: Stage, session: str) -> list[int]:
    """ffmpeg processes that read a source from a pipe."""
    return [
        pid
        for pid in descendants(stage.instance.pid("ingest"))
        if "force_key_frames" in " ".join(command_line(pid))
    ]
