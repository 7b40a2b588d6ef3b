"""Cuts are exact to the frame at both ends, by the numbers in the pictures."""

from __future__ import annotations

from functools import cache

import pytest

from cli.toolchain import Toolchain
from recorder.cutting import Copy, Encode, Refer
from tests.clip_kit import Cut, Stored, carry_out, published, stored
from tests.e2e.samples import Recipe

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
    for before, after in zip(sounds, sounds[1:], strict=False):
        assert before[1] == pytest.approx(after[0], abs=1e-6), "sound has a gap or is doubled"
    assert sum(part[2] for part in cut.parts) == plan.duration
    # A segment that is taken whole may begin with the encoder's priming, a frame before its picture, and
    # miss one that reached the packager late.
    whole = [isinstance(piece, Refer) for piece in (plan.pieces[-1], plan.pieces[0])]
    assert -whole[0] <= len(sounds) - len(content.heard(start, end)) <= whole[1]
    return cut


@pytest.mark.parametrize("start, end", CUTS)
@pytest.mark.parametrize("name", RECIPES)
async def test_frames(name: str, start: float, end: float, toolchain: Toolchain) -> None:
    await check(made(name), start, end, toolchain)
