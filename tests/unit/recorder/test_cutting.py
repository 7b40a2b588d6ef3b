"""The cut plan: which segments are looked at, what is referred to, copied and encoded."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.cutting import plan
from recorder.fmp4 import Init, Sample, Segment, Track
from recorder.pieces import (
    SECOND,
    Copy,
    Encode,
    Loaded,
    Missing,
    NothingThereError,
    Piece,
    Plan,
    Refer,
    Slot,
)

PICTURE = Track(1, "video", 1000, 0, "avc1", b"", 0, 0, 0)
SOUND = Track(2, "audio", 1000, 0, "mp4a", b"", 0, 0, 0)
INIT = Init(b"", PICTURE, SOUND)
#: Milliseconds between frames of picture, and of sound.
FRAME, BEEP = 40, 20


def segments(
    patterns: list[str], *, breaks: frozenset[int] = frozenset()
) -> tuple[list[Slot], list[Loaded]]:
    """Segments of 25 frames a second, one a string of frames in decoding order: `I` and `P` are shown in
    turn, `b` two frames before the one that it follows. With any of those all are shown two frames late.
    """
    late = 2 * FRAME * any("b" in pattern for pattern in patterns)
    slots, loaded = [], []
    time = start = 0
    for number, pattern in enumerate(patterns):
        if number in breaks:
            # Another connection: its clock is another.
            time += 100_000
        begin = time
        frames = []
        for kind, shown in zip(pattern, order(pattern), strict=True):
            data = memoryview(f"{number}:{shown}".encode())
            offset = begin + shown * FRAME - time + late
            frames.append(Sample(time, FRAME, offset, kind == "I", data))
            time += FRAME
        beeps = [Sample(at, BEEP, 0, True, memoryview(b"")) for at in range(begin, time, BEEP)]
        loaded.append(Loaded(INIT, Segment({1: frames, 2: beeps}, {1: begin, 2: begin})))
        length = len(pattern) * FRAME * 1000
        slots.append(Slot(number + 1, start, length, "init", number in breaks))
        start += length
    return slots, loaded


def order(pattern: str) -> list[int]:
    """Where each frame of a pattern is shown."""
    places: list[int] = []
    for position, kind in enumerate(pattern):
        if kind == "b":
            places.append(position - 1)
        elif pattern[position + 1 : position + 2] == "b":
            places.append(position + 1)
        else:
            places.append(position)
    return places


def cut(slots: list[Slot], loaded: list[Loaded], start: int, end: int) -> tuple[Plan, set[int]]:
    """The plan for milliseconds `start` to `end`, and which segments it looked at."""
    seen: dict[int, Loaded] = {}
    while True:
        answer = plan(slots, seen, start * 1000, end * 1000)
        if isinstance(answer, Plan):
            return answer, set(seen)
        assert isinstance(answer, Missing) and not answer.indexes & seen.keys()
        seen |= {index: loaded[index] for index in answer.indexes}


def forms(pieces: tuple[Piece, ...]) -> list[str]:
    return [f"{type(piece).__name__} {piece.index}" for piece in pieces]


GOP = "I" + "P" * 24


def test_between_two_keyframes() -> None:
    slots, loaded = segments([GOP] * 6)
    made, seen = cut(slots, loaded, 1000, 4000)
    assert forms(made.pieces) == ["Refer 1", "Refer 2", "Refer 3"]
    assert (made.start, made.duration) == (SECOND, 3 * SECOND)
    assert 2 not in seen, "the middle is not looked at"


def test_ends_inside_segments() -> None:
    slots, loaded = segments([GOP] * 6)
    made, _ = cut(slots, loaded, 1400, 4400)
    assert forms(made.pieces) == ["Encode 1", "Refer 2", "Refer 3", "Copy 4"]
    head, tail = made.pieces[0], made.pieces[-1]
    assert isinstance(head, Encode) and isinstance(tail, Copy)
    assert [shown * 1000 for shown in head.shown] == list(range(1_400_000, 2_000_000, 40_000))
    assert len(head.feed) == 25, "all that the wanted frames refer to"
    assert head.until == 2000 and head.duration == 600_000
    assert len(tail.video) == 10 and tail.duration == 400_000


def test_the_middle_is_not_looked_at() -> None:
    """However long it is: its segments would have to be fetched."""
    slots, loaded = segments([GOP] * 500)
    made, seen = cut(slots, loaded, 1400, 494_400)
    assert len(made.pieces) == 494
    assert seen == {1, 2, 494, 495}


def test_within_one_group_of_pictures() -> None:
    slots, loaded = segments([GOP * 4])
    made, _ = cut(slots, loaded, 1400, 1800)
    (only,) = made.pieces
    assert isinstance(only, Encode)
    assert [shown for shown in only.shown] == list(range(1400, 1800, 40))


def test_a_keyframe_within_a_segment() -> None:
    """The rest of the segment is copied, not encoded."""
    slots, loaded = segments([GOP * 2] * 3)
    made, _ = cut(slots, loaded, 400, 4000)
    assert forms(made.pieces) == ["Encode 0", "Copy 0", "Refer 1"]


def test_the_end_among_b_frames() -> None:
    """Only what cannot be shown without the frames behind the end is encoded."""
    slots, loaded = segments(["IPbPbPbPbPbPb" * 2] * 3)
    whole, _ = cut(slots, loaded, 80, 1000)
    assert isinstance(whole.pieces[-1], Copy | Encode)
    for end in range(600, 1500, 40):
        made, _ = cut(slots, loaded, 80, end)
        encoded = [piece for piece in made.pieces if isinstance(piece, Encode)]
        assert sum(len(piece.shown) for piece in encoded) <= 2


def test_a_segment_without_keyframe() -> None:
    """Segments that were cut because no keyframe came: decoding begins in an earlier one."""
    slots, loaded = segments([GOP, "P" * 25, "P" * 25, GOP])
    made, seen = cut(slots, loaded, 2300, 3500)
    assert forms(made.pieces) == ["Encode 2", "Copy 3"]
    head = made.pieces[0]
    assert isinstance(head, Encode) and len(head.feed) == 75
    assert seen >= {0, 1, 2, 3}


def test_across_a_break() -> None:
    slots, loaded = segments([GOP] * 6, breaks=frozenset({3}))
    made, _ = cut(slots, loaded, 1400, 4400)
    assert forms(made.pieces) == ["Encode 1", "Refer 2", "Refer 3", "Copy 4"]
    assert len(made.anchors) == 2


def test_nothing_there() -> None:
    slots, loaded = segments([GOP] * 2)
    for start, end in ((5000, 6000), (500, 500), (1201, 1239)):
        with pytest.raises(NothingThereError):
            cut(slots, loaded, start, end)
    with pytest.raises(NothingThereError):
        plan([], {}, 0, SECOND)


PATTERNS = st.lists(
    st.sampled_from([GOP, GOP[:13], "IPbPbPb" * 3, "IPb" * 8, "P" * 20, "I" * 9]),
    min_size=2,
    max_size=6,
).map(lambda found: ["I" + found[0][1:], *found[1:]])


@given(PATTERNS, st.data())
def test_every_frame_once(patterns: list[str], data: st.DataObject) -> None:
    """Whatever is cut wherever: the frames between the ends, each once, and all the sound."""
    slots, loaded = segments(patterns)
    length = sum(map(len, patterns)) * FRAME
    start = data.draw(st.integers(0, length - FRAME))
    end = data.draw(st.integers(start + FRAME, length))
    shown = sorted(sample.shown for each in loaded for sample in each.segment.samples[PICTURE.id])
    wanted = [time for time in shown if start <= time < end]
    if not wanted:
        return
    made, _ = cut(slots, loaded, start, end)
    found: list[int] = []
    beeps: list[int] = []
    ends: list[int] = []
    for piece in made.pieces:
        if isinstance(piece, Refer):
            samples = loaded[piece.index].segment.samples
            found += sorted(sample.shown for sample in samples[PICTURE.id])
            beeps += [sample.time for sample in samples[SOUND.id]]
            ends += [slots[piece.index].start, slots[piece.index].end]
        else:
            found += (
                list(piece.shown)
                if isinstance(piece, Encode)
                else sorted(sample.shown for sample in piece.video)
            )
            beeps += [sample.time for sample in piece.audio]
            ends += [piece.start, piece.start + piece.duration]
    assert found == wanted
    assert all(b - a == BEEP for a, b in itertools.pairwise(beeps)), "sound goes on"
    assert all(a == b for a, b in zip(ends[1:-1:2], ends[2::2], strict=True)), "so does time"
