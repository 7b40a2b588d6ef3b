"""A rendition as a cut sees it: its segments in time, as far as they are loaded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recorder.fmp4 import Sample, Track
from recorder.pieces import Anchor, Loaded, NothingThereError, Slot, micros


class NeedsError(Exception):
    """Segments have to be loaded before anything can be said."""

    def __init__(self, *indexes: int) -> None:
        self.indexes = frozenset(indexes)


@dataclass(frozen=True, slots=True)
class Reel:
    """`anchors` are the source's when this is another rendition. Raises NeedsError wherever it looks at
    a segment that is not loaded.
    """

    slots: Sequence[Slot]
    loaded: Mapping[int, Loaded]
    anchors: Sequence[Anchor]

    def require(self, *indexes: int) -> None:
        missing = [index for index in indexes if index not in self.loaded]
        if missing:
            raise NeedsError(*missing)

    def at(self, index: int) -> Loaded:
        self.require(index)
        return self.loaded[index]

    def _times(self, index: int) -> list[int]:
        content = self.at(index)
        track = content.init.video or content.init.audio
        return [self.shown(index, sample) for sample in content.samples(track)]

    def earliest(self, index: int) -> int:
        return min(self._times(index), default=self.slots[index].start)

    def latest(self, index: int) -> int:
        return max(self._times(index), default=self.slots[index].start)

    # Runs: segments that follow each other on one timeline, with one initialization section

    def begins_run(self, index: int) -> bool:
        slot = self.slots[index]
        return index == 0 or slot.discontinuity or slot.init != self.slots[index - 1].init

    def run_begin(self, index: int) -> int:
        while not self.begins_run(index):
            index -= 1
        return index

    def run_end(self, index: int) -> int:
        while index + 1 < len(self.slots) and not self.begins_run(index + 1):
            index += 1
        return index

    def same_run(self, index: int, other: int) -> bool:
        return 0 <= other < len(self.slots) and self.run_begin(index) <= other <= self.run_end(
            index
        )

    # Media time

    def zero(self, index: int) -> int:
        """Media time of decode time 0 in the run of this slot."""
        slot = self.slots[index]
        for anchor in self.anchors:
            if anchor.first <= slot.msn <= anchor.last:
                return anchor.zero
        content = self.at(index)
        for track in content.init.tracks:
            begin = content.segment.begins.get(track.id)
            if begin is not None:
                return slot.start - micros(begin, track)
        return slot.start

    def shown(self, index: int, sample: Sample, track: Track | None = None) -> int:
        """When a frame of this slot is presented."""
        init = self.at(index).init
        track = track or init.video or init.audio
        if track is None:
            raise NothingThereError("neither picture nor sound")
        return self.zero(index) + micros(sample.shown - track.delay, track)

    def sounds(self, index: int) -> list[tuple[int, Sample]]:
        """The sound of a slot: (media time, frame)."""
        content = self.at(index)
        track = content.init.audio
        if track is None:
            return []
        return [(self.shown(index, s, track), s) for s in content.samples(track)]
