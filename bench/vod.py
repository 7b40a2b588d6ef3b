"""Broadcasts that become videos: how soon one is ready, what archiving costs, how fast the spool drains."""

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import asyncpg
import av
import boto3
from botocore.config import Config

from bench.encoder import ZEROLATENCY_2S, Profile, copy_argv, make_sample
from bench.ingest import usage
from bench.instance import Instance, running_instance
from bench.report import Report, arguments
from bench.stage import Channel, make_channel
from core.bus import open_bus
from core.db.engine import open_database
from core.metrics import Metrics
from core.settings import PREFIX, Settings
from core.spool import END_FILE, SOURCE_FILE, SegmentNote, Source
from core.storage import open_storage
from core.streams import SEGMENTS
from ingest.packager import InitReady, LiveStream, PackagerConfig, SegmentReady
from recorder.archive import Archive, ArchiveMetrics

SAMPLE_S = 20
#: Eight hours of it are some hundred megabytes.
SMALL = Profile("320x192", 320, 192, 30, 100, ZEROLATENCY_2S.x264)
RENDITIONS = ("source", "audio")
TARGET_S = 4
#: Segments of one broadcast that are written before the recorder is waited for.
AHEAD = 2000
#: What is uploaded to compare with boto3: as large as two seconds at 3 Mb/s.
SEGMENT_BYTES = 750_000


def settings_of(instance: Instance) -> Settings:
    """The settings of the instance's services."""
    values: dict[str, Any] = {}
    for name, value in instance.facts["environment"].items():
        field = name.removeprefix(PREFIX).lower()
        if field.endswith("_file"):
            field, value = field.removesuffix("_file"), Path(value).read_text().strip()
        values[field] = json.loads(value) if value.startswith("[") else value
    return Settings(**values)


# A generated broadcast


@dataclass(frozen=True)
class Media:
    """Some seconds of a stream as the packager cuts them, by rendition."""

    inits: dict[str, bytes]
    segments: dict[str, list[bytes]]


def packaged(flv: bytes) -> Media:
    """The whole segments of a recording; one of them lasts two seconds."""
    live = LiveStream(PackagerConfig(), "bench")
    live.add_rendition("source", audio_only_sibling="audio")
    now = datetime.now(UTC)
    inits: dict[str, bytes] = {}
    segments: dict[str, list[bytes]] = {}
    for at in range(0, len(flv), 65536):
        for event in live.feed("source", flv[at : at + 65536], now):
            if isinstance(event, InitReady):
                inits.setdefault(event.rendition, event.data)
            elif isinstance(event, SegmentReady) and abs(event.duration - 2) < 0.1:
                segments.setdefault(event.rendition, []).append(event.data)
    return Media(inits, segments)


class Generated:
    """A broadcast in the instance's spool that no encoder ever sent."""

    def __init__(
        self, settings: Settings, media: Media, channel_id: int, stream_id: int, session: str
    ) -> None:
        self.session = session
        self.folder = settings.spool / session
        self._settings = settings
        self._media = media
        self._ids = (stream_id, channel_id)
        self._began = datetime.now(UTC)
        self._written = 0

    def begin(self) -> None:
        """Everything but segments."""
        for rendition in RENDITIONS:
            (self.folder / rendition).mkdir(parents=True)
            (self.folder / rendition / "init-0.mp4").write_bytes(self._media.inits[rendition])
        described = (
            {"name": "source", "codecs": "avc1.64001f,mp4a.40.2", "width": 1280, "height": 720,
             "frame_rate": 30.0},
            {"name": "audio", "codecs": "mp4a.40.2", "width": 0, "height": 0, "frame_rate": 0.0},
        )  # fmt: skip
        stream_id, channel_id = self._ids
        node = self._settings.node_id
        source = Source(self.session, stream_id, channel_id, node, TARGET_S, described)
        (self.folder / SOURCE_FILE).write_bytes(source.encode())

    def write(self, count: int) -> None:
        """The next segments of every rendition."""
        for _ in range(count):
            self._written += 1
            msn = self._written
            start_s = 2.0 * (msn - 1)
            for rendition in RENDITIONS:
                choice = self._media.segments[rendition]
                data = choice[msn % len(choice)]
                note = SegmentNote(
                    msn, start_s, 2.0, self._began + timedelta(seconds=start_s), False,
                    "init-0.mp4", len(data), hashlib.sha256(data).hexdigest(),
                )  # fmt: skip
                place = self.folder / rendition
                (place / f"{msn}.m4s").write_bytes(data)
                partial = place / f"{msn}.json~"
                partial.write_bytes(note.encode())
                partial.rename(place / f"{msn}.json")

    def end(self) -> None:
        """Nothing follows."""
        partial = self.folder / f"{END_FILE}~"
        partial.write_text("{}")
        partial.rename(self.folder / END_FILE)

    def is_stored(self) -> bool:
        """Whether nothing waits any more."""
        return not any(self.folder.glob("*/*.json"))


async def end_to_ready(
    instance: Instance, settings: Settings, media: Media, minutes: float
) -> dict[str, object]:
    """Archive a generated broadcast, and take the time from its last segment to a video that plays."""
    async with (
        await make_channel(instance.http, instance.rtmp) as channel,
        open_bus(settings) as bus,
        _database(settings) as database,
    ):
        await bus.connected()
        generated = await _insert(settings, media, database, channel)
        segments = round(minutes * 30)
        subject = f"{SEGMENTS.prefix}.{settings.node_id}"
        payload = json.dumps({"sessions": [generated.session]}).encode()

        async def announce() -> None:
            await bus.publish(subject, payload, secrets.token_hex(8), SEGMENTS)

        left = segments - 1
        while left:
            count = min(left, AHEAD)
            await asyncio.to_thread(generated.write, count)
            left -= count
            await announce()
            await _until(lambda: asyncio.to_thread(generated.is_stored), 0.2)
        query = "select id from videos where session = $1"
        video_id = int(await database.fetchval(query, generated.session))
        reload_bytes, whole_bytes = await _rewind(instance, channel, video_id)
        generated.write(1)
        generated.end()
        began = time.monotonic()
        await announce()
        query = "select status = 'ready' from videos where id = $1"
        await _until(lambda: database.fetchval(query, video_id), 0.01)
        ready_s = time.monotonic() - began
        frames = await _last_frames(instance, video_id, segments)
        return {
            "minutes": minutes,
            "segments": segments * len(RENDITIONS),
            "ready after, s": round(ready_s, 2),
            "last frame fetched after, s": round(time.monotonic() - began, 2),
            "frames in its last segment": frames,
            "dvr reload, bytes": reload_bytes,
            "dvr whole, gzip bytes": whole_bytes,
        }


async def _until(check: Callable[[], Awaitable[Any]], pause_s: float) -> Any:
    while True:
        if found := await check():
            return found
        await asyncio.sleep(pause_s)


async def _insert(
    settings: Settings, media: Media, database: "asyncpg.Connection[Any]", channel: Channel
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


@contextlib.asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(
        host=str(settings.run_dir), user="footlight", database="footlight"
    )
    try:
        yield connection
    finally:
        await connection.close()


async def _rewind(instance: Instance, channel: Channel, video_id: int) -> tuple[int, int]:
    """Bytes of a reload of the source's playlist while live, as it is without compression, and bytes
    of the whole as it is sent.
    """
    async with aiohttp.ClientSession(instance.http, auto_decompress=False) as client:
        async with client.get(f"/live/{channel.login}/dvr.m3u8") as answer:
            answer.raise_for_status()
        path = f"/vod/{video_id}/source.m3u8"
        compressed = {"Accept-Encoding": "gzip"}
        async with client.get(f"{path}?_HLS_skip=YES", headers=compressed) as answer:
            reload = gzip.decompress(await answer.read())
        async with client.get(path, headers=compressed) as answer:
            whole = await answer.read()
    return len(reload), len(whole)


async def _last_frames(instance: Instance, video_id: int, segments: int) -> int:
    """Pictures in the video's last segment, by way of its playlist."""
    async with aiohttp.ClientSession(instance.http) as client:

        async def ended() -> str:
            # An edge keeps the playlist of a running broadcast for a second.
            async with client.get(f"/vod/{video_id}/source.m3u8") as answer:
                text = await answer.text()
            return text if "#EXT-X-ENDLIST" in text else ""

        text = await _until(ended, 0.02)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        if len(lines) != segments:
            raise RuntimeError(f"the video has {len(lines)} of {segments} segments")
        data = b""
        for name in ("source/init-0.mp4", lines[-1]):
            async with client.get(f"/vod/{video_id}/{name}") as answer:
                answer.raise_for_status()
                data += await answer.read()
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        return sum(1 for _ in container.decode(video=0))


# Real broadcasts


async def stopped(instance: Instance, settings: Settings, sample: str, seconds: float) -> float:
    """Seconds from an encoder's stop to a ready video."""
    async with (
        await make_channel(instance.http, instance.rtmp) as channel,
        _database(settings) as database,
    ):
        argv = copy_argv(instance.ffmpeg, sample, channel.publish_url)
        process = await asyncio.create_subprocess_exec(*argv)
        await channel.wait_for("live")
        await asyncio.sleep(seconds)
        process.terminate()
        began = time.monotonic()
        query = (
            "select count(*) from videos v join users u on u.id = v.channel_id"
            " where u.login = $1 and v.status = 'ready'"
        )
        await _until(lambda: database.fetchval(query, channel.login), 0.01)
        ready_s = time.monotonic() - began
        await process.wait()
    return ready_s


async def archiving(instance: Instance, sample: str, streams: int, seconds: float) -> float:
    """Percent of a core that `recorder` takes a running stream."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(streams):
            channel = await stack.enter_async_context(
                await make_channel(instance.http, instance.rtmp)
            )
            argv = copy_argv(instance.ffmpeg, sample, channel.publish_url)
            process = await asyncio.create_subprocess_exec(*argv)
            stack.push_async_callback(process.wait)
            stack.callback(process.terminate)
            await channel.wait_for("live")
        await asyncio.sleep(5)
        pid = instance.pid("recorder")
        before, began = usage(pid), time.monotonic()
        await asyncio.sleep(seconds)
        after, ended = usage(pid), time.monotonic()
    return 100 * (after.cpu_s - before.cpu_s) / (ended - began) / streams


# Beside boto3


async def draining(settings: Settings, megabytes: int, rounds: int) -> tuple[float, float]:
    """MB a second from a full spool into the storage: by the archive, and by boto3 alone."""
    count = megabytes * 1_000_000 // SEGMENT_BYTES
    data = [os.urandom(SEGMENT_BYTES) for _ in range(8)]
    ours, plain = [], []
    async with _database(settings) as database:
        channel_id = int(await database.fetchval("select min(id) from channels"))
        for number in range(rounds):
            stream_id = -(number + 1) - secrets.randbelow(1 << 40)
            ours.append(await _drain(settings, data, count, channel_id, stream_id))
            plain.append(await asyncio.to_thread(_boto3, settings, data, count))
    size = count * SEGMENT_BYTES / 1e6
    return size / median(ours), size / median(plain)


async def _drain(
    settings: Settings, data: list[bytes], count: int, channel_id: int, stream_id: int
) -> float:
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        own = settings.model_copy(update={"spool_dir": Path(folder) / "spool"})
        media = Media(dict.fromkeys(RENDITIONS, b"init"), dict.fromkeys(RENDITIONS, data))
        generated = Generated(own, media, channel_id, stream_id, secrets.token_hex(8))
        generated.begin()
        generated.write(count // len(RENDITIONS))
        async with open_database(own) as database, open_storage(own) as storage:
            metrics = ArchiveMetrics.of(Metrics())
            archive = Archive(own.spool, database, storage, own.archive_uploads, metrics)
            began = time.monotonic()
            await archive.look(generated.session)
            return time.monotonic() - began


def _boto3(settings: Settings, data: list[bytes], count: int) -> float:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            max_pool_connections=settings.archive_uploads,
        ),
    )
    prefix = f"bench/{secrets.token_hex(4)}"

    def put(number: int) -> None:
        client.put_object(
            Bucket=settings.s3_bucket, Key=f"{prefix}/{number}", Body=data[number % len(data)]
        )

    with ThreadPoolExecutor(settings.archive_uploads) as pool:
        began = time.monotonic()
        list(pool.map(put, range(count)))
        return time.monotonic() - began


def rows(options: argparse.Namespace, found: dict[str, float]) -> Iterator[dict[str, object]]:
    """What else was measured, a row each."""
    yield {
        "what": f"ready after the encoder's stop ({options.live:.0f} s broadcast), s",
        "figure": round(found["stopped"], 2),
    }
    yield {
        "what": f"recorder, % of a core a stream ({options.streams} streams)",
        "figure": round(found["cpu"], 2),
    }
    yield {"what": "spool to S3, MB/s", "figure": round(found["ours"])}
    yield {"what": "boto3 alone, MB/s", "figure": round(found["plain"])}
    yield {"what": "share of boto3's", "figure": round(found["ours"] / found["plain"], 2)}


async def run(options: argparse.Namespace) -> list[Report]:
    lengths = Report("vod", "Generated broadcasts: from the end to a ready video")
    lengths.condition(
        f"{len(RENDITIONS)} renditions of segments of 2 s; all but the last are archived before the end"
    )
    rest = Report("vod-cost", "Archiving real broadcasts, 1280x720p30 at 3 Mb/s")
    rest.condition(f"no ladder; {options.uploads} uploads at once, also boto3's")
    environment = {
        "FOOTLIGHT_LADDER": "off",
        "FOOTLIGHT_ARCHIVE_UPLOADS": str(options.uploads),
        "FOOTLIGHT_S3_CONCURRENCY": str(options.uploads),
        "FOOTLIGHT_RATE_LIMIT_FACTOR": "1000",
        "FOOTLIGHT_GRACE_S": "5",
    }
    with tempfile.TemporaryDirectory() as folder:
        async with running_instance(environment) as instance:
            settings = settings_of(instance)
            sample = f"{folder}/sample.flv"
            await make_sample(instance.ffmpeg, sample, ZEROLATENCY_2S, SAMPLE_S)
            await make_sample(instance.ffmpeg, f"{folder}/small.flv", SMALL, SAMPLE_S)
            media = packaged(await asyncio.to_thread(Path(folder, "small.flv").read_bytes))
            for minutes in options.minutes:
                lengths.row(await end_to_ready(instance, settings, media, minutes))
            found = {
                "stopped": await stopped(instance, settings, sample, options.live),
                "cpu": await archiving(instance, sample, options.streams, options.seconds),
            }
            found["ours"], found["plain"] = await draining(settings, options.megabytes, 3)
            for row in rows(options, found):
                rest.row(row)
    return [lengths, rest]


def main() -> None:
    parser = arguments("vod", __doc__)
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="*",
        default=[10, 480],
        help="lengths of generated broadcasts",
    )
    parser.add_argument("--live", type=float, default=30, help="length of a real one, seconds")
    parser.add_argument("--streams", type=int, default=5, help="streams for what archiving costs")
    parser.add_argument("--seconds", type=float, default=30, help="for which they are measured")
    parser.add_argument("--megabytes", type=int, default=600, help="uploaded beside boto3")
    parser.add_argument("--uploads", type=int, default=8, help="uploads at once")
    options = parser.parse_args()
    for report in asyncio.run(run(options)):
        report.show(options)


if __name__ == "__main__":
    main()
