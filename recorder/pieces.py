"""What a cut is planned of and what it becomes (`recorder.cutting`). Pure; times in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from recorder.fmp4 import Init, Sample, Segment, Track

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A segment of the rendition; times in microseconds. `init` names its initialization section."""

    msn: int
    start: int
    duration: int
    init: str
    discontinuity: bool

    @property
    def end(self) -> int:
        return self.start + self.duration


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a segment holds."""

    init: Init
    segment: Segment

    def samples(self, track: Track | None) -> list[Sample]:
        return self.segment.samples[track.id] if track is not None else []


@dataclass(frozen=True, slots=True)
class Refer:
    """The whole segment of slot `index`, where it lies."""

    index: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Samples of slot `index` in a segment of their own, which begins at `start` and plays `duration`."""

    index: int
    start: int
    duration: int
    video: Sequence[Sample]
    audio: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Encode:
    """Frames to encode anew, with the sound that goes with them.

    `feed` is what a decoder must be given, from a keyframe on. Of what comes out are wanted the frames
    presented at `shown` (units of the track, ascending), to be written with the decode time
    `shown - delay` each; the last ends at `until`, in presentation time.
    """

    index: int
    start: int
    duration: int
    feed: Sequence[Sample]
    shown: Sequence[int]
    until: int
    delay: int
    audio: Sequence[Sample]


Piece = Refer | Copy | Encode


@dataclass(frozen=True, slots=True)
class Anchor:
    """Media time of decode time 0 in the run that is segments `first` to `last` by number."""

    first: int
    last: int
    zero: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The pieces of a cut, in order. Its first frame is presented at `start`; it plays `duration`.

    `anchors` are of each run of segments that an end lies in: other renditions count from the same
    zero, and are cut at the same frames by it.
    """

    pieces: tuple[Piece, ...]
    start: int
    duration: int
    anchors: tuple[Anchor, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Slots whose segments have to be loaded before the plan can be made."""

    indexes: frozenset[int]


class NothingThereError(ValueError):
    """There is no frame between the two ends."""


def micros(units: int, track: Track) -> int:
    """A time of a track in microseconds."""
    return round(Fraction(units * SECOND, track.timescale))
