"""What the streamer sees and can do: health, pictures, viewers, refusals, End stream."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from bench.stage import Channel
from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Recipe, Sample
from tests.e2e.stage import Stage, Streamer, start_stage, state_of
from tests.faults.table import Report
from tests.harness import eventually_async
from tests.integration.ingest.conftest import Push


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Recipe(seconds=60, fps=30, gop=2).make()


async def mine(channel: Channel) -> dict[str, Any]:
    answer = await channel.client.get("/api/v1/me/stream")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


async def test_health_pictures_and_viewers(stage: Stage, sample: Sample) -> None:
    async with stage.channel() as channel, Streamer(stage, channel.key, sample):
        await state_of(stage, channel.login, "live")

        async def measured() -> dict[str, Any]:
            found = await mine(channel)
            assert found["health"] and found["health"]["audio_mean_db"] is not None
            assert found["health"]["keyframe_interval_s"] is not None
            return found

        found = await eventually_async(measured, within_s=15, what="a whole health sample")
        health = found["health"]
        assert found["state"] == "live"
        assert (health["video"], health["audio"]) == ("h264", "aac")
        assert (health["width"], health["height"]) == (320, 180)
        assert health["frame_rate"] == pytest.approx(30, rel=0.2)
        assert health["keyframe_interval_s"] == pytest.approx(2, abs=0.05)
        # The tone of the sample has an amplitude of 0.2.
        assert health["audio_mean_db"] == pytest.approx(-17, abs=2)

        async def series() -> bool:
            answer = await channel.client.get("/api/v1/me/stream/health")
            return len(answer.json()["items"]) >= 2

        await eventually_async(series, what="a time series")

        async def pictured() -> bytes:
            picture = await channel.client.get(f"/live/{channel.login}/thumbnail.jpg")
            assert picture.status_code == 200
            assert (await mine(channel))["stream"]["thumbnail_url"]
            return picture.content

        picture = await eventually_async(pictured, what="a picture")
        with av.open(io.BytesIO(picture), "r") as container:
            frame = next(container.decode(video=0))
            assert (frame.width, frame.height) == (320, 180)

        multivariant = await channel.client.get(f"/live/{channel.login}/index.m3u8")
        media = next(line for line in multivariant.text.splitlines() if "source/" in line)

        async def counted() -> bool:
            await channel.client.get(f"/live/{channel.login}/{media}")
            return bool((await mine(channel))["stream"]["viewers"] == 1)

        await eventually_async(counted, within_s=15, what="the viewer is counted")


@pytest.mark.long
@pytest.mark.timeout(150)
async def test_warnings_come_and_go(stage: Stage) -> None:
    keyframes = (0.0, 1.0, *range(9, 40))
    sample = Recipe(seconds=40, fps=15, keyframes=keyframes, channels=0).make()
    async with stage.channel() as channel, Streamer(stage, channel.key, sample):
        await state_of(stage, channel.login, "live")

        async def warned(*codes: str) -> bool:
            return {w["code"] for w in (await mine(channel))["warnings"]} == set(codes)

        await eventually_async(
            lambda: warned("no_audio", "keyframe_interval"), within_s=20, what="both warnings"
        )
        await eventually_async(lambda: warned("no_audio"), within_s=60, what="one is gone")


async def test_end_stream_keeps_a_redialling_encoder_out(stage: Stage, sample: Sample) -> None:
    async with stage.channel() as channel, Streamer(stage, channel.key, sample) as streamer:
        await state_of(stage, channel.login, "live")
        answer = await channel.client.post(f"/api/v1/channels/{channel.login}/stream/end")
        assert answer.status_code == 204
        await asyncio.wait_for(state_of(stage, channel.login, "offline"), 2)
        assert (await mine(channel))["state"] == "offline"

        async def told() -> bool:
            return bool((await stage.attempts(channel))[0]["code"] == "ended_by_owner")

        await eventually_async(told, what="the encoder's own attempt is refused")
        assert streamer.refusals
        (row,) = await stage.streams(channel.login)
        assert row["end_reason"] == "ended_by_owner"
        answer = await channel.client.post(f"/api/v1/channels/{channel.login}/stream/end")
        assert answer.status_code == 409


async def test_deleting_the_account_ends_its_stream(stage: Stage, sample: Sample) -> None:
    async with stage.channel() as channel, Streamer(stage, channel.key, sample) as streamer:
        await state_of(stage, channel.login, "live")
        rows = await stage.rows("select id from users where login = $1", channel.login)
        await stage.rows(
            "insert into outbox (message_id, subject, payload) values ($1, $2, $3::jsonb)",
            f"test-{channel.login}",
            "footlight.events.user.deleted",
            f'{{"user_id": {rows[0]["id"]}, "login": "{channel.login}"}}',
        )
        await asyncio.wait_for(state_of(stage, channel.login, "offline"), 5)
        await asyncio.wait_for(streamer.legs[0].connection.closed.wait(), 5)


async def test_a_suspension_ends_the_stream_and_keeps_its_encoder_out(
    stage: Stage, sample: Sample
) -> None:
    async with stage.channel() as channel, Streamer(stage, channel.key, sample) as streamer:
        await state_of(stage, channel.login, "live")
        (user,) = await stage.rows("select id from users where login = $1", channel.login)
        (suspension,) = await stage.rows(
            "insert into suspensions (user_id, scope, reason) values ($1, 'channel', 'Rules.')"
            " returning id",
            user["id"],
        )
        event = {"suspension_id": suspension["id"], "user_id": user["id"], "login": channel.login}
        await stage.rows(
            "insert into outbox (message_id, subject, payload) values ($1, $2, $3::jsonb)",
            f"test-suspend-{channel.login}",
            "footlight.events.user.suspended",
            json.dumps({**event, "scope": "channel"}),
        )
        await asyncio.wait_for(state_of(stage, channel.login, "offline"), 5)

        async def written() -> bool:
            # The picture is taken off before the books are closed.
            (row,) = await stage.streams(channel.login)
            return row["end_reason"] is not None

        await eventually_async(written, what="the end of the stream in the database")
        (row,) = await stage.streams(channel.login)
        assert row["end_reason"] == "suspended"

        async def told() -> bool:
            return bool((await stage.attempts(channel))[0]["code"] == "suspended")

        await eventually_async(told, what="the encoder's next attempt is refused")
        assert streamer.refusals
        await stage.rows("update suspensions set until = now() where id = $1", suspension["id"])
        await state_of(stage, channel.login, "live")


async def test_wrong_names_are_refused_and_told_only_to_whom_they_concern(stage: Stage) -> None:
    async with stage.channel() as channel:
        wrong = channel.key[:-1] + ("a" if channel.key[-1] != "a" else "b")
        for name in ("nonsense", "live_1_x", "../../etc", wrong, f"{channel.key}?name=other"):
            async with await Connection.open(stage.rtmp_port) as connection:
                with pytest.raises(Rejected):
                    await connection.publish(name)

        async def told() -> list[str]:
            return [attempt["code"] for attempt in await stage.attempts(channel)]

        codes = await eventually_async(told, what="the attempt is told")
        assert codes == ["wrong_key"]


async def test_nobody_plays_by_rtmp(stage: Stage, sample: Sample) -> None:
    async with stage.channel() as channel, Streamer(stage, channel.key, sample):
        live = await state_of(stage, channel.login, "live")
        (row,) = await stage.rows(
            "select publisher from streams where session = $1", live["session"]
        )
        name = json.loads(row["publisher"])["name"]
        async with await Connection.open(stage.rtmp_port) as connection:
            with pytest.raises((Rejected, TimeoutError)):
                await asyncio.wait_for(connection.play(name), 3)


async def test_metrics(stage: Stage, sample: Sample) -> None:
    async with stage.channel() as channel, Streamer(stage, channel.key, sample):
        await state_of(stage, channel.login, "live")
        connector = aiohttp.UnixConnector(str(stage.socket("ingest")))
        async with aiohttp.ClientSession(connector=connector) as client:

            async def figures() -> dict[str, float]:
                text = await (await client.get("http://ingest/metrics")).text()
                lines = [line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#"]
                found = {name: float(value) for name, value in lines}
                assert found['footlight_ingest_sessions{phase="live"}'] >= 1
                assert found["footlight_ingest_parts_total"] > 10
                return found

            found = await eventually_async(figures, what="figures")
        assert found['footlight_ingest_publishes_total{outcome="accepted"}'] >= 1
        assert found["footlight_ingest_edge_post_seconds_count"] > 10
        assert found["footlight_ingest_media_bytes"] > 0


@pytest.mark.faults
@pytest.mark.timeout(150)
async def test_a_full_media_folder_refuses_and_publishes_nothing_empty(
    tmp_path_factory: pytest.TempPathFactory, noise: Path, push: Push, report: Report
) -> None:
    """A small quota and a large stream: no new stream first, then an end with its reason."""
    data = tmp_path_factory.mktemp("full") / "data"
    with start_stage(data, media_quota_bytes=16 * 1024 * 1024, media_window_s=10) as small:
        async with small.channel() as first, small.channel() as second:
            async with push(first.publish_url, noise, "-stream_loop", "-1"):
                live = await state_of(small, first.login, "live")
                await asyncio.wait_for(state_of(small, first.login, "offline"), 50)

            async def ended() -> bool:
                (row, *_) = await small.streams(first.login)
                return bool(row["end_reason"] == "fault")

            await eventually_async(ended, what="the stream's end is written down")

            async def told(channel: Channel) -> bool:
                return "media_full" in [a["code"] for a in await small.attempts(channel)]

            await eventually_async(lambda: told(first), what="the first is told")
            async with await Connection.open(small.rtmp_port) as connection:
                with pytest.raises(Rejected):
                    await connection.publish(second.key)
            await eventually_async(lambda: told(second), what="the second is told")
            sizes = [p.stat().st_size for p in (small.media / live["session"]).rglob("*.m4s")]
            assert sizes and min(sizes) > 0
            assert sum(sizes) < 16 * 1024 * 1024
        remark = "its stream ended with the reason, a new one was refused; no empty file"
        report(11, "the media folder's quota is used up", remark=remark)
