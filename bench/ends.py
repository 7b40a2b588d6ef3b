"""From a broadcast's end to a video that plays to its last frame."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
import asyncpg
import av

from bench.encoder import copy_argv
from bench.generated import RENDITIONS, SEGMENT_S, Generated, Media
from bench.ingest import usage
from bench.instance import Instance
from bench.stage import Channel, make_channel
from core.bus import open_bus
from core.settings import Settings
from core.storage import Storage, open_storage
from core.streams import SEGMENTS

#: Segments of a generated broadcast that are written before recorder is waited for.
AHEAD = 2000
#: Tiles of the storyboard that a running broadcast may be behind.
TILES_BEHIND = 5
FPS = 30
if TYPE_CHECKING:
    Database: TypeAlias = asyncpg.Connection[Any]


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Database]:
    """The instance's database."""
    connection = await asyncpg.connect(
        host=str(settings.run_dir), user="footlight", database="footlight"
    )
    try:
        yield connection
    finally:
        await connection.close()


async def until(check: Callable[[], Awaitable[Any]], pause_s: float) -> Any:
    """What `check` answers, once it is something."""
    while True:
        if found := await check():
            return found
        await asyncio.sleep(pause_s)


@dataclass(frozen=True)
class End:
    """Seconds after a broadcast's end: its video was ready; its last frame was fetched and decoded."""

    ready_s: float
    plays_s: float
    #: Segments in its playlist.
    segments: int


async def watched(instance: Instance, database: Database, video_id: int, ended: float) -> End:
    """Wait for a video of a broadcast that ended at `ended` (monotonic) as somebody who wants its end."""
    query = "select status = 'ready' from videos where id = $1"
    await until(lambda: database.fetchval(query, video_id), 0.01)
    ready_s = time.monotonic() - ended
    async with aiohttp.ClientSession(instance.http) as client:
        segments = await _play_end(client, f"/vod/{video_id}")
    return End(ready_s, time.monotonic() - ended, segments)


async def _play_end(client: aiohttp.ClientSession, base: str) -> int:
    """Decode a finished video's last segment through the edge, and count what its playlist lists."""

    async def finished() -> str:
        # An edge keeps the playlist of a running broadcast for a second.
        async with client.get(f"{base}/source.m3u8") as answer:
            text = await answer.text()
        return text if "#EXT-X-ENDLIST" in text else ""

    lines = (await until(finished, 0.02)).splitlines()
    addresses = [line for line in lines if line and not line.startswith("#")]
    init = next(line for line in reversed(lines) if line.startswith("#EXT-X-MAP")).split('"')[1]
    long_s = float(next(line for line in reversed(lines) if line.startswith("#EXTINF"))[8:-1])
    data = b""
    for address in (init, addresses[-1]):
        async with client.get(f"{base}/{address}") as answer:
            answer.raise_for_status()
            data += await answer.read()
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        frames = sum(1 for _ in container.decode(video=0))
    if abs(frames - long_s * FPS) > 1:
        raise RuntimeError(f"{frames} frames in a last segment of {long_s} s")
    return len(addresses)


# Real broadcasts

#: Ends one; answers when that was (monotonic), which is not before.
Stop = Callable[[Channel, asyncio.subprocess.Process], Awaitable[float]]


async def stop(channel: Channel, process: asyncio.subprocess.Process) -> float:
    """The encoder takes its leave, as OBS's Stop does."""
    process.terminate()
    return time.monotonic()


async def end_over_rest(channel: Channel, process: asyncio.subprocess.Process) -> float:
    """ "End stream"."""
    began = time.monotonic()
    (await channel.client.post(f"/api/v1/channels/{channel.login}/stream/end")).raise_for_status()
    return began


def cut(grace_s: float) -> Stop:
    """The encoder dies, and nobody comes back before the grace window is over."""

    async def stop(channel: Channel, process: asyncio.subprocess.Process) -> float:
        process.kill()
        return time.monotonic() + grace_s

    return stop


async def live_end(
    instance: Instance, settings: Settings, sample: str, seconds: float, stop: Stop
) -> End:
    """A broadcast of some seconds, and what comes after."""
    async with (
        await make_channel(instance.http, instance.rtmp) as channel,
        connected(settings) as database,
    ):
        argv = copy_argv(instance.ffmpeg, sample, channel.publish_url)
        process = await asyncio.create_subprocess_exec(*argv)
        try:
            await channel.wait_for("live")
            query = (
                "select v.id from videos v join users u on u.id = v.channel_id where u.login = $1"
            )
            video_id = int(await until(lambda: database.fetchval(query, channel.login), 0.1))
            await asyncio.sleep(seconds)
            ended = await stop(channel, process)
            return await watched(instance, database, video_id, ended)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


# Generated broadcasts


async def generated_end(
    instance: Instance, settings: Settings, media: Media, minutes: float
) -> dict[str, object]:
    """Archive a generated broadcast, take the time from its last segment, and what it was spent on."""
    async with (
        await make_channel(instance.http, instance.rtmp) as channel,
        open_bus(settings) as bus,
        open_storage(settings) as storage,
        connected(settings) as database,
    ):
        await bus.connected()
        generated = await _insert(settings, media, database, channel)
        payload = json.dumps({"sessions": [generated.session]}).encode()
        subject = f"{SEGMENTS.prefix}.{settings.node_id}"

        async def announce() -> None:
            await bus.publish(subject, payload, secrets.token_hex(8), SEGMENTS)

        segments = round(minutes * 60 / SEGMENT_S)
        left = segments - 1
        while left:
            count = min(left, AHEAD)
            await asyncio.to_thread(generated.write, count)
            left -= count
            await announce()
            await until(lambda: asyncio.to_thread(generated.is_stored), 0.2)
        query = "select id from videos where session = $1"
        video_id = int(await database.fetchval(query, generated.session))
        await _pictured(settings, database, video_id)
        rewind = await _rewind(instance, channel, video_id)
        before = await _objects(storage, video_id)
        recorder = instance.pid("recorder")
        spent = usage(recorder).cpu_s
        generated.write(1)
        generated.end()
        began = time.monotonic()
        await announce()
        end = await watched(instance, database, video_id, began)
        spent = usage(recorder).cpu_s - spent
        if end.segments != segments:
            raise RuntimeError(f"the video has {end.segments} of {segments} segments")
        # What is stored anew under its old name (the last sheet, the poster) has another size.
        written = (await _objects(storage, video_id)).items() - before.items()
        kept = "select octet_length(entries) from video_timelines where video_id = $1"
        return {
            "minutes": minutes,
            "segments": segments * len(RENDITIONS),
            "ready after, s": round(end.ready_s, 2),
            "plays to its last frame after, s": round(end.plays_s, 2),
            "objects stored after the end": len(written),
            "KB in them": round(sum(size for _, size in written) / 1e3),
            "recorder, CPU s": round(spent, 2),
            "timeline, KB": round(await database.fetchval(kept, video_id) / 1e3, 1),
            **rewind,
        }


async def _insert(
    settings: Settings, media: Media, database: Database, channel: Channel
) -> Generated:
    channel_id = int(
        await database.fetchval("select id from users where login = $1", channel.login)
    )
    session = secrets.token_hex(8)
    stream_id = await database.fetchval(
        "insert into streams (channel_id, session, node, status) values ($1, $2, 'bench', 'live')"
        " returning id",
        channel_id,
        session,
    )
    generated = Generated(settings, media, channel_id, int(stream_id), session)
    await asyncio.to_thread(generated.begin)
    return generated


async def _pictured(settings: Settings, database: Database, video_id: int) -> None:
    """Wait for the pictures, which in a broadcast of hours have hours."""
    query = (
        "select coalesce((storyboard->>'count')::int, 0) + $2 >= duration_s / $3"
        " from videos where id = $1"
    )
    interval_s = settings.storyboard_interval_s
    await until(lambda: database.fetchval(query, video_id, TILES_BEHIND, interval_s), 0.5)


async def _objects(storage: Storage, video_id: int) -> dict[str, int]:
    return {each.key: each.size for each in await storage.list(f"videos/{video_id}/")}


async def _rewind(instance: Instance, channel: Channel, video_id: int) -> dict[str, object]:
    """Bytes of a reload while live, plain and as it is sent, and of the whole as it is sent."""
    async with aiohttp.ClientSession(instance.http, auto_decompress=False) as client:

        async def packed(path: str) -> bytes:
            async with client.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
                answer.raise_for_status()
                if answer.headers.get("Content-Encoding") != "gzip":
                    raise RuntimeError(f"{path} is not sent compressed")
                return await answer.read()

        dvr = f"/live/{channel.login}/dvr.m3u8"
        await packed(dvr)
        reload = await packed(f"{dvr}?_HLS_skip=YES&rendition=source")
        same = await packed(f"/vod/{video_id}/source.m3u8?_HLS_skip=YES")
        whole = await packed(f"/vod/{video_id}/source.m3u8")
    if b"#EXT-X-SKIP:" not in gzip.decompress(same):
        raise RuntimeError("the playlist of the rendition skips nothing")
    return {
        "dvr reload, bytes plain": len(gzip.decompress(reload)),
        "dvr reload, bytes gzip": len(reload),
        "dvr whole, bytes gzip": len(whole),
        "dvr whole, bytes plain": len(gzip.decompress(whole)),
    }
