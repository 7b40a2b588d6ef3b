"""Cuts are exact to the frame at both ends, by the numbers in the pictures."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from cli.toolchain import Toolchain
from tests.clip_kit import (
    Cut,
    Stored,
    carry_out,
    other_codec,
    packaged,
    published,
    stored,
)
from tests.e2e.samples import Recipe, Sample, parted

RECIPES = {
    "30 fps": Recipe(seconds=9),
    "24 fps": Recipe(seconds=9, fps=24, gop=2),
    "60 fps": Recipe(seconds=8, fps=60, gop=2),
    "B-frames": Recipe(seconds=9, b_frames=3, gop=2),
    "B-frames, 24 fps": Recipe(seconds=9, fps=24, b_frames=2, gop=1.5),
    "dropped frames": Recipe(
        seconds=9, gop=2, dropped=frozenset({10, 44, 45, 46, 70, 100, 101, 130, 200})
    ),
    "one long GOP": Recipe(seconds=20, fps=15, gop=30),
}
CUTS = [(1.0, 6.0), (0.0, 5.0), (1.3, 6.5), (2.0, 7.1), (0.1, 5.2), (3.9, 6.9), (2.5, 2.6 + 0.3)]


@cache
def made(name: str) -> Stored:
    sample = RECIPES[name].make()
    return stored(published(sample), sample.numbers)


async def check(content: Stored, start: float, end: float, toolchain: Toolchain) -> Cut:
    plan = content.plan(start, end)
    cut = await carry_out(content, plan, str(toolchain.ffmpeg()))
    wanted = content.wanted(start, end)
    assert cut.numbers() == wanted
    sounds = cut.sounds()
    for before, after in pairwise(sounds):
        assert before[1] == pytest.approx(after[0], abs=1e-6), "sound has a gap or is doubled"
    assert sum(part[2] for part in cut.parts) == plan.duration
    # A segment that is taken whole begins with the sound of when its first picture is decoded.
    assert 0 <= len(sounds) - len(content.heard(start, end)) <= 4
    return cut


@pytest.mark.parametrize("start, end", CUTS)
@pytest.mark.parametrize("name", RECIPES)
async def test_frames(name: str, start: float, end: float, toolchain: Toolchain) -> None:
    await check(made(name), start, end, toolchain)


@pytest.mark.parametrize("offset", range(0, 40, 2))
async def test_every_offset(offset: int, toolchain: Toolchain) -> None:
    """Around keyframes and among B-frames, both ends at any tenth of a second."""
    await check(made("B-frames"), 1.8 + offset / 10, 7.9 - offset / 20, toolchain)


@pytest.mark.parametrize("start, end", [(1.3, 9.1), (4.2, 9.9), (0.5, 4.7), (4.8, 9.3)])
async def test_across_a_reconnect(start: float, end: float, toolchain: Toolchain) -> None:
    """The gap is left out; what comes after it is discontinuous."""
    first, second = parted(Recipe(seconds=11, gop=1.5).make(), 4.5)
    content = stored(published(first, second), first.numbers + second.numbers)
    plan = content.plan(start, end)
    cut = await carry_out(content, plan, str(toolchain.ffmpeg()))
    assert cut.numbers() == content.wanted(start, end)


@pytest.mark.parametrize("start, end", [(1.3, 6.4), (2.0, 7.0), (0.2, 1.5)])
async def test_without_sound(start: float, end: float, toolchain: Toolchain) -> None:
    sample = Recipe(seconds=8, channels=0).make()
    content = stored(published(sample), sample.numbers)
    cut = await carry_out(content, content.plan(start, end), str(toolchain.ffmpeg()))
    assert cut.numbers() == content.wanted(start, end)


async def test_sound_alone() -> None:
    """Whole AAC frames, without ffmpeg."""
    sample = Recipe(seconds=9).make()
    content = stored(packaged(sample)["audio"], [])
    plan = content.plan(1.3, 6.6)
    sounds = (await carry_out(content, plan, "ffmpeg")).sounds()
    assert len(sounds) == len(content.heard(1.3, 6.6))
    assert all(a[1] == pytest.approx(b[0], abs=1e-6) for a, b in pairwise(sounds))


def first_shown(sample: Sample) -> int:
    """When its first picture is presented, ms."""
    key = next(tag for tag in sample.tags if tag.is_keyframe)
    return key.time + int.from_bytes(key.payload[2:5], "big")


async def test_all_renditions_at_the_same_frames(toolchain: Toolchain) -> None:
    """A rung without B-frames beside a source with some: decode times differ, frames do not."""
    source = Recipe(seconds=9, gop=2, b_frames=3).make()
    rung = Recipe(seconds=9, gop=2).make()
    rung = rung.shifted(first_shown(source) - first_shown(rung))
    renditions = packaged(source, beside=rung)
    main = stored(renditions["source"], source.numbers)
    other = stored(renditions["180p"], rung.numbers)
    for start, end in ((1.3, 6.5), (2.1, 7.7), (3.05, 8.2)):
        anchors = main.plan(start, end).anchors
        plan = other.plan(start, end, anchors)
        cut = await carry_out(other, plan, str(toolchain.ffmpeg()))
        assert cut.numbers() == main.wanted(start, end)


@pytest.mark.parametrize("codec, size", [("libx265", (320, 180)), ("libsvtav1", (320, 180))])
async def test_codecs(codec: str, size: tuple[int, int], toolchain: Toolchain) -> None:
    """The ends are encoded in the source's codec."""
    program = str(toolchain.ffmpeg())
    content = await other_codec(program, codec, size)
    for start, end in ((1.3, 6.5), (2.1, 4.9)):
        cut = await carry_out(content, content.plan(start, end), program)
        assert cut.numbers() == content.wanted(start, end)
