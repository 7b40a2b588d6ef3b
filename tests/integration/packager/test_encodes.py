"""What encoders really send, packaged and decoded again: every picture and every sound once, in time."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from cli.toolchain import Toolchain
from ingest.packager import SourceInfo
from tests.integration.packager.encodes import Recipe, decode, encode, steady
from tests.packager_kit import Session, boxes

RANDOM = random.Random(20)

CASES = {
    "plain": Recipe(),
    "B-frames": Recipe(b_frames=3, gop=60),
    "24 fps": Recipe(rate="24", gop=24),
    "25 fps, B-frames, mono": Recipe(rate="25", gop=50, b_frames=2, channels=1),
    "50 fps": Recipe(rate="50", gop=50, seconds=6),
    "60 fps, B-frames": Recipe(rate="60", gop=120, b_frames=2, seconds=7),
    "23.976 fps": Recipe(rate="24000/1001", gop=48),
    "29.97 fps, 44.1 kHz": Recipe(rate="30000/1001", gop=60, sample_rate=44100, seconds=12),
    "no sound": Recipe(channels=0, b_frames=1),
    "GOP 0.5 to 15 s": Recipe(
        seconds=34, keyframes=(0, 0.5, 1.5, 3.7, 6, 14.3, 29.3, 30), b_frames=2
    ),
    "GOP 8.3 s, B-frames": Recipe(seconds=26, gop=250, b_frames=2),
    "dropped frames": Recipe(
        seconds=10, dropped=frozenset(RANDOM.sample(range(31, 290), 60)) | frozenset(range(95, 119))
    ),
    "dropped frames, B-frames": Recipe(
        seconds=10, b_frames=2, dropped=frozenset(RANDOM.sample(range(31, 290), 40))
    ),
    "16 kHz mono": Recipe(sample_rate=16000, channels=1),
    "HEVC": Recipe(codec="libx265", b_frames=2),
    "AV1": Recipe(codec="libsvtav1", size=(256, 128), channels=1),
    "10 bit": Recipe(pixels="yuv420p10le", options=("-profile:v", "high10")),
    "4:2:2": Recipe(pixels="yuv422p", options=("-profile:v", "high422")),
    "4:4:4": Recipe(pixels="yuv444p", options=("-profile:v", "high444")),
}


def package(data: bytes, chunk: int = 3_000) -> Session:
    session = Session()
    for position in range(0, len(data), chunk):
        session.feed(data[position : position + chunk], ms=20)
    session.end()
    session.check()
    return session


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Recipe, bytes, Session]:
    recipe = CASES[request.param]
    data = encode(recipe)
    return recipe, data, package(data)


def test_every_picture_once_and_when_the_encoder_meant_it(
    case: tuple[Recipe, bytes, Session],
) -> None:
    recipe, data, session = case
    numbers, seen, heard, samples = decode(session["source"].media())
    assert numbers == recipe.numbers
    _, meant, meant_heard, meant_samples = decode(data)
    assert seen == pytest.approx(meant, abs=0.0015)
    assert steady(seen)
    assert samples == meant_samples
    # FLV rounds audio times to ms; counted samples stay within that.
    assert heard == pytest.approx(meant_heard, abs=0.003)
    assert steady(heard)


def test_sound_alone_is_the_same_sound(case: tuple[Recipe, bytes, Session]) -> None:
    recipe, data, session = case
    if not recipe.channels:
        assert "audio" not in session.renditions
        return
    numbers, _, heard, samples = decode(session["audio"].media())
    _, meant, meant_heard, meant_samples = decode(data)
    assert numbers == []
    # It begins with the first picture: at most what sounded before that is missing.
    missing = meant_samples - samples
    assert 0 <= missing <= (meant[0] - meant_heard[0] + 0.07) * recipe.sample_rate
    assert heard == pytest.approx(meant_heard[len(meant_heard) - len(heard) :], abs=0.003)


def test_each_part_and_segment_decodes_by_itself(case: tuple[Recipe, bytes, Session]) -> None:
    _, _, session = case
    for published in session.renditions.values():
        for segment in published.segments:
            kinds = [kind for kind, _, _ in boxes(segment.data)]
            assert kinds == [b"moof", b"mdat"] * len(segment.parts)
            for name in segment.parts:
                assert [k for k, _, _ in boxes(published.files[name])] == [b"moof", b"mdat"]


def test_ffprobe_has_no_complaint(
    case: tuple[Recipe, bytes, Session], toolchain: Toolchain, tmp_path: Path
) -> None:
    recipe, _, session = case
    program = toolchain.program("ffprobe")
    path = tmp_path / "media.mp4"
    path.write_bytes(session["source"].media())
    done = subprocess.run(
        [str(program.path), "-v", "warning", "-count_frames", "-of", "json", "-show_streams", path],
        capture_output=True, text=True, check=True, timeout=30, env=dict(program.environment),
    )  # fmt: skip
    assert done.stderr == ""
    streams = {s["codec_type"]: s for s in json.loads(done.stdout)["streams"]}
    assert int(streams["video"]["nb_read_frames"]) == len(recipe.numbers)
    assert (streams["video"]["width"], streams["video"]["height"]) == recipe.size


def test_what_is_told_of_the_source(case: tuple[Recipe, bytes, Session]) -> None:
    recipe, _, session = case
    info: SourceInfo = session.infos[-1].info
    assert (info.width, info.height) == recipe.size
    if not recipe.dropped:
        assert info.frame_rate == pytest.approx(recipe.frames_per_second, rel=0.01)
    assert info.channels == recipe.channels
    assert info.video == {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1"}[recipe.codec]
    depth = 10 if "10" in recipe.pixels else 8
    chroma = {"0": "4:2:0", "2": "4:2:2", "4": "4:4:4"}[recipe.pixels[5]]
    assert (info.bit_depth, info.chroma) == (depth, chroma)
    safe = recipe.codec == "libx264" and recipe.pixels == "yuv420p"
    assert info.browser_safe == safe and bool(info.unsafe_reason) == (not safe)


def test_a_new_resolution_in_mid_stream() -> None:
    first = Recipe(seconds=5, b_frames=2)
    second = Recipe(seconds=5, b_frames=2, size=(384, 192), first=150)
    session = Session()
    data = encode(first)
    for position in range(0, len(data), 2_000):
        session.feed(data[position : position + 2_000], ms=20)
    # One connection: the second encode's tags follow, 5 s later on the same clock.
    session.feed(_later(encode(second), 5_000), ms=20)
    session.end()
    session.check()
    shown: list[int] = []
    source = session["source"]
    for name in dict.fromkeys(segment.init_name for segment in source.segments):
        body = b"".join(s.data for s in source.segments if s.init_name == name)
        shown += decode(source.files[name] + body)[0]
    assert shown == first.numbers + second.numbers
    assert sum(segment.discontinuity for segment in source.segments) == 1


def test_a_reconnect() -> None:
    session = Session()
    shown: list[int] = []
    recipes = [Recipe(seconds=4.5, b_frames=2, first=number * 135) for number in range(3)]
    for turn, recipe in enumerate(recipes):
        data = encode(recipe)
        for position in range(0, len(data), 2_000):
            session.feed(data[position : position + 2_000], ms=20)
        if turn < 2:
            session.cut()
    session.end()
    session.check()
    source = session["source"]
    runs: list[list[bytes]] = []
    for segment in source.segments:
        if segment.discontinuity or not runs:
            runs.append([source.files[segment.init_name]])
        runs[-1].append(segment.data)
    for run in runs:
        shown += decode(b"".join(run))[0]
    assert shown == [number for recipe in recipes for number in recipe.numbers]
    assert len(runs) == 3


def _later(flv: bytes, ms: int) -> bytes:
    """The tags of an FLV file without its header, `ms` later."""
    out = bytearray()
    position = 13
    while position < len(flv):
        size = int.from_bytes(flv[position + 1 : position + 4], "big") + 15
        tag = bytearray(flv[position : position + size])
        time = int.from_bytes(tag[4:7], "big") + ms
        tag[4:7] = time.to_bytes(3, "big")
        out += tag
        position += size
    return bytes(out)
