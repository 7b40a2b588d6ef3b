"""Whatever is uploaded becomes a video, or its owner is told why not."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest
import pytest_asyncio
from sqlalchemy import delete, update

from cli.toolchain import Toolchain
from core.db.video_models import Job
from core.errors import Conflict, Unavailable
from recorder import transcode
from recorder.crafts import undo
from recorder.jobs import Kind, Work
from recorder.upload_requests import UploadRequests
from recorder.workers import Task
from tests.harness import RunningServers, eventually_async
from tests.integration.recorder.lab import Lab, new_channel, pictures, sound_s
from tests.job_kit import jobs_of

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100")
LONG = ("-t", "3")
# Two minutes that are made at once, and take a while to encode.
MINUTES = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30", "-t", "120")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@pytest_asyncio.fixture
async def lab(servers: RunningServers, toolchain: Toolchain, tmp_path: Path) -> AsyncIterator[Lab]:
    """Workers, and somebody to upload for."""
    async with jobs_of(servers.settings(job_lease_s=5)) as running:
        async with running.database.session() as session:
            # What a test left that failed.
            await session.execute(delete(Job).where(Job.kind == Kind.TRANSCODE))
        channel_id = await new_channel(running)
        files = tmp_path / "files"
        files.mkdir()
        async with running.workers(tmp_path / "work", slots=1) as workers:
            yield Lab(running, files, str(toolchain.ffmpeg()), channel_id, workers.scratch)


KINDS: dict[str, tuple[str, Sequence[str]]] = {
    "mp4": ("a.mp4", (*PICTURE, *SOUND, *LONG, *X264, "-c:a", "aac")),
    "mov": ("a.mov", (*PICTURE, *SOUND, *LONG, "-c:v", "prores", "-c:a", "pcm_s16le")),
    "mkv": ("a.mkv", (*PICTURE, *SOUND, *LONG, "-c:v", "libx265", "-preset", "ultrafast",
                      "-c:a", "flac")),
    "webm": ("a.webm", (*PICTURE, *SOUND, *LONG, "-c:v", "libvpx", "-deadline", "realtime",
                        "-cpu-used", "8", "-c:a", "libopus")),
    "avi": ("a.avi", (*PICTURE, *SOUND, *LONG, "-c:v", "mpeg4", "-c:a", "libmp3lame")),
    "mpegts": ("a.ts", (*PICTURE, *SOUND, *LONG, *X264, "-c:a", "aac")),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [*(k for k in KINDS if k != "mpegts"), pytest.param("mpegts", marks=pytest.mark.long)]
)
async def test_containers_and_codecs(lab: Lab, kind: str) -> None:
    name, words = KINDS[kind]
    made = await lab.transcoded(lab.make(name, *words).read_bytes())
    assert made.job.state == "done", made.job.error
    assert made.video.status == "ready"
    assert made.video.duration_s == pytest.approx(3, abs=0.15)
    assert set(made.timeline) == {"source", "240p", "audio"}
    described = {each["name"]: each for each in made.video.renditions}
    assert (described["source"]["width"], described["source"]["height"]) == (640, 360)
    assert described["source"]["codecs"].startswith("avc1.")
    assert described["source"]["codecs"].endswith(",mp4a.40.2")
    assert described["audio"]["codecs"] == "mp4a.40.2"
    starts = [[round(e.start_s, 2) for e in entries] for entries in made.timeline.values()]
    assert starts[0] == starts[1] == starts[2]
    assert starts[0] == pytest.approx([0, 2], abs=0.05)
    for rendition in ("source", "240p"):
        data = await made.file(rendition)
        shown = pictures(data)
        assert len(shown) == pytest.approx(90, abs=2)
        assert sound_s(data) == pytest.approx(3, abs=0.1)
    assert sound_s(await made.file("audio")) == pytest.approx(3, abs=0.1)


async def test_sound_and_picture_stay_together(lab: Lab) -> None:
    """A white flash and a beep at the same moment, twice."""
    flash = "color=black:size=320x240:rate=30,geq=lum='if(lt(mod(T,2),0.5),235,16)':cb=128:cr=128"
    beep = "aevalsrc='if(lt(mod(t,2),0.5),sin(2*PI*1000*t),0)':s=48000"
    path = lab.make(
        "sync.mp4", "-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep, "-t", "4", *X264,
        "-bf", "2", "-c:a", "aac",
    )  # fmt: skip
    made = await lab.transcoded(path.read_bytes())
    data = await made.file("source")
    lights = [(frame.time or 0, frame.to_ndarray()[0, 0] > 120) for frame in pictures(data)]
    lit = [at for (_, before), (at, after) in pairwise(lights) if after and not before]
    heard: list[float] = []
    silent = True
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        for frame in container.decode(audio=0):
            samples = abs(frame.to_ndarray()[0])
            for at in range(0, len(samples), 48):
                loud = samples[at : at + 48].max() > 0.2
                if loud and silent and (frame.time or 0) > 1:
                    heard.append((frame.time or 0) + at / 48_000)
                silent = not loud
    assert len(lit) == 1
    assert heard[0] == pytest.approx(lit[0], abs=0.045)


async def test_a_rotated_phone_video_stands_upright(lab: Lab) -> None:
    bright = (
        "-f",
        "lavfi",
        "-i",
        "color=black:size=480x270:rate=30,drawbox=0:0:480:135:white:fill",
    )
    plain = lab.make("plain.mp4", *bright, *SOUND, "-t", "3", *X264, "-c:a", "aac")
    # Turned against the clock to be shown: what is above comes to the left.
    turned = lab.make("phone.mov", "-display_rotation", "90", "-i", str(plain), "-c", "copy")
    made = await lab.transcoded(turned.read_bytes())
    assert (made.video.width, made.video.height) == (270, 480)
    shown = pictures(await made.file("source"))[45].to_ndarray(format="gray")
    assert shown.shape == (480, 270)
    assert shown[:, :120].mean() > 230
    assert shown[:, 150:].mean() < 25


#: What the same number (58 % of 10 bits) is shown as: in PQ it is the white of a page, 203 cd/m².
LIGHTS = {
    "ten_bit": ("bt709", "bt709", "bt709", 148),
    "pq": ("bt2020", "smpte2084", "bt2020nc", 193),
    "pq_and_no_word_of_its_colours": ("unknown", "smpte2084", "unknown", 193),
    "hlg": ("bt2020", "arib-std-b67", "bt2020nc", 144),
}


@pytest.mark.parametrize("light", LIGHTS)
async def test_more_than_eight_bits_and_more_light(lab: Lab, light: str) -> None:
    primaries, transfer, matrix, shown_as = LIGHTS[light]
    grey = (
        "color=black:size=320x240:rate=30,format=yuv420p10le,geq=lum=573:cb=512:cr=512,"
        f"setparams=color_primaries={primaries}:color_trc={transfer}:colorspace={matrix}:range=tv"
    )
    words = ("-f", "lavfi", "-i", grey, "-t", "2", "-c:v", "libx265", "-preset", "ultrafast")
    made = await lab.transcoded(lab.make("deep.mkv", *words).read_bytes())
    assert made.job.state == "done", made.job.error
    shown = pictures(await made.file("source"))
    assert shown[0].format.name == "yuv420p"
    assert len(shown) == 60
    assert shown[30].colorspace == 1, "BT.709"
    assert shown[30].to_ndarray(format="rgb24").mean(axis=(0, 1)) == pytest.approx(shown_as, abs=6)
    assert made.video.has_audio is False


async def test_a_variable_frame_rate_keeps_its_times(lab: Lab) -> None:
    skip = "select='not(between(mod(n,30),5,24))'"
    path = lab.make("vfr.mp4", *PICTURE, "-t", "4", "-vf", skip, "-fps_mode", "vfr", *X264)
    with av.open(str(path), "r") as container:
        wanted = [frame.time or 0.0 for frame in container.decode(video=0)]
    made = await lab.transcoded(path.read_bytes())
    times = [frame.time or 0.0 for frame in pictures(await made.file("source"))]
    assert [t - times[0] for t in times] == pytest.approx(
        [t - wanted[0] for t in wanted], abs=0.002
    )


async def test_no_sound(lab: Lab) -> None:
    made = await lab.transcoded(lab.make("a.mp4", *PICTURE, "-t", "3", *X264).read_bytes())
    assert made.job.state == "done", made.job.error
    assert set(made.timeline) == {"source", "240p"}
    assert made.video.has_audio is False


async def test_sound_alone(lab: Lab) -> None:
    made = await lab.transcoded(lab.make("a.mp3", *SOUND, "-t", "5").read_bytes())
    assert made.job.state == "done", made.job.error
    assert set(made.timeline) == {"source"}
    assert (made.video.width, made.video.has_audio) == (0, True)
    assert sound_s(await made.file("source")) == pytest.approx(5, abs=0.1)


async def test_cut_off_before_its_index(lab: Lab) -> None:
    whole = lab.make(*KINDS["mp4"][:1], *KINDS["mp4"][1]).read_bytes()
    made = await lab.transcoded(whole[: len(whole) * 2 // 3])
    assert made.video.status == "failed"
    assert made.video.error is not None
    assert made.video.error["code"] == "incomplete_file"
    assert "not complete" in made.video.error["message"]


async def test_cut_off_in_the_middle_it_plays_to_there(lab: Lab) -> None:
    whole = lab.make("a.mkv", *PICTURE, *SOUND, *LONG, *X264, "-c:a", "aac").read_bytes()
    made = await lab.transcoded(whole[: len(whole) * 2 // 3])
    assert made.job.state == "done", made.job.error
    assert 1 < made.video.duration_s < 2.9


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty_file"),
    "text": (b"This is no video at all.\n" * 200, "not_a_video"),
    "zeros": (bytes(100_000), "not_a_video"),
    "playlist": (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "not_a_video",
    ),
    "concat": (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "not_a_video"),
    "head_of_a_movie": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(5000), "incomplete_file"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_is_no_video_says_so(lab: Lab, kind: str) -> None:
    data, code = REFUSED[kind]
    made = await lab.transcoded(data)
    assert (made.job.state, made.video.status) == ("failed", "failed")
    assert made.video.error is not None
    assert made.video.error["code"] == code, list(made.video.error.values())
    assert made.video.error["retry"] is False
    assert made.job.attempts == 1
    assert await lab.running.storage.list(f"videos/{made.video.id}/") == []


async def test_a_picture_of_a_hundred_million_pixels(lab: Lab) -> None:
    path = lab.make(
        "huge.avi", "-f", "lavfi", "-i", "color=size=10000x10000:rate=1", "-frames:v", "1",
        "-c:v", "mjpeg", "-pix_fmt", "yuvj420p",
    )  # fmt: skip
    made = await lab.transcoded(path.read_bytes())
    assert made.video.error is not None
    assert made.video.error["code"] == "picture_too_large"
    assert "10000 × 10000" in made.video.error["message"]


async def test_longer_than_a_day_though_it_does_not_say_so(lab: Lab) -> None:
    slow = "testsrc2=size=320x240:rate=1,setpts=N*7200/TB"
    path = lab.make(
        "slow.mkv", "-f", "lavfi", "-i", slow, "-frames:v", "15", "-fps_mode", "passthrough", *X264,
        "-live", "1",
    )  # fmt: skip
    made = await lab.transcoded(path.read_bytes())
    assert made.video.error is not None
    assert made.video.error["code"] == "too_long"
    assert await lab.running.storage.list(f"videos/{made.video.id}/") == []


async def test_what_takes_too_long_is_given_up_until_it_is_asked_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcode, "LEAST_S", 0.01)
    monkeypatch.setattr(transcode, "SLOWEST", 0.001)
    data = lab.make("a.mp4", *PICTURE, *LONG, *X264).read_bytes()
    made = await lab.transcoded(data)
    assert made.video.error is not None
    assert (made.video.error["code"], made.video.error["retry"]) == ("too_slow", True)
    assert await lab.running.storage.list(f"videos/{made.video.id}/") == []
    monkeypatch.undo()
    requests = UploadRequests(lab.running.queue, undo(lab.running.crafts))
    question = {"video_id": made.video.id, **made.job.params}
    again = await lab.result(int((await requests.retry(question))["job_id"]))
    assert (again.video.status, again.video.error) == ("ready", None)
    assert again.timeline["source"][0].msn == 1_000_000
    with pytest.raises(Conflict, match="has not failed"):
        await requests.retry(question)


async def test_an_upload_that_is_taken_back_in_the_middle_leaves_nothing(lab: Lab) -> None:
    data = lab.make("a.mp4", *MINUTES, *X264).read_bytes()
    job_id = await lab.upload(data)
    job = await lab.running.until(job_id, "running")
    folder = f"videos/{job.video_id}/"

    async def encodes() -> bool:
        return bool(await lab.running.storage.list(folder))

    await eventually_async(encodes, within_s=60)
    requests = UploadRequests(lab.running.queue, undo(lab.running.crafts))
    assert await requests.abandon({"video_id": job.video_id}) == {"abandoned": True}

    async def nothing_is_left() -> bool:
        return not await lab.running.storage.list(folder) and not os.listdir(lab.scratch)

    await eventually_async(nothing_is_left, within_s=30)
    # The worker goes on with others.
    assert (await lab.transcoded(b"no video")).video.status == "failed"
    assert await lab.running.storage.list(folder) == []


async def test_a_full_disk_is_waited_for(lab: Lab, tmp_path: Path) -> None:
    made = await lab.transcoded(b"no video")
    (tmp_path / "upload").symlink_to("/dev/full")
    craft = lab.running.crafts[Kind.TRANSCODE]
    with pytest.raises(Unavailable, match="no room"):
        await craft.run(Task(Work.of(made.job), tmp_path))


async def test_an_attempt_that_died_leaves_nothing_of_itself(lab: Lab) -> None:
    data = lab.make("a.mp4", *PICTURE, "-t", "3", *X264).read_bytes()
    job_id = await lab.upload(data)
    made = await lab.result(job_id)
    assert [entry.msn for entry in made.timeline["source"]] == [0, 1]
    async with lab.running.database.session() as session:
        values = {"state": "running", "worker": "dead", "ended_at": None}
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(
            update(Job).where(Job.id == job_id).values(
                **values, lease_until=past, result={"claims": 1}
            )
        )  # fmt: skip
    again = await lab.result(job_id)
    assert [entry.msn for entry in again.timeline["source"]] == [1_000_000, 1_000_001]
    folder = f"videos/{made.video.id}/source/"
    there = {found.key.removeprefix(folder) for found in await lab.running.storage.list(folder)}
    assert there == {"init-1.mp4", "1000000.m4s", "1000001.m4s"}
    assert len(pictures(await again.file("source"))) == 90
