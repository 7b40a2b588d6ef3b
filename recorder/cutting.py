"""How a stretch is cut out of a rendition, exact to the frame at both ends.

Whole segments are referred to where they lie. Of those that an end falls into, what can be decoded by
itself is copied, and only what cannot is encoded anew:

    frames      I p p p p p p p | I p p p p p p p | I p p p p p p p
    the cut             [.........................................]     no keyframe at its beginning
    pieces              | encoded | referred to    | copied      |

A piece keeps the times that its samples have, so that sound and picture go on exactly where the piece
before them ends. Sound is copied frame by frame (AAC), never encoded: an encoder's priming would be
heard as a gap. Its first frame lacks the one it overlaps with, which a decoder renders as a fade-in of
21 ms.

Pure: `plan` is given what was loaded so far, and answers `Missing` with what it needs to see as well.
Times are whole microseconds of the video's media time; a frame is in a cut when it is presented at or
after its start and before its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

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


class _NeedsError(Exception):
    def __init__(self, *indexes: int) -> None:
        self.indexes = frozenset(indexes)


class NothingThereError(ValueError):
    """There is no frame between the two ends."""


def plan(
    slots: Sequence[Slot],
    loaded: Mapping[int, Loaded],
    start: int,
    end: int,
    anchors: Sequence[Anchor] = (),
) -> Plan | Missing:
    """Cut [start, end) out of `slots`. `anchors` are the source rendition's, when this is another.

    Raises NothingThereError.
    """
    try:
        return _Cutter(slots, loaded, start, end, anchors).plan()
    except _NeedsError as needs:
        return Missing(needs.indexes)


@dataclass(slots=True)
class _Cutter:
    slots: Sequence[Slot]
    loaded: Mapping[int, Loaded]
    start: int
    end: int
    anchors: Sequence[Anchor]
    pieces: list[Piece] = field(default_factory=list)

    def plan(self) -> Plan:
        if not self.slots or self.end <= self.start:
            raise NothingThereError("there is nothing to cut")
        first, last = self._first(), self._last()
        if first > last:
            raise NothingThereError("no frame lies between the ends")
        begins, anchors = [], []
        lo = first
        while lo <= last:
            hi = min(last, self._run_end(lo))
            head, tail = lo == first, hi == last
            if head or tail:
                anchors.append(self._anchor(lo if head else hi))
            begins.append(_Run(self, lo, hi, head=head, tail=tail).cut())
            lo = hi + 1
        duration = sum(_duration_of(piece, self.slots) for piece in self.pieces)
        return Plan(tuple(self.pieces), begins[0], duration, tuple(anchors))

    def _anchor(self, index: int) -> Anchor:
        first, last = self._run_begin(index), self._run_end(index)
        return Anchor(self.slots[first].msn, self.slots[last].msn, self._zero(index))

    # Where it begins and ends

    def _near(self, time: int) -> int:
        """The slot that `time` falls into, or the nearest."""
        found = [index for index, slot in enumerate(self.slots) if slot.start <= time]
        return found[-1] if found else 0

    def _first(self) -> int:
        """The slot with the first frame at or after `start`, which may be a later one's."""
        index = self._near(self.start)
        self._require(index, self._near(self.end - 1))
        while index > self._run_begin(index) and self._earliest(index) > self.start:
            index -= 1
        while index + 1 < len(self.slots) and self._latest(index) < self.start:
            index += 1
        return index

    def _last(self) -> int:
        """The last slot with a frame before `end`."""
        index = self._near(self.end - 1)
        # Frames are decoded before they are shown, and sound may come late.
        following = index + 1
        if following < len(self.slots) and not self._begins_run(following):
            self._require(index, following)
            index = following
        while index and self._earliest(index) >= self.end:
            index -= 1
        return index

    def _require(self, *indexes: int) -> None:
        missing = [index for index in indexes if index not in self.loaded]
        if missing:
            raise _NeedsError(*missing)

    def at(self, index: int) -> Loaded:
        self._require(index)
        return self.loaded[index]

    def _times(self, index: int) -> list[int]:
        content = self.at(index)
        track = content.init.video or content.init.audio
        return [self.shown(index, sample) for sample in content.samples(track)]

    def _earliest(self, index: int) -> int:
        return min(self._times(index), default=self.slots[index].start)

    def _latest(self, index: int) -> int:
        return max(self._times(index), default=self.slots[index].start)

    # Runs: segments that follow each other on one timeline, with one initialization section

    def _begins_run(self, index: int) -> bool:
        slot = self.slots[index]
        return index == 0 or slot.discontinuity or slot.init != self.slots[index - 1].init

    def _run_begin(self, index: int) -> int:
        while not self._begins_run(index):
            index -= 1
        return index

    def _run_end(self, index: int) -> int:
        while index + 1 < len(self.slots) and not self._begins_run(index + 1):
            index += 1
        return index

    def same_run(self, index: int, other: int) -> bool:
        return 0 <= other < len(self.slots) and self._run_begin(index) <= other <= self._run_end(
            index
        )

    # Media time

    def _zero(self, index: int) -> int:
        """Media time of decode time 0 in the run of this slot."""
        slot = self.slots[index]
        for anchor in self.anchors:
            if anchor.first <= slot.msn <= anchor.last:
                return anchor.zero
        content = self.at(index)
        for track in content.init.tracks:
            begin = content.segment.begins.get(track.id)
            if begin is not None:
                return slot.start - _micros(begin, track)
        return slot.start

    def shown(self, index: int, sample: Sample, track: Track | None = None) -> int:
        """When a frame of this slot is presented."""
        init = self.at(index).init
        track = track or init.video or init.audio
        if track is None:
            raise NothingThereError("neither picture nor sound")
        return self._zero(index) + _micros(sample.shown - track.delay, track)

    def sounds(self, index: int) -> list[tuple[int, Sample]]:
        """The sound of a slot: (media time, frame)."""
        content = self.at(index)
        track = content.init.audio
        if track is None:
            return []
        return [(self.shown(index, s, track), s) for s in content.samples(track)]


@dataclass(frozen=True, slots=True)
class _Place:
    """A sample of a run: its slot, its number in it, and when it is presented."""

    index: int
    number: int
    time: int
    sample: Sample


class _Run:
    """The part of a cut that lies in one run: slots `lo` to `hi`."""

    def __init__(self, cutter: _Cutter, lo: int, hi: int, *, head: bool, tail: bool) -> None:
        self._cutter = cutter
        self._lo, self._hi = lo, hi
        self._head, self._tail = head, tail
        self._start, self._end = cutter.start, cutter.end

    def cut(self) -> int:
        """Add the pieces; when the first frame is presented."""
        lo = self._lo
        if not self._head and not self._tail:
            self._cutter.pieces += [Refer(index) for index in range(lo, self._hi + 1)]
            return self._cutter.slots[lo].start
        track = self._cutter.at(lo if self._head else self._hi).init.video
        if track is None:
            return self._cut_sound()
        self._track = track
        if not self._head:
            self._cut_body(None)
            return self._cutter.slots[lo].start
        places = self._places(lo)
        begin = min(place.time for place in places)
        if begin >= self._start and self._clean(places, 0):
            self._cut_body(None)
            return begin
        body = self._keyframe_from(lo)
        begin = self._encode_head(body)
        if body is not None:
            self._cut_body(body)
        return begin

    # Samples

    def _places(self, index: int) -> list[_Place]:
        content = self._cutter.at(index)
        samples = content.samples(content.init.video)
        return [_Place(index, n, self._cutter.shown(index, s), s) for n, s in enumerate(samples)]

    @staticmethod
    def _clean(places: Sequence[_Place], number: int) -> bool:
        """Whether decoding may begin here without losing a frame that is shown later."""
        key = places[number]
        return key.sample.sync and all(p.time >= key.time for p in places[number + 1 :])

    def _keyframe_from(self, index: int) -> _Place | None:
        """The first keyframe at or after the start at which the copied part may begin."""
        while index <= self._hi:
            places = self._places(index)
            for place in places:
                wanted = self._start <= place.time < self._end
                if wanted and self._clean(places, place.number):
                    return place
            index += 1
        return None

    def _keyframe_before(self, place: _Place) -> _Place:
        """The last keyframe from which `place` can be decoded."""
        index = place.index
        while True:
            places = self._places(index)
            for key in reversed(places):
                reached = index < place.index or key.number <= place.number
                if reached and key.time <= place.time and self._clean(places, key.number):
                    return key
            if not self._cutter.same_run(index, index - 1):
                return places[0]
            index -= 1

    def _between(self, first: _Place, last: _Place) -> list[_Place]:
        """Everything from `first` to `last` in decoding order, both included."""
        found: list[_Place] = []
        for index in range(first.index, last.index + 1):
            found += [
                place
                for place in self._places(index)
                if (index, place.number) >= (first.index, first.number)
                and (index, place.number) <= (last.index, last.number)
            ]
        return found

    def _wanted(self, since: int, until: int) -> list[_Place]:
        """Frames presented in this stretch, in the order in which they are."""
        places = [p for index in range(self._lo, self._hi + 1) for p in self._places(index)]
        return sorted((p for p in places if since <= p.time < until), key=lambda p: p.time)

    # Pieces

    def _encode_head(self, body: _Place | None) -> int:
        wanted = self._wanted(self._start, body.time if body else self._end)
        if not wanted and body is not None:
            return body.time
        if not wanted:
            raise NothingThereError("no frame lies between the ends")
        delay = wanted[0].sample.offset
        until = body.sample.shown if body else self._shown_after(wanted[-1])
        if body is not None:
            delay = body.sample.offset
        sounds = self._sounds_between(self._start, body)
        self._encode(wanted, until, min(delay, wanted[0].sample.shown), sounds)
        return wanted[0].time

    def _encode(
        self, wanted: Sequence[_Place], until: int, delay: int, audio: Sequence[Sample]
    ) -> None:
        last = max(wanted, key=lambda p: (p.index, p.number))
        key = self._keyframe_before(min(wanted, key=lambda p: (p.index, p.number)))
        feed = [place.sample for place in self._between(key, last)]
        shown = [place.sample.shown for place in wanted]
        duration = _micros(until - shown[0], self._track)
        start = wanted[0].time - _micros(delay, self._track)
        self._cutter.pieces.append(
            Encode(wanted[0].index, start, duration, feed, shown, until, delay, audio)
        )

    def _shown_after(self, last: _Place) -> int:
        """When the frame after `last` is presented, in units of the track."""
        following = [
            place.sample.shown
            for index in range(last.index, self._hi + 1)
            for place in self._places(index)
            if place.time > last.time
        ]
        return min(following, default=last.sample.shown + last.sample.duration)

    def _cut_body(self, begin: _Place | None) -> None:
        """Whole segments from `begin` on (None: from the run's first), and what is left at the end."""
        index = begin.index if begin else self._lo
        number = begin.number if begin else 0
        beyond = any(place.time >= self._end for place in self._places(self._hi))
        cut = self._tail and (beyond or bool(self._late_sounds()))
        if number and (index < self._hi or not cut):
            places = self._places(index)[number:]
            self._copy(places, self._sounds_of(index, places[0], None))
            index, number = index + 1, 0
        whole = self._hi if cut else self._hi + 1
        self._cutter.pieces += [Refer(i) for i in range(index, whole)]
        if cut:
            self._cut_tail(number)

    def _cut_tail(self, number: int) -> None:
        """The last segment, from sample `number` on: what may be copied, and what is left of it."""
        places = self._places(self._hi)[number:]
        whole = self._closed(places)
        kept = places[:whole]
        rest = sorted((p for p in places[whole:] if p.time < self._end), key=lambda p: p.time)
        begin = places[0] if number else None
        if kept:
            self._copy(kept, self._sounds_of(self._hi, begin, rest[0] if rest else None))
        if rest:
            # Its decode times go on where the copied samples end.
            delay = rest[0].sample.shown - places[whole].sample.time
            after = rest[0] if kept else begin
            sounds = self._sounds_of(self._hi, after, None)
            self._encode(rest, self._shown_after(rest[-1]), delay, sounds)

    def _closed(self, places: Sequence[_Place]) -> int:
        """How many of these, from the first, can be shown without any of those after them, all
        before the end.
        """
        latest = list(accumulate((p.time for p in places), max))
        earliest = list(accumulate((p.time for p in reversed(places)), min))[::-1]
        for count in range(len(places), 0, -1):
            closed = count == len(places) or latest[count - 1] < earliest[count]
            if closed and latest[count - 1] < self._end:
                return count
        return 0

    def _copy(self, places: Sequence[_Place], audio: Sequence[Sample]) -> None:
        samples = [place.sample for place in places]
        first, last = samples[0], samples[-1]
        length = last.time + last.duration - first.time
        start = places[0].time - _micros(first.offset, self._track)
        self._cutter.pieces.append(
            Copy(places[0].index, start, _micros(length, self._track), samples, audio)
        )

    # Sound

    def _decoded(self, place: _Place) -> int:
        """The media time of a sample's decode time: where its segment's sound begins."""
        return place.time - _micros(place.sample.offset, self._track)

    def _sounds_between(self, since: int, body: _Place | None) -> list[Sample]:
        """Sound from `since` to where `body` begins, or to the end of the cut."""
        last = self._hi
        found: list[Sample] = []
        for index in range(self._lo, last + 1):
            if body is not None and index >= body.index + (1 if body.number else 0):
                break
            limit = self._end
            if body is not None and index == body.index:
                limit = self._decoded(body)
            found += [s for time, s in self._cutter.sounds(index) if since <= time < limit]
        if body is None:
            found += self._late_sounds()
        return found

    def _sounds_of(self, index: int, begin: _Place | None, until: _Place | None) -> list[Sample]:
        """Sound of one slot from `begin` (None: all) to `until` (None: the cut's end or the slot's)."""
        since = self._decoded(begin) if begin else None
        if since is None and self._head and index == self._lo:
            since = self._start
        limit = self._decoded(until) if until else None
        if limit is None and self._tail and index == self._hi:
            limit = self._end
        found = [
            sample
            for time, sample in self._cutter.sounds(index)
            if (since is None or time >= since) and (limit is None or time < limit)
        ]
        if until is None and self._tail and index == self._hi:
            found += self._late_sounds()
        return found

    def _late_sounds(self) -> list[Sample]:
        """Sound of before the end that came too late for its own segment."""
        following = self._hi + 1
        if not self._tail or not self._cutter.same_run(self._hi, following):
            return []
        if following not in self._cutter.loaded:
            return []
        return [s for time, s in self._cutter.sounds(following) if time < self._end]

    # No picture

    def _cut_sound(self) -> int:
        begins: list[int] = []
        for index in range(self._lo, self._hi + 1):
            if index not in self._cutter.loaded and self._lo < index < self._hi:
                self._cutter.pieces.append(Refer(index))
                continue
            sounds = self._cutter.sounds(index)
            kept = [(t, s) for t, s in sounds if self._start <= t < self._end]
            if not kept:
                continue
            begins.append(kept[0][0])
            if len(kept) == len(sounds):
                self._cutter.pieces.append(Refer(index))
                continue
            track = self._cutter.at(index).init.audio
            if track is None:
                raise NothingThereError("neither picture nor sound")
            length = kept[-1][1].time + kept[-1][1].duration - kept[0][1].time
            samples = [sample for _, sample in kept]
            self._cutter.pieces.append(Copy(index, kept[0][0], _micros(length, track), (), samples))
        if not begins:
            raise NothingThereError("no frame lies between the ends")
        return begins[0]


def _micros(units: int, track: Track) -> int:
    return round(Fraction(units * SECOND, track.timescale))


def _duration_of(piece: Piece, slots: Sequence[Slot]) -> int:
    return slots[piece.index].duration if isinstance(piece, Refer) else piece.duration
