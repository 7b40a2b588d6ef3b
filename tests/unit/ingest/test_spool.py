"""What ingest writes into the spool."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.metrics import Metrics
from core.spool import END_FILE, OPEN, SOURCE_FILE, End, SegmentNote, Source
from ingest import spool as spool_module
from ingest.metrics import IngestMetrics
from ingest.packager import SegmentReady
from ingest.spool import Recording, Spool, open_spool
from tests.harness import eventually

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MEGABYTE = 1024 * 1024
SOURCE = Source("s1", 5, 6, "here", 4, ({"name": "source", "codecs": "avc1"},))


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
    told: asyncio.Queue[str] = asyncio.Queue()
    spool.told = told.put_nowait
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
    # Once nothing else waits to be written.
    assert await asyncio.wait_for(told.get(), 10) == "s1"


async def test_one_that_is_there_is_left_alone(spool: Spool) -> None:
    recording = begin(spool)
    recording.segment(segment(1))
    recording.segment(segment(1, size=2000))
    await written(recording)
    assert len((recording.folder / "source/1.m4s").read_bytes()) == 1000


async def test_description_and_end(spool: Spool) -> None:
    recording = begin(spool)
    recording.describe(SOURCE)
    recording.segment(segment(1))
    recording.end()
    await written(recording)
    assert Source.decode((recording.folder / SOURCE_FILE).read_bytes()) == SOURCE
    assert End.decode((recording.folder / END_FILE).read_bytes()) == End(cut=False)
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
        for msn in range(20):
            recording.segment(segment(msn))
    assert len(list(recording.folder.glob("source/*.json"))) == 20


async def test_a_recording_begins_while_another_is_written(spool: Spool) -> None:
    """A disk that takes its time is not a full one."""
    slow = begin(spool)
    writing, go_on = threading.Event(), threading.Event()

    def write() -> None:
        writing.set()
        go_on.wait(10)

    slow.after(write)
    await asyncio.to_thread(writing.wait, 10)
    try:
        assert spool.begin("s2") is not None
    finally:
        go_on.set()


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
    assert metrics.recordings_cut._value.get() == 0


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
        eventually(lambda: spool.has_room, what="there is room")


async def test_a_recording_ends_before_what_there_is_no_room_for(
    tmp_path: Path, metrics: IngestMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and takes nothing that comes behind the gap; another one goes on."""
    monkeypatch.setattr(spool_module, "RETRY_S", 0.02)
    monkeypatch.setattr(spool_module, "PATIENCE_S", 0.1)
    async with open_spool(Spool(tmp_path / "spool", 4 * MEGABYTE, metrics)) as spool:
        recording, other = begin(spool), begin(spool, "s2")
        other.segment(segment(1))
        for msn in range(1, 6):
            recording.segment(segment(msn, size=MEGABYTE))
        recording.describe(SOURCE)
        eventually(lambda: recording.cut, what="the recording ends")
        other.segment(segment(2))
        recording.segment(segment(6))
        recording.end()
        await written(recording)
        assert files(other) == [f"source/{n}.{kind}" for n in (1, 2) for kind in ("json", "m4s")]
        whole = [f"source/{n}.{kind}" for n in (1, 2, 3) for kind in ("json", "m4s")]
        assert files(recording) == [END_FILE, SOURCE_FILE, *whole]
        assert End.decode((recording.folder / END_FILE).read_bytes()) == End(cut=True)
        assert spool.take_up("s1") is None
        assert not other.cut
    assert metrics.recordings_cut._value.get() == 1


async def test_what_still_waits_at_the_end_is_written(
    tmp_path: Path, metrics: IngestMetrics
) -> None:
    async with open_spool(Spool(tmp_path / "spool", MEGABYTE, metrics)) as spool:
        recording = begin(spool)
        for msn in range(1, 4):
            recording.segment(segment(msn, size=MEGABYTE // 2 + 1))
    assert len(list(recording.folder.glob("source/*.json"))) == 3


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"pdt": "x"}', b"\xff"])
def test_garbage_is_no_note(text: bytes) -> None:
    for kind in (SegmentNote, Source):
        with pytest.raises(ValueError):
            kind.decode(text)
