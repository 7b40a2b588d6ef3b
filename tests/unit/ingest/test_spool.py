"""What ingest writes into the spool."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.metrics import Metrics
from core.spool import END_FILE, OPEN, SOURCE_FILE, SegmentNote, Source
from ingest import spool as spool_module
from ingest.metrics import IngestMetrics
from ingest.packager import SegmentReady
from ingest.spool import Recording, Spool, open_spool

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MEGABYTE = 1024 * 1024


def segment(msn: int, *, size: int = 1000, rendition: str = "source") -> SegmentReady:
    return SegmentReady(
        rendition, f"seg-{msn}.m4s", msn, 2.0, 2.0 * msn, NOON, False, (), "init-0.mp4",
        bytes([msn % 256]) * size,
    )  # fmt: skip


async def written(recording: Recording) -> None:
    """Until everything before is written, or the spool has refused it."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    recording.after(lambda: loop.call_soon_threadsafe(done.set))
    await asyncio.wait_for(done.wait(), 10)


@pytest.fixture
def metrics() -> IngestMetrics:
    return IngestMetrics(Metrics())


@pytest.fixture
async def spool(tmp_path: Path, metrics: IngestMetrics) -> AsyncIterator[Spool]:
    async with open_spool(Spool(tmp_path / "spool", 100 * MEGABYTE, metrics)) as opened:
        yield opened


def begin(spool: Spool, session: str = "s1") -> Recording:
    recording = spool.begin(session)
    assert recording is not None
    return recording


def files(recording: Recording) -> list[str]:
    folder = recording.folder
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_segment_and_its_note(spool: Spool) -> None:
    told: list[str] = []
    spool.told = told.append
    recording = begin(spool)
    recording.init("source", "init-0.mp4", b"init")
    recording.segment(segment(7))
    await written(recording)
    assert files(recording) == ["source/7.json", "source/7.m4s", "source/init-0.mp4"]
    note = SegmentNote.decode((recording.folder / "source/7.json").read_bytes())
    data = (recording.folder / "source/7.m4s").read_bytes()
    assert note == SegmentNote(
        7, 14.0, 2.0, NOON, False, "init-0.mp4", len(data), hashlib.sha256(data).hexdigest()
    )
    assert set(told) == {"s1"}


async def test_one_that_is_there_is_left_alone(spool: Spool) -> None:
    recording = begin(spool)
    recording.segment(segment(1))
    recording.segment(segment(1, size=2000))
    await written(recording)
    assert len((recording.folder / "source/1.m4s").read_bytes()) == 1000


async def test_description_and_end(spool: Spool) -> None:
    recording = begin(spool)
    source = Source("s1", 5, 6, "here", 4, ({"name": "source", "codecs": "avc1"},))
    recording.describe(source)
    recording.segment(segment(1))
    recording.end()
    await written(recording)
    assert Source.decode((recording.folder / SOURCE_FILE).read_bytes()) == source
    assert (recording.folder / END_FILE).exists()
    assert spool.unfinished() == []
    assert spool.take_up("s1") is None
    assert spool.take_up("unknown") is None


async def test_an_open_segment_counts_only_when_nobody_goes_on(spool: Spool) -> None:
    recording = begin(spool)
    recording.leave(segment(3))
    await written(recording)
    assert files(recording) == [f"source/3{OPEN}", f"source/3{OPEN}.json"]
    again = spool.take_up("s1")
    assert again is not None
    again.go_on()
    await written(again)
    assert files(recording) == []
    recording.leave(segment(3))
    recording.promote()
    await written(recording)
    assert files(recording) == ["source/3.json", "source/3.m4s"]
    # The real one came first.
    recording.segment(segment(4, size=50))
    recording.leave(segment(4))
    recording.promote()
    await written(recording)
    assert len((recording.folder / "source/4.m4s").read_bytes()) == 50


async def test_what_was_thrown_away_stays_away(spool: Spool) -> None:
    recording = begin(spool)
    recording.segment(segment(1))
    recording.discard()
    recording.segment(segment(2))
    recording.end()
    await written(recording)
    assert not recording.folder.exists()


async def test_everything_handed_over_is_written_at_the_end(
    tmp_path: Path, metrics: IngestMetrics
) -> None:
    async with open_spool(Spool(tmp_path / "spool", 100 * MEGABYTE, metrics)) as spool:
        recording = begin(spool)
        for msn in range(50):
            recording.segment(segment(msn))
    assert len(list(recording.folder.glob("source/*.json"))) == 50


async def test_a_full_spool_waits_and_goes_on(
    tmp_path: Path, metrics: IngestMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit waits in memory, in its order, until recorder has made room."""
    monkeypatch.setattr(spool_module, "RETRY_S", 0.02)
    async with open_spool(Spool(tmp_path / "spool", 7 * MEGABYTE // 2, metrics)) as spool:
        recording = begin(spool)
        first = [segment(msn, size=MEGABYTE) for msn in range(1, 4)]
        for each in first:
            recording.segment(each)
        await written(recording)
        assert not spool.has_room
        assert spool.begin("s2") is None
        recording.segment(segment(4, size=2 * MEGABYTE))
        recording.segment(segment(5))
        done = asyncio.create_task(written(recording))
        (recording.folder / "source/1.json").unlink()
        (recording.folder / "source/1.m4s").unlink()
        (recording.folder / "source/2.m4s").unlink()
        await done
        assert (recording.folder / "source/4.json").exists()
        assert (recording.folder / "source/5.json").exists()
    assert metrics.spool_lost._value.get() == 0


async def test_room_that_was_made_is_noticed_without_a_recording(
    tmp_path: Path, metrics: IngestMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_S", 0.02)
    async with open_spool(Spool(tmp_path / "spool", MEGABYTE, metrics)) as spool:
        recording = begin(spool)
        recording.segment(segment(1, size=MEGABYTE - 1000))
        await written(recording)
        assert not spool.has_room
        shutil.rmtree(recording.folder)
        async with asyncio.timeout(10):
            while not spool.has_room:  # noqa: ASYNC110 (a thread measures)
                await asyncio.sleep(0.01)


async def test_past_its_memory_the_oldest_is_lost_and_counted(
    tmp_path: Path, metrics: IngestMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_S", 0.02)
    monkeypatch.setattr(spool_module, "HELD_BYTES", 3 * MEGABYTE)
    async with open_spool(Spool(tmp_path / "spool", MEGABYTE, metrics)) as spool:
        recording = begin(spool)
        for msn in range(1, 8):
            recording.segment(segment(msn, size=MEGABYTE))
        done = asyncio.create_task(written(recording))
        while metrics.spool_lost._value.get() < 3:  # noqa: ASYNC110 (a thread counts)
            await asyncio.sleep(0.01)
        spool._quota = 100 * MEGABYTE
        await done
        kept = sorted(int(path.stem) for path in recording.folder.glob("source/*.json"))
    assert metrics.spool_lost._value.get() == 3
    assert kept == [1, 5, 6, 7] or kept == [4 + n for n in range(4)]


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"pdt": "x"}', b"\xff"])
def test_garbage_is_no_note(text: bytes) -> None:
    for kind in (SegmentNote, Source):
        with pytest.raises(ValueError):
            kind.decode(text)
