"""What the object storage does while a broadcast is archived: nothing is missing afterwards, nothing double."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.relay import Relay
from core.db.video_models import VideoStatus, VideoTimeline
from core.storage import open_storage
from recorder.archive import Archive
from recorder.timeline import Timeline
from tests.faults.table import Report
from tests.harness import RunningServers, eventually_async
from tests.integration.recorder.archive_kit import INIT, Wired, broadcast, media, wired

# Row 10 of the fault suite, without its load.
pytestmark = pytest.mark.faults

RENDITIONS = ("480p", "audio", "source")
_ERROR = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
#: As S3 answers when it is asked too often.
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_ERROR), _ERROR)
)


@pytest.fixture
async def bench(servers: RunningServers, tmp_path: Path) -> AsyncIterator[Wired]:
    """A spool of its own, and the storage as it is."""
    settings = servers.settings(spool_dir=tmp_path / "spool", node_id="here")
    async with wired(settings) as found:
        yield found


@pytest.fixture
async def relay(bench: Wired) -> AsyncIterator[Relay]:
    """Between an archive and its storage."""
    port = urlsplit(bench.settings.s3_endpoint).port
    assert port is not None
    async with Relay(port) as opened:
        yield opened


@pytest.fixture
async def archive(bench: Wired, relay: Relay) -> AsyncIterator[Archive]:
    """One that reaches its storage through `relay`."""
    changes = {"s3_endpoint": f"http://127.0.0.1:{relay.port}", "request_timeout_s": 0.25}
    async with open_storage(bench.settings.model_copy(update=changes)) as storage:
        opened = bench.other(storage)
        yield opened
        await opened.close()


def _refusing(relay: Relay) -> None:
    relay.answer = SLOW_DOWN
    relay.cut()


def _half_open(relay: Relay) -> None:
    relay.pause()


def _slow(relay: Relay) -> None:
    relay.bytes_per_s = 60_000


def _cutting(relay: Relay) -> None:
    """Connections come about and end in the middle of what goes over them."""
    relay.cut_after = 2000
    relay.cut()


def _mend(relay: Relay) -> None:
    relay.answer = relay.bytes_per_s = relay.cut_after = None
    relay.resume()


async def _until_stuck(archive: Archive) -> None:
    async def stuck() -> bool:
        return bool(archive.metrics.stuck._value.get() > 0.5)

    await eventually_async(stuck, what="an alert is due")


async def _until_ready(bench: Wired, session: str) -> None:
    async def ready() -> bool:
        video = await bench.video(session)
        return video is not None and video.status == VideoStatus.READY

    await eventually_async(ready, within_s=20, what="the video is ready")


FAULTS = {
    "answers 503": _refusing,
    "is half-open": _half_open,
    "is slow": _slow,
    "cuts its connections": _cutting,
}


@pytest.mark.parametrize("what", FAULTS)
async def test_the_video_is_whole_whatever_the_storage_does(
    bench: Wired, archive: Archive, relay: Relay, report: Report, what: str
) -> None:
    fault = FAULTS[what]
    stream = await broadcast(bench)
    stream.segments(1, 3)
    video = await stream.stored()
    sweeping = asyncio.create_task(archive.sweep(0.05))
    try:
        fault(relay)
        stream.segments(4, 12)
        await stream.written()
        if fault is not _slow:
            await _until_stuck(archive)
            assert await bench.rows(video.id) == [(n, msn) for n in RENDITIONS for msn in (1, 2, 3)]
            assert len(list(stream.folder.glob("*/*.m4s"))) == 27
        stream.segments(13, 14)
        stream.recording.end()
        await stream.written()
        _mend(relay)
        mended = time.monotonic()
        await _until_ready(bench, stream.session)
        back_s = time.monotonic() - mended
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    async with bench.database.session() as session:
        kept = await session.get(VideoTimeline, video.id)
    assert kept is not None
    numbers = list(range(1, 15))
    for name, entries in Timeline.decode(kept.entries).renditions.items():
        assert [entry.msn for entry in entries if not entry.gap] == numbers, name
    stored = {name for name in await bench.objects(video.id) if not name.startswith(("st", "po"))}
    assert stored == {
        f"{name}/{file}" for name in RENDITIONS for file in (INIT, *(f"{n}.m4s" for n in numbers))
    }
    for name in RENDITIONS:
        for msn in numbers:
            assert await bench.storage.get(f"videos/{video.id}/{name}/{msn}.m4s") == media(
                name, msn
            )
    assert not stream.folder.exists()
    report(10, f"the object storage {what}", recovered_s=back_s, remark="each segment once")
